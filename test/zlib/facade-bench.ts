/**
 * `warpdrive/zlib` on an inline machine: what its tests start from, and pools that fail on purpose.
 */
import { errAsync, ok, okAsync } from 'neverthrow';
import { WdFailure } from '../../lib/failures.js';
import type { Pool } from '../../lib/pool.js';
import type { PoolStream } from '../../lib/pool-stream.js';
import { zlibOn } from '../../lib/zlib/module.js';
import type { ZlibModule } from '../../lib/zlib/names.js';
import type { SharedPool } from '../../lib/zlib/shared-pool.js';
import type { WdError } from '../../src/base/errors.js';
import { openLibrary } from '../lib/library-bench.js';

export interface Facade {
  readonly zlib: ZlibModule;
  readonly pool: Pool;
}

/** The module on a machine of its own with one compression engine. */
export async function openFacade(): Promise<Facade> {
  const { pool } = await openLibrary();
  return { pool, zlib: zlibOn(sharedOf(pool)) };
}

/** `pool` as the one that everybody shares. */
export function sharedOf(pool: Pool): SharedPool {
  return {
    compress: (input, options) => pool.compress(input, options),
    decompress: (input, options) => pool.decompress(input, options),
    pool: () => okAsync(pool),
  };
}

/** A shared pool that answers everything with `error`, and cannot be opened for a stream. */
export function failingWith(error: WdError): SharedPool {
  return {
    compress: () => errAsync(error),
    decompress: () => errAsync(error),
    pool: () => errAsync(error),
  };
}

/** `pool` with streams whose steps from number `from` on, counted from 1, fail with `error`, `times` times. */
export function failingSteps(pool: Pool, error: WdError, from: number, times = Infinity): SharedPool {
  const streams = {
    openStream: (op: string, options?: object) =>
      pool.openStream(op, options).andThen((stream) => ok(failing(stream))),
  };
  const failing = (stream: PoolStream): Partial<PoolStream> => {
    let steps = 0;
    return {
      operation: stream.operation,
      via: null,
      begin: (plan) => stream.begin(plan),
      recode: (format) => stream.recode(format),
      close: () => stream.close(),
      step: (input, control) => {
        steps += 1;
        if (steps >= from && steps < from + times) throw new WdFailure(error);
        return stream.step(input, control);
      },
    };
  };
  return { ...sharedOf(pool), pool: () => okAsync(streams as unknown as Pool) };
}

/** What `stream` puts out for `input`, written in pieces of `pieceBytes`. Rejects with its error. */
export function through(
  stream: NodeJS.ReadWriteStream,
  input: Buffer,
  pieceBytes: number = Math.max(1, input.length),
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => void chunks.push(chunk));
    stream.on('error', reject).on('end', () => resolve(Buffer.concat(chunks)));
    for (let at = 0; at < input.length; at += pieceBytes) stream.write(input.subarray(at, at + pieceBytes));
    stream.end();
  });
}

/** Writes to `stream` and waits for the answer. */
export function written(stream: NodeJS.WritableStream, chunk: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(chunk, (error) => (error ? reject(error) : resolve()));
  });
}
