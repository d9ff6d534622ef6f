/** Baseline: fflate, deflate in plain JavaScript, on the calling thread. */
import { deflateSync, inflateSync } from 'fflate';
import type { Operation, SyncCodec } from '../codec.js';

/** Fflate's synchronous calls; its asynchronous ones start a worker per call. */
export function fflateSync(operation: Operation): SyncCodec {
  const level = operation.level as 1 | 6;
  const transform =
    operation.direction === 'deflate'
      ? (input: Uint8Array) => deflateSync(input, { level })
      : (input: Uint8Array) => inflateSync(input);
  return { name: 'fflate-sync', transform };
}
