/**
 * The library under test, and the only file of the benchmark that imports it. Everything goes through the public
 * entry, over the device route, with two engines.
 *
 * Without a built library the baselines can still be measured: ask `subjectExists` first.
 */
import { existsSync } from 'node:fs';
import type { Transform } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Result, ResultAsync } from 'neverthrow';
import type { PoolBuffer } from '../../src/entry/index.js';
import type { AsyncCodec, GroupCodec, Operation } from './codec.js';
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

interface CompressOptions {
  readonly format: 'deflate-raw' | 'gzip';
  readonly level: number;
  readonly route: 'device';
}

/** What the pool and a tenant of it have. */
interface Compressing {
  compress(input: Buffer, options: CompressOptions): ResultAsync<Answer, unknown>;
  close(): ResultAsync<void, unknown>;
}

/** The part of a pool that is measured; the compiler compares it with the real one. */
interface Pool extends Compressing {
  decompress(
    input: Buffer,
    options: { format: 'deflate-raw'; route: 'device'; into?: PoolBuffer },
  ): ResultAsync<Answer, unknown>;
  alloc(bytes: number): ResultAsync<PoolBuffer, unknown>;
  batch(
    items: readonly { op: 'compress'; input: Buffer; [option: string]: unknown }[],
  ): ResultAsync<readonly Result<Answer, unknown>[], unknown>;
  domain(name: string, options: { isolation: 'queue' }): Compressing;
  session(options: { op: 'copy'; route: 'device' }): Result<Session, unknown>;
}

interface Session {
  run(input: Buffer): ResultAsync<unknown, unknown>;
}

async function openPool(engines = 2): Promise<Pool> {
  const wd = await import('../../src/entry/index.js');
  return unwrap<Pool>(await wd.open({ engines }));
}

async function closePool(pool: Compressing): Promise<void> {
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

/** Raw inflate whose output, of at most `outputBytes`, goes into memory of the pool: each request has a buffer of its own. */
export async function subjectInflateInto(
  outputBytes: number,
): Promise<AsyncCodec<{ outcome: Result<Answer, unknown>; into: PoolBuffer }>> {
  const pool = await openPool();
  const idle: PoolBuffer[] = [];
  return {
    name: SUBJECT,
    start: async (input) => {
      const into = idle.pop() ?? unwrap(await pool.alloc(outputBytes));
      const outcome = await pool.decompress(input, { format: 'deflate-raw', route: 'device', into });
      return { outcome, into };
    },
    // The caller looks at it before it starts another request.
    output: ({ outcome, into }) => {
      idle.push(into);
      return unwrap(outcome).data;
    },
    close: () => closePool(pool),
  };
}

/** Raw deflate of several inputs in one call. */
export async function subjectBatch({ level }: Operation): Promise<GroupCodec> {
  const pool = await openPool();
  const options = { format: 'deflate-raw', level, route: 'device' } as const;
  return {
    name: SUBJECT,
    transformAll: async (inputs) => {
      const items = inputs.map((input) => ({ op: 'compress', input, ...options }) as const);
      return unwrap(await pool.batch(items)).map((outcome) => unwrap(outcome).data);
    },
    close: () => closePool(pool),
  };
}

/** Raw deflate for two tenants of one pool, with equal shares of each queue's engine. */
export interface SubjectTenants {
  readonly small: AsyncCodec<Result<Answer, unknown>>;
  readonly large: AsyncCodec<Result<Answer, unknown>>;
  close(): Promise<void>;
}

/** Opens a pool and two tenants. */
export async function subjectTenants(
  { level }: Operation,
  options: { readonly engines: number },
): Promise<SubjectTenants> {
  const pool = await openPool(options.engines);
  const compressing = { format: 'deflate-raw', level, route: 'device' } as const;
  const codecOf = (name: string): AsyncCodec<Result<Answer, unknown>> => {
    const tenant = pool.domain(name, { isolation: 'queue' });
    return {
      name,
      start: (input) => tenant.compress(input, compressing),
      output: (outcome) => unwrap(outcome).data,
      close: () => closePool(tenant),
    };
  };
  return { small: codecOf('small'), large: codecOf('large'), close: () => closePool(pool) };
}

/** Gzip streams with default options; node:zlib's or ours. */
export interface GzipStreams {
  create(): Transform;
  /** Throws when the output of a stream was not made where it should have been. */
  checkPath(stream: Transform): void;
  close(): Promise<void>;
}

/** Those of `warpdrive/zlib`, on a pool that all its calls share; `close` ends it. */
export async function subjectGzipStreams(): Promise<GzipStreams> {
  const { createGzip, viaOf } = await import('../../src/entry/zlib.js');
  const { close } = await import('../../src/entry/index.js');
  return {
    create: () => createGzip(),
    checkPath: (stream) => {
      const via = viaOf(stream);
      if (via?.path !== 'device') throw new Error(`the stream did not use the device: ${via?.reason}`);
    },
    close: () => close(),
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
