/**
 * What a call to zlib did, as plain data that can be compared deeply: the result's bytes, the error with its keys,
 * whether it was thrown or handed over, when and how often the callback was called.
 *
 * A row of a table is a function of the module; it is run with node:zlib and with ours, and both must say the same.
 */
import { createHash } from 'node:crypto';
import type { Via } from '../../lib/via.js';
import { Tally } from './differential-tally.js';

/** The module under observation: node:zlib, or ours in its place. */
export type Zlib = typeof import('node:zlib');
/** One row: calls the module, and tells what happened as plain data. */
export type Row = (zlib: Zlib) => unknown;
/** The rows of one topic by name. */
export type Rows = Readonly<Record<string, Row>>;

/** How long a call may take before it is said to hang, ms. Far more than any of them needs. */
const HANGS_AFTER_MS = 20_000;
/** Bytes that are shown in full; of more, only the ends and the digest. */
const SHOWN_BYTES = 48;

const tallies = new WeakMap<Zlib, Tally>();

/** Has the calls to `zlib` counted by the way they took. */
export function countCalls(zlib: Zlib, viaOf: (result: object) => Via | undefined): Tally {
  const tally = new Tally(viaOf);
  tallies.set(zlib, tally);
  return tally;
}

/** The count of the calls to `zlib`; nothing for a module that is not counted. */
export function tallyOf(zlib: Zlib): Tally | undefined {
  return tallies.get(zlib);
}

/** `value` as plain data. */
export function plain(value: unknown): unknown {
  if (value instanceof Error) return plainError(value);
  if (ArrayBuffer.isView(value)) return plainBytes(value);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === 'function') return `function ${value.name}/${value.length}`;
  if (typeof value === 'bigint' || typeof value === 'symbol') return String(value);
  if (typeof value !== 'object' || value === null) return value;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return `a ${value.constructor.name}`;
  return Object.fromEntries(Object.entries(value).map(([key, of]) => [key, plain(of)]));
}

function plainBytes(view: ArrayBufferView): unknown {
  const bytes = Buffer.from(view.buffer, view.byteOffset, view.byteLength);
  const kind = view.constructor.name;
  if (bytes.length <= SHOWN_BYTES) return { kind, bytes: bytes.length, hex: bytes.toString('hex') };
  const ends = [bytes.subarray(0, 16), bytes.subarray(-16)].map((end) => end.toString('hex'));
  return { kind, bytes: bytes.length, ends, digest: createHash('sha256').update(bytes).digest('hex') };
}

function plainError(error: Error): unknown {
  const { name, message, code, errno } = error as NodeJS.ErrnoException;
  return {
    constructor: error.constructor.name,
    name,
    message,
    code,
    errno,
    own: Reflect.ownKeys(error).map(String),
    enumerable: Object.keys(error),
    cause: plain(error.cause),
  };
}

/** What `call` returned or threw. */
export function returned(call: () => unknown): unknown {
  try {
    return { returned: plain(call()) };
  } catch (error) {
    return { threw: plain(error) };
  }
}

/** What became of a promise. */
export async function settled(promise: Promise<unknown>): Promise<unknown> {
  try {
    return { fulfilled: plain(await within(promise)) };
  } catch (error) {
    return { rejected: plain(error) };
  }
}

/** Calls the function of that name, whatever the arguments are. */
export function call(zlib: Zlib, name: string, ...given: unknown[]): unknown {
  return Reflect.apply(Reflect.get(zlib, name) as () => unknown, zlib, given);
}

/** What a call of the synchronous function of that name did. */
export function atOnce(zlib: Zlib, name: string, ...given: unknown[]): unknown {
  return returned(() => call(zlib, name, ...given));
}

/** What a call of the function of that name with a callback did: what it threw, or each call of the callback. */
export async function answered(zlib: Zlib, name: string, ...given: unknown[]): Promise<unknown> {
  const calls: unknown[] = [];
  let whileCalled = true;
  let tell = (): void => {};
  const told = new Promise<void>((resolve) => {
    tell = resolve;
  });
  const callback = (...results: unknown[]): void => {
    tallyOf(zlib)?.call(name, given, results);
    calls.push({ whileCalled, results: results.map(plain) });
    tell();
  };
  const first = returned(() => call(zlib, name, ...given, callback));
  whileCalled = false;
  if (Object.hasOwn(first as object, 'threw')) return { ...(first as object), calls };
  await within(told);
  await turns(2);
  return { ...(first as object), calls };
}

/** The result of the function of that name, for rows that go on with it. Rejects with its error. */
export function resultOf(zlib: Zlib, name: string, ...given: unknown[]): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    call(zlib, name, ...given, (error: Error | null, result: Buffer) => {
      tallyOf(zlib)?.call(name, given, [error, result]);
      if (error === null) resolve(result);
      else reject(error);
    });
  });
}

/** `promise`, or a rejection when nothing comes of it. */
export async function within<Value>(promise: Promise<Value>): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('nothing happens any more')), HANGS_AFTER_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Lets the event loop turn that often: a callback that is called once too often is then seen. */
export async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
}

/** What was raised where nobody catches it, in order, and what `act` came to. */
export interface Uncaught {
  readonly result: unknown;
  readonly raised: readonly string[];
}

const UNCAUGHT = ['uncaughtException', 'unhandledRejection'] as const;

/**
 * Has errors that nobody catches noted while `act` is at work, instead of ending the program. `act` may ask to be told
 * of each.
 */
export async function uncaught(
  act: (tell: (listener: (line: string) => void) => void) => Promise<unknown>,
): Promise<Uncaught> {
  const kept = UNCAUGHT.map((kind) => process.listeners(kind as 'uncaughtException'));
  const raised: string[] = [];
  let told = (_line: string): void => {};
  for (const kind of UNCAUGHT) {
    process.removeAllListeners(kind);
    process.on(kind, (error: unknown) => {
      raised.push(`${kind} ${error}`);
      told(`${error}`);
    });
  }
  try {
    const result = await act((listener) => {
      told = listener;
    });
    await turns(2);
    return { result, raised };
  } finally {
    for (const [index, kind] of UNCAUGHT.entries()) {
      process.removeAllListeners(kind);
      for (const listener of kept[index]!) process.on(kind, listener);
    }
  }
}
