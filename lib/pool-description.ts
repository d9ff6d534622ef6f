/** What `describe` answers. */
import type { Counters } from '../src/uapi/syscall.js';
import type { QueueInUse } from './ctx-directory.js';

/** What a pool is made of now. */
export interface PoolDescription {
  readonly pid: number;
  /** PASID of the process on its devices; absent before the first queue is open. */
  readonly pasid?: number;
  readonly devices: readonly string[];
  readonly queues: readonly QueueInUse[];
  readonly counters: Counters;
}
