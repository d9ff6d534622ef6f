/**
 * The one-shot functions with a callback. In the clear case (a callback, bytes enough to be worth it, options that a
 * device honours) the shared pool does the work; in every other, and for every doubt about an error, Node's own function
 * is called as it was.
 */
import node, { type ZlibOptions } from 'node:zlib';
import type { Result } from 'neverthrow';
import type { WdError } from '../../src/base/errors.js';
import { limits } from '../../src/base/limits.js';
import { inputBytes } from '../input.js';
import type { CompressOptions } from '../options.js';
import type { WdOutput } from '../output.js';
import { softwareVia, type Via } from '../via.js';
import { hasSmallWindow, SMALL_WINDOW } from './coding.js';
import { zlibError } from './errors.js';
import type { Kind } from './kinds.js';
import { type DeviceCall, OptionJudge } from './option-judge.js';
import { recordVia } from './provenance.js';
import type { SharedPool } from './shared-pool.js';

type Callback = (...results: unknown[]) => unknown;
type NodeCall = (buffer: unknown, options: unknown, callback: Callback) => void;

/** A call on its way to a device. */
interface Started {
  readonly original: NodeCall;
  readonly kind: Kind;
  readonly bytes: Uint8Array;
  readonly asked: DeviceCall;
  readonly callback: Callback;
}

/** The function of `kind` in place of Node's. */
export function callOf(kind: Kind, shared: SharedPool): NodeCall {
  const original = node[kind.call] as NodeCall;
  const judge = new OptionJudge(kind);
  const send = (kind.op === 'compress' ? shared.compress : shared.decompress).bind(shared);
  const call = function (this: unknown, buffer: unknown, options: unknown, callback: unknown): void {
    const given = typeof options === 'function' ? options : callback;
    if (typeof given !== 'function') return Reflect.apply(original, this, [buffer, options, callback]);
    const chosen = choose(judge, kind, buffer, typeof options === 'function' ? undefined : options);
    if (typeof chosen === 'string') {
      return Reflect.apply(original, this, [
        buffer,
        typeof options === 'function' ? {} : options,
        noting(given as Callback, softwareVia(chosen)),
      ]);
    }
    const started = { original, kind, ...chosen, callback: given as Callback };
    void send(chosen.bytes, chosen.asked.coding as CompressOptions).then((result) => {
      // In a turn of its own, as Node's: what the callback throws is an uncaught exception and no rejected promise.
      setImmediate(deliver, started, result);
    });
  };
  return Object.defineProperties(call, {
    name: { value: original.name, configurable: true },
    length: { value: original.length, configurable: true },
  });
}

function choose(
  judge: OptionJudge,
  kind: Kind,
  buffer: unknown,
  options: unknown,
): { bytes: Uint8Array; asked: DeviceCall } | string {
  const asked = judge.judge(options);
  if (typeof asked === 'string') return asked;
  const bytes = inputBytes(buffer);
  if (bytes === null) return 'the input is no bytes';
  if (bytes.length < limits.DEVICE_THRESHOLD_BYTES) {
    return `the input is below the device threshold of ${limits.DEVICE_THRESHOLD_BYTES} bytes`;
  }
  if (kind.op === 'decompress' && hasSmallWindow(kind, bytes)) return SMALL_WINDOW;
  return { bytes, asked };
}

function deliver(started: Started, result: Result<WdOutput, WdError>): void {
  if (result.isOk()) {
    const { data, via } = result.value;
    // Nobody but this caller has it: what is empty may come from a constant.
    const buffer = data.length === 0 ? Buffer.alloc(0) : data;
    recordVia(buffer, via);
    return answer(started, null, buffer);
  }
  const { error } = result;
  // Whether Node meets damage or an output limit first depends on its chunks.
  const isCertain = started.asked.coding.maxOutputLength === undefined;
  if (error.kind === 'BadData' && isCertain) answer(started, zlibError(error));
  else instead(started, softwareVia(`the pool answered ${error.code}`));
}

function answer({ callback, kind, bytes }: Started, ...results: unknown[]): void {
  Reflect.apply(callback, endedStream(kind, bytes.length), results);
}

/** Node does it, with what the call was made with. */
function instead({ original, bytes, asked, callback }: Started, via: Via): void {
  original(bytes, { ...asked.options } satisfies ZlibOptions, noting(callback, via));
}

const ended = new Map<Kind, object>();

/** What Node's callbacks have as `this`: the stream that did the work, which has ended. */
function endedStream(kind: Kind, bytesWritten: number): object {
  const known = ended.get(kind) ?? new node[kind.stream]().destroy();
  ended.set(kind, known);
  return Object.create(known, { bytesWritten: { value: bytesWritten, ...PLAIN } }) as object;
}

const PLAIN = { writable: true, enumerable: true, configurable: true };

/** Notes how a result came about on its way to the callback. */
function noting(callback: Callback, via: Via): Callback {
  return function (this: unknown, ...results: unknown[]) {
    const [, result] = results;
    if (typeof result === 'object' && result !== null) note(result as { buffer?: unknown }, via);
    return Reflect.apply(callback, this, results);
  };
}

/** With `info: true` the result is `{ buffer, engine }`. */
function note(result: { buffer?: unknown }, via: Via): void {
  recordVia(result, via);
  if (!ArrayBuffer.isView(result) && ArrayBuffer.isView(result.buffer)) recordVia(result.buffer, via);
}
