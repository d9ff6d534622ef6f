/**
 * From a device id to its device context: the walk through one to three levels of device directory, every check
 * of the context, and the cache of contexts.
 *
 * A context is cached only after it passed every check, so an entry with V = 0 never is. Slots are preallocated
 * and filled in place.
 */
import type { MemoryView } from '../memory-view.js';
import { Cause } from './causes.js';
import { CacheCounters, type InspectedCache, isPageOf, SECOND_STAGE_ROOT_PAGES } from './inspected-cache.js';
import { DEVICE_CONTEXT, DIRECTORY_ENTRY, maskOf, reservedBits } from './layouts.js';
import { ppnAt0 } from './pte.js';
import { type IommuRegisterFile, REGISTERS } from './registers.js';
import { hasStallExtension } from './stall-extension.js';
import { addressIn, pagesOf, tableAt0, tableAt10 } from './table-page.js';

/** Values of ddtp's mode field. */
export const DirectoryMode = { off: 0, bare: 1, oneLevel: 2, twoLevel: 3, threeLevel: 4 } as const;

/** What fsc holds in each kind of context. */
export const FscMode = { bare: 0, sv39: 8, pd8: 1, pd17: 2, pd20: 3 } as const;

// Constants of its own, for speed: what a module imports or exports is looked up at every use.
const { none } = Cause;
const { off, oneLevel, twoLevel, threeLevel } = DirectoryMode;
const { bare, sv39, pd20 } = FscMode;
const CONTEXT_BYTES = DEVICE_CONTEXT.bytes;
const ENTRY_BYTES = DIRECTORY_ENTRY.bytes;

const { fields } = DEVICE_CONTEXT;
const Tc = {
  valid: maskOf(fields.valid),
  enAts: maskOf(fields.enAts),
  enPri: maskOf(fields.enPri),
  t2gpa: maskOf(fields.t2gpa),
  dtf: maskOf(fields.dtf),
  pdtv: maskOf(fields.pdtv),
  prpr: maskOf(fields.prpr),
  gade: maskOf(fields.gade),
  sade: maskOf(fields.sade),
  dpe: maskOf(fields.dpe),
  stall: maskOf(fields.stall),
} as const;

/** Features that this IOMMU does not have, and bits that have no meaning. */
const TC_MUST_BE_ZERO = reservedBits(DEVICE_CONTEXT, 0) | Tc.t2gpa | maskOf(fields.sbe) | maskOf(fields.sxl);
const SECOND_STAGE_AT = fields.iohgatpPpnLow.spec.at;
const TA_AT = fields.pscid.spec.at;
const FSC_AT = fields.fscPpnLow.spec.at;
const TA_LOW_RESERVED = reservedBits(DEVICE_CONTEXT, TA_AT);
const FSC_HIGH_RESERVED = reservedBits(DEVICE_CONTEXT, fields.fscMode.spec.at);
const ENTRY_LOW_RESERVED = reservedBits(DIRECTORY_ENTRY, 0);
const ENTRY_HIGH_RESERVED = reservedBits(DIRECTORY_ENTRY, 4);
const ENTRY_VALID = maskOf(DIRECTORY_ENTRY.fields.valid);

const SECOND_STAGE_SV39X4 = 8;
/** The second-stage root is 16 KiB, aligned. */
const ROOT_ALIGNMENT = 3;

const MODE_MASK = 15;

/** Mode of the directory, as software set it in the low word of ddtp. Modes that do not exist count as Off. */
export function modeOf(ddtpLow: number): number {
  const mode = ddtpLow & MODE_MASK;
  return mode <= threeLevel ? mode : off;
}

/** Whether a non-leaf directory entry (`low`, `high`), device or process, sets a reserved bit. */
export function hasReservedBits(low: number, high: number): boolean {
  return (low & ENTRY_LOW_RESERVED) !== 0 || (high & ENTRY_HIGH_RESERVED) !== 0;
}

/** A device context, decoded. */
export class DeviceContext {
  /** Key and age of the slot; a slot that was never filled has `deviceId` -1. */
  deviceId = -1;
  generation = 0;

  enAts = false;
  enPri = false;
  /** Translation faults leave no record. */
  faultsDisabled = false;
  /** `fscRoot` is a process directory. */
  hasProcesses = false;
  /** Automatic page responses carry the PASID. */
  answersWithPasid = false;
  marksFirstStage = false;
  marksSecondStage = false;
  /** A request without PASID belongs to process 0. */
  defaultsToProcess0 = false;
  /** Untranslated accesses that page faults end may be stalled. */
  stalls = false;
  secondStage = false;
  /** As table-page.ts makes it. */
  secondStageRoot = 0;
  /** One of `FscMode`. */
  fscMode = 0;
  fscRoot = 2 ** 43;
}

/** Finds device contexts, cached. The answer is in `context` when `locate` answers `Cause.none`. */
export class DeviceDirectory implements InspectedCache {
  readonly #memory: MemoryView;
  readonly #memoryPages: number;
  readonly #registers: IommuRegisterFile;
  readonly #slots: readonly DeviceContext[];
  readonly #caches: boolean;
  readonly counters = new CacheCounters();
  /** The bits of tc that mean something here; 0 until the first context is loaded, when the extensions are settled. */
  #knownControl = 0;

  /** The context found last; valid until the next `locate`. */
  context: DeviceContext;

  /** `slotCount` is a power of two; 0 walks every time. */
  constructor(memory: MemoryView, registers: IommuRegisterFile, slotCount: number) {
    this.#memory = memory;
    this.#memoryPages = pagesOf(memory);
    this.#registers = registers;
    this.#caches = slotCount > 0;
    // Without a cache one slot still serves as scratch.
    this.#slots = Array.from({ length: Math.max(1, slotCount) }, () => new DeviceContext());
    this.context = this.#slots[0]!;
  }

  /** Looks `deviceId` up under the low word of ddtp, whose mode is one with a directory. Answers a cause. */
  locate(generation: number, ddtpLow: number, deviceId: number): number {
    const slot = this.#slots[deviceId & (this.#slots.length - 1)]!;
    this.context = slot;
    if (this.#caches) {
      if (slot.deviceId === deviceId && slot.generation === generation) {
        this.counters.hits++;
        return none;
      }
      this.counters.missed(generation);
    }
    if (exceedsMode(modeOf(ddtpLow), deviceId)) return Cause.requestDisallowed;
    slot.deviceId = -1;
    const cause = this.#walk(slot, ddtpLow, deviceId);
    if (cause === none) {
      slot.deviceId = deviceId;
      slot.generation = generation;
    }
    return cause;
  }

  namesPage(generation: number, ppn: number): boolean {
    if (!this.#caches) return false;
    return this.#slots.some(
      (slot) => slot.deviceId >= 0 && slot.generation === generation && namesTable(slot, ppn),
    );
  }

  #walk(slot: DeviceContext, ddtpLow: number, deviceId: number): number {
    let table = tableAt10(ddtpLow, this.#registers.read32(REGISTERS.ddtp.at + 4));
    for (let level = modeOf(ddtpLow) - oneLevel; level > 0; level--) {
      const index = level === 2 ? (deviceId >>> 16) & 0xff : (deviceId >>> 7) & 0x1ff;
      if (table >= this.#memoryPages) return Cause.deviceDirectoryAccess;
      const address = addressIn(table, index * ENTRY_BYTES);
      const low = this.#memory.load32(address);
      const high = this.#memory.load32(address + 4);
      if ((low & ENTRY_VALID) === 0) return Cause.deviceEntryInvalid;
      if (hasReservedBits(low, high)) return Cause.deviceEntryMisconfigured;
      table = tableAt10(low, high);
    }
    if (table >= this.#memoryPages) return Cause.deviceDirectoryAccess;
    return this.#load(slot, addressIn(table, (deviceId & 0x7f) * CONTEXT_BYTES));
  }

  #load(slot: DeviceContext, address: number): number {
    const memory = this.#memory;
    if (this.#knownControl === 0) this.#knownControl = hasStallExtension(this.#registers) ? -1 : ~Tc.stall;
    const tc = memory.load32(address) & this.#knownControl;
    if ((tc & Tc.valid) === 0) return Cause.deviceEntryInvalid;
    const taReserved =
      (memory.load32(address + TA_AT) & TA_LOW_RESERVED) | memory.load32(address + TA_AT + 4);
    if (memory.load32(address + 4) !== 0 || taReserved !== 0) return Cause.deviceEntryMisconfigured;
    decodeControl(slot, tc);
    const secondLow = memory.load32(address + SECOND_STAGE_AT);
    const secondHigh = memory.load32(address + SECOND_STAGE_AT + 4);
    decodeSecondStage(slot, secondLow, secondHigh);
    const fscHigh = memory.load32(address + FSC_AT + 4);
    slot.fscMode = fscHigh >>> 28;
    slot.fscRoot = ppnAt0(memory.load32(address + FSC_AT), fscHigh);
    const wrong =
      !isControlValid(tc) ||
      !isSecondStageValid(secondLow, secondHigh) ||
      (fscHigh & FSC_HIGH_RESERVED) !== 0 ||
      !isFscModeValid(slot);
    return wrong ? Cause.deviceEntryMisconfigured : none;
  }
}

/** Whether `ppn` is a table that the context names. With a second stage, what fsc names is no physical page. */
function namesTable(slot: DeviceContext, ppn: number): boolean {
  if (slot.secondStage) return isPageOf(ppn, slot.secondStageRoot, SECOND_STAGE_ROOT_PAGES);
  return slot.fscMode !== bare && slot.fscRoot === ppn;
}

function exceedsMode(mode: number, deviceId: number): boolean {
  if (mode === threeLevel) return false;
  return deviceId >>> (mode === twoLevel ? 16 : 7) !== 0;
}

function decodeControl(slot: DeviceContext, tc: number): void {
  slot.enAts = (tc & Tc.enAts) !== 0;
  slot.enPri = (tc & Tc.enPri) !== 0;
  slot.faultsDisabled = (tc & Tc.dtf) !== 0;
  slot.hasProcesses = (tc & Tc.pdtv) !== 0;
  slot.answersWithPasid = (tc & Tc.prpr) !== 0;
  slot.marksFirstStage = (tc & Tc.sade) !== 0;
  slot.marksSecondStage = (tc & Tc.gade) !== 0;
  slot.defaultsToProcess0 = (tc & Tc.dpe) !== 0;
  slot.stalls = (tc & Tc.stall) !== 0;
}

function isControlValid(tc: number): boolean {
  if ((tc & TC_MUST_BE_ZERO) !== 0) return false;
  if ((tc & Tc.enPri) !== 0 && (tc & Tc.enAts) === 0) return false;
  if ((tc & Tc.prpr) !== 0 && (tc & Tc.enPri) === 0) return false;
  if ((tc & Tc.stall) !== 0 && (tc & Tc.enAts) !== 0) return false;
  return (tc & Tc.dpe) === 0 || (tc & Tc.pdtv) !== 0;
}

function decodeSecondStage(slot: DeviceContext, low: number, high: number): void {
  slot.secondStage = high >>> 28 === SECOND_STAGE_SV39X4;
  slot.secondStageRoot = tableAt0(low, high);
}

function isSecondStageValid(low: number, high: number): boolean {
  const mode = high >>> 28;
  return mode === 0 || (mode === SECOND_STAGE_SV39X4 && (low & ROOT_ALIGNMENT) === 0);
}

function isFscModeValid(slot: DeviceContext): boolean {
  if (slot.hasProcesses) return slot.fscMode <= pd20;
  return slot.fscMode === bare || slot.fscMode === sv39;
}
