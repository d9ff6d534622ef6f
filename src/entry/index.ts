/**
 * `warpdrive`: the library. `compress` and `decompress` share a pool that is opened at the first call; `open` gives
 * one of its own. Everything answers neverthrow Results.
 */
import type { ResultAsync } from 'neverthrow';
import { DefaultPool } from '../../lib/default-pool.js';
import type { ExplainQuery } from '../../lib/pool.js';
import type { Explanation } from '../../lib/via.js';
import type { WdError } from '../base/errors.js';
import { open } from './open.js';

const shared = new DefaultPool(open);

/** Compresses `input` on the shared pool; see {@link Pool.compress}. */
export const compress = shared.compress.bind(shared);
/** Decompresses `input` on the shared pool; see {@link Pool.decompress}. */
export const decompress = shared.decompress.bind(shared);
/** What a call on the shared pool would do, and why; see {@link Pool.explain}. */
export const explain = (query: ExplainQuery): ResultAsync<Explanation, WdError> =>
  shared.pool().andThen((pool) => pool.explain(query));
/** Waits for every request of the shared pool and ends its machine; the next call starts another. */
export const close = (): Promise<void> => shared.close().then(() => {});

export type { QueueInUse } from '../../lib/ctx-directory.js';
export type { Input } from '../../lib/input.js';
export type { WdOutput } from '../../lib/one-shot.js';
export type { OpenOptions } from '../../lib/open-options.js';
export type {
  CompressOptions,
  DecompressOptions,
  RequestOptions,
  Route,
} from '../../lib/options.js';
export type { PieceResult } from '../../lib/piece-streams.js';
export { type ExplainQuery, Pool, type Session } from '../../lib/pool.js';
export type { PoolDescription } from '../../lib/pool-description.js';
export { type Isolation, Tenant, type TenantOptions } from '../../lib/tenant.js';
export type { Explanation, Path, Via } from '../../lib/via.js';
export type * from '../base/errors.js';
export type { Counters } from '../uapi/syscall.js';
export { open };
