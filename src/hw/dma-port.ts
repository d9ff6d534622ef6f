/**
 * A device's only way to memory. Every access names an address space (a PASID, or none for the rings) and a
 * virtual address. A model never sees a physical address.
 *
 * What is on the way depends on the fault model. With page requests the port translates through its ATC, asks the
 * IOMMU on a miss (ATS), and on missing permission sends a page request and waits until the kernel has answered. With
 * stall and none every access is an untranslated request, and the IOMMU keeps or ends what it may not do.
 *
 * Invalidation: the kernel side counts its requests in a shared word. The port flushes its ATC before the first
 * translation after a request, and acknowledges only in `acknowledge`, which the engine calls between steps, when
 * no view of memory is open. What is in docs/memory-model.md under "invalidation" holds for both hosts.
 */
import { limits } from '../base/limits.js';
import { PAGE_BYTES } from '../base/units.js';
import type { DmaAddress } from './device-model.js';
import type { FaultModel } from './fault-model.js';
import { INSTANCE_WORDS, instanceWord } from './instance-words.js';
import type { Iommu } from './iommu/iommu.js';
import {
  Access,
  NO_PASID,
  NO_STALL,
  newTranslationRequest,
  newTranslationResult,
  RequestType,
  Status,
} from './iommu/translation.js';
import { PageResponses } from './page-responses.js';
import type { PhysicalMemory } from './physical-memory.js';
import { CACHED_ADDRESS_END, permission, TranslationCache } from './translation-cache.js';
import type { TranslationCheck } from './translation-check.js';
import { OUTSIDE_MEMORY, STALLED_ACCESS, UntranslatedAccess } from './untranslated-access.js';

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
  /** Checking mode: judges each answer of the ATC. */
  readonly check?: TranslationCheck | null;
  /** What the device context of the device says as well; `pageRequests` unless given. */
  readonly faultModel?: FaultModel;
}

/** A part of a request's access, from a byte to be reached now on. */
export interface PortAccess {
  readonly pasid: number;
  readonly address: number;
  /** What of the access is left: its pages are asked for together where the device can. */
  readonly bytes: number;
  /** Bits of `permission`. */
  readonly needed: number;
}

/** What became of an access that was begun. */
export type Attempt =
  /** The page of `address` can be accessed, until the next yield. */
  | { readonly kind: 'granted'; readonly physical: number }
  /** The response under `index` is to be awaited, taken or abandoned (`DmaPort.responses`). */
  | { readonly kind: 'awaits'; readonly index: number }
  /** It ended; 0 when there is no cause of the specification. */
  | { readonly kind: 'faulted'; readonly cause: number };

export class DmaPort {
  readonly memory: PhysicalMemory;
  readonly cache = new TranslationCache(limits.ATC_ENTRIES);
  /** Responses to page requests and stalled accesses. */
  readonly responses: PageResponses;
  /** Null for a device that uses ATS. */
  readonly #untranslated: UntranslatedAccess | null;
  readonly #stalls: boolean;
  /** Addresses below are looked up in the ATC; 0 for a device without one. */
  readonly #cachedEnd: number;
  readonly #iommu: Iommu;
  readonly #deviceId: number;
  readonly #words: Int32Array;
  /** Where in the words the kernel side counts its requests, and this port its answers. */
  readonly #requestedAt: number;
  readonly #acknowledgedAt: number;
  readonly #acknowledged: () => void;
  readonly #check: TranslationCheck | null;
  readonly #request = newTranslationRequest();
  readonly #result = newTranslationResult();
  /** Invalidations that the ATC already reflects. */
  #applied = 0;
  #acknowledgedCount = 0;

  constructor(options: DmaPortOptions) {
    const {
      memory,
      iommu,
      deviceId,
      words,
      acknowledged,
      check = null,
      faultModel = 'pageRequests',
    } = options;
    const usesAts = faultModel === 'pageRequests';
    this.#check = check;
    this.memory = memory;
    this.responses = new PageResponses(words, deviceId);
    this.#untranslated = usesAts ? null : new UntranslatedAccess(memory, iommu, deviceId);
    this.#stalls = faultModel === 'stall';
    this.#cachedEnd = usesAts ? CACHED_ADDRESS_END : 0;
    this.#iommu = iommu;
    this.#deviceId = deviceId;
    this.#words = words;
    this.#requestedAt = deviceId * INSTANCE_WORDS + instanceWord.INVALIDATIONS_REQUESTED;
    this.#acknowledgedAt = deviceId * INSTANCE_WORDS + instanceWord.INVALIDATIONS_ACKNOWLEDGED;
    this.#acknowledged = acknowledged;
    this.#applied = Atomics.load(words, this.#requestedAt);
    this.#acknowledgedCount = Atomics.load(words, this.#acknowledgedAt);
  }

  /**
   * Physical address of `address` if a cache, or an ATS request now, grants `needed`; -1 otherwise. Sends no page
   * request, never waits, and leaves no fault behind for a page of a process that is merely absent.
   */
  translate(pasid: number, address: number, needed: number): number {
    const requested = Atomics.load(this.#words, this.#requestedAt);
    if (requested !== this.#applied) this.#applyInvalidations(requested);
    if (address < this.#cachedEnd) {
      const hit = this.cache.find(pasid, address, needed);
      if (hit >= 0) {
        if (this.#check !== null) this.#checkHit(pasid, address, needed, hit);
        return hit;
      }
    }
    return this.#translateUncached(pasid, address, needed);
  }

  /** `translate` where the ATC does not know: apart from it, so that the path of a hit is short enough to be inlined. */
  #translateUncached(pasid: number, address: number, needed: number): number {
    const untranslated = this.#untranslated;
    if (untranslated !== null) return translateUntranslated(untranslated, pasid, address, needed);
    return this.#ask(pasid, address, needed) === 0 ? this.#grantedAddress(address) : -1;
  }

  /**
   * Acknowledges every invalidation requested so far. Called between steps only, with no view open: what was
   * translated before is not used afterwards.
   */
  acknowledge(): void {
    const requested = Atomics.load(this.#words, this.#requestedAt);
    if (requested === this.#acknowledgedCount) return;
    this.#applyInvalidations(requested);
    this.#acknowledgedCount = requested;
    Atomics.store(this.#words, this.#acknowledgedAt, requested);
    this.#acknowledged();
  }

  /** Cause of an access to an address that no table can map and that no response helps; 0 if there is none. */
  causeAt(pasid: number, address: DmaAddress, needed: number): number {
    if (pasid === 0) return PASID_REFUSED;
    const untranslated = this.#untranslated;
    return Math.max(0, untranslated?.access(pasid, address, needed) ?? this.#ask(pasid, address, needed));
  }

  /** Begins an access that `translate` did not grant. After a response with code 0 it may be begun again. */
  attempt(access: PortAccess): Attempt {
    if (access.pasid === 0) return { kind: 'faulted', cause: PASID_REFUSED };
    if (this.#untranslated === null) return this.#attemptTranslated(access);
    return this.#attemptUntranslated(this.#untranslated, access);
  }

  #attemptUntranslated(untranslated: UntranslatedAccess, { pasid, address, needed }: PortAccess): Attempt {
    // The response may come before the IOMMU's answer has been looked at, so its index is taken first. Without one the
    // access is made all the same, and a fault ends it.
    const index = this.#stalls ? this.responses.take() : NO_STALL;
    const cause = untranslated.access(pasid, address, needed, index);
    if (cause === STALLED_ACCESS) return { kind: 'awaits', index };
    if (index !== NO_STALL) this.responses.give(index);
    return cause === 0 ? { kind: 'granted', physical: untranslated.physical } : { kind: 'faulted', cause };
  }

  #attemptTranslated(access: PortAccess): Attempt {
    const { pasid, address, needed } = access;
    const cause = this.#ask(pasid, address, needed);
    if (cause === 0) return { kind: 'granted', physical: this.#grantedAddress(address) };
    if (cause !== NOT_PRESENT) return { kind: 'faulted', cause };
    const index = this.#requestPages(access);
    return index < 0 ? { kind: 'faulted', cause: 0 } : { kind: 'awaits', index };
  }

  /** Asks for the pages of the access that lack permission, as one group; its index, or -1 when none is free. */
  #requestPages(access: PortAccess): number {
    const group = this.responses.take();
    if (group < 0) return -1;
    const missing = this.#missingPages(access);
    for (const [index, page] of missing.entries()) {
      const last = index === missing.length - 1;
      const code = this.#sendPageRequest(page, access, { prgi: group, last });
      if (code !== null) this.responses.answer(group, code);
    }
    return group;
  }

  #checkHit(pasid: number, address: number, needed: number, physical: number): void {
    const request = this.#request;
    const result = this.#result;
    request.type = RequestType.untranslated;
    request.deviceId = this.#deviceId;
    request.pasid = pasid;
    request.access = (needed & permission.WRITE) === 0 ? Access.read : Access.write;
    request.iovaHigh = Math.floor(address / 0x1_0000_0000);
    request.iovaLow = address >>> 0;
    result.status = Status.success;
    result.ppn = Math.floor(physical / PAGE_BYTES);
    result.pageOffset = physical % PAGE_BYTES;
    this.#check?.('ATC', request, result);
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

  #missingPages({ pasid, address, bytes, needed }: PortAccess): number[] {
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

  /** The code of the automatic response; null when there is none, because the member was queued or is not the last. */
  #sendPageRequest(
    page: number,
    { pasid, needed }: PortAccess,
    { prgi, last }: { prgi: number; last: boolean },
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

/** `translate` for a device without an ATC. A ring entry is always mapped: where it is not, the fault is to be seen. */
function translateUntranslated(
  access: UntranslatedAccess,
  pasid: number,
  address: number,
  needed: number,
): number {
  if (pasid !== NO_PASID) return pasid === 0 ? -1 : access.find(pasid, address, needed);
  return access.access(pasid, address, needed) === 0 ? access.physical : -1;
}

/** In place of a cause: no permission yet; a page request may bring it. */
const NOT_PRESENT = -1;
const UNKNOWN_CAUSE = 260;
/** Cause of an access that names no address space of its own: "transaction type disallowed". */
export const PASID_REFUSED = 260;
