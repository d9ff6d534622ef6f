/**
 * The walk cache: the tables that walks of a stage have reached, so that the next walk for an address nearby starts
 * at the last level, or at the one above it, and not at the root.
 *
 * An entry says to which table the pointers from a root on lead for the upper bits of a page number. Tables of the
 * first stage lie in guest-physical memory: their entries hold the physical page as well, as the second stage gave
 * it, and belong to the second-stage root that it came from. So domains share no entry, and none needs a GSCID.
 *
 * Kept is a table that was reached by valid pointers and in which a valid entry was found; never a leaf, and nothing
 * with V = 0. What is in the table is read from memory by every walk. Entries die like those of iotlb.ts, with the
 * generation that they were filled in, which is read before the walk begins.
 *
 * Direct-mapped, in one Int32Array: pages are as table-page.ts makes them. Look-ups allocate nothing.
 */
import {
  type CacheCounters,
  type InspectedCache,
  isPageOf,
  SECOND_STAGE_ROOT_PAGES,
} from './inspected-cache.js';

/** Level of the root of both stages; 0 holds 4 KiB pages. */
export const TOP_LEVEL = 2;
/** The same as a constant of the code: what a module exports is looked up at every use. */
const TOP = TOP_LEVEL;
/** In place of a second-stage root: the tables are physical as they are. */
export const NO_ROOT = -1;

/** Words of an entry. */
const GENERATION = 0;
/** Level 1 or 0, below the bits of the page number that select the table. */
const KEY = 1;
/** `EMPTY` in an entry that was never filled. */
const ROOT = 2;
const OUTER_ROOT = 3;
const TABLE = 4;
/** Its bits inverted, so negative, if a pointer was global. */
const GUEST_TABLE = 5;
/** All on one cache line. */
const ENTRY_WORDS = 8;

/** No root has this number. */
const EMPTY = -1;
/** Sets the entries of level 1 apart from those of level 0 with the same bits. */
const LEVEL_DISTANCE = 85;

/** One walk: from where, for which page, and the table that it has reached. A walker owns one and reuses it. */
export class Walk {
  /** Page of the root table, in the addresses that this stage's pointers have. */
  root = 0;
  /** Root of the second stage that the tables are reached through; `NO_ROOT` if they are physical already. */
  outerRoot = 0;
  /** Where in the cache the entries of these roots begin. */
  space = 0;
  /** Page number to translate: 27 bits in the first stage, 29 in the second. */
  page = 0;

  /** Level of the table that was reached last. */
  level = TOP_LEVEL;
  /** Its physical page. */
  table = 0;
  /** Its page as the pointer to it says. */
  guestTable = 0;
  /** A pointer on the way was global. */
  global = false;

  /** Begins at the root, whose physical page is `root` unless a second stage says otherwise. */
  start(root: number, outerRoot: number, page: number): void {
    this.page = page;
    this.level = TOP;
    this.table = root;
    this.guestTable = root;
    this.global = false;
    this.root = root;
    this.outerRoot = outerRoot;
    this.space = Math.imul(root + Math.imul(outerRoot, 0x85eb_ca6b), 0x9e37_79b1) >>> 16;
  }
}

/** What a walk cache is made of. */
export interface WalkCacheOptions {
  /** A power of two, or 0 for no cache. */
  readonly entries: number;
  /** Pages of a root that is reached through no second stage. */
  readonly rootPages: number;
  /** Counts for the caches of both stages. Hits are walks that began below the root. */
  readonly counters: CacheCounters;
}

/** One thread's walk cache of one stage. */
export class WalkCache implements InspectedCache {
  readonly counters: CacheCounters;
  readonly #entries: Int32Array;
  readonly #mask: number;
  readonly #rootPages: number;
  #generation = 0;
  /** Nothing was filled under the generation: right after an invalidation there is no need to look. */
  #isEmpty = true;

  constructor({ entries, rootPages, counters }: WalkCacheOptions) {
    this.#entries = new Int32Array(entries * ENTRY_WORDS).fill(EMPTY);
    this.#mask = entries - 1;
    this.#rootPages = rootPages;
    this.counters = counters;
  }

  /** The walks that follow are under `generation`, which was read before the first of them. */
  begin(generation: number): void {
    if (generation === this.#generation || this.#mask < 0) return;
    this.#generation = generation;
    this.#isEmpty = true;
    this.counters.notice(generation);
  }

  /** Moves `walk`, which is at its root, to the lowest table that is known for its page; false if none is. */
  resume(walk: Walk): boolean {
    if (this.#mask < 0) return false;
    for (let level = this.#isEmpty ? TOP : 0; level < TOP; level++) {
      if (!this.#resumeAt(walk, level)) continue;
      this.counters.hits++;
      return true;
    }
    this.counters.misses++;
    return false;
  }

  #resumeAt(walk: Walk, level: number): boolean {
    const entries = this.#entries;
    const prefix = prefixOf(walk, level);
    const at = this.#slot(walk, prefix, level);
    if (
      entries[at + GENERATION] !== this.#generation ||
      entries[at + KEY] !== 2 * prefix + level ||
      entries[at + ROOT] !== walk.root ||
      entries[at + OUTER_ROOT] !== walk.outerRoot
    ) {
      return false;
    }
    const guestTable = entries[at + GUEST_TABLE]!;
    walk.level = level;
    walk.table = entries[at + TABLE]!;
    walk.global = guestTable < 0;
    walk.guestTable = walk.global ? ~guestTable : guestTable;
    return true;
  }

  /** Keeps the table that `walk` has reached, which is not its root. */
  fill(walk: Walk): void {
    if (this.#mask < 0) return;
    const { level, guestTable } = walk;
    const entries = this.#entries;
    const prefix = prefixOf(walk, level);
    const at = this.#slot(walk, prefix, level);
    entries[at + GENERATION] = this.#generation;
    entries[at + KEY] = 2 * prefix + level;
    entries[at + ROOT] = walk.root;
    entries[at + OUTER_ROOT] = walk.outerRoot;
    entries[at + TABLE] = walk.table;
    entries[at + GUEST_TABLE] = walk.global ? ~guestTable : guestTable;
    this.#isEmpty = false;
  }

  /** Index of the first word of the entry that `walk` may have at `level`. */
  #slot(walk: Walk, prefix: number, level: number): number {
    return ((prefix + walk.space + level * LEVEL_DISTANCE) & this.#mask) * ENTRY_WORDS;
  }

  namesPage(generation: number, ppn: number): boolean {
    const entries = this.#entries;
    for (let at = 0; at < entries.length; at += ENTRY_WORDS) {
      if (entries[at + ROOT] === EMPTY || entries[at + GENERATION] !== generation) continue;
      if (entries[at + TABLE] === ppn || this.#isRoot(at, ppn)) return true;
    }
    return false;
  }

  /** Whether `ppn` belongs to a root that the entry is found by: a page that becomes a root again would find it. */
  #isRoot(at: number, ppn: number): boolean {
    const outerRoot = this.#entries[at + OUTER_ROOT]!;
    if (outerRoot !== NO_ROOT) return isPageOf(ppn, outerRoot, SECOND_STAGE_ROOT_PAGES);
    return isPageOf(ppn, this.#entries[at + ROOT]!, this.#rootPages);
  }
}

/** The bits of the page number that select a table of `level`. */
function prefixOf({ page }: Walk, level: number): number {
  return page >>> (9 * level + 9);
}
