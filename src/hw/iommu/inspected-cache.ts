/**
 * What every cache of the IOMMU tells about itself: how often it answered, and whether it names a page of memory.
 *
 * For tests and debuggers: translating reads nothing of it.
 */

/** Look-ups and drops since power-on. A cache of no entries counts nothing. */
export class CacheCounters {
  /** Look-ups that found an entry. */
  hits = 0;
  /** Look-ups that found none. */
  misses = 0;
  /** Times that the cache was found to have been invalidated. */
  invalidations = 0;
  #seenGeneration = 0;

  /** Counts a look-up under `generation` that found no entry. A hit needs no such look: its entry is alive. */
  missed(generation: number): void {
    this.misses++;
    this.notice(generation);
  }

  /** Counts an invalidation if `generation` is another than before. */
  notice(generation: number): void {
    if (generation === this.#seenGeneration) return;
    this.#seenGeneration = generation;
    this.invalidations++;
  }
}

/** A cache whose entries live as long as the generation that they were filled under. */
export interface InspectedCache {
  readonly counters: Readonly<CacheCounters>;
  /**
   * Whether an entry that is alive under `generation` names physical page `ppn`: as what it translates to, as a
   * table, or as the root of one. Looks at every entry.
   */
  namesPage(generation: number, ppn: number): boolean;
}

/** Pages of a second-stage root, which its first one stands for. */
export const SECOND_STAGE_ROOT_PAGES = 4;

/** Whether `ppn` is one of `pages` pages from `first` on. */
export function isPageOf(ppn: number, first: number, pages: number): boolean {
  return ppn >= first && ppn < first + pages;
}
