/**
 * DMA memory of one process: pool mappings, carved into extents for requests. Sizes are rounded to 1 KiB; an
 * extent that is freed is kept under its size and handed out again first, so that a steady load touches the same
 * pages over and over.
 *
 * When neither a kept extent nor fresh room fits, the kept extents of a mapping are joined again before the next
 * mapping is asked for.
 */
import { assert } from '../src/base/assert.js';
import { KiB } from '../src/base/units.js';

const GRANULE = KiB;

/** A piece of DMA memory. `view` covers exactly [address, address + bytes). */
export interface Extent {
  readonly address: number;
  readonly bytes: number;
  readonly mapping: Mapping;
  /** Byte offset inside the mapping. */
  readonly offset: number;
}

/** One pool mapping of the process. */
export class Mapping {
  readonly address: number;
  readonly view: Uint8Array;
  readonly data: DataView;
  /** Kept extents by their size in granules. */
  #kept: (Extent[] | undefined)[] = [];
  #freshFrom = 0;
  #usedBytes = 0;

  constructor(address: number, view: Uint8Array) {
    this.address = address;
    this.view = view;
    this.data = new DataView(view.buffer, view.byteOffset, view.byteLength);
  }

  /** Bytes of the extents that are out. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** An extent of `bytes` (a multiple of the granule), or null. */
  take(bytes: number): Extent | null {
    const extent = this.#kept[bytes / GRANULE]?.pop() ?? this.#fresh(bytes);
    if (extent !== null) this.#usedBytes += bytes;
    return extent;
  }

  give(extent: Extent): void {
    this.#usedBytes -= extent.bytes;
    this.#keep(extent);
  }

  /** Joins neighbouring kept extents and looks again. */
  takeAfterJoining(bytes: number): Extent | null {
    const runs = this.#joinedRuns();
    this.#kept = [];
    let found: Extent | null = null;
    for (const run of runs) {
      let { offset, length } = run;
      if (found === null && length >= bytes) {
        found = this.#extent(offset, bytes);
        offset += bytes;
        length -= bytes;
      }
      if (length > 0) this.#keep(this.#extent(offset, length));
    }
    found ??= this.#fresh(bytes);
    if (found !== null) this.#usedBytes += bytes;
    return found;
  }

  #joinedRuns(): { offset: number; length: number }[] {
    const kept = this.#kept.flatMap((extents) => extents ?? []).sort((a, b) => a.offset - b.offset);
    const runs: { offset: number; length: number }[] = [];
    for (const { offset, bytes } of kept) {
      const last = runs.at(-1);
      if (last !== undefined && last.offset + last.length === offset) last.length += bytes;
      else runs.push({ offset, length: bytes });
    }
    const last = runs.at(-1);
    if (last !== undefined && last.offset + last.length === this.#freshFrom) {
      this.#freshFrom = last.offset;
      runs.pop();
    }
    return runs;
  }

  #keep(extent: Extent): void {
    const granules = extent.bytes / GRANULE;
    const kept = this.#kept[granules];
    if (kept === undefined) this.#kept[granules] = [extent];
    else kept.push(extent);
  }

  #fresh(bytes: number): Extent | null {
    if (this.#freshFrom + bytes > this.view.length) return null;
    const extent = this.#extent(this.#freshFrom, bytes);
    this.#freshFrom += bytes;
    return extent;
  }

  #extent(offset: number, bytes: number): Extent {
    return { address: this.address + offset, bytes, mapping: this, offset };
  }
}

export class Arena {
  readonly #mappings: Mapping[] = [];

  /** Adds a pool mapping of the process. */
  add(mapping: Mapping): void {
    this.#mappings.push(mapping);
  }

  /** Bytes of all mappings. */
  get bytes(): number {
    return this.#mappings.reduce((sum, { view }) => sum + view.length, 0);
  }

  /** Room for `bytes` bytes (at least one granule), or null when no mapping has it. */
  allocate(bytes: number): Extent | null {
    const rounded = Math.max(GRANULE, Math.ceil(bytes / GRANULE) * GRANULE);
    for (let i = 0; i < this.#mappings.length; i++) {
      const extent = this.#mappings[i]!.take(rounded);
      if (extent !== null) return extent;
    }
    for (const mapping of this.#mappings) {
      const extent = mapping.takeAfterJoining(rounded);
      if (extent !== null) return extent;
    }
    return null;
  }

  free(extent: Extent): void {
    assert(this.#mappings.includes(extent.mapping), 'an extent goes back to its own arena');
    extent.mapping.give(extent);
  }
}
