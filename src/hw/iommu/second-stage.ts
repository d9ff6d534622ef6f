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
  ppnAt10,
} from './pte.js';
import { NO_ROOT, TOP_LEVEL, Walk, type WalkCache } from './walk-cache.js';

/** How one step of a walk ended. `again`: the entry changed under it. */
export const Outcome = { done: 0, pageFault: 1, accessFault: 2, again: 3 } as const;

/** Guest-physical addresses have 41 bits: page numbers below this. */
const GUEST_PAGES = 2 ** 29;

/** Translates guest pages; the answer stays in the fields until the next call. */
export class SecondStage {
  readonly #memory: MemoryView;
  readonly #bareShift: number;
  readonly #walkCache: WalkCache;
  readonly #walk = new Walk();

  /** Physical page of the last translation that ended in `done`. */
  ppn = 2 ** 43;
  /** log2 of the bytes that its leaf covers. */
  shift = 12;
  /** Low word of its leaf, as it is in memory now. */
  leaf = 0;

  /** `bareShift` is log2 of the range that a Bare stage contributes. */
  constructor(memory: MemoryView, bareShift: number, walkCache: WalkCache) {
    this.#memory = memory;
    this.#bareShift = bareShift;
    this.#walkCache = walkCache;
  }

  /** Translates the guest page number `page` for an access with `need`; answers an `Outcome`. */
  translate(context: DeviceContext, page: number, need: number): number {
    if (!context.secondStage) return this.#bare(page);
    if (page >= GUEST_PAGES) return Outcome.pageFault;
    const walk = this.#walk;
    walk.start(context.secondStageRoot, NO_ROOT, page);
    this.#walkCache.resume(walk);
    return this.#descend(context, need);
  }

  /** Follows pointers from the walk's table on, down to the leaf. Ends, because level 0 has no pointers. */
  #descend(context: DeviceContext, need: number): number {
    const memory = this.#memory;
    const walk = this.#walk;
    let lowestKnown = walk.level;
    let attempts = MARK_ATTEMPTS;
    for (;;) {
      const { page, level } = walk;
      const address = walk.table * 4096 + indexOf(page, level) * 8;
      if (address + 8 > memory.bytes) return Outcome.accessFault;
      const low = memory.load32(address);
      const high = memory.load32(address + 4);
      const kind = kindOf(low, high, level);
      if (kind === EntryKind.invalid) return Outcome.pageFault;
      if (level < lowestKnown) {
        this.#walkCache.fill(walk);
        lowestKnown = level;
      }
      if (kind === EntryKind.pointer) {
        walk.level--;
        walk.table = ppnAt10(low, high);
        continue;
      }
      const outcome = this.#admit(context, need, address, low);
      if (outcome === Outcome.again && --attempts > 0) continue;
      this.ppn = leafPage(low, high, level, page);
      this.shift = leafShift(high, level);
      return outcome === Outcome.done ? outcome : Outcome.pageFault;
    }
  }

  #bare(page: number): number {
    this.ppn = page;
    this.shift = this.#bareShift;
    this.leaf = BARE_GRANT;
    return Outcome.done;
  }

  /** Whether the leaf `low` at `address` permits the access; marks it if so. */
  #admit(context: DeviceContext, need: number, address: number, low: number): number {
    // Every access of the second stage is a user access.
    if ((low & Pte.U) === 0 || (need & PERMISSIONS & ~low) !== 0) return Outcome.pageFault;
    const marks = missingMarks(low, need);
    this.leaf = low | marks;
    if (marks === 0) return Outcome.done;
    if (!context.marksSecondStage) return Outcome.pageFault;
    return mark(this.#memory, address, low, marks) ? Outcome.done : Outcome.again;
  }
}

/** Index into the table of `level`. The top one has two more bits than the others: the root is four pages. */
function indexOf(page: number, level: number): number {
  return level === TOP_LEVEL ? page >>> 18 : (page >>> (9 * level)) & 0x1ff;
}
