/**
 * An address space: one Sv39 table, its mappings, and the devices bound to it. CPU and devices walk the same table
 * and take the same faults.
 *
 * Order of every removal (hazards S1, S7, S31): entries are cleared, the IOTLB and the ATC of every bound device
 * forget them, the fence has come back, and only then are frames and addresses given up. Nothing here waits: what
 * must, answers through `done`.
 */
import { assert } from '../base/assert.js';
import { limits } from '../base/limits.js';
import { MEGAPAGE_BYTES, PAGE_BYTES } from '../base/units.js';
import type { BoundDevice, IommuControl } from '../hw/iommu-driver/control.js';
import { PageTable } from '../hw/page-table.js';
import type { PhysicalMemory } from '../hw/physical-memory.js';
import { errno } from '../uapi/errno.js';
import { isPageRange, isRemovable, type Mapping, newMapping, splitDemand } from './mapping.js';
import { MappingList } from './mapping-list.js';
import { PageInstaller } from './page-installer.js';
import type { ProcessMemory } from './process-memory.js';

export interface AddressSpaceOptions {
  readonly memory: PhysicalMemory;
  readonly frames: ProcessMemory;
  readonly iommu: IommuControl;
  /** Tag of its translations, unique among live address spaces. */
  readonly pscid: number;
}

export type Access = 'read' | 'write' | 'execute';
/** What became of a page fault: retry, never, or not for want of memory. */
export type FaultAnswer = 'resolved' | 'refused' | 'noMemory';
/** `ret` of the system call: 0 or a negated errno. */
export type Answer = (ret: number) => void;

/** Memory of a queue that is shown at an address of its process. It belongs to the queue, not to the mapping. */
export interface QueueRegionMemory {
  readonly gpa: number;
  readonly bytes: number;
  /** Called once, when the region is unmapped and forgotten by every cache. */
  readonly onGone: () => void;
}

const nothing = (): void => {};

export class AddressSpace {
  readonly pscid: number;
  readonly frames: ProcessMemory;
  readonly memory: PhysicalMemory;
  readonly #table: PageTable;
  readonly #pages: PageInstaller;
  readonly #iommu: IommuControl;
  readonly #mappings = new MappingList();
  readonly #devices = new Map<number, BoundDevice>();
  #quiet = false;
  #fencesOwed = 0;
  #onDrained: (() => void) | null = null;

  private constructor(options: AddressSpaceOptions, table: PageTable) {
    this.pscid = options.pscid;
    this.frames = options.frames;
    this.memory = options.memory;
    this.#iommu = options.iommu;
    this.#table = table;
    this.#pages = new PageInstaller(table);
  }

  /** An empty address space; null when no frame is left for its root. */
  static create(options: AddressSpaceOptions): AddressSpace | null {
    const table = PageTable.create(options.memory, options.frames);
    return table === null ? null : new AddressSpace(options, table);
  }

  /** Guest-physical address of the root table. */
  get root(): number {
    return this.#table.root;
  }

  get gscid(): number | null {
    return this.frames.domain.secondStage?.gscid ?? null;
  }

  /** Whether its process is ending: every fault fails from then on. */
  get quiet(): boolean {
    return this.#quiet;
  }

  /** Mappings, those on their way out included. */
  get mappingCount(): number {
    return this.#mappings.length;
  }

  /** Devices whose caches are told of every removal from now on. */
  bindDevice(device: BoundDevice): void {
    assert(!this.#devices.has(device.deviceId), `device ${device.deviceId} is bound once`);
    this.#devices.set(device.deviceId, device);
  }

  unbindDevice(deviceId: number): void {
    assert(this.#devices.delete(deviceId), `device ${deviceId} is bound`);
  }

  /** PASID of this address space on the device, -1 while it is not bound there. */
  pasidOn(deviceId: number): number {
    return this.#devices.get(deviceId)?.pasid ?? -1;
  }

  get boundDevices(): readonly BoundDevice[] {
    return [...this.#devices.values()];
  }

  /** Maps contiguous, zeroed memory that never moves. Answers its address or a negated errno. */
  mapPool(bytes: number, prefault: boolean): number {
    const va = this.#reserve(bytes, MEGAPAGE_BYTES);
    if (va < 0) return va;
    const gpa = this.#allocatePool(bytes / PAGE_BYTES);
    if (gpa === null) return -errno.ENOMEM;
    const onGone = (): void => this.frames.quarantine(gpa, bytes / PAGE_BYTES);
    const mapping = newMapping({ va, bytes, kind: 'pool', gpa, onGone });
    this.#mappings.insert(mapping);
    return prefault ? this.#installAll(mapping) : va;
  }

  /** Maps memory whose pages come, zeroed, at their first access. Answers its address or a negated errno. */
  mapDemand(bytes: number): number {
    const va = this.#reserve(bytes, PAGE_BYTES);
    if (va < 0) return va;
    this.#mappings.insert(newMapping({ va, bytes, kind: 'demand', gpa: -1, onGone: nothing }));
    return va;
  }

  /** Shows a queue's region. Answers its address or a negated errno; `onGone` is called only if it was mapped. */
  mapQueue({ gpa, bytes, onGone }: QueueRegionMemory): number {
    const va = this.#reserve(bytes, PAGE_BYTES);
    if (va < 0) return va;
    if (!this.#pages.installSpan({ va, gpa, bytes })) {
      // Not listed yet, so no fault refers to it; but a device may have walked what was installed.
      const mapping = newMapping({ va, bytes, kind: 'queue', gpa, onGone: nothing });
      this.#mappings.insert(mapping);
      this.#retire(mapping, nothing);
      return -errno.ENOMEM;
    }
    this.#mappings.insert(newMapping({ va, bytes, kind: 'queue', gpa, onGone }));
    return va;
  }

  /**
   * Removes a whole `pool` or `queue` mapping, or any pages of one `demand` mapping. EINVAL for anything else.
   * Accesses fail from the call on; `done` when no cache remembers.
   */
  unmap(va: number, bytes: number, done: Answer): void {
    const mapping = isPageRange(va, bytes) ? this.#mappings.find(va) : null;
    if (mapping === null || mapping.state === 'draining' || !isRemovable(mapping, va, bytes)) {
      done(-errno.EINVAL);
      return;
    }
    this.#retire(mapping.kind === 'demand' ? this.#cutOut(mapping, va, bytes) : mapping, () => done(0));
  }

  /** The device behind a queue mapping is gone: accesses fail, the address stays taken. `done` when none can be left. */
  kill(va: number, done: () => void): void {
    const mapping = this.#mappings.find(va);
    assert(mapping !== null && mapping.kind === 'queue', 'a queue mapping is killed');
    if (mapping.state === 'live') mapping.state = 'dead';
    this.#pages.clear(mapping.va, mapping.bytes);
    this.#invalidate(mapping, done);
  }

  /** Resolves a page fault of CPU or device at `va`. */
  handleFault(va: number, access: Access): FaultAnswer {
    const mapping = this.#quiet ? null : this.#mappings.find(va);
    if (mapping === null || mapping.state !== 'live' || access === 'execute') return 'refused';
    const page = va - (va % PAGE_BYTES);
    if (this.#pages.isPresent(page)) return 'resolved';
    return mapping.kind === 'demand' ? this.#fillPage(mapping, page) : this.#showPage(mapping, page);
  }

  /** Physical address of `va` for a CPU access, page fault included; -1 when it is refused. */
  resolve(va: number, access: 'read' | 'write'): number {
    const present = this.#pages.access(va, access === 'write');
    if (present >= 0) return this.frames.toPhysical(present);
    if (this.handleFault(va, access) !== 'resolved') return -1;
    const gpa = this.#pages.access(va, access === 'write');
    return gpa < 0 ? -1 : this.frames.toPhysical(gpa);
  }

  /** Kind of the live mapping at `va`, or null. */
  kindAt(va: number): Mapping['kind'] | null {
    return this.#mappings.find(va)?.kind ?? null;
  }

  /** Where the pool or queue mapping that starts at `va` lies in physical memory. */
  physicalAddress(va: number): number {
    const mapping = this.#mappings.find(va);
    assert(mapping !== null && mapping.gpa >= 0, 'the mapping is contiguous');
    return this.frames.toPhysical(mapping.gpa);
  }

  /** From now on every fault fails (hazard U10): the first step of the process's end. */
  quiesce(): void {
    this.#quiet = true;
  }

  /** Frees everything. No device is bound any more; `done` when removals under way have ended, too. */
  destroy(done: () => void): void {
    assert(this.#quiet && this.#devices.size === 0, 'an address space ends quiet and unbound');
    const finish = (): void => {
      for (const mapping of [...this.#mappings]) this.#forget(mapping);
      this.#table.destroy();
      done();
    };
    if (this.#fencesOwed === 0) finish();
    else this.#onDrained = finish;
  }

  /** An address for a mapping of `bytes` bytes, or why there is none. */
  #reserve(bytes: number, alignBytes: number): number {
    if (!isPageRange(0, bytes)) return -errno.EINVAL;
    if (bytes > limits.MAPPING_BYTES_MAX || this.#mappings.length >= limits.MAPPINGS_PER_PROCESS) {
      return -errno.ENOMEM;
    }
    return this.#mappings.place(bytes, alignBytes) ?? -errno.ENOMEM;
  }

  /** Aligned for large leaves where that pays and such a run is left. */
  #allocatePool(frames: number): number | null {
    const large = MEGAPAGE_BYTES / PAGE_BYTES;
    const aligned = frames >= large ? this.frames.allocateViewable(frames, large) : null;
    return aligned ?? this.frames.allocateViewable(frames);
  }

  #installAll(mapping: Mapping): number {
    if (this.#pages.installSpan(mapping)) return mapping.va;
    this.#retire(mapping, nothing);
    return -errno.ENOMEM;
  }

  #fillPage(mapping: Mapping, page: number): FaultAnswer {
    const gpa = this.frames.allocateTable();
    if (gpa === null) return 'noMemory';
    if (!this.#pages.installPage(page, gpa)) {
      this.frames.freeTable(gpa);
      return 'noMemory';
    }
    mapping.pages.set(page, gpa);
    return 'resolved';
  }

  #showPage(mapping: Mapping, page: number): FaultAnswer {
    return this.#pages.installPage(page, mapping.gpa + (page - mapping.va)) ? 'resolved' : 'noMemory';
  }

  /** Splits [va, va + bytes) off a demand mapping; what is left and right of it stays. */
  #cutOut(mapping: Mapping, va: number, bytes: number): Mapping {
    this.#mappings.remove(mapping);
    const [left, middle, right] = splitDemand(mapping, va, bytes);
    for (const piece of [left, middle, right]) if (piece.bytes > 0) this.#mappings.insert(piece);
    return middle;
  }

  #retire(mapping: Mapping, done: () => void): void {
    mapping.state = 'draining';
    if (mapping.kind === 'demand')
      for (const page of mapping.pages.keys()) this.#pages.clear(page, PAGE_BYTES);
    else this.#pages.clear(mapping.va, mapping.bytes);
    this.#invalidate(mapping, () => {
      this.#forget(mapping);
      done();
    });
  }

  #invalidate({ va, bytes }: Mapping, done: () => void): void {
    this.#fencesOwed += 1;
    const { pscid, gscid, boundDevices: devices } = this;
    this.#iommu.invalidate({ pscid, gscid, devices, range: { va, bytes } }, () => {
      this.#fencesOwed -= 1;
      done();
      if (this.#fencesOwed === 0) this.#onDrained?.();
    });
  }

  /** Gives up the address and the frames of a mapping that no cache names. */
  #forget(mapping: Mapping): void {
    this.#mappings.remove(mapping);
    for (const gpa of mapping.pages.values()) this.frames.freeTable(gpa);
    mapping.onGone();
  }
}
