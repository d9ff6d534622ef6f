/**
 * The IOMMU: a subset of the ratified RISC-V IOMMU specification 1.0 with two stages, PASIDs, ATS and page
 * requests. SPEC.md says which part.
 *
 * Several `Iommu` objects, one per thread, share one register file and one memory; each has caches of its own.
 * Engine threads call `translate` and `pageRequest`. Only the kernel thread writes registers and executes
 * commands. An invalidation command changes the shared generation, which each look-up compares with the one that
 * its entry was filled under; that generation is read before the walk, so an entry from tables that changed during
 * the walk is dead on arrival.
 */
import { assert } from '../../base/assert.js';
import { limits } from '../../base/limits.js';
import type { MemoryView } from '../memory-view.js';
import type { TranslationCheck } from '../translation-check.js';
import { answerTo, Cause, isPageFault, isRecorded, STALLED } from './causes.js';
import { CommandQueue } from './command-queue.js';
import { FaultQueue, transactionOf } from './fault-queue.js';
import { answeredPage, answerGrant, answerNothing, grantOf, isFinal } from './grant.js';
import type { CacheCounters, InspectedCache } from './inspected-cache.js';
import { Iotlb } from './iotlb.js';
import { PageRequestQueue } from './page-request-queue.js';
import { RegisterWrites } from './register-writes.js';
import { type IommuRegisterFile, REGISTERS } from './registers.js';
import { addStallExtension } from './stall-extension.js';
import {
  type IommuMessage,
  NO_STALL,
  type PageRequest,
  type PageRequestOutcome,
  RequestType,
  type TranslationRequest,
  type TranslationResult,
} from './translation.js';
import { Translator } from './translator.js';

/** What an IOMMU is made of. */
export interface IommuOptions {
  readonly memory: MemoryView;
  readonly registers: IommuRegisterFile;
  /** At least 1, different for each `Iommu` on the register file: names the thread in the append lock. */
  readonly lockHolder: number;
  /** Sends a message to a device. May call `invalidationCompleted` before it returns. */
  readonly sendMessage: (message: IommuMessage) => void;
  /** A bit of ipsr became set. Called on the thread that set it, without a lock. */
  readonly interrupt: () => void;
  /** Range that a Bare stage contributes to an ATS answer, a power of two; 1 GiB unless said otherwise. */
  readonly barePageBytes?: number;
  /** Entries of the translation cache, a power of two; 0 for no cache; `limits.IOTLB_ENTRIES` unless said otherwise. */
  readonly cacheEntries?: number;
  /**
   * Entries of each directory cache, a power of two or 0; `limits.IOMMU_DIRECTORY_ENTRIES`, or `cacheEntries` if that
   * is less.
   */
  readonly directoryEntries?: number;
  /**
   * Entries of the walk cache of each stage, a power of two or 0; `limits.IOMMU_WALK_ENTRIES`, or `cacheEntries` if that
   * is less.
   */
  readonly walkEntries?: number;
  /** Checking mode: judges each answer of the translation cache. */
  readonly check?: TranslationCheck | null;
  /**
   * Adds the stall extension (SPEC.md), here and for every other `Iommu` on the register file; absent unless one of
   * them asks for it before the first translation.
   */
  readonly stall?: boolean;
  /**
   * A fence for reads or writes also waits until untranslated accesses under way have ended: it sends one
   * `drainRequest`, to be answered by `invalidationCompleted`. For machines with devices that use no ATS; default no.
   */
  readonly drainsUntranslated?: boolean;
}

const DEFAULT_BARE_PAGE_BYTES = 2 ** 30;

/** A cache of the IOMMU, as an inspection names it. */
export type IommuCacheName = 'IOTLB' | 'walk cache' | 'device directory' | 'process directory';

/** Look-ups and drops of one thread's caches since it was made, as they are now. */
export interface IommuCacheCounters {
  /** Requests answered without a walk, and others. */
  readonly iotlb: Readonly<CacheCounters>;
  /** Walks of either stage that began below the root, and others. */
  readonly walk: Readonly<CacheCounters>;
  readonly deviceDirectory: Readonly<CacheCounters>;
  readonly processDirectory: Readonly<CacheCounters>;
}

/** One thread's IOMMU. */
export class Iommu {
  readonly #registers: IommuRegisterFile;
  readonly #translator: Translator;
  readonly #iotlb: Iotlb;
  readonly #faults: FaultQueue;
  readonly #pageRequests: PageRequestQueue;
  readonly #commands: CommandQueue;
  readonly #registerWrites: RegisterWrites;
  readonly #check: TranslationCheck | null;

  constructor(options: IommuOptions) {
    const { memory, registers, lockHolder, interrupt, sendMessage } = options;
    const cacheEntries = options.cacheEntries ?? limits.IOTLB_ENTRIES;
    const directorySlots = options.directoryEntries ?? Math.min(cacheEntries, limits.IOMMU_DIRECTORY_ENTRIES);
    const walkEntries = options.walkEntries ?? Math.min(cacheEntries, limits.IOMMU_WALK_ENTRIES);
    assert(lockHolder >= 1, `a lock holder has a number of at least 1, not ${lockHolder}`);
    assertPowerOfTwoOrZero(cacheEntries);
    assertPowerOfTwoOrZero(directorySlots);
    assertPowerOfTwoOrZero(walkEntries);
    const bareShift = bareShiftOf(options.barePageBytes ?? DEFAULT_BARE_PAGE_BYTES);
    const raise = (pending: number): void => {
      if ((registers.setBits(REGISTERS.ipsr.at, pending) & pending) === 0) interrupt();
    };
    const parts = { memory, registers, lockHolder, raise };
    const drainsUntranslated = options.drainsUntranslated ?? false;
    if (options.stall === true) addStallExtension(registers);
    this.#registers = registers;
    this.#check = options.check ?? null;
    this.#translator = new Translator({ memory, registers, bareShift, directorySlots, walkEntries });
    this.#iotlb = new Iotlb(cacheEntries);
    this.#faults = new FaultQueue(parts);
    const translator = this.#translator;
    this.#pageRequests = new PageRequestQueue({ ...parts, translator, faults: this.#faults });
    this.#commands = new CommandQueue({ memory, registers, sendMessage, raise, drainsUntranslated });
    this.#registerWrites = new RegisterWrites(parts);
  }

  /** Look-ups and drops of this thread's caches. */
  get cacheCounters(): IommuCacheCounters {
    const { walks, devices, processes } = this.#translator;
    return {
      iotlb: this.#iotlb.counters,
      walk: walks.counters,
      deviceDirectory: devices.counters,
      processDirectory: processes.counters,
    };
  }

  /**
   * Which of this thread's caches name physical page `ppn` in an entry that is alive under `generation`, the one in
   * force unless given: as what it translates to, as a table, or as the root of one. Empty when the page may be freed
   * as far as this thread goes. Looks at every entry: for tests and debuggers.
   */
  cachesFrame(ppn: number, generation = this.#registers.generation()): IommuCacheName[] {
    const { walks, devices, processes } = this.#translator;
    const caches: readonly [IommuCacheName, InspectedCache][] = [
      ['IOTLB', this.#iotlb],
      ['walk cache', walks],
      ['device directory', devices],
      ['process directory', processes],
    ];
    return caches.filter(([, cache]) => cache.namesPage(generation, ppn)).map(([name]) => name);
  }

  /** Translates `request` and overwrites `result` with the answer. Allocates nothing unless it faults. */
  translate(request: TranslationRequest, result: TranslationResult): void {
    const generation = this.#registers.generation();
    result.stalled = false;
    if (request.type !== RequestType.translated && this.#answerFromCache(generation, request, result)) return;
    const cause = this.#translator.translate(generation, request);
    if (cause === Cause.none) this.#succeed(generation, request, result);
    else this.#fail(request, result, cause);
  }

  /**
   * Answers `request`, an untranslated or ATS request, as `translate` does if that takes no walk; otherwise false, and
   * nothing was recorded, stalled or marked. For a device that wants to know what it could do at once.
   */
  lookUp(request: TranslationRequest, result: TranslationResult): boolean {
    result.stalled = false;
    return this.#answerFromCache(this.#registers.generation(), request, result);
  }

  #answerFromCache(generation: number, request: TranslationRequest, result: TranslationResult): boolean {
    const known = this.#iotlb.lookUp(generation, request);
    if (known === 0) return false;
    answerGrant(request, result, this.#iotlb.ppn, known);
    this.#check?.('IOTLB', request, result);
    return true;
  }

  #succeed(generation: number, request: TranslationRequest, result: TranslationResult): void {
    const translator = this.#translator;
    const ppn = answeredPage(request, translator);
    const grant = grantOf(request, translator);
    if (request.type !== RequestType.translated && isFinal(request, translator)) {
      this.#iotlb.fill(generation, request, ppn, grant);
    }
    answerGrant(request, result, ppn, grant);
    // A walk may have begun in the middle, with a table that a cache knew.
    if (request.type !== RequestType.translated) this.#check?.('IOTLB', request, result);
  }

  #fail(request: TranslationRequest, result: TranslationResult, cause: number): void {
    const status = answerTo(request.type, cause);
    answerNothing(result, status);
    result.cause = cause;
    const stalls = this.#stalls(request, cause);
    // DTF silences what has ended. A stalled access goes on only when software has heard of it.
    if (!stalls && !isRecorded(cause, status, this.#translator.faultsDisabled)) return;
    result.recorded = this.#faults.report({
      cause: stalls ? STALLED + cause : cause,
      transaction: transactionOf(request),
      deviceId: request.deviceId,
      pasid: request.pasid,
      privileged: request.privileged,
      addressHigh: request.iovaHigh,
      addressLow: request.iovaLow,
      guestPage: this.#translator.guestPage,
      guestOffset: this.#translator.guestOffset,
      stallTag: stalls ? request.stallTag : NO_STALL,
    });
    result.stalled = stalls && result.recorded;
  }

  /** Whether `request`, which ends with `cause`, is to wait for software instead. */
  #stalls({ type, stallTag }: TranslationRequest, cause: number): boolean {
    if (stallTag === NO_STALL || type !== RequestType.untranslated) return false;
    return isPageFault(cause) && this.#translator.device.stalls;
  }

  /** Takes a page request of a device: queues it for software, or answers it. */
  pageRequest(request: PageRequest): PageRequestOutcome {
    return this.#pageRequests.take(request);
  }

  /** A register as software reads it. */
  readRegister(offset: number): number {
    return this.#registers.read32(offset);
  }

  /** Writes a register as software does, with all side effects. Kernel thread only. */
  writeRegister(offset: number, value: number): void {
    this.#registerWrites.write(offset, value);
    const { cqt, cqcsr } = REGISTERS;
    if (offset === cqt.at || offset === cqcsr.at) this.#commands.run();
  }

  /** Executes commands until the queue stops. Kernel thread only; `writeRegister` calls it by itself. */
  runCommands(): void {
    this.#commands.run();
  }

  /** The device finished the invalidation that carried `id`; the command queue runs on. Kernel thread only. */
  invalidationCompleted(id: number): void {
    this.#commands.invalidationCompleted(id);
  }
}

function assertPowerOfTwoOrZero(entries: number): void {
  assert(Number.isInteger(entries) && entries >= 0, `a cache has a whole number of entries, not ${entries}`);
  assert((entries & (entries - 1)) === 0, `a cache has a power of two of entries, not ${entries}`);
}

function bareShiftOf(bytes: number): number {
  const shift = Math.log2(bytes);
  assert(
    Number.isInteger(shift) && shift >= 12,
    `a Bare range is a power of two of pages, not ${bytes} bytes`,
  );
  return shift;
}
