/**
 * The machine that memory is tried on: two copy accelerators, of which one asks for pages and the other one stalls.
 */
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import type { InstanceConfig } from '../../src/machine/machine-config.js';

/** Its instances; `DEVICE_PATHS` has their devices in the same order. */
export const copyInstances: readonly InstanceConfig[] = [
  { id: 'copy0', driver: 'copy', faultModel: 'pageRequests' },
  { id: 'copy1', driver: 'copy', faultModel: 'stall' },
];

/** What a process opens. */
export const DEVICE_PATHS = ['/dev/wd_copy-0', '/dev/wd_copy-1'] as const;

/** Where the threads of a machine find the driver: in the build. */
export function copyDriverUrls(): Record<string, string> {
  const require = createRequire(import.meta.url);
  return { copy: pathToFileURL(require.resolve('warpdrive/drivers/copy')).href };
}
