/**
 * The operating system's view of the calling thread. Linux only; elsewhere there is nothing to tell, and nothing
 * depends on it.
 */
import { readlinkSync } from 'node:fs';
import os from 'node:os';
import { basename } from 'node:path';

/** The thread's id, as it stands under /proc/self/task; null where the system does not tell. */
export function currentThreadId(): number | null {
  try {
    return Number(basename(readlinkSync('/proc/thread-self')));
  } catch {
    return null;
  }
}

/** Lowers the calling thread's priority. Needs no privilege; where it cannot be done, engines run like the rest. */
export function lowerPriority(niceness: number): void {
  const threadId = currentThreadId();
  if (threadId === null) return;
  try {
    os.setPriority(threadId, niceness);
  } catch {
    // A sandbox may forbid it; the event loop is less smooth then, and everything else is the same.
  }
}
