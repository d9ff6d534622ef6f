/**
 * The second stage: guest-physical to physical through an Sv39x4 table, or Bare.
 *
 * One object per walker, its fields overwritten by every call: a walk allocates nothing. Used for the final
 * address of a request and, as reads, for the pages that hold first-stage tables and process directories. A walk
 * begins at the lowest table that the walk cache knows.
 */
import type { MemoryView } from '../memory-view.js';
import type { DeviceContext } from './device-directory.js';
import {
  BARE_GRANT,
  EntryKind,
  kindOf,
  leafPage,
  leafShift,
  MARK_ATTEMPTS,
  mark,
  missingMarks,
  PERMISSIONS,
  Pte,
} from './pte.js';
import { addressIn, NO_TABLE, pagesOf, tableAt10, tableOf } from './table-page.js';
import { NO_ROOT, TOP_LEVEL, Walk, type WalkCache } from './walk-cache.js';

/** How one step of a walk ended. `again`: the entry changed under it. */
export const Outcome = { done: 0, pageFault: 1, accessFault: 2, again: 3 } as const;

// Constants of its own, for speed: what a module imports or exports is looked up at every use.
const { done, pageFault, accessFault, again } = Outcome;
const { invalid, pointer } = EntryKind;
/** Every access of the second stage is a user access. */
const USER = Pte.U;
const USER_ACCESSED = Pte.U | Pte.A;
const PERMISSION_BITS = PERMISSIONS;
const TOP = TOP_LEVEL;

/** Guest-physical addresses have 41 bits: page numbers below this. */
const GUEST_PAGES = NO_TABLE;

/** Translates guest pages; the answer stays in the fields until the next call. */
export class SecondStage {
  readonly #memory: MemoryView;
  readonly #memoryPages: number;
  readonly #bareShift: number;
  readonly #walkCache: WalkCache;
  readonly #walk = new Walk();

  /** Physical page of the last translation that ended in `done`. */
  ppn = 2 ** 43;
  /** The same as the page of a table. */
  table = 0;
  /** log2 of the bytes that its leaf covers. */
  shift = 12;
  /** Low word of its leaf, as it is in memory now. */
  leaf = 0;

  /** `bareShift` is log2 of the range that a Bare stage contributes. */
  constructor(memory: MemoryView, bareShift: number, walkCache: WalkCache) {
    this.#memory = memory;
    this.#memoryPages = pagesOf(memory);
    this.#bareShift = bareShift;
    this.#walkCache = walkCache;
  }

  /** Translates the guest page number `page` for an access with `need`; answers an `Outcome`. */
  translate(context: DeviceContext, page: number, need: number): number {
    if (!context.secondStage) return this.#bare(page);
    if (page >= GUEST_PAGES) return pageFault;
    const walk = this.#walk;
    walk.start(context.secondStageRoot, NO_ROOT, tableOf(page));
    this.#walkCache.resume(walk);
    return this.#descend(context, need);
  }

  /** Follows pointers from the walk's table on, down to the leaf. Ends, because level 0 has no pointers. */
  #descend(context: DeviceContext, need: number): number {
    const memory = this.#memory;
    const walk = this.#walk;
    const { page } = walk;
    let { level, table } = walk;
    const lowestKnown = level;
    const enough = need | USER_ACCESSED;
    let attempts = MARK_ATTEMPTS;
    for (;;) {
      const index = indexOf(page, level);
      // The root has four pages, and memory may end between them.
      if (table + (index >>> 9) >= this.#memoryPages) return accessFault;
      const address = addressIn(table, index * 8);
      const low = memory.load32(address);
      const high = memory.load32(address + 4);
      const kind = kindOf(low, high, level);
      if (kind === invalid) return pageFault;
      if (level < lowestKnown) this.#walkCache.fill(walk);
      if (kind === pointer) {
        level -= 1;
        table = tableAt10(low, high);
        walk.level = level;
        walk.table = table;
        continue;
      }
      this.leaf = low | 0;
      // Most leaves permit the access and are marked already.
      const outcome = (low & enough) === enough ? done : this.#admit(context, need, address, low);
      if (outcome === again && --attempts > 0) continue;
      const ppn = leafPage(low, high, level, page);
      this.ppn = ppn;
      this.table = tableOf(ppn);
      this.shift = leafShift(high, level);
      return outcome === done ? done : pageFault;
    }
  }

  #bare(page: number): number {
    this.ppn = page;
    this.table = tableOf(page);
    this.shift = this.#bareShift;
    this.leaf = BARE_GRANT;
    return done;
  }

  /** Whether the leaf `low` at `address` permits the access; marks it if so. */
  #admit(context: DeviceContext, need: number, address: number, low: number): number {
    if ((low & USER) === 0 || (need & PERMISSION_BITS & ~low) !== 0) return pageFault;
    const marks = missingMarks(low, need);
    this.leaf = low | marks;
    if (marks === 0) return done;
    if (!context.marksSecondStage) return pageFault;
    return mark(this.#memory, address, low, marks) ? done : again;
  }
}

/** Index into the table of `level`. The top one has two more bits than the others: the root is four pages. */
function indexOf(page: number, level: number): number {
  return level === TOP ? page >>> 18 : (page >>> (9 * level)) & 0x1ff;
}
