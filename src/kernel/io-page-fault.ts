/**
 * IO page faults: page requests of devices, resolved in the address space that their PASID names.
 *
 * Each page is resolved when its request arrives; the group is answered when its last member has, with the worst of
 * its results, exactly once. A group is in one table at any time and leaves it with its answer (hazard S13). After
 * an overflow of the queue incomplete groups are void: the IOMMU has answered them (S22).
 */
import { limits } from '../base/limits.js';
import type { IommuControl, PageRequestReceiver, PageRequestRecord } from '../hw/iommu-driver/control.js';
import type { AddressSpace } from './address-space.js';
import type { KernelCounters } from './counters.js';

/** Response codes of PCI Express PRI; a larger one is the worse result. */
const response = { SUCCESS: 0, INVALID: 1, FAILURE: 15 } as const;

interface Group {
  pages: number;
  worst: number;
}

export interface IoPageFaultOptions {
  readonly iommu: IommuControl;
  readonly counters: KernelCounters;
  /** The address space that a PASID names on a device now, or null. */
  readonly find: (deviceId: number, pasid: number) => AddressSpace | null;
}

export class IoPageFaults implements PageRequestReceiver {
  readonly #options: IoPageFaultOptions;
  /** Incomplete groups: by device and PASID, then by group index. */
  readonly #groups = new Map<number, Map<number, Group>>();

  constructor(options: IoPageFaultOptions) {
    this.#options = options;
    options.iommu.onPageRequests(this);
  }

  /** Incomplete groups now. */
  get openGroups(): number {
    let count = 0;
    for (const groups of this.#groups.values()) count += groups.size;
    return count;
  }

  pageRequested(request: PageRequestRecord): void {
    // A stop marker: the device has stopped using the PASID. It asks for nothing and gets no answer.
    if (request.last && !request.read && !request.write) return;
    this.#options.counters.add('pageRequests');
    const { deviceId, pasid, prgi } = request;
    const space = pasid < 0 ? null : this.#options.find(deviceId, pasid);
    if (space === null) {
      if (request.last) this.#options.iommu.respond({ deviceId, pasid, prgi, code: response.INVALID });
      return;
    }
    this.#addToGroup(space, request);
  }

  requestsLost(): void {
    this.#groups.clear();
  }

  /** Forgets the incomplete groups of a PASID that has ended. */
  forget(deviceId: number, pasid: number): void {
    this.#groups.delete(keyOf(deviceId, pasid));
  }

  #addToGroup(space: AddressSpace, request: PageRequestRecord): void {
    const { deviceId, pasid, prgi } = request;
    const groups = this.#groupsOf(deviceId, pasid);
    const group = groups.get(prgi) ?? { pages: 0, worst: response.SUCCESS };
    group.worst = Math.max(group.worst, this.#serve(space, request, groups));
    group.pages += 1;
    if (!request.last) {
      groups.set(prgi, group);
      return;
    }
    groups.delete(prgi);
    if (groups.size === 0) this.forget(deviceId, pasid);
    this.#options.iommu.respond({ deviceId, pasid, prgi, code: group.worst });
  }

  /** Code of one request. Beyond the bound nothing is resolved: the group will be refused. */
  #serve(space: AddressSpace, request: PageRequestRecord, groups: Map<number, Group>): number {
    if (space.quiet) return response.FAILURE;
    let waiting = 0;
    for (const group of groups.values()) waiting += group.pages;
    if (waiting >= limits.PAGE_REQUESTS_PER_PASID) return response.INVALID;
    const access = request.execute ? 'execute' : request.write ? 'write' : 'read';
    return space.handleFault(request.va, access) === 'resolved' ? response.SUCCESS : response.INVALID;
  }

  #groupsOf(deviceId: number, pasid: number): Map<number, Group> {
    const key = keyOf(deviceId, pasid);
    const known = this.#groups.get(key);
    if (known !== undefined) return known;
    const fresh = new Map<number, Group>();
    this.#groups.set(key, fresh);
    return fresh;
  }
}

function keyOf(deviceId: number, pasid: number): number {
  return deviceId * 2 ** 20 + pasid;
}
