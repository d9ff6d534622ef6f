/** Baselines on the public calls of node:zlib: on the calling thread, and in libuv's four threads. */
import { deflateRaw, deflateRawSync, gzip, inflateRaw, inflateRawSync } from 'node:zlib';
import type { AsyncCodec, Operation, SyncCodec } from '../codec.js';
import type { Requester } from '../load.js';

/** Node:zlib on the calling thread. */
export function zlibSync(operation: Operation): SyncCodec {
  const { direction, level } = operation;
  const transform =
    direction === 'deflate'
      ? (input: Uint8Array) => deflateRawSync(input, { level })
      : (input: Uint8Array) => inflateRawSync(input);
  return { name: 'zlib-sync', transform };
}

/** Node:zlib with callbacks. */
export function zlibAsync(operation: Operation): AsyncCodec<Buffer> {
  const options = { level: operation.level };
  const call = operation.direction === 'deflate' ? deflateRaw : inflateRaw;
  return asynchronous('zlib-async', (input, callback) => call(input, options, callback));
}

/** Node's own gzip with a callback, one call for a whole buffer. */
export function zlibGzip(level: number): AsyncCodec<Buffer> {
  return asynchronous('zlib-gzip', (input, callback) => gzip(input, { level }, callback));
}

type Call = (input: Buffer, callback: (error: Error | null, output: Buffer) => void) => void;

function asynchronous(name: string, call: Call): AsyncCodec<Buffer> {
  const start = (input: Buffer): Promise<Buffer> =>
    new Promise((resolve, reject) => {
      call(input, (error, output) => (error === null ? resolve(output) : reject(error)));
    });
  return { name, start, output: (outcome) => outcome, close: async () => {} };
}

/** The least that asynchronous node:zlib can be asked for: one byte. */
export function zlibOneByte(): Requester<Buffer> {
  const codec = zlibAsync({ direction: 'deflate', level: 1 });
  const oneByte = Buffer.alloc(1);
  return {
    name: 'zlib-async-1-byte',
    issue: () => codec.start(oneByte),
    accept: (outcome) => outcome,
    close: async () => {},
  };
}
