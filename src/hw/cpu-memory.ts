/**
 * A CPU's way to the memory of a process: loads and stores at virtual addresses, made on the thread of whoever calls.
 * It walks the tables that devices walk, with the same walkers, user privilege, and A and D set by the walk.
 *
 * There is no TLB: every page of every access is walked anew, so nothing has to be shot down. What a walk found may be
 * used only inside the access epoch (access-epoch.ts) in which the walk was made; the caller brackets each call.
 */
import { PAGE_BYTES } from '../base/units.js';
import { Cause, Intent } from './iommu/causes.js';
import { DeviceContext } from './iommu/device-directory.js';
import { FirstStage, FirstStageAccess } from './iommu/first-stage.js';
import { CacheCounters } from './iommu/inspected-cache.js';
import { Need } from './iommu/pte.js';
import { Outcome, SecondStage } from './iommu/second-stage.js';
import { WalkCache } from './iommu/walk-cache.js';
import type { MemoryView } from './memory-view.js';
import type { PhysicalMemory } from './physical-memory.js';

/** What the walks of one process go through. */
export interface CpuMemoryOptions {
  readonly memory: PhysicalMemory;
  /** Guest-physical address of the root of the process's Sv39 table. */
  readonly rootTable: number;
  /** Physical address of the root of its domain's Sv39x4 table; null = guest-physical is physical. */
  readonly secondStageRoot: number | null;
}

/** What of a copy lies in one page: physical address, offset in the copy, bytes. */
type PageVisitor = (physical: number, offset: number, bytes: number) => void;

const READ = accessWith(Need.read, Intent.read);
const WRITE = accessWith(Need.write, Intent.write);

/** Copies between a process's memory and bytes of the caller. */
export class CpuMemory {
  readonly #memory: PhysicalMemory;
  readonly #rootPage: number;
  readonly #stages: DeviceContext;
  readonly #first: FirstStage;
  readonly #second: SecondStage;

  constructor({ memory, rootTable, secondStageRoot }: CpuMemoryOptions) {
    this.#memory = memory;
    this.#rootPage = rootTable / PAGE_BYTES;
    this.#stages = stagesWith(secondStageRoot);
    const tables = new TableView(memory);
    const noCache = new WalkCache({ entries: 0, rootPages: 1, counters: new CacheCounters() });
    this.#second = new SecondStage(tables, Math.log2(PAGE_BYTES), noCache);
    this.#first = new FirstStage(tables, this.#second, noCache);
  }

  /**
   * Reads from `va` on into `target`. Answers the bytes read: fewer than asked for if the page at `va` plus the answer
   * faults, because no leaf allows the read or the address is none of the lower half of Sv39.
   */
  tryRead(va: number, target: Uint8Array): number {
    return this.#visitPages(va, target.length, READ, (physical, offset, bytes) => {
      target.set(this.#memory.view(physical, bytes), offset);
    });
  }

  /** Writes `source` from `va` on. Answers the bytes written, like `tryRead`. */
  tryWrite(va: number, source: Uint8Array): number {
    return this.#visitPages(va, source.length, WRITE, (physical, offset, bytes) => {
      this.#memory.view(physical, bytes).set(source.subarray(offset, offset + bytes));
    });
  }

  #visitPages(va: number, bytes: number, access: FirstStageAccess, visit: PageVisitor): number {
    let offset = 0;
    while (offset < bytes) {
      const at = va + offset;
      const physical = this.#translate(at, access);
      if (physical < 0) break;
      const count = Math.min(bytes - offset, PAGE_BYTES - (at % PAGE_BYTES));
      visit(physical, offset, count);
      offset += count;
    }
    return offset;
  }

  /** Physical address of `va`; -1 for a fault of either stage, or an address that is none. */
  #translate(va: number, access: FirstStageAccess): number {
    // The walk refuses what is not canonical; the upper half of Sv39 is no number here.
    if (!Number.isSafeInteger(va) || va < 0) return -1;
    const [high, low] = [Math.floor(va / 2 ** 32), va >>> 0];
    if (this.#first.translate(this.#stages, this.#rootPage, high, low, access) !== Cause.none) return -1;
    if (this.#second.translate(this.#stages, this.#first.page, access.need) !== Outcome.done) return -1;
    const page = this.#second.ppn * PAGE_BYTES;
    return page + PAGE_BYTES <= this.#memory.bytes ? page + (va % PAGE_BYTES) : -1;
  }
}

/**
 * Memory as a walk on a user thread must see it. Entries are loaded atomically: a plain load might be moved before the
 * store of the epoch, and find an entry that was taken away while the kernel saw nobody inside.
 */
class TableView implements MemoryView {
  readonly bytes: number;
  readonly #memory: PhysicalMemory;

  constructor(memory: PhysicalMemory) {
    this.bytes = memory.bytes;
    this.#memory = memory;
  }

  load32(address: number): number {
    return Atomics.load(this.#memory.u32, address >>> 2);
  }

  store32(address: number, value: number): void {
    this.#memory.store32(address, value);
  }

  compareExchange32(address: number, expected: number, next: number): number {
    return this.#memory.compareExchange32(address, expected, next);
  }
}

function accessWith(need: number, intent: FirstStageAccess['intent']): FirstStageAccess {
  return Object.assign(new FirstStageAccess(), { need, intent });
}

/** The two stages, as a device context would describe them: hardware sets A and D in both. */
function stagesWith(secondStageRoot: number | null): DeviceContext {
  const stages = new DeviceContext();
  stages.marksFirstStage = true;
  stages.marksSecondStage = true;
  stages.secondStage = secondStageRoot !== null;
  stages.secondStageRoot = (secondStageRoot ?? 0) / PAGE_BYTES;
  return stages;
}
