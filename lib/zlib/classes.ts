/**
 * The stream classes: Node's own constructors and prototypes, with the object behind each stream replaced. They work
 * with and without `new`, and as the base of other classes; `instanceof` holds in both directions, because the
 * prototypes are Node's.
 */
import type { Transform } from 'node:stream';
import node, { type ZlibOptions } from 'node:zlib';
import { softwareVia } from '../via.js';
import { codingOf } from './coding.js';
import { DeviceHandle, type HandleParts } from './handle.js';
import { internals, type ZlibStream } from './internals.js';
import type { Kind } from './kinds.js';
import { recordVia } from './provenance.js';
import type { SharedPool } from './shared-pool.js';

type Options = ZlibOptions & { readonly rejectGarbageAfterEnd?: unknown };

/** A stream class of node:zlib, or one in its place. */
type StreamClass = new (options?: ZlibOptions) => Transform;

/** The class of `kind` in place of Node's; Node's own when its insides are unknown. */
export function classOf(kind: Kind, shared: SharedPool): StreamClass {
  const original = node[kind.stream];
  const known = internals();
  if (known === null) return original;
  const ctor = function (this: object, options?: Options): ZlibStream | undefined {
    // On an instance Node's constructor answers nothing; called without `new` it makes one, with its own warning.
    const made = Reflect.apply(original, this, [options]) as ZlibStream | undefined;
    const stream = made ?? (this as ZlibStream);
    if (stream.constructor === original) nameConstructor(stream, ctor);
    takeOver({ kind, stream, shared, internals: known }, options ?? {});
    return made;
  };
  Object.defineProperties(ctor, {
    name: { value: original.name, configurable: true },
    length: { value: original.length, configurable: true },
    prototype: { value: original.prototype, writable: true },
  });
  return Object.setPrototypeOf(ctor, Object.getPrototypeOf(original) as object) as StreamClass;
}

/** `create*` for a class. */
export function creatorOf(kind: Kind, ctor: StreamClass): (options?: ZlibOptions) => Transform {
  const original = node[`create${kind.stream}`];
  // A declaration: Node's can be called with `new`, which an arrow function cannot.
  function create(options?: ZlibOptions): Transform {
    return new ctor(options);
  }
  return Object.defineProperties(create, {
    name: { value: original.name, configurable: true },
    length: { value: original.length, configurable: true },
  });
}

/** The prototype is Node's and names Node's class; a stream made here says what made it. */
function nameConstructor(stream: object, ctor: unknown): void {
  Object.defineProperty(stream, 'constructor', { value: ctor, writable: true, configurable: true });
}

function takeOver(parts: Omit<HandleParts, 'coding'>, options: Options): void {
  const { kind, stream } = parts;
  const coding = streamCoding(kind, stream, options);
  if (typeof coding === 'string') return recordVia(stream, softwareVia(coding));
  const handle = new DeviceHandle({ ...parts, coding });
  stream._handle = handle;
  recordVia(stream, () => handle.via());
}

/** Level and strategy as Node understood them; it keeps nothing of the others. */
function streamCoding(
  kind: Kind,
  { _level, _strategy }: ZlibStream,
  options: Options,
): ReturnType<typeof codingOf> {
  if (options.rejectGarbageAfterEnd) return "the option rejectGarbageAfterEnd is Node's";
  const { windowBits, memLevel, dictionary, flush, finishFlush } = options;
  const coding = { level: _level, strategy: _strategy, windowBits, memLevel };
  return codingOf(kind, { ...coding, dictionary, flush, finishFlush });
}
