/**
 * From a process id to its process context: the walk through a process directory of one to three levels, whose
 * pages lie in guest-physical memory, and the cache of contexts.
 *
 * A context is cached only after it passed every check. The permission of a privileged request (ENS) is judged
 * by the caller, per request.
 */
import { assert } from '../../base/assert.js';
import type { MemoryView } from '../memory-view.js';
import { Cause, GuestPageFaults, type IntentIndex } from './causes.js';
import { type DeviceContext, FscMode, hasReservedBits } from './device-directory.js';
import { CacheCounters, type InspectedCache } from './inspected-cache.js';
import { DIRECTORY_ENTRY, maskOf, PROCESS_CONTEXT, reservedBits } from './layouts.js';
import { Need, ppnAt0, ppnAt10 } from './pte.js';
import { Outcome, type SecondStage } from './second-stage.js';
import { addressIn, pagesOf } from './table-page.js';

const { fields } = PROCESS_CONTEXT;
// Constants of its own, for speed: what a module imports is looked up at every use.
const { none } = Cause;
const { bare, sv39, pd8, pd20 } = FscMode;
const { done, pageFault } = Outcome;
const READ = Need.read;
const CONTEXT_BYTES = PROCESS_CONTEXT.bytes;
const ENTRY_BYTES = DIRECTORY_ENTRY.bytes;

const VALID = maskOf(fields.valid);
const ENS = maskOf(fields.ens);
const SUM = maskOf(fields.sum);
const LOW_RESERVED = reservedBits(PROCESS_CONTEXT, 0);
const FSC_AT = fields.fscPpnLow.spec.at;
const FSC_HIGH_RESERVED = reservedBits(PROCESS_CONTEXT, fields.fscMode.spec.at);

/** A process context, decoded. */
export class ProcessContext {
  /** Key and age of the slot; a slot that was never filled has `processId` -1. */
  deviceId = -1;
  processId = -1;
  generation = 0;

  /** Supervisor requests are allowed. */
  allowsSupervisor = false;
  /** A supervisor may read and write user pages. */
  supervisorMayUseUserPages = false;
  /** The first stage is Sv39, not Bare. */
  firstStage = false;
  firstStageRoot = 2 ** 43;
  /** The root lies in guest-physical memory: there is a second stage. */
  isRootGuest = false;
}

/** Finds process contexts, cached. The answer is in `context` when `locate` answers `Cause.none`. */
export class ProcessDirectory implements InspectedCache {
  readonly #memory: MemoryView;
  readonly #memoryPages: number;
  readonly #secondStage: SecondStage;
  readonly #slots: readonly ProcessContext[];
  readonly #caches: boolean;
  readonly counters = new CacheCounters();
  /** Physical address that `#reach` found. */
  #address = 2 ** 32;

  /** The context found last; valid until the next `locate`. */
  context: ProcessContext;
  /** After a second-stage page fault: the guest page and offset of the entry that could not be read. */
  guestPage = 2 ** 43;
  guestOffset = 0;

  /** `slotCount` is a power of two; 0 walks every time. */
  constructor(memory: MemoryView, secondStage: SecondStage, slotCount: number) {
    this.#memory = memory;
    this.#memoryPages = pagesOf(memory);
    this.#secondStage = secondStage;
    this.#caches = slotCount > 0;
    this.#slots = Array.from({ length: Math.max(1, slotCount) }, () => new ProcessContext());
    this.context = this.#slots[0]!;
  }

  /**
   * Looks `processId` up in the directory of `device`, which is not Bare and wide enough for it. `intent` selects
   * the cause of a second-stage page fault. Answers a cause.
   */
  locate(generation: number, device: DeviceContext, processId: number, intent: IntentIndex): number {
    const slot = this.#slots[(processId ^ (device.deviceId * 7)) & (this.#slots.length - 1)]!;
    this.context = slot;
    if (this.#caches) {
      const sameKey = slot.processId === processId && slot.deviceId === device.deviceId;
      if (sameKey && slot.generation === generation) {
        this.counters.hits++;
        return none;
      }
      this.counters.missed(generation);
    }
    slot.processId = -1;
    const cause = this.#walk(slot, device, processId, intent);
    if (cause === none) {
      slot.processId = processId;
      slot.deviceId = device.deviceId;
      slot.generation = generation;
      slot.isRootGuest = device.secondStage;
    }
    return cause;
  }

  namesPage(generation: number, ppn: number): boolean {
    if (!this.#caches) return false;
    return this.#slots.some((slot) => {
      const isAlive = slot.processId >= 0 && slot.generation === generation;
      return isAlive && slot.firstStage && !slot.isRootGuest && slot.firstStageRoot === ppn;
    });
  }

  #walk(slot: ProcessContext, device: DeviceContext, processId: number, intent: IntentIndex): number {
    assert(device.fscMode >= pd8 && device.fscMode <= pd20, 'a process directory has levels');
    let table = device.fscRoot;
    for (let level = device.fscMode - pd8; level > 0; level--) {
      const index = level === 2 ? (processId >>> 17) & 7 : (processId >>> 8) & 0x1ff;
      const cause = this.#reach(device, table, index * ENTRY_BYTES, intent);
      if (cause !== none) return cause;
      const low = this.#memory.load32(this.#address);
      const high = this.#memory.load32(this.#address + 4);
      if ((low & VALID) === 0) return Cause.processEntryInvalid;
      if (hasReservedBits(low, high)) return Cause.processEntryMisconfigured;
      table = ppnAt10(low, high);
    }
    const cause = this.#reach(device, table, (processId & 0xff) * CONTEXT_BYTES, intent);
    return cause === none ? this.#load(slot) : cause;
  }

  /** Finds the physical address of the entry at `offset` in guest page `page`. */
  #reach(device: DeviceContext, page: number, offset: number, intent: IntentIndex): number {
    const outcome = this.#secondStage.translate(device, page, READ);
    if (outcome === pageFault) {
      this.guestPage = page;
      this.guestOffset = offset;
      return GuestPageFaults[intent];
    }
    const { table } = this.#secondStage;
    if (outcome !== done || table >= this.#memoryPages) return Cause.processDirectoryAccess;
    this.#address = addressIn(table, offset);
    return none;
  }

  #load(slot: ProcessContext): number {
    const memory = this.#memory;
    const address = this.#address;
    const low = memory.load32(address);
    if ((low & VALID) === 0) return Cause.processEntryInvalid;
    const fscHigh = memory.load32(address + FSC_AT + 4);
    const mode = fscHigh >>> 28;
    const reserved = (low & LOW_RESERVED) | memory.load32(address + 4) | (fscHigh & FSC_HIGH_RESERVED);
    if (reserved !== 0 || (mode !== bare && mode !== sv39)) {
      return Cause.processEntryMisconfigured;
    }
    slot.allowsSupervisor = (low & ENS) !== 0;
    slot.supervisorMayUseUserPages = (low & SUM) !== 0;
    slot.firstStage = mode === sv39;
    slot.firstStageRoot = ppnAt0(memory.load32(address + FSC_AT), fscHigh);
    return none;
  }
}
