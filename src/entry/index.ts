/**
 * `warpdrive`: the library. `compress` and `decompress` share a pool that is opened at the first call, and a machine with
 * other threads of the program; `open` gives one of its own. Everything answers neverthrow Results.
 */
import type { ResultAsync } from 'neverthrow';
import type { ExplainQuery, Pool } from '../../lib/pool.js';
import type { Explanation } from '../../lib/via.js';
import type { WdError } from '../base/errors.js';
import { open } from './open.js';
import { shared } from './shared-pool.js';

/** Compresses `input` on the shared pool; see {@link Pool.compress}. */
export const compress = shared.compress.bind(shared);
/** Decompresses `input` on the shared pool; see {@link Pool.decompress}. */
export const decompress = shared.decompress.bind(shared);
/** What a call on the shared pool would do, and why; see {@link Pool.explain}. */
export const explain = (query: ExplainQuery): ResultAsync<Explanation, WdError> =>
  shared.pool().andThen((pool) => pool.explain(query));
/** The shared pool itself, for everything else that a pool can do; `close` closes it. */
export const sharedPool = (): ResultAsync<Pool, WdError> => shared.pool();
/**
 * Waits for every request of this thread's shared pool and ends it, and the machine if it is this thread's: calls of other
 * threads that are under way on it are lost then. The next call opens another.
 */
export const close = (): Promise<void> => shared.close().then(() => {});

export type { BatchItem, BatchOutput } from '../../lib/batch.js';
export type { Capabilities, OperationCapabilities } from '../../lib/capabilities.js';
export type { QueueInUse } from '../../lib/ctx-directory.js';
export type { DeviceInfo } from '../../lib/devices.js';
export type { RequestContext } from '../../lib/diagnostics.js';
export type { Input } from '../../lib/input.js';
export type { OpenOptions } from '../../lib/open-options.js';
export type {
  CallOptions,
  CompressOptions,
  DecompressOptions,
  OnDeviceLoss,
  RequestOptions,
  Route,
  WhenBusy,
} from '../../lib/options.js';
export type { WdOutput } from '../../lib/output.js';
export type { PieceResult } from '../../lib/piece-streams.js';
export { type ExplainQuery, Pool } from '../../lib/pool.js';
export { PoolBuffer } from '../../lib/pool-buffer.js';
export type { PoolDescription } from '../../lib/pool-description.js';
export { type RunOptions, Session } from '../../lib/session.js';
export type {
  FailureRow,
  Latency,
  PoolStatistics,
  SoftwareRow,
  StatisticsRow,
} from '../../lib/statistics.js';
export { type Isolation, Tenant, type TenantOptions } from '../../lib/tenant.js';
export type { Explanation, Path, Via } from '../../lib/via.js';
export type * from '../base/errors.js';
export type { Counters } from '../uapi/syscall.js';
export { open };
