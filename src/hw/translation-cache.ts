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

/** log2 of the pages in a megapage. */
const MEGAPAGE_SHIFT = Math.log2(MEGAPAGE_BYTES / PAGE_BYTES);

/** Words of an entry: all on one cache line. */
const PAGE = 0;
const PASID = 1;
/** Filled under which flush; anything older is empty. */
const GENERATION = 2;
const PERMISSIONS = 3;
/** Number of the 4 KiB frame that it begins with. */
const FRAME = 4;
const ENTRY_SHIFT = 3;

/** Powers of two, so that multiplying by them is exact; it costs a fraction of a division. */
const PAGES_PER_BYTE = 1 / PAGE_BYTES;
const MEGAPAGES_PER_BYTE = 1 / MEGAPAGE_BYTES;

class PageArray {
  readonly #entries: Int32Array;
  readonly #mask: number;
  #current = 1;

  constructor(entries: number) {
    this.#mask = entries - 1;
    this.#entries = new Int32Array(entries << ENTRY_SHIFT);
  }

  /** Frame number of the page, or -1. */
  find(pasid: number, page: number, needed: number): number {
    const entries = this.#entries;
    const at = ((page ^ Math.imul(pasid, 0x9e3779b1)) & this.#mask) << ENTRY_SHIFT;
    const hit =
      entries[at + PAGE] === (page | 0) &&
      entries[at + PASID] === pasid &&
      entries[at + GENERATION] === this.#current &&
      (entries[at + PERMISSIONS]! & needed) === needed;
    return hit ? entries[at + FRAME]! : -1;
  }

  fill(pasid: number, page: number, permissions: number, frame: number): void {
    const entries = this.#entries;
    const at = ((page ^ Math.imul(pasid, 0x9e3779b1)) & this.#mask) << ENTRY_SHIFT;
    entries[at + PAGE] = page | 0;
    entries[at + PASID] = pasid;
    entries[at + GENERATION] = this.#current;
    entries[at + PERMISSIONS] = permissions;
    entries[at + FRAME] = frame;
  }

  /** Whether an entry that would be found holds a range of `frames` frames with `frame` in it. */
  holds(frame: number, frames: number): boolean {
    const entries = this.#entries;
    for (let at = 0; at < entries.length; at += 1 << ENTRY_SHIFT) {
      const first = entries[at + FRAME]!;
      const isAlive = entries[at + GENERATION] === this.#current;
      if (isAlive && frame >= first && frame < first + frames) return true;
    }
    return false;
  }

  flush(): void {
    this.#current = (this.#current + 1) | 0;
    // After 2^32 flushes an old mark could come round again; clearing the marks keeps it impossible.
    if (this.#current !== 0) return;
    this.#entries.fill(0);
    this.#current = 1;
  }
}

export class TranslationCache {
  readonly #pages: PageArray;
  readonly #megapages: PageArray;
  /** Whether a megapage was filled since the last flush: most address spaces have small pages only. */
  #hasMegapages = false;
  hits = 0;
  misses = 0;
  flushes = 0;

  /** `entries` is a power of two. */
  constructor(entries: number) {
    this.#pages = new PageArray(entries);
    this.#megapages = new PageArray(Math.max(16, entries >> 2));
  }

  /**
   * Physical address of `address` (below CACHED_ADDRESS_END) with the `needed` permissions, or -1. The address has more
   * than 32 bits, the page number has not: one multiplication, and integers from there on.
   */
  find(pasid: number, address: number, needed: number): number {
    const page = (address * PAGES_PER_BYTE) >>> 0;
    if (this.#hasMegapages) {
      const physical = this.#findInMegapage(pasid, address, needed);
      if (physical >= 0) return physical;
    }
    const frame = this.#pages.find(pasid, page, needed);
    if (frame < 0) {
      this.misses += 1;
      return -1;
    }
    this.hits += 1;
    return frame * PAGE_BYTES + (address & (PAGE_BYTES - 1));
  }

  /** `find` among the megapages; an address that is not there is no miss yet. */
  #findInMegapage(pasid: number, address: number, needed: number): number {
    const base = this.#megapages.find(pasid, (address * MEGAPAGES_PER_BYTE) >>> 0, needed);
    if (base < 0) return -1;
    this.hits += 1;
    return base * PAGE_BYTES + (address & (MEGAPAGE_BYTES - 1));
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
    if (unit === MEGAPAGE_BYTES) this.#hasMegapages = true;
    array.fill(pasid, page, answer.permissions, (answer.physical + within) / PAGE_BYTES);
  }

  /** Whether any entry leads to physical page `ppn`. Looks at all of them: for tests and debuggers. */
  holdsPage(ppn: number): boolean {
    return this.#pages.holds(ppn, 1) || this.#megapages.holds(ppn, 1 << MEGAPAGE_SHIFT);
  }

  /** Empties the cache. */
  flush(): void {
    this.flushes += 1;
    this.#pages.flush();
    this.#megapages.flush();
    this.#hasMegapages = false;
  }
}
