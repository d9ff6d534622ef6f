/**
 * The frames of one process: taken from its domain, within a quota of its own.
 *
 * Frames that a user thread may hold a JavaScript view of (pools, queue regions) are quarantined when they are given
 * up: a view cannot be revoked, so they go to later mappings of this process only, and back to the domain when the
 * process has ended. A frame that is given up while it is pinned stays until its last pin is gone (hazard V7). What is
 * handed out reads as zeros.
 */
import { assert } from '../base/assert.js';
import { PAGE_BYTES } from '../base/units.js';
import type { TableMemory } from '../hw/page-table.js';
import type { PhysicalMemory } from '../hw/physical-memory.js';
import { FrameRuns } from './frame-runs.js';
import type { MemoryDomain } from './memory-domain.js';

export interface ProcessMemoryOptions {
  readonly memory: PhysicalMemory;
  readonly domain: MemoryDomain;
  /** Frames that the process may hold, shared ones, quarantine and page tables included. */
  readonly quotaFrames: number;
}

export class ProcessMemory implements TableMemory {
  readonly domain: MemoryDomain;
  readonly quotaFrames: number;
  readonly #memory: PhysicalMemory;
  readonly #quarantine = new FrameRuns();
  /** Given up, but pinned: by address, whether a view may show them. */
  readonly #leaving = new Map<number, 'viewable' | 'private'>();
  #used = 0;

  constructor({ memory, domain, quotaFrames }: ProcessMemoryOptions) {
    this.#memory = memory;
    this.domain = domain;
    this.quotaFrames = quotaFrames;
  }

  /** Frames held now. */
  get usedFrames(): number {
    return this.#used;
  }

  /** Frames given up that some view may still show. */
  get quarantinedFrames(): number {
    return this.#quarantine.frames;
  }

  /** Whether the process itself may hold `frames` more: if so, what is missing is missing in its domain. */
  hasQuota(frames: number): boolean {
    return this.#used + frames <= this.quotaFrames;
  }

  /** Why `frames` more cannot be had, for whoever is told ENOMEM. */
  explainShortage(frames: number): string {
    if (!this.hasQuota(frames)) {
      return `the process holds ${this.#used} of its quota of ${this.quotaFrames} frames, ${frames} more do not fit: unmap memory or raise the quota`;
    }
    const { usedFrames, quotaFrames } = this.domain;
    if (usedFrames + frames > quotaFrames) {
      return `the domain holds ${usedFrames} of its quota of ${quotaFrames} frames, ${frames} more do not fit: end a process or raise the quota`;
    }
    return `physical memory has no ${frames} frames left that lie together: end a process or start the machine with more memory`;
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
    for (let at = gpa; at < gpa + frames * PAGE_BYTES; at += PAGE_BYTES) {
      if (this.domain.pins(at) > 0) this.#leaving.set(at, 'viewable');
      else this.#quarantine.add(at, 1);
    }
  }

  /** One frame that no view ever shows: a demand page or a page table. */
  allocateTable(): number | null {
    return this.#allocate(1, {});
  }

  freeTable(gpa: number): void {
    if (this.domain.pins(gpa) > 0) this.#leaving.set(gpa, 'private');
    else this.#free(gpa, 1);
  }

  /** Holds a frame of another process of the domain, too. False when the quota is used up. */
  shareFrame(gpa: number): boolean {
    if (!this.hasQuota(1)) return false;
    this.domain.share(gpa);
    this.#used += 1;
    return true;
  }

  /** Takes one pin of a frame back, and frees it if it was given up meanwhile. */
  unpin(gpa: number): void {
    this.domain.unpin(gpa);
    const kind = this.domain.pins(gpa) > 0 ? undefined : this.#leaving.get(gpa);
    if (kind === undefined) return;
    this.#leaving.delete(gpa);
    if (kind === 'private') this.#free(gpa, 1);
    else this.#quarantine.add(gpa, 1);
  }

  toPhysical(gpa: number): number {
    return this.domain.toPa(gpa);
  }

  /** The bytes of the frame at `gpa`, for the kernel. */
  bytesOf(gpa: number): Uint8Array {
    return this.#memory.view(this.toPhysical(gpa), PAGE_BYTES);
  }

  /** The process has ended, and with it every view: the quarantine goes back to the domain. */
  endQuarantine(): void {
    assert(this.#leaving.size === 0, 'the pins of a process end before it');
    for (const { gpa, frames } of this.#quarantine.drain()) this.#free(gpa, frames);
  }

  #free(gpa: number, frames: number): void {
    this.#used -= frames;
    this.domain.free(gpa, frames);
  }

  #allocate(frames: number, options: { contiguous?: boolean; alignFrames?: number }): number | null {
    if (!this.hasQuota(frames)) return null;
    const gpa = this.domain.alloc(frames, options);
    if (gpa !== null) this.#used += frames;
    return gpa;
  }
}
