/**
 * The insides of node:zlib that the stream classes stand on: the native object behind a stream, which is replaced, and
 * the function that takes its answers, which is Node's own. So everything that Node's JavaScript does (order of events,
 * flushes, parameters, errors) stays Node's.
 *
 * None of it is public. It is looked for once, tried on streams that nobody sees, and when anything is not as expected
 * the classes are Node's own.
 */

import type { Transform } from 'node:stream';
import node from 'node:zlib';

/** Node's arguments of one write: flush kind, input with offset and length, output with offset and length. */
export type WriteArguments = readonly [
  flush: number,
  input: Uint8Array,
  inputAt: number,
  inputBytes: number,
  output: Uint8Array,
  outputAt: number,
  outputBytes: number,
];

/** What Node's JavaScript calls on the object behind a stream, and keeps there from a write to its answer. */
export interface ZlibHandle {
  write(...args: WriteArguments): void;
  writeSync(...args: WriteArguments): void;
  params(level: number, strategy: number): void;
  reset(): void;
  close(): void;
  onerror: (message: string, errno: number, code: string) => void;
  buffer?: unknown;
  cb?: unknown;
  availOutBefore?: unknown;
  availInBefore?: unknown;
  inOff?: unknown;
  flushFlag?: unknown;
}

/** A stream of node:zlib with its insides. */
export interface ZlibStream extends Transform {
  _handle: ZlibHandle | null;
  /** [output left, input left] of the last write. */
  readonly _writeState: Uint32Array;
  readonly _level: number;
  /** Room of a write that begins with an empty one, bytes. */
  readonly _chunkSize: number;
  readonly _strategy: number;
  bytesWritten: number;
}

/** What was found. */
export interface Internals {
  /** Takes the answer to a write; `this` is the handle. */
  readonly processCallback: (this: ZlibHandle) => void;
  /** Where a handle has its stream. */
  readonly owner: symbol;
}

/** Why streams are Node's own when nothing was found. */
export const UNKNOWN_SHAPE = 'the internals of node:zlib have an unknown shape';

let found: Internals | null | undefined;

/** The insides; null when they are not those that this file knows. Looked for by the first call. */
export function internals(): Internals | null {
  if (found === undefined) found = look();
  return found;
}

function look(): Internals | null {
  try {
    const probe = newStream();
    const native = probe._handle!;
    const fields = native as unknown as Record<symbol, unknown>;
    const owner = Object.getOwnPropertySymbols(native).find((symbol) => fields[symbol] === probe);
    const processCallback = capture(Object.getPrototypeOf(native) as object);
    probe.destroy();
    if (owner === undefined || processCallback === null) return null;
    return behaves({ owner, processCallback }) ? { owner, processCallback } : null;
  } catch {
    return null;
  }
}

/** As the classes make theirs: the constructor is called on an object that is there already. */
function newStream(): ZlibStream {
  const stream = Object.create(node.DeflateRaw.prototype) as ZlibStream;
  Reflect.apply(node.DeflateRaw, stream, []);
  return stream;
}

/** The one function among the arguments with which Node starts a native object. */
function capture(prototype: object): Internals['processCallback'] | null {
  const original = Object.getOwnPropertyDescriptor(prototype, 'init');
  if (typeof original?.value !== 'function' || original.configurable !== true) return null;
  const seen: unknown[] = [];
  const init = function (this: object, ...args: unknown[]): unknown {
    seen.push(...args.filter((argument) => typeof argument === 'function'));
    return Reflect.apply(original.value as () => unknown, this, args);
  };
  Object.defineProperty(prototype, 'init', { ...original, value: init });
  try {
    newStream().destroy();
  } finally {
    Object.defineProperty(prototype, 'init', original);
  }
  return seen.length === 1 ? (seen[0] as Internals['processCallback']) : null;
}

/** Tries a whole write through a handle that is not Node's. */
function behaves({ owner, processCallback }: Internals): boolean {
  const stream = newStream();
  const native = stream._handle!;
  const calls: WriteArguments[] = [];
  const handle = {
    onerror: native.onerror,
    close() {},
    write: (...args: WriteArguments) => void calls.push(args),
  };
  Object.assign(handle, { [owner]: stream });
  stream._handle = handle as unknown as ZlibHandle;
  stream.write(Buffer.from('abc'));
  const [args] = calls;
  if (calls.length !== 1 || args?.length !== 7 || !answersTo(stream, args)) return false;
  stream._writeState.set([args[6], 1]);
  Reflect.apply(processCallback, handle, []);
  stream.destroy();
  native.close();
  return stream.bytesWritten === 2;
}

function answersTo(stream: ZlibStream, args: WriteArguments): boolean {
  const [flush, input, inputAt, inputBytes, output, outputAt, outputBytes] = args;
  const numbers = flush === 0 && inputAt === 0 && inputBytes === 3 && outputAt === 0;
  const bytes = input instanceof Uint8Array && output instanceof Uint8Array && output.length === outputBytes;
  const state = stream._writeState instanceof Uint32Array && stream._writeState.length === 2;
  const coding = typeof stream._level === 'number' && typeof stream._strategy === 'number';
  const room = outputBytes === stream._chunkSize;
  return numbers && bytes && state && coding && room && typeof stream._handle!.cb === 'function';
}
