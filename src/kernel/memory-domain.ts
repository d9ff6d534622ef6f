/**
 * Where a process's memory comes from: the guest-physical memory of its domain. Page tables hold guest-physical
 * addresses; only `toPa` turns one into an address of the machine. The host's own domain is the identity.
 */
import { assert } from '../base/assert.js';
import { PAGE_BYTES } from '../base/units.js';
import type { FrameTable } from '../hw/frame-table.js';
import type { SecondStage } from '../hw/iommu-driver/control.js';
import type { TableMemory } from '../hw/page-table.js';

export interface AllocOptions {
  /** Contiguous in guest and in host addresses. Absent: in guest addresses only. */
  readonly contiguous?: boolean;
  /** Alignment of the first frame in guest (and, if contiguous, host) addresses, in frames; 1 unless said otherwise. */
  readonly alignFrames?: number;
}

export interface MemoryDomain {
  /** The domain's second stage; null = the host's own domain, where it is Bare. */
  readonly secondStage: SecondStage | null;
  /** Frames that the domain may hold at once. */
  readonly quotaFrames: number;
  /** Frames that it holds now. */
  readonly usedFrames: number;
  /** Zeroed frames: the guest-physical address of the first, below 4 GiB, or null when quota or memory is used up. */
  alloc(frames: number, options?: AllocOptions): number | null;
  /** Gives frames up, all or a part of an `alloc`. One that others share lives on. No cache and no walker names them. */
  free(gpa: number, frames: number): void;
  /** One more holder of a frame: it is free when each of them has freed it. */
  share(gpa: number): void;
  /** How many hold the frame. */
  holders(gpa: number): number;
  /** Keeps the frame where it is and alive: not moved, not swapped, not shared. Counted. */
  pin(gpa: number): void;
  /** Takes one pin back. */
  unpin(gpa: number): void;
  /** Pins of the frame now. */
  pins(gpa: number): number;
  /** Physical address of `gpa`, which an `alloc` gave. */
  toPa(gpa: number): number;
}

/** Whether both belong to the same domain. */
export function sameDomain(a: MemoryDomain, b: MemoryDomain): boolean {
  return a.secondStage?.gscid === b.secondStage?.gscid;
}

/** Page tables and directories that live in `domain`. */
export function tablesIn(domain: MemoryDomain): TableMemory {
  return {
    allocateTable: () => domain.alloc(1),
    freeTable: (gpa) => domain.free(gpa, 1),
    toPhysical: (gpa) => domain.toPa(gpa),
  };
}

export interface HostMemoryDomainOptions {
  readonly frames: FrameTable;
  /** Owner number in the frame table. */
  readonly owner: number;
  readonly quotaFrames: number;
}

/** The host's own domain: guest-physical is physical. */
export class HostMemoryDomain implements MemoryDomain {
  readonly secondStage = null;
  readonly quotaFrames: number;
  readonly #frames: FrameTable;
  readonly #owner: number;
  #used = 0;

  constructor({ frames, owner, quotaFrames }: HostMemoryDomainOptions) {
    this.#frames = frames;
    this.#owner = owner;
    this.quotaFrames = quotaFrames;
  }

  get usedFrames(): number {
    return this.#used;
  }

  alloc(frames: number, { alignFrames = 1 }: AllocOptions = {}): number | null {
    if (this.#used + frames > this.quotaFrames) return null;
    const gpa = this.#frames.allocate({ frames, owner: this.#owner, alignFrames });
    if (gpa !== null) this.#used += frames;
    return gpa;
  }

  free(gpa: number, frames: number): void {
    for (let frame = 0; frame < frames; frame++) {
      const address = gpa + frame * PAGE_BYTES;
      assert(
        this.#frames.owner(address) === this.#owner,
        `frame 0x${address.toString(16)} is of this domain`,
      );
      if (this.#frames.release(address)) this.#used -= 1;
    }
  }

  share(gpa: number): void {
    this.#frames.retain(gpa);
  }

  holders(gpa: number): number {
    return this.#frames.references(gpa);
  }

  pin(gpa: number): void {
    this.#frames.pin(gpa);
  }

  unpin(gpa: number): void {
    if (this.#frames.unpin(gpa)) this.#used -= 1;
  }

  pins(gpa: number): number {
    return this.#frames.pins(gpa);
  }

  toPa(gpa: number): number {
    return gpa;
  }
}
