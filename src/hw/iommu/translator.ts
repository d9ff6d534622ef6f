/**
 * One translation, step by step in the specification's order ("Process to translate an IOVA"): the first check
 * that fails decides the cause. Works without the IOTLB and without answering anybody; `Iommu` does both.
 *
 * All intermediate values live in fields that every request overwrites, so that nothing is allocated.
 */
import type { MemoryView } from '../memory-view.js';
import { AccessFaults, Cause, GuestPageFaults, Intent, intentOf } from './causes.js';
import { type DeviceContext, DeviceDirectory, DirectoryMode, FscMode, modeOf } from './device-directory.js';
import { FirstStage, FirstStageAccess } from './first-stage.js';
import { CacheCounters, type InspectedCache, SECOND_STAGE_ROOT_PAGES } from './inspected-cache.js';
import { ProcessDirectory } from './process-directory.js';
import { BARE_GRANT, Need } from './pte.js';
import { type IommuRegisterFile, REGISTERS } from './registers.js';
import { Outcome, SecondStage } from './second-stage.js';
import { Access, NO_PASID, RequestType, type TranslationRequest } from './translation.js';
import { WalkCache } from './walk-cache.js';

// Constants of its own, for speed: what a module imports is looked up at every use.
const { none } = Cause;
const { off: NO_DIRECTORY, bare: BARE_DIRECTORY } = DirectoryMode;
const { bare, sv39 } = FscMode;
const { nothing, dirtyOnly } = Need;
const { done, pageFault } = Outcome;
const { untranslated, translated, ats } = RequestType;
const WITHOUT_PASID = NO_PASID;

/** Process ids that each kind of process directory holds, indexed by its mode; a Bare one ignores the id. */
const PROCESS_LIMIT = [2 ** 20, 2 ** 8, 2 ** 17, 2 ** 20] as const;

/** What a translator works on. */
export interface TranslatorOptions {
  readonly memory: MemoryView;
  readonly registers: IommuRegisterFile;
  /** log2 of the range that a Bare stage contributes to an answer. */
  readonly bareShift: number;
  /** Slots of each directory cache, a power of two; 0 for none. */
  readonly directorySlots: number;
  /** Entries of the walk cache of each stage, a power of two; 0 for none. */
  readonly walkEntries: number;
}

/** Translates one request at a time; the answer stays in the fields until the next one. */
export class Translator {
  readonly #registers: IommuRegisterFile;
  readonly #firstStageWalks: WalkCache;
  readonly #secondStageWalks: WalkCache;
  readonly #access = new FirstStageAccess();
  readonly #firstStage: FirstStage;
  readonly #secondStage: SecondStage;
  readonly #bareShift: number;
  /** First stage of the request: whether there is one, and its root. */
  #hasFirstStage = false;
  #root = 2 ** 43;

  /** Its caches, for who counts or inspects: the directories, and the walk caches of both stages as one. */
  readonly devices: DeviceDirectory;
  readonly processes: ProcessDirectory;
  readonly walks: InspectedCache;

  /** Physical page that the address falls into. */
  ppn = 2 ** 43;
  /** log2 of the bytes around it for which the answer holds. */
  shift = 12;
  /** Low words of the two leaves; `BARE_GRANT` for a stage that is Bare. */
  firstLeaf = 0;
  secondLeaf = 0;
  /** The first stage's leaf, or a pointer above it, was global. */
  global = false;
  /** Translation faults of this device leave no record. False until its context was found. */
  faultsDisabled = false;
  /** Second address of the fault record: guest page and offset, 0 unless the second stage forbade the access. */
  guestPage = 2 ** 43;
  guestOffset = 0;

  constructor({ memory, registers, bareShift, directorySlots, walkEntries }: TranslatorOptions) {
    this.#registers = registers;
    this.#bareShift = bareShift;
    const counters = new CacheCounters();
    const rootPages = SECOND_STAGE_ROOT_PAGES;
    const first = new WalkCache({ entries: walkEntries, rootPages: 1, counters });
    const second = new WalkCache({ entries: walkEntries, rootPages, counters });
    this.#firstStageWalks = first;
    this.#secondStageWalks = second;
    const namesPage = (generation: number, ppn: number): boolean =>
      first.namesPage(generation, ppn) || second.namesPage(generation, ppn);
    this.walks = { counters, namesPage };
    this.#secondStage = new SecondStage(memory, bareShift, second);
    this.#firstStage = new FirstStage(memory, this.#secondStage, first);
    this.devices = new DeviceDirectory(memory, registers, directorySlots);
    this.processes = new ProcessDirectory(memory, this.#secondStage, directorySlots);
  }

  /** The device context found last; means something when `locateDevice` or `translate` came that far. */
  get device(): DeviceContext {
    return this.devices.context;
  }

  /** The low word of ddtp: the mode of the device directory (`modeOf`), and where it begins. */
  ddtpLow(): number {
    return this.#registers.read32(REGISTERS.ddtp.at);
  }

  /** Finds the context of `deviceId` under `ddtpLow`, whose mode has a directory. Answers a cause. */
  locateDevice(generation: number, ddtpLow: number, deviceId: number): number {
    this.faultsDisabled = false;
    const cause = this.devices.locate(generation, ddtpLow, deviceId);
    if (cause === none) this.faultsDisabled = this.device.faultsDisabled;
    return cause;
  }

  /** Translates `request`; caches may be used that were filled under `generation`. Answers a cause. */
  translate(generation: number, request: TranslationRequest): number {
    this.#begin(request);
    this.#firstStageWalks.begin(generation);
    this.#secondStageWalks.begin(generation);
    const ddtpLow = this.ddtpLow();
    const mode = modeOf(ddtpLow);
    if (mode === NO_DIRECTORY) return Cause.allInboundDisallowed;
    if (mode === BARE_DIRECTORY) {
      return request.type === untranslated ? this.#passThrough(request) : Cause.requestDisallowed;
    }
    const located = this.locateDevice(generation, ddtpLow, request.deviceId);
    if (located !== none) return located;
    if (!this.#isAllowed(request)) return Cause.requestDisallowed;
    if (request.type === translated) return this.#passThrough(request);
    const selected = this.#selectFirstStage(generation, request);
    return selected === none ? this.#walk(request) : selected;
  }

  #begin(request: TranslationRequest): void {
    this.faultsDisabled = false;
    this.guestPage = 0;
    this.guestOffset = 0;
    this.global = false;
    const access = this.#access;
    access.supervisor = request.privileged && request.pasid !== WITHOUT_PASID;
    access.supervisorMayUseUserPages = false;
    if (request.type === ats) {
      access.need = request.noWrite ? nothing : dirtyOnly;
      access.intent = request.execute && request.pasid !== WITHOUT_PASID ? Intent.execute : Intent.read;
    } else {
      access.need = needOf(request.access);
      access.intent = intentOf(request.access);
    }
  }

  /** The address is physical already. */
  #passThrough(request: TranslationRequest): number {
    this.ppn = pageOf(request);
    this.shift = this.#bareShift;
    this.firstLeaf = BARE_GRANT;
    this.secondLeaf = BARE_GRANT;
    return none;
  }

  /** Whether the device context admits this kind of request with this PASID. */
  #isAllowed(request: TranslationRequest): boolean {
    const device = this.device;
    if (request.type !== untranslated && !device.enAts) return false;
    if (request.pasid === WITHOUT_PASID) return true;
    return device.hasProcesses && request.pasid < PROCESS_LIMIT[device.fscMode]!;
  }

  /** Finds the first stage that the request goes through. Answers a cause. */
  #selectFirstStage(generation: number, request: TranslationRequest): number {
    const device = this.device;
    if (!device.hasProcesses) {
      this.#hasFirstStage = device.fscMode === sv39;
      this.#root = device.fscRoot;
      return none;
    }
    const processId = request.pasid === WITHOUT_PASID && device.defaultsToProcess0 ? 0 : request.pasid;
    this.#hasFirstStage = false;
    if (processId === WITHOUT_PASID || device.fscMode === bare) return none;
    return this.#selectProcess(generation, processId);
  }

  #selectProcess(generation: number, processId: number): number {
    const access = this.#access;
    const cause = this.processes.locate(generation, this.device, processId, access.intent);
    if (cause !== none) {
      const forbidden = cause === GuestPageFaults[access.intent];
      // The record names the entry itself; bit 0 says that a table was to be read.
      if (forbidden) this.#setGuestAddress(this.processes.guestPage, this.processes.guestOffset | 1);
      return cause;
    }
    const process = this.processes.context;
    if (access.supervisor && !process.allowsSupervisor) return Cause.requestDisallowed;
    access.supervisorMayUseUserPages = process.supervisorMayUseUserPages;
    this.#hasFirstStage = process.firstStage;
    this.#root = process.firstStageRoot;
    return none;
  }

  #setGuestAddress(page: number, offset: number): void {
    this.guestPage = page;
    this.guestOffset = offset;
  }

  /** Both stages of the address itself. Answers a cause. */
  #walk(request: TranslationRequest): number {
    if (!this.#hasFirstStage) {
      this.firstLeaf = BARE_GRANT;
      return this.#finish(request, pageOf(request), this.#bareShift);
    }
    const first = this.#firstStage;
    const { iovaHigh, iovaLow } = request;
    const cause = first.translate(this.device, this.#root, iovaHigh, iovaLow, this.#access);
    if (cause !== none) {
      if (cause === GuestPageFaults[this.#access.intent]) {
        this.#setGuestAddress(first.guestPage, first.guestOffset);
      }
      return cause;
    }
    this.firstLeaf = first.leaf;
    // Without a PASID an answer is never global.
    this.global = first.global && request.pasid !== WITHOUT_PASID;
    return this.#finish(request, first.page, first.shift);
  }

  /** The second stage of guest page `page`, for which the first stage's answer covers 2^`shift` bytes. */
  #finish(request: TranslationRequest, page: number, shift: number): number {
    const second = this.#secondStage;
    const { need, intent } = this.#access;
    const outcome = second.translate(this.device, page, need);
    if (outcome === pageFault) {
      this.#setGuestAddress(page, request.iovaLow & 0xffc);
      return GuestPageFaults[intent];
    }
    if (outcome !== done) return AccessFaults[intent];
    this.ppn = second.ppn;
    this.shift = Math.min(shift, second.shift);
    this.secondLeaf = second.leaf;
    return none;
  }
}

/** Page number of the request's address, all 52 bits of it. */
function pageOf(request: TranslationRequest): number {
  return request.iovaHigh * 0x10_0000 + (request.iovaLow >>> 12);
}

function needOf(access: number): number {
  if (access === Access.read) return Need.read;
  return access === Access.write ? Need.write : Need.execute;
}
