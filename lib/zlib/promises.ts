/** The one-shot functions as promises: of each function with a callback, the same name. */
import type { ZlibModule } from './names.js';

type Callback = (error: Error | null, result: Buffer) => void;
type CallbackCall = (buffer: unknown, options: unknown, callback: Callback) => void;

/** The functions by name: those of every supported Node with their types, and what a newer one adds. */
export type ZlibPromises = {
  readonly [Name in
    | 'deflate'
    | 'deflateRaw'
    | 'gzip'
    | 'inflate'
    | 'inflateRaw'
    | 'gunzip'
    | 'unzip'
    | 'brotliCompress'
    | 'brotliDecompress']: ZlibModule[Name]['__promisify__'];
} & Readonly<Record<string, (buffer: unknown, options?: unknown) => Promise<Buffer>>>;

/** The functions of `zlib` that have a synchronous twin, as promises. What Node throws at once is a rejection here. */
export function promisesOf(zlib: ZlibModule): ZlibPromises {
  const members = zlib as unknown as Record<string, unknown>;
  const names = Object.keys(members).filter((name) => typeof members[`${name}Sync`] === 'function');
  const entries = names.map((name) => [name, promised(members[name] as CallbackCall)] as const);
  return Object.fromEntries(entries) as unknown as ZlibPromises;
}

function promised(call: CallbackCall): (buffer: unknown, options?: unknown) => Promise<Buffer> {
  return (buffer, options) =>
    new Promise((resolve, reject) => {
      // A function in this place would be taken for the callback, and the promise never be settled.
      const given = typeof options === 'function' ? {} : options;
      call(buffer, given, (error, result) => (error === null ? resolve(result) : reject(error)));
    });
}
