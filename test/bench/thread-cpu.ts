/**
 * CPU time of the calling thread alone. Node has `process.threadCpuUsage` from 22.19 and 23.9; before that Linux
 * tells it in /proc/thread-self/schedstat, exact to a scheduler tick, so measure windows of half a second or more.
 */
import { readFileSync } from 'node:fs';

/** A source of thread CPU time. */
interface ThreadCpu {
  /** For the report. */
  readonly source: string;
  /** Microseconds of CPU that the calling thread has used, user and system. */
  usedUs(): number;
}

interface WithThreadCpu {
  threadCpuUsage?(): { user: number; system: number };
}

/** The best source here; throws where there is none. */
export function threadCpu(): ThreadCpu {
  const threadCpuUsage = (process as WithThreadCpu).threadCpuUsage?.bind(process);
  if (threadCpuUsage !== undefined) {
    const usedUs = (): number => {
      const used = threadCpuUsage();
      return used.user + used.system;
    };
    return { source: 'process.threadCpuUsage', usedUs };
  }
  const path = '/proc/thread-self/schedstat';
  const usedUs = (): number => Number(readFileSync(path, 'latin1').split(' ')[0]) / 1000;
  if (!Number.isFinite(usedUs())) throw new Error(`${path} has no CPU time`);
  return { source: path, usedUs };
}
