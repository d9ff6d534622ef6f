/**
 * How the kernel announces and drives the compression accelerator: as the hardware whose SQE it has.
 */
import type { KernelDriver } from '../../src/driver-api.js';
import { limits } from '../../src/driver-api.js';

export const zipKernelDriver: KernelDriver = {
  deviceName: 'hisi_zip',
  api: 'hisi_qm_v3',
  algorithms: ['zlib', 'gzip', 'deflate'],
  queues: limits.QUEUES_PER_INSTANCE,
  sqDepth: limits.QUEUE_DEPTH,
  cqDepth: limits.QUEUE_DEPTH,
  sva: true,
};
