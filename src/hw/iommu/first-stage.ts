/**
 * The first stage: a process's virtual address to guest-physical through an Sv39 table. The pages of the table
 * are guest-physical themselves, so each goes through the second stage first.
 *
 * One object per walker, its fields overwritten by every call: a walk allocates nothing. A walk begins at the lowest
 * table that the walk cache knows, whose physical page it then knows too.
 */
import type { MemoryView } from '../memory-view.js';
import { AccessFaults, Cause, GuestPageFaults, Intent, type IntentIndex, PageFaults } from './causes.js';
import type { DeviceContext } from './device-directory.js';
import {
  EntryKind,
  kindOf,
  leafPage,
  leafShift,
  MARK_ATTEMPTS,
  mark,
  missingMarks,
  Need,
  PERMISSIONS,
  Pte,
  ppnAt10,
} from './pte.js';
import { Outcome, type SecondStage } from './second-stage.js';
import { addressIn, pagesOf, tableAt10, tableOf } from './table-page.js';
import { NO_ROOT, Walk, type WalkCache } from './walk-cache.js';

/** In place of a cause: the leaf changed between being read and being marked. */
const CHANGED = -1;
/** Low bits of iotval2: a table page was to be read, or to be written. */
const TABLE_READ = 1;
const TABLE_WRITE = 3;

// Constants of its own, for speed: what a module imports is looked up at every use.
const { done, pageFault } = Outcome;
const { invalid, pointer } = EntryKind;
const { U: USER, G: GLOBAL } = Pte;
const USER_ACCESSED = Pte.U | Pte.A;
const READ = Need.read;
const NONE = Cause.none;

/** Who asks, and for what. Filled by the translator once per request. */
export class FirstStageAccess {
  /** See `Need`. */
  need: number = Need.read;
  /** One of `Intent`: selects the cause of a fault. */
  intent: IntentIndex = Intent.read;
  supervisor = false;
  supervisorMayUseUserPages = false;
}

/** Translates virtual pages; the answer stays in the fields until the next call. */
export class FirstStage {
  readonly #memory: MemoryView;
  readonly #memoryPages: number;
  readonly #secondStage: SecondStage;
  readonly #walkCache: WalkCache;
  readonly #walk = new Walk();

  /** Guest page of the last translation that ended in `Cause.none`. */
  page = 2 ** 43;
  /** log2 of the bytes that its leaf covers. */
  shift = 12;
  /** Low word of its leaf, as it is in memory now. */
  leaf = 0;
  /** The leaf or a pointer above it was global. */
  global = false;
  /** After a second-stage page fault: the page of the table, and whether it was to be read (1) or written (3). */
  guestPage = 2 ** 43;
  guestOffset = 0;

  constructor(memory: MemoryView, secondStage: SecondStage, walkCache: WalkCache) {
    this.#memory = memory;
    this.#memoryPages = pagesOf(memory);
    this.#secondStage = secondStage;
    this.#walkCache = walkCache;
  }

  /** Translates the address (`high`, `low`) through the table at guest page `root`. Answers a cause. */
  translate(
    device: DeviceContext,
    root: number,
    high: number,
    low: number,
    access: FirstStageAccess,
  ): number {
    const extension = high >> 6;
    if (extension !== 0 && extension !== -1) return PageFaults[access.intent];
    const walk = this.#walk;
    // Virtual page number in its 27 meaningful bits.
    const page = ((high & 0x7f) << 20) | (low >>> 12);
    walk.start(tableOf(root), device.secondStage ? device.secondStageRoot : NO_ROOT, page);
    if (!this.#walkCache.resume(walk)) {
      const unreachable = this.#reach(device, walk.root, access.intent);
      if (unreachable !== NONE) {
        this.guestPage = root;
        return unreachable;
      }
    }
    return this.#descend(device, access);
  }

  /** Follows pointers from the walk's table on, down to the leaf. Ends, because level 0 has no pointers. */
  #descend(device: DeviceContext, access: FirstStageAccess): number {
    const walk = this.#walk;
    const memory = this.#memory;
    const lowestKnown = walk.level;
    const enough = access.need | USER_ACCESSED;
    let attempts = MARK_ATTEMPTS;
    for (;;) {
      const { page, level, table } = walk;
      if (table >= this.#memoryPages) return AccessFaults[access.intent];
      const address = addressIn(table, ((page >>> (9 * level)) & 0x1ff) * 8);
      const low = memory.load32(address);
      const high = memory.load32(address + 4);
      const kind = kindOf(low, high, level);
      if (kind === invalid) return PageFaults[access.intent];
      if (level < lowestKnown) this.#walkCache.fill(walk);
      if (kind === pointer) {
        const unreachable = this.#enter(device, low, high, access.intent);
        if (unreachable !== NONE) return unreachable;
        continue;
      }
      this.leaf = low | 0;
      // Most leaves permit the access and are marked already.
      const isEnough = (low & enough) === enough && !access.supervisor;
      const cause = isEnough ? NONE : this.#admit(device, address, low, access);
      if (cause === CHANGED && --attempts > 0) continue;
      this.global = walk.global || (low & GLOBAL) !== 0;
      this.page = leafPage(low, high, level, page);
      this.shift = leafShift(high, level);
      return cause === CHANGED ? PageFaults[access.intent] : cause;
    }
  }

  /** Goes on in the table that the pointer (`low`, `high`) names. Answers a cause. */
  #enter(device: DeviceContext, low: number, high: number, intent: IntentIndex): number {
    const walk = this.#walk;
    walk.level--;
    walk.global ||= (low & GLOBAL) !== 0;
    const cause = this.#reach(device, tableAt10(low, high), intent);
    // The record names the page that the pointer does, not `NO_TABLE`.
    if (cause !== NONE) this.guestPage = ppnAt10(low, high);
    return cause;
  }

  /** Finds the physical page of the table at guest page `guestTable`. Answers a cause; the caller sets `guestPage`. */
  #reach(device: DeviceContext, guestTable: number, intent: IntentIndex): number {
    const walk = this.#walk;
    const second = this.#secondStage;
    const outcome = second.translate(device, guestTable, READ);
    walk.guestTable = guestTable;
    walk.table = second.table;
    if (outcome === done) return NONE;
    this.guestOffset = TABLE_READ;
    return outcome === pageFault ? GuestPageFaults[intent] : AccessFaults[intent];
  }

  /** Whether the leaf `low` at `address` permits the access; marks it if so. Answers a cause, or `CHANGED`. */
  #admit(device: DeviceContext, address: number, low: number, access: FirstStageAccess): number {
    return isPermitted(low, access) ? this.#mark(device, address, low, access) : PageFaults[access.intent];
  }

  /**
   * Sets A and D of the leaf `low` at `address` where they are missing and hardware may: the device context says so, and
   * the domain may write its own table.
   */
  #mark(device: DeviceContext, address: number, low: number, { need, intent }: FirstStageAccess): number {
    const marks = missingMarks(low, need);
    this.leaf = low | marks;
    if (marks === 0) return NONE;
    if (!device.marksFirstStage) return PageFaults[intent];
    // The table was read as a page that is only read; now it is written, and dirty like any other page.
    const { guestTable } = this.#walk;
    const outcome = this.#secondStage.translate(device, guestTable, Need.write);
    if (outcome === pageFault) {
      this.guestPage = guestTable;
      this.guestOffset = TABLE_WRITE;
      return GuestPageFaults[intent];
    }
    if (outcome !== done) return AccessFaults[intent];
    return mark(this.#memory, address, low, marks) ? NONE : CHANGED;
  }
}

/** Whether the leaf `low` permits the access, accessed and dirty bits aside. */
function isPermitted(low: number, access: FirstStageAccess): boolean {
  if ((access.need & PERMISSIONS & ~low) !== 0) return false;
  const userPage = (low & USER) !== 0;
  if (!access.supervisor) return userPage;
  return !userPage || (access.supervisorMayUseUserPages && access.intent !== Intent.execute);
}
