/**
 * What a process may do with the pages of a mapping, as runs of neighbours: `mprotect` changes a range of them. Pages
 * that nobody named may be read and written. There is no execute permission: nothing of this machine fetches code there.
 */
import { limits } from '../base/limits.js';
import type { Protection } from '../uapi/syscall.js';

/** Names as a system call gives them. */
export const PROTECTIONS: readonly Protection[] = ['none', 'read', 'readWrite'];

interface Run {
  readonly start: number;
  readonly end: number;
  readonly protection: Protection;
}

/** Whether `protection` allows the access. */
export function allows(protection: Protection, access: 'read' | 'write' | 'execute'): boolean {
  if (access === 'execute') return false;
  return protection === 'readWrite' || (protection === 'read' && access === 'read');
}

/** The protections of one mapping: runs that differ from read and write, sorted, not overlapping. */
export class ProtectionRuns {
  #runs: readonly Run[] = [];

  /** Protection of the page at `va`. */
  at(va: number): Protection {
    return this.#runs.find(({ start, end }) => va >= start && va < end)?.protection ?? 'readWrite';
  }

  /** Gives the pages of [start, end) another protection. False, and nothing is changed, if that made too many runs. */
  set(start: number, end: number, protection: Protection): boolean {
    const kept = [...this.#outside(start, end)];
    if (protection !== 'readWrite') kept.push({ start, end, protection });
    const next = merged(kept.sort((a, b) => a.start - b.start));
    if (next.length > limits.PROTECTION_RUNS_PER_MAPPING) return false;
    this.#runs = next;
    return true;
  }

  /** The runs inside [start, end), for the mapping that is made of that part. */
  slice(start: number, end: number): ProtectionRuns {
    const part = new ProtectionRuns();
    part.#runs = this.#runs
      .filter((run) => run.start < end && run.end > start)
      .map((run) => ({ ...run, start: Math.max(run.start, start), end: Math.min(run.end, end) }));
    return part;
  }

  *#outside(start: number, end: number): Generator<Run> {
    for (const run of this.#runs) {
      if (run.end <= start || run.start >= end) yield run;
      else {
        if (run.start < start) yield { ...run, end: start };
        if (run.end > end) yield { ...run, start: end };
      }
    }
  }
}

function merged(runs: readonly Run[]): readonly Run[] {
  const result: Run[] = [];
  for (const run of runs) {
    const last = result.at(-1);
    const continues = last !== undefined && last.end === run.start && last.protection === run.protection;
    if (continues) result[result.length - 1] = { ...last, end: run.end };
    else result.push(run);
  }
  return result;
}
