/**
 * Memory of the calling process that is in use. The highest resident set that `process.resourceUsage` tells starts, on
 * Linux, with that of the process which started this one; /proc/self/status tells it for this program alone.
 */
import { readFileSync } from 'node:fs';

const STATUS = '/proc/self/status';

/** Resident set now, MiB. */
export function residentMiB(): number {
  return process.memoryUsage.rss() / 2 ** 20;
}

/** The highest that it ever was, MiB. */
export function highestResidentMiB(): number {
  if (process.platform !== 'linux') return process.resourceUsage().maxRSS / 1024;
  const kiB = /^VmHWM:\s*(\d+) kB/m.exec(readFileSync(STATUS, 'latin1'))?.[1];
  if (kiB === undefined) throw new Error(`${STATUS} has no highest resident set`);
  return Number(kiB) / 1024;
}
