/**
 * The frames of one process: taken from its domain, within a quota of its own.
 *
 * Frames that a user thread may hold a JavaScript view of (pools, queue regions) are quarantined when they are given
 * up: a view cannot be revoked, so they go to later mappings of this process only, and back to the domain when the
 * process has ended. What is handed out reads as zeros.
 */

import type { TableMemory } from '../hw/page-table.js';
import type { PhysicalMemory } from '../hw/physical-memory.js';
import { FrameRuns } from './frame-runs.js';
import type { MemoryDomain } from './memory-domain.js';

export interface ProcessMemoryOptions {
  readonly memory: PhysicalMemory;
  readonly domain: MemoryDomain;
  /** Frames that the process may hold, quarantine and page tables included. */
  readonly quotaFrames: number;
}

export class ProcessMemory implements TableMemory {
  readonly domain: MemoryDomain;
  readonly #memory: PhysicalMemory;
  readonly #quotaFrames: number;
  readonly #quarantine = new FrameRuns();
  #used = 0;

  constructor({ memory, domain, quotaFrames }: ProcessMemoryOptions) {
    this.#memory = memory;
    this.domain = domain;
    this.#quotaFrames = quotaFrames;
  }

  /** Frames held now. */
  get usedFrames(): number {
    return this.#used;
  }

  /** Frames given up that some view may still show. */
  get quarantinedFrames(): number {
    return this.#quarantine.frames;
  }

  /** Contiguous frames that may be shown as a view; null when there are none left. */
  allocateViewable(frames: number, alignFrames = 1): number | null {
    const known = this.#quarantine.take(frames, alignFrames);
    if (known === null) return this.#allocate(frames, { contiguous: true, alignFrames });
    this.#memory.zero(this.toPhysical(known), frames);
    return known;
  }

  /** Gives up frames of `allocateViewable`. */
  quarantine(gpa: number, frames: number): void {
    this.#quarantine.add(gpa, frames);
  }

  /** One frame that no view ever shows: a demand page or a page table. */
  allocateTable(): number | null {
    return this.#allocate(1, {});
  }

  freeTable(gpa: number): void {
    this.#used -= 1;
    this.domain.free(gpa, 1);
  }

  toPhysical(gpa: number): number {
    return this.domain.toPa(gpa);
  }

  /** The process has ended, and with it every view: the quarantine goes back to the domain. */
  endQuarantine(): void {
    for (const { gpa, frames } of this.#quarantine.drain()) {
      this.#used -= frames;
      this.domain.free(gpa, frames);
    }
  }

  #allocate(frames: number, options: { contiguous?: boolean; alignFrames?: number }): number | null {
    if (this.#used + frames > this.#quotaFrames) return null;
    const gpa = this.domain.alloc(frames, options);
    if (gpa !== null) this.#used += frames;
    return gpa;
  }
}
