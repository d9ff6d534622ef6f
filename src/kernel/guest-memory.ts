/**
 * Guest-physical memory of a domain other than the host: a carve-out of physical memory, fixed in size when the domain
 * is created and mapped as a whole by a second stage of its own.
 *
 * Guest-physical addresses begin at `limits.GUEST_BASE`, the carve-out at a boundary of 2 MiB: neighbours in the one are
 * neighbours in the other, and up to 2 MiB both are aligned alike.
 */
import { assert } from '../base/assert.js';
import { limits } from '../base/limits.js';
import { MEGAPAGE_BYTES, PAGE_BYTES } from '../base/units.js';
import type { FrameTable } from '../hw/frame-table.js';
import type { SecondStage } from '../hw/iommu-driver/control.js';
import type { PhysicalMemory } from '../hw/physical-memory.js';
import { SecondStageTable } from '../hw/second-stage-table.js';
import type { AllocOptions, MemoryDomain } from './memory-domain.js';

const CARVE_OUT_ALIGN_FRAMES = MEGAPAGE_BYTES / PAGE_BYTES;

export interface GuestMemoryOptions {
  readonly memory: PhysicalMemory;
  /** The machine's: the carve-out and the tables of the second stage are taken from here. */
  readonly frames: FrameTable;
  /** Owner number in the frame table, above the host's and unique among live domains. */
  readonly owner: number;
  /** Tag of the domain's translations, unique among live domains. */
  readonly gscid: number;
  /** Size of the memory: whole pages, at most `limits.GUEST_BYTES_MAX`. */
  readonly bytes: number;
  /** Frames that the domain may hold at once; all of its memory unless said otherwise. */
  readonly quotaFrames?: number;
}

export class GuestMemoryDomain implements MemoryDomain {
  readonly secondStage: SecondStage;
  readonly quotaFrames: number;
  readonly #machineFrames: FrameTable;
  readonly #frames: FrameTable;
  readonly #table: SecondStageTable;
  readonly #owner: number;
  /** Physical address of the carve-out, and its size in bytes. */
  readonly #base: number;
  readonly #bytes: number;
  #ended = false;

  private constructor(options: GuestMemoryOptions, frames: FrameTable, table: SecondStageTable) {
    this.secondStage = { root: table.root, gscid: options.gscid };
    this.quotaFrames = options.quotaFrames ?? frames.frameCount;
    this.#machineFrames = options.frames;
    this.#frames = frames;
    this.#table = table;
    this.#owner = options.owner;
    this.#base = frames.firstFrame * PAGE_BYTES;
    this.#bytes = options.bytes;
  }

  /** Memory of a new domain, all of it mapped; null when the machine has too little left, and nothing is taken then. */
  static create(options: GuestMemoryOptions): GuestMemoryDomain | null {
    const { frames, owner, bytes } = options;
    const isSize = bytes > 0 && bytes <= limits.GUEST_BYTES_MAX && bytes % PAGE_BYTES === 0;
    assert(isSize, `a domain has whole pages of memory, not ${bytes} bytes`);
    const alignFrames = CARVE_OUT_ALIGN_FRAMES;
    const carveOut = frames.carve({ frames: bytes / PAGE_BYTES, owner, alignFrames });
    if (carveOut === null) return null;
    const table = mapWhole(options, carveOut);
    if (table !== null) return new GuestMemoryDomain(options, carveOut, table);
    frames.takeBack(carveOut);
    return null;
  }

  /**
   * Gives the carve-out and the tables back. The domain's processes and devices have ended, so that nothing in it is
   * held; no device context names its second stage, and no cache a translation under its GSCID or a table of it.
   */
  destroy(): void {
    assert(!this.#ended, 'a domain ends once');
    assert(this.usedFrames === 0, `a domain that ends holds no frames, not ${this.usedFrames}`);
    this.#ended = true;
    this.#table.destroy();
    this.#machineFrames.takeBack(this.#frames);
  }

  get usedFrames(): number {
    return this.#frames.frameCount - this.#frames.freeFrames;
  }

  /** Whatever it gives is contiguous in guest and in host addresses. */
  alloc(frames: number, { alignFrames = 1 }: AllocOptions = {}): number | null {
    assert(!this.#ended, 'a domain that has ended allocates nothing');
    assert(
      CARVE_OUT_ALIGN_FRAMES % alignFrames === 0,
      `${alignFrames} frames are no alignment in a carve-out`,
    );
    if (this.usedFrames + frames > this.quotaFrames) return null;
    const pa = this.#frames.allocate({ frames, owner: this.#owner, alignFrames });
    return pa === null ? null : limits.GUEST_BASE + (pa - this.#base);
  }

  free(gpa: number, frames: number): void {
    for (let frame = 0; frame < frames; frame++) this.#frames.release(this.toPa(gpa + frame * PAGE_BYTES));
  }

  share(gpa: number): void {
    this.#frames.retain(this.toPa(gpa));
  }

  holders(gpa: number): number {
    return this.#frames.references(this.toPa(gpa));
  }

  pin(gpa: number): void {
    this.#frames.pin(this.toPa(gpa));
  }

  unpin(gpa: number): void {
    this.#frames.unpin(this.toPa(gpa));
  }

  pins(gpa: number): number {
    return this.#frames.pins(this.toPa(gpa));
  }

  toPa(gpa: number): number {
    const offset = gpa - limits.GUEST_BASE;
    const isInside = offset >= 0 && offset < this.#bytes;
    // Every software walk comes here: the text is made only when it is needed.
    if (!isInside) assert(false, `guest-physical 0x${gpa.toString(16)} lies in the memory of its domain`);
    return this.#base + offset;
  }
}

/** A second stage that maps the carve-out; null when no frames are left for its tables. */
function mapWhole(options: GuestMemoryOptions, carveOut: FrameTable): SecondStageTable | null {
  const table = SecondStageTable.create(options);
  const pa = carveOut.firstFrame * PAGE_BYTES;
  if (table === null || table.map({ gpa: limits.GUEST_BASE, pa, bytes: options.bytes })) return table;
  table.destroy();
  return null;
}
