/**
 * What software asks of the IOMMU, as an interface: the kernel binds address spaces and invalidates through it, the
 * framework replaces device contexts. `IommuDriver` implements it on the register file; a test may bring its own.
 *
 * Nothing here blocks. A `done` is called exactly once, at once or later, and dones of one IOMMU are called in the
 * order in which they were asked for.
 */
import type { FaultModel } from '../fault-model.js';
import type { TableMemory } from '../page-table.js';
import type { ProcessDirectory } from './process-directory.js';

/** A second stage: the Sv39x4 root (16 KiB, aligned) as a physical address, and the domain's GSCID. */
export interface SecondStage {
  readonly root: number;
  readonly gscid: number;
}

/** What a device context says. Hardware updates of A and D are always on, and a missing PASID is process 0. */
export interface DeviceContextContents {
  /** Null = Bare: guest-physical addresses are physical. */
  readonly secondStage: SecondStage | null;
  /** Guest-physical address of the process directory's root (PD20). */
  readonly processDirectory: number;
  /** Which requests the device may send, and whether its page faults stall: EN_ATS, EN_PRI and STALL. */
  readonly faultModel: FaultModel;
}

/** A device that uses an address space, and under which PASID; -1 = without one. */
export interface BoundDevice {
  readonly deviceId: number;
  readonly pasid: number;
}

/**
 * Which translations of one address space are to be forgotten, by the IOMMU and by every bound device that may have a
 * cache of its own.
 */
export interface Invalidation {
  readonly pscid: number;
  /** GSCID of the domain, null when its second stage is Bare. */
  readonly gscid: number | null;
  readonly devices: Iterable<BoundDevice>;
  /** Whole pages from a page boundary; absent = the whole address space. */
  readonly range?: { readonly va: number; readonly bytes: number };
}

/** A device's plea for a page. */
export interface PageRequestRecord {
  readonly deviceId: number;
  /** -1 = without PASID. */
  readonly pasid: number;
  readonly read: boolean;
  readonly write: boolean;
  readonly execute: boolean;
  readonly privileged: boolean;
  /** Last of its group: the group is answered after it. */
  readonly last: boolean;
  /** Index of the group, 9 bits. */
  readonly prgi: number;
  /** Page-aligned; exact up to 2^64, since the low 12 bits are zero. */
  readonly va: number;
}

/** An access that the IOMMU keeps until it is answered with `IommuControl.resume`. */
export interface StallRecord {
  readonly deviceId: number;
  /** -1 = without PASID. */
  readonly pasid: number;
  /** First byte of the page; exact up to 2^64, since the low 12 bits are zero. */
  readonly va: number;
  readonly access: 'read' | 'write' | 'execute';
  /** What the device calls the access: unique among those of the device that are stalled, 16 bits. */
  readonly tag: number;
}

/** Answer to a stalled access. */
export interface StallAnswer {
  readonly deviceId: number;
  readonly tag: number;
  /** True when the page is there now: the device tries again. False: the access ends with a fault. */
  readonly retry: boolean;
}

/** Answer to a page request group; codes are `ResponseCode`. */
export interface PageResponse {
  readonly deviceId: number;
  readonly pasid: number;
  readonly prgi: number;
  readonly code: number;
}

/** Who resolves the page faults of devices. Its members are called from `service` and `drainPageRequests` only. */
export interface PageRequestReceiver {
  pageRequested(request: PageRequestRecord): void;
  /** An access waits for `IommuControl.resume`, which is to be called once for each. None is ever lost. */
  stalled(event: StallRecord): void;
  /** The queue overflowed: members of groups were answered by the IOMMU and lost. Incomplete groups are void. */
  requestsLost(): void;
}

export interface IommuControl {
  /**
   * Installs or replaces the context of `deviceId` (below 128): the old one is invalid, and forgotten by the IOMMU,
   * before a word of the new one is stored. `done` when the new one is in force.
   */
  setDeviceContext(deviceId: number, contents: DeviceContextContents, done: () => void): void;
  /** Makes `deviceId` unable to reach memory; `done` when nothing of its context is cached. */
  clearDeviceContext(deviceId: number, done: () => void): void;
  /** A new process directory with its tables in `tables`, or null when no frame is left. */
  createProcessDirectory(deviceId: number, tables: TableMemory): ProcessDirectory | null;
  /** `done` when no cache, of the IOMMU or of a bound device, holds what `request` names. */
  invalidate(request: Invalidation, done: () => void): void;
  /** Like `invalidate` of everything that `device` knows of the address space, its process context included. */
  invalidateProcess(request: Invalidation & { readonly device: BoundDevice }, done: () => void): void;
  /** Drops everything in the device's own cache, if it has one, every PASID and none: for a switch of its context. */
  invalidateDevice(deviceId: number, done: () => void): void;
  onPageRequests(receiver: PageRequestReceiver): void;
  respond(response: PageResponse): void;
  /** Answers a stalled access. For a tag that is not stalled it does nothing. */
  resume(answer: StallAnswer): void;
  /** Hands every page request and every stalled access that is in a queue now to the receiver. */
  drainPageRequests(): void;
}
