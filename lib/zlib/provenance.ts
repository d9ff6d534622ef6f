/**
 * How results came about: Node's own results have no room for `via`, so it is kept beside them. An entry lives as long
 * as the buffer or stream that it is about.
 */
import node from 'node:zlib';
import { softwareVia, type Via } from '../via.js';
import { internals, UNKNOWN_SHAPE } from './internals.js';

/** The class above all streams of node:zlib. */
const Zlib = Object.getPrototypeOf(node.Deflate) as abstract new () => object;

type Answer = Via | (() => Via | undefined);

const answers = new WeakMap<object, Answer>();

/** Remembers how `result` came about; a function is asked each time, for streams that change it. */
export function recordVia(result: object, via: Answer): void {
  answers.set(result, via);
}

/**
 * How a result of an asynchronous call came about, or a stream's output so far: on a device or in software, and why.
 * `undefined` for what did not come from here: results of `*Sync` functions, streams without a write yet.
 */
export function viaOf(result: object): Via | undefined {
  const answer = answers.get(result);
  if (answer === undefined && result instanceof Zlib && internals() === null)
    return softwareVia(UNKNOWN_SHAPE);
  return typeof answer === 'function' ? answer() : answer;
}
