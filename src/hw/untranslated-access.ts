/**
 * The accesses of a device without a translation cache: each one asks the IOMMU with an untranslated request, page by
 * page. The IOMMU's own cache is what makes that fast.
 *
 * Two ways to ask. `find` asks that cache alone: what a device does by the way, such as looking whether it could write
 * in place, must leave no fault behind when the page is merely absent, and there is no request that asks without
 * accessing (that is what ATS is for). A page that the cache does not know is found by the access itself, `access`,
 * which faults, or stalls, as the device's fault model has it.
 */
import { assert } from '../base/assert.js';
import { PAGE_BYTES } from '../base/units.js';
import type { DmaAddress } from './device-model.js';
import type { Iommu } from './iommu/iommu.js';
import {
  Access,
  NO_STALL,
  newTranslationRequest,
  newTranslationResult,
  RequestType,
  Status,
} from './iommu/translation.js';
import type { PhysicalMemory } from './physical-memory.js';
import { permission } from './translation-cache.js';

/** `access`: the access is stalled. */
export const STALLED_ACCESS = -1;
/** Cause reported when a translation lies outside the machine's memory. */
export const OUTSIDE_MEMORY = 5;

export class UntranslatedAccess {
  readonly #memory: PhysicalMemory;
  readonly #iommu: Iommu;
  readonly #request = newTranslationRequest();
  readonly #result = newTranslationResult();

  /** Where the last access that `access` answered with 0 lands in physical memory. */
  physical = 0;

  constructor(memory: PhysicalMemory, iommu: Iommu, deviceId: number) {
    this.#memory = memory;
    this.#iommu = iommu;
    this.#request.type = RequestType.untranslated;
    this.#request.deviceId = deviceId;
  }

  /** Physical address of `address` if the IOMMU's cache grants `needed`, else -1. */
  find(pasid: number, address: number, needed: number): number {
    this.#fill(pasid, address, needed);
    if (!this.#iommu.lookUp(this.#request, this.#result)) return -1;
    return this.#place() ? this.physical : -1;
  }

  /**
   * Asks for an access that is made if it is granted: 0 and `physical`, STALLED_ACCESS, or the cause of its fault.
   * `stallTag` is what it is called if it may be stalled, or `NO_STALL`.
   */
  access(pasid: number, address: DmaAddress, needed: number, stallTag = NO_STALL): number {
    this.#fill(pasid, address, needed);
    const result = this.#result;
    this.#request.stallTag = stallTag;
    this.#iommu.translate(this.#request, result);
    if (result.stalled) return STALLED_ACCESS;
    if (result.status !== Status.success) {
      assert(result.cause > 0, 'an access that is refused has a cause');
      return result.cause;
    }
    return this.#place() ? 0 : OUTSIDE_MEMORY;
  }

  #fill(pasid: number, address: DmaAddress, needed: number): void {
    const request = this.#request;
    const wide = typeof address === 'bigint';
    request.pasid = pasid;
    request.access = (needed & permission.WRITE) === 0 ? Access.read : Access.write;
    request.iovaHigh = wide ? Number(address >> 32n) : Math.floor(address / 0x1_0000_0000);
    request.iovaLow = wide ? Number(address & 0xffff_ffffn) : address >>> 0;
  }

  /** Notes where the granted access lands; false when that page is not in memory. */
  #place(): boolean {
    const page = this.#result.ppn * PAGE_BYTES;
    this.physical = page + this.#result.pageOffset;
    return page + PAGE_BYTES <= this.#memory.bytes;
  }
}
