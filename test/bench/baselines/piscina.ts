/**
 * Baseline: piscina, the usual pool of worker threads, as it comes (one request in flight per thread), and tuned
 * to keep eight in flight.
 */
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import type { AsyncCodec, Operation } from '../codec.js';
import type { Requester } from '../load.js';

const filename = fileURLToPath(new URL('./piscina-worker.js', import.meta.url));
const NOTHING = new Uint8Array(0);

/** How the pool is set up. */
type Pooling = 'piscina' | 'piscina-8';

function openPool(pooling: Pooling, name: string): Piscina {
  const eight = { minThreads: 2, maxThreads: 2, concurrentTasksPerWorker: 4 };
  return new Piscina({ filename, name, ...(pooling === 'piscina-8' && eight) });
}

/** Codec calls in piscina's threads. */
export function piscinaCodec(operation: Operation, pooling: Pooling): AsyncCodec<Uint8Array> {
  const pool = openPool(pooling, 'codec');
  return {
    name: pooling,
    start: (input) => pool.run({ operation, input }),
    output: (outcome) => outcome,
    close: () => pool.destroy(),
  };
}

/** Empty requests through piscina. */
export function piscinaEmpty(pooling: Pooling): Requester<unknown> {
  const pool = openPool(pooling, 'nothing');
  return {
    name: pooling,
    issue: () => pool.run(null),
    accept: () => NOTHING,
    close: () => pool.destroy(),
  };
}
