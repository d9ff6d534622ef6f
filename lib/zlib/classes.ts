/**
 * The stream classes: Node's own constructors and prototypes, with the object behind each stream replaced. They work
 * with and without `new`, and as the base of other classes; `instanceof` holds in both directions, because the
 * prototypes are Node's.
 */
import node, { type ZlibOptions } from 'node:zlib';
import { codingOf } from './coding.js';
import { DeviceHandle } from './handle.js';
import { internals, UNKNOWN_SHAPE, type ZlibStream } from './internals.js';
import type { Kind } from './kinds.js';
import type { ZlibModule } from './names.js';
import { inSoftware, recordVia } from './provenance.js';
import type { SharedPool } from './shared-pool.js';

type Options = ZlibOptions & { readonly rejectGarbageAfterEnd?: unknown };

/** The class of `kind` in place of Node's. */
export function classOf<K extends Kind>(kind: K, shared: SharedPool): ZlibModule[K['stream']] {
  const original = node[kind.stream];
  const ctor = function (this: object, options?: Options): ZlibStream {
    // On an instance Node's constructor answers nothing; called without `new` it makes one, with its own warning.
    const stream = (Reflect.apply(original, this, [options]) ?? this) as ZlibStream;
    takeOver(kind, stream, options ?? {}, shared);
    return stream;
  };
  Object.defineProperties(ctor, {
    name: { value: original.name, configurable: true },
    length: { value: original.length, configurable: true },
    prototype: { value: original.prototype, writable: false },
  });
  return Object.setPrototypeOf(ctor, Object.getPrototypeOf(original) as object) as ZlibModule[K['stream']];
}

/** `create*` for a class. */
export function creatorOf<K extends Kind>(
  kind: K,
  ctor: ZlibModule[K['stream']],
): ZlibModule[`create${K['stream']}`] {
  const original = node[`create${kind.stream}`];
  const create = (options?: ZlibOptions): object => new ctor(options);
  return Object.defineProperties(create, {
    name: { value: original.name, configurable: true },
    length: { value: original.length, configurable: true },
  }) as unknown as ZlibModule[`create${K['stream']}`];
}

function takeOver(kind: Kind, stream: ZlibStream, options: Options, shared: SharedPool): void {
  const known = internals();
  const coding = known === null ? UNKNOWN_SHAPE : streamCoding(kind, stream, options);
  if (known === null || typeof coding === 'string') {
    return recordVia(stream, inSoftware(coding as string));
  }
  const handle = new DeviceHandle({ kind, coding, shared, internals: known, stream });
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
