/** Baselines on the public calls of node:zlib: on the calling thread, and in libuv's four threads. */
import { deflateRaw, deflateRawSync, inflateRaw, inflateRawSync } from 'node:zlib';
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
  const start = (input: Buffer): Promise<Buffer> =>
    new Promise((resolve, reject) => {
      call(input, options, (error, output) => (error === null ? resolve(output) : reject(error)));
    });
  return { name: 'zlib-async', start, output: (outcome) => outcome, close: async () => {} };
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
