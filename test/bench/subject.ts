/**
 * The library under test, and the only file of the benchmark that imports it. Everything goes through the public
 * entry, over the device route, with two engines.
 *
 * Without a built library the baselines can still be measured: ask `subjectExists` first.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Result, ResultAsync } from 'neverthrow';
import type { AsyncCodec, Operation } from './codec.js';
import type { Requester } from './load.js';
import { SUBJECT } from './report.js';

const NOTHING = Buffer.alloc(0);

/** Whether the library's entry is there. */
export function subjectExists(): boolean {
  return existsSync(fileURLToPath(new URL('../../src/entry/index.js', import.meta.url)));
}

/** The value of a result; an error of the library ends the case. */
function unwrap<T>(result: Result<T, unknown>): T {
  if (result.isErr()) throw new Error(`${SUBJECT} answered with an error`, { cause: result.error });
  return result.value;
}

interface Answer {
  readonly data: Uint8Array;
}

/** The part of a pool that is measured; the compiler compares it with the real one. */
interface Pool {
  compress(
    input: Buffer,
    options: { format: 'deflate-raw' | 'gzip'; level: number; route: 'device' },
  ): ResultAsync<Answer, unknown>;
  decompress(
    input: Buffer,
    options: { format: 'deflate-raw'; route: 'device' },
  ): ResultAsync<Answer, unknown>;
  session(options: { op: 'copy'; route: 'device' }): Result<Session, unknown>;
  close(): ResultAsync<void, unknown>;
}

interface Session {
  run(input: Buffer): ResultAsync<unknown, unknown>;
}

async function openPool(): Promise<Pool> {
  const wd = await import('../../src/entry/index.js');
  return unwrap<Pool>(await wd.open({ engines: 2 }));
}

async function closePool(pool: Pool): Promise<void> {
  unwrap(await pool.close());
}

/** Raw deflate or inflate on the devices. */
export async function subjectCodec(operation: Operation): Promise<AsyncCodec<Result<Answer, unknown>>> {
  const pool = await openPool();
  const { direction, level } = operation;
  const compressing = { format: 'deflate-raw', level, route: 'device' } as const;
  const decompressing = { format: 'deflate-raw', route: 'device' } as const;
  return {
    name: SUBJECT,
    start:
      direction === 'deflate'
        ? (input) => pool.compress(input, compressing)
        : (input) => pool.decompress(input, decompressing),
    output: (outcome) => unwrap(outcome).data,
    close: () => closePool(pool),
  };
}

/** Gzip of one buffer of any length, in one request. */
export async function subjectGzip(level: number): Promise<AsyncCodec<Result<Answer, unknown>>> {
  const pool = await openPool();
  const options = { format: 'gzip', level, route: 'device' } as const;
  return {
    name: SUBJECT,
    start: (input) => pool.compress(input, options),
    output: (outcome) => unwrap(outcome).data,
    close: () => closePool(pool),
  };
}

/** Empty requests: a copy of nothing. */
export async function subjectEmpty(): Promise<Requester<Result<unknown, unknown>>> {
  const pool = await openPool();
  const session = unwrap(pool.session({ op: 'copy', route: 'device' }));
  return {
    name: SUBJECT,
    issue: () => session.run(NOTHING),
    accept: (outcome) => {
      unwrap(outcome);
      return NOTHING;
    },
    close: () => closePool(pool),
  };
}
