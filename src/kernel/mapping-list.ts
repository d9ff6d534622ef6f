/**
 * The mappings of one address space (its VMAs), sorted by address, and the search for free addresses.
 *
 * Addresses run from 64 GiB to the end of Sv39's lower half, with an unmapped guard after each mapping. A mapping
 * stays listed until its removal is complete in every cache, so its addresses cannot be given out before.
 */
import { assert } from '../base/assert.js';
import { alignUp, GiB, PAGE_BYTES } from '../base/units.js';
import { ADDRESS_SPACE_BYTES } from '../hw/page-table.js';
import type { Mapping } from './mapping.js';

/** First address that is handed out. */
export const ADDRESS_FIRST = 64 * GiB;
/** Unmapped bytes between mappings: running over an end faults. */
const GUARD_BYTES = PAGE_BYTES;

/** No gap that holds `bytes` bytes starts below `va`. */
interface SearchHint {
  readonly bytes: number;
  va: number;
}

export class MappingList {
  readonly #mappings: Mapping[] = [];
  /** By alignment: keeps a process with thousands of mappings from making each further one slower. */
  readonly #hints = new Map<number, SearchHint>();

  get length(): number {
    return this.#mappings.length;
  }

  [Symbol.iterator](): IterableIterator<Mapping> {
    return this.#mappings[Symbol.iterator]();
  }

  /** The mapping that covers `va`, in whatever state. */
  find(va: number): Mapping | null {
    const mapping = this.#mappings[this.#indexAfter(va) - 1];
    return mapping !== undefined && va < mapping.va + mapping.bytes ? mapping : null;
  }

  insert(mapping: Mapping): void {
    const index = this.#indexAfter(mapping.va);
    const [before, after] = [this.#mappings[index - 1], this.#mappings[index]];
    assert(before === undefined || before.va + before.bytes <= mapping.va, 'mappings do not overlap');
    assert(after === undefined || mapping.va + mapping.bytes <= after.va, 'mappings do not overlap');
    this.#mappings.splice(index, 0, mapping);
  }

  remove(mapping: Mapping): void {
    const index = this.#indexAfter(mapping.va) - 1;
    assert(this.#mappings[index] === mapping, 'the mapping is listed');
    this.#mappings.splice(index, 1);
    const before = this.#mappings[index - 1];
    const gap = before === undefined ? ADDRESS_FIRST : before.va + before.bytes;
    for (const hint of this.#hints.values()) hint.va = Math.min(hint.va, gap);
  }

  /** The lowest free address for `bytes` bytes with guards, aligned; null when the address space is full. */
  place(bytes: number, alignBytes: number): number | null {
    const hint = this.#hints.get(alignBytes);
    const start = hint !== undefined && hint.bytes <= bytes ? hint.va : ADDRESS_FIRST;
    let va = alignUp(start, alignBytes);
    for (let index = Math.max(0, this.#indexAfter(start) - 1); index < this.#mappings.length; index++) {
      const mapping = this.#mappings[index]!;
      if (va + bytes + GUARD_BYTES <= mapping.va) break;
      va = Math.max(va, alignUp(mapping.va + mapping.bytes + GUARD_BYTES, alignBytes));
    }
    this.#hints.set(alignBytes, { bytes, va });
    return va + bytes + GUARD_BYTES <= ADDRESS_SPACE_BYTES ? va : null;
  }

  /** Index of the first mapping that starts after `va`. */
  #indexAfter(va: number): number {
    let low = 0;
    let high = this.#mappings.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#mappings[middle]!.va <= va) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
