/**
 * How the kernel announces and drives the copy accelerator.
 */
import type { KernelDriver } from '../../src/driver-api.js';
import { limits } from '../../src/driver-api.js';

export const copyKernelDriver: KernelDriver = {
  deviceName: 'wd_copy',
  api: 'wd_copy_v1',
  algorithms: ['copy'],
  queues: limits.QUEUES_PER_INSTANCE,
  sqDepth: limits.QUEUE_DEPTH,
  cqDepth: limits.QUEUE_DEPTH,
  sva: true,
};
