/**
 * A device's only way to memory. Every access names an address space (a PASID, or none for the rings) and a
 * virtual address; the port translates through its ATC, asks the IOMMU on a miss (ATS), and on missing permission
 * sends a page request and yields until the kernel has answered. A model never sees a physical address.
 *
 * Invalidation: the kernel side counts its requests in a shared word. The port flushes its ATC before the first
 * translation after a request, and acknowledges only in `acknowledge`, which the engine calls between steps, when
 * no view of memory is open. What is in docs/memory-model.md under "invalidation" holds for both hosts.
 */
import { limits } from '../base/limits.js';
import { PAGE_BYTES } from '../base/units.js';
import type { DmaAddress } from './device-model.js';
import { INSTANCE_WORDS, instanceWord, PAGE_REQUEST_GROUPS } from './instance-words.js';
import type { Iommu } from './iommu/iommu.js';
import { newTranslationRequest, newTranslationResult, RequestType } from './iommu/translation.js';
import type { PhysicalMemory } from './physical-memory.js';
import { CACHED_ADDRESS_END, permission, TranslationCache } from './translation-cache.js';

/** Yielded while a page response is awaited; other yields are virtual nanoseconds. */
export const AWAITING_PAGE = -1;

export interface DmaPortOptions {
  readonly memory: PhysicalMemory;
  readonly iommu: Iommu;
  readonly deviceId: number;
  /** The shared words of all instances; this one's block is chosen by the device id. */
  readonly words: Int32Array;
  /** Tells the kernel side that an invalidation was acknowledged. */
  readonly acknowledged: () => void;
}

export class DmaPort {
  readonly memory: PhysicalMemory;
  readonly cache = new TranslationCache(limits.ATC_ENTRIES);
  readonly #iommu: Iommu;
  readonly #deviceId: number;
  readonly #words: Int32Array;
  readonly #block: number;
  readonly #acknowledged: () => void;
  readonly #request = newTranslationRequest();
  readonly #result = newTranslationResult();
  /** Invalidations that the ATC already reflects. */
  #applied = 0;
  #acknowledgedCount = 0;
  #nextGroup = 0;
  /** Per group: free, waited for, or abandoned by a request that ended before its response came. */
  readonly #groupState = new Uint8Array(PAGE_REQUEST_GROUPS);

  constructor({ memory, iommu, deviceId, words, acknowledged }: DmaPortOptions) {
    this.memory = memory;
    this.#iommu = iommu;
    this.#deviceId = deviceId;
    this.#words = words;
    this.#block = deviceId * INSTANCE_WORDS;
    this.#acknowledged = acknowledged;
    this.#applied = Atomics.load(words, this.#block + instanceWord.INVALIDATIONS_REQUESTED);
    this.#acknowledgedCount = Atomics.load(words, this.#block + instanceWord.INVALIDATIONS_ACKNOWLEDGED);
  }

  /**
   * Physical address of `address` if the cache, or an ATS request now, grants `needed`; -1 otherwise. Sends no
   * page request and never waits.
   */
  translate(pasid: number, address: number, needed: number): number {
    const requested = Atomics.load(this.#words, this.#block + instanceWord.INVALIDATIONS_REQUESTED);
    if (requested !== this.#applied) this.#applyInvalidations(requested);
    if (address < CACHED_ADDRESS_END) {
      const hit = this.cache.find(pasid, address, needed);
      if (hit >= 0) return hit;
    }
    return this.#ask(pasid, address, needed) === 0 ? this.#grantedAddress(address) : -1;
  }

  /**
   * Acknowledges every invalidation requested so far. Called between steps only, with no view open: what was
   * translated before is not used afterwards.
   */
  acknowledge(): void {
    const requested = Atomics.load(this.#words, this.#block + instanceWord.INVALIDATIONS_REQUESTED);
    if (requested === this.#acknowledgedCount) return;
    this.#applyInvalidations(requested);
    this.#acknowledgedCount = requested;
    Atomics.store(this.#words, this.#block + instanceWord.INVALIDATIONS_ACKNOWLEDGED, requested);
    this.#acknowledged();
  }

  /** Whether the response of `group` has arrived. */
  responseArrived(group: number): boolean {
    return Atomics.load(this.#words, this.#block + instanceWord.PAGE_RESPONSES + group) !== 0;
  }

  /**
   * Why `address` cannot be accessed now: 0 if it can, a fault cause if it never will, or NOT_PRESENT when a page
   * request may help.
   */
  probe(pasid: number, address: DmaAddress, needed: number): number {
    return this.#ask(pasid, address, needed);
  }

  /** Asks for the pages of [address, +bytes) that lack `needed`, as one group; its index, or -1 when none is free. */
  requestPages(pasid: number, address: number, bytes: number, needed: number): number {
    const group = this.#takeGroup();
    if (group < 0) return -1;
    const missing = this.#missingPages(pasid, address, bytes, needed);
    for (const [index, page] of missing.entries()) {
      const last = index === missing.length - 1;
      const outcome = this.#sendPageRequest(pasid, page, { prgi: group, last, needed });
      if (outcome !== null) Atomics.store(this.#words, this.#responseWord(group), outcome + 1);
    }
    return group;
  }

  /** Takes the response code of a group whose response has arrived, and frees its index. */
  takeResponse(group: number): number {
    const code = Atomics.exchange(this.#words, this.#responseWord(group), 0) - 1;
    this.#groupState[group] = groupState.FREE;
    return code;
  }

  /** Nobody waits for `group` any more; its index is used again after its response has come. */
  abandonGroup(group: number): void {
    this.#groupState[group] = groupState.ABANDONED;
  }

  #responseWord(group: number): number {
    return this.#block + instanceWord.PAGE_RESPONSES + group;
  }

  #applyInvalidations(requested: number): void {
    this.cache.flush();
    this.#applied = requested;
  }

  /** One ATS request: 0 = granted and cached, NOT_PRESENT, or the cause of an error answer. */
  #ask(pasid: number, address: DmaAddress, needed: number): number {
    // Process 0 is the address space of the rings. The IOMMU would translate for it; a request may not.
    if (pasid === 0) return PASID_REFUSED;
    const request = this.#request;
    const wide = typeof address === 'bigint';
    request.type = RequestType.ats;
    request.deviceId = this.#deviceId;
    request.pasid = pasid;
    request.noWrite = (needed & permission.WRITE) === 0;
    request.iovaHigh = wide ? Number(address >> 32n) : Math.floor(address / 0x1_0000_0000);
    request.iovaLow = wide ? Number(address & 0xffff_ffffn) : address >>> 0;
    const result = this.#result;
    this.#iommu.translate(request, result);
    if (result.status !== 0) return result.cause === 0 ? UNKNOWN_CAUSE : result.cause;
    const granted = (result.r ? permission.READ : 0) | (result.w ? permission.WRITE : 0);
    if ((granted & needed) !== needed) return NOT_PRESENT;
    const physical = result.ppn * PAGE_BYTES;
    if (physical + result.rangeBytes > this.memory.bytes) return OUTSIDE_MEMORY;
    if (!wide && address < CACHED_ADDRESS_END) {
      this.cache.fill(pasid, address, { bytes: result.rangeBytes, physical, permissions: granted });
    }
    return 0;
  }

  /** Physical address inside the range just granted. */
  #grantedAddress(address: number): number {
    const { ppn, rangeBytes } = this.#result;
    return ppn * PAGE_BYTES + (address % rangeBytes);
  }

  #takeGroup(): number {
    for (let tried = 0; tried < PAGE_REQUEST_GROUPS; tried++) {
      const group = this.#nextGroup;
      this.#nextGroup = (group + 1) % PAGE_REQUEST_GROUPS;
      if (this.#groupState[group] === groupState.ABANDONED && this.responseArrived(group))
        this.takeResponse(group);
      if (this.#groupState[group] === groupState.FREE) {
        this.#groupState[group] = groupState.WAITED_FOR;
        // An answer to the group's former life must not be taken for one to this.
        Atomics.store(this.#words, this.#responseWord(group), 0);
        return group;
      }
    }
    return -1;
  }

  #missingPages(pasid: number, address: number, bytes: number, needed: number): number[] {
    const missing: number[] = [];
    const end = address + bytes;
    let page = address - (address % PAGE_BYTES);
    while (page < end && missing.length < limits.PAGES_PER_REQUEST_GROUP) {
      if (this.#ask(pasid, page, needed) === NOT_PRESENT) missing.push(page);
      page += PAGE_BYTES;
    }
    // The page may have come meanwhile: ask for one all the same, so that the group ends.
    return missing.length > 0 ? missing : [address - (address % PAGE_BYTES)];
  }

  /** Null when queued; otherwise the code of the automatic response. */
  #sendPageRequest(
    pasid: number,
    page: number,
    { prgi, last, needed }: { prgi: number; last: boolean; needed: number },
  ): number | null {
    const bits = (prgi << 3) | (last ? 4 : 0) | (needed & permission.WRITE ? 2 : 0) | 1;
    const outcome = this.#iommu.pageRequest({
      rid: this.#deviceId,
      dsv: false,
      dseg: 0,
      pasid,
      privileged: false,
      execute: false,
      payloadHigh: Math.floor(page / 0x1_0000_0000),
      payloadLow: ((page >>> 0) | bits) >>> 0,
    });
    return outcome.response === null ? null : outcome.response.code;
  }
}

const groupState = { FREE: 0, WAITED_FOR: 1, ABANDONED: 2 } as const;
/** `probe`: no permission yet; a page request may bring it. */
export const NOT_PRESENT = -1;
/** Cause reported when a translation lies outside the machine's memory. */
const OUTSIDE_MEMORY = 5;
const UNKNOWN_CAUSE = 260;
/** Cause of an access that names no address space of its own: "transaction type disallowed". */
export const PASID_REFUSED = 260;
