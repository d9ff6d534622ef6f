/**
 * The device-side translation cache (ATC): what a device keeps of the answers to its ATS requests. Direct-mapped,
 * two arrays, one of 4 KiB pages and one of 2 MiB megapages, keyed by PASID and page number.
 *
 * An entry is a permission to access, so it must not outlive the invalidation that takes it away: `flush` empties
 * the cache in constant time, and DmaPort calls it before it uses an entry after an invalidation was requested.
 */
import { MEGAPAGE_BYTES, PAGE_BYTES } from '../base/units.js';

/** Permission bits of an entry. */
export const permission = { READ: 1, WRITE: 2 } as const;

/** Addresses from here on are not cached; they take the slow path to their answer. */
export const CACHED_ADDRESS_END = 2 ** 44;

class PageArray {
  readonly #mask: number;
  /** Filled under which flush; anything older is empty. */
  readonly #generation: Int32Array;
  readonly #pasid: Int32Array;
  readonly #page: Uint32Array;
  readonly #permissions: Uint8Array;
  readonly #physical: Float64Array;
  #current = 1;

  constructor(entries: number) {
    this.#mask = entries - 1;
    this.#generation = new Int32Array(entries);
    this.#pasid = new Int32Array(entries);
    this.#page = new Uint32Array(entries);
    this.#permissions = new Uint8Array(entries);
    this.#physical = new Float64Array(entries);
  }

  /** Physical address of the page, or -1. */
  find(pasid: number, page: number, needed: number): number {
    const index = (page ^ Math.imul(pasid, 0x9e3779b1)) & this.#mask;
    const hit =
      this.#page[index] === page &&
      this.#pasid[index] === pasid &&
      this.#generation[index] === this.#current &&
      (this.#permissions[index]! & needed) === needed;
    return hit ? this.#physical[index]! : -1;
  }

  fill(pasid: number, page: number, permissions: number, physical: number): void {
    const index = (page ^ Math.imul(pasid, 0x9e3779b1)) & this.#mask;
    this.#page[index] = page;
    this.#pasid[index] = pasid;
    this.#generation[index] = this.#current;
    this.#permissions[index] = permissions;
    this.#physical[index] = physical;
  }

  /** Whether an entry that would be found holds a range of `bytes` bytes with `physical` in it. */
  holds(physical: number, bytes: number): boolean {
    return this.#physical.some(
      (start, index) =>
        this.#generation[index] === this.#current && physical >= start && physical < start + bytes,
    );
  }

  flush(): void {
    this.#current = (this.#current + 1) | 0;
    // After 2^32 flushes an old mark could come round again; clearing the marks keeps it impossible.
    if (this.#current !== 0) return;
    this.#generation.fill(0);
    this.#current = 1;
  }
}

export class TranslationCache {
  readonly #pages: PageArray;
  readonly #megapages: PageArray;
  hits = 0;
  misses = 0;
  flushes = 0;

  /** `entries` is a power of two. */
  constructor(entries: number) {
    this.#pages = new PageArray(entries);
    this.#megapages = new PageArray(Math.max(16, entries >> 2));
  }

  /** Physical address of `address` (below CACHED_ADDRESS_END) with the `needed` permissions, or -1. */
  find(pasid: number, address: number, needed: number): number {
    const megapage = Math.floor(address / MEGAPAGE_BYTES);
    const base = this.#megapages.find(pasid, megapage, needed);
    if (base >= 0) {
      this.hits += 1;
      return base + (address - megapage * MEGAPAGE_BYTES);
    }
    const page = (address / PAGE_BYTES) >>> 0;
    const frame = this.#pages.find(pasid, page, needed);
    if (frame < 0) {
      this.misses += 1;
      return -1;
    }
    this.hits += 1;
    return frame + (address % PAGE_BYTES);
  }

  /** Keeps one answer: a range of `bytes` (at least a page, a power of two) that holds `address`. */
  fill(
    pasid: number,
    address: number,
    answer: { bytes: number; physical: number; permissions: number },
  ): void {
    const unit = answer.bytes >= MEGAPAGE_BYTES ? MEGAPAGE_BYTES : PAGE_BYTES;
    const page = Math.floor(address / unit);
    const within = page * unit - Math.floor(address / answer.bytes) * answer.bytes;
    const array = unit === MEGAPAGE_BYTES ? this.#megapages : this.#pages;
    array.fill(pasid, page, answer.permissions, answer.physical + within);
  }

  /** Whether any entry leads to physical page `ppn`. Looks at all of them: for tests and debuggers. */
  holdsPage(ppn: number): boolean {
    const physical = ppn * PAGE_BYTES;
    return this.#pages.holds(physical, PAGE_BYTES) || this.#megapages.holds(physical, MEGAPAGE_BYTES);
  }

  /** Empties the cache. */
  flush(): void {
    this.flushes += 1;
    this.#pages.flush();
    this.#megapages.flush();
  }
}
