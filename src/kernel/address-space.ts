/**
 * An address space: one Sv39 table, its mappings, and the devices bound to it. CPU and devices walk the same table
 * and take the same faults (fault-handler.ts).
 *
 * Order of everything that takes something away (unmap, protection, copy-on-write, writing out, exit; hazards S1, S7,
 * S31): entries are cleared or restricted; the IOTLB and the ATC of every bound device forget them; the fence has come
 * back; page requests that were on their way have been looked at; every thread has left the accesses that it had begun;
 * and only then are frames and addresses given up. Nothing here waits: what must, answers through `done`.
 */
import { assert } from '../base/assert.js';
import { limits } from '../base/limits.js';
import type { Trace } from '../base/trace.js';
import { MEGAPAGE_BYTES, PAGE_BYTES } from '../base/units.js';
import type { BoundDevice, IommuControl } from '../hw/iommu-driver/control.js';
import { PageTable } from '../hw/page-table.js';
import type { PhysicalMemory } from '../hw/physical-memory.js';
import { errno } from '../uapi/errno.js';
import type { Protection } from '../uapi/syscall.js';
import { type Access, type FaultAnswer, FaultHandler } from './fault-handler.js';
import { forkInto } from './fork.js';
import { isInside, isPageRange, isRemovable, type Mapping, newMapping, splitDemand } from './mapping.js';
import { MappingList } from './mapping-list.js';
import { PageInstaller } from './page-installer.js';
import { type Leavers, pageOut, pageOutOldest } from './page-out.js';
import type { ProcessMemory } from './process-memory.js';
import { protect } from './protect.js';
import { dropPage, type PageRange, type SpaceParts, whenSettled } from './space-parts.js';
import type { SwapStore } from './swap-store.js';

export interface AddressSpaceOptions {
  readonly memory: PhysicalMemory;
  readonly frames: ProcessMemory;
  readonly iommu: IommuControl;
  /** Tag of its translations, unique among live address spaces. */
  readonly pscid: number;
  readonly swap: SwapStore;
  readonly trace: Trace | null;
  /** `done` when every thread of the process has left the accesses that it had begun before the call. */
  readonly leaveAccesses: (done: () => void) => void;
  /** Makes room for this address space by writing pages out; `done` gets how many left memory. */
  readonly reclaim: (needy: AddressSpace, done: (freed: number) => void) => void;
}

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
  readonly #parts: SpaceParts;
  readonly #faults: FaultHandler;
  readonly #options: AddressSpaceOptions;
  readonly #devices = new Map<number, BoundDevice>();
  #quiet = false;
  /** Changes that caches and threads have not forgotten yet. */
  #owed = 0;
  #onDrained: (() => void) | null = null;

  private constructor(options: AddressSpaceOptions, table: PageTable) {
    const { pscid, frames, memory, swap, trace, reclaim } = options;
    this.pscid = pscid;
    this.frames = frames;
    this.memory = memory;
    this.#options = options;
    this.#table = table;
    this.#parts = {
      pscid,
      mappings: new MappingList(),
      pages: new PageInstaller(table),
      frames,
      swap,
      trace,
      resident: new Map(),
      departures: new Set(),
      quiet: () => this.#quiet,
      forget: (range, done) => this.#forget(range, done),
      reclaim: (done) => reclaim(this, done),
    };
    this.#faults = new FaultHandler(this.#parts);
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
    return this.#parts.mappings.length;
  }

  /** Which limit is met when `frames` more cannot be had, and the remedy: for whoever is told ENOMEM. */
  explainShortage(frames: number): string {
    const { mappings, swap } = this.#parts;
    if (mappings.length >= limits.MAPPINGS_PER_PROCESS) {
      return `the process has ${mappings.length} mappings, as many as a process may have: unmap some`;
    }
    const shortage = this.frames.explainShortage(frames);
    return swap.free > 0 ? shortage : `${shortage}; all ${swap.used} pages of the swap store are in use`;
  }

  /** Demand pages in memory now. */
  get residentPages(): number {
    return this.#parts.resident.size;
  }

  /** Live pool mappings: what a fork has to tell the child's threads about. */
  get pools(): readonly (PageRange & { readonly physicalAddress: number })[] {
    return [...this.#parts.mappings]
      .filter(({ kind, state }) => kind === 'pool' && state === 'live')
      .map(({ va, bytes, gpa }) => ({ va, bytes, physicalAddress: this.frames.toPhysical(gpa) }));
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
    this.#parts.mappings.insert(mapping);
    return prefault ? this.#installAll(mapping) : va;
  }

  /** Maps memory whose pages come, zeroed, at their first access. Answers its address or a negated errno. */
  mapDemand(bytes: number): number {
    const va = this.#reserve(bytes, PAGE_BYTES);
    if (va < 0) return va;
    this.#parts.mappings.insert(newMapping({ va, bytes, kind: 'demand', gpa: -1, onGone: nothing }));
    return va;
  }

  /** Shows a queue's region. Answers its address or a negated errno; `onGone` is called only if it was mapped. */
  mapQueue({ gpa, bytes, onGone }: QueueRegionMemory): number {
    const { mappings, pages } = this.#parts;
    const va = this.#reserve(bytes, PAGE_BYTES);
    if (va < 0) return va;
    if (!pages.installSpan({ va, gpa, bytes })) {
      // Not listed yet, so no fault refers to it; but a device may have walked what was installed.
      const mapping = newMapping({ va, bytes, kind: 'queue', gpa, onGone: nothing });
      mappings.insert(mapping);
      this.#retire(mapping, nothing);
      return -errno.ENOMEM;
    }
    mappings.insert(newMapping({ va, bytes, kind: 'queue', gpa, onGone }));
    return va;
  }

  /**
   * Removes a whole `pool` or `queue` mapping, or any pages of one `demand` mapping. EINVAL for anything else, ENOMEM
   * when what is left would be a mapping too many. `done` when no cache remembers.
   */
  unmap(va: number, bytes: number, done: Answer): void {
    if (isPageRange(va, bytes))
      whenSettled(this.#parts, { va, bytes }, () => this.#unmapNow(va, bytes, done));
    else done(-errno.EINVAL);
  }

  /** Changes what may be done with pages of one pool or demand mapping. */
  protect(range: PageRange, protection: Protection, done: Answer): void {
    protect(this.#parts, range, protection, done);
  }

  /** Writes demand pages out to the swap store; `done` gets how many left memory, EINVAL for no whole pages. */
  pageOut(range: PageRange, done: Answer): void {
    if (isPageRange(range.va, range.bytes)) pageOut(this.#parts, range, done);
    else done(-errno.EINVAL);
  }

  /** Writes out the pages that can be missed best; `done` gets how many left memory. */
  giveUpPages(which: Leavers, done: (freed: number) => void): void {
    if (this.#quiet) done(0);
    else pageOutOldest(this.#parts, which, done);
  }

  /** Makes `child`, which is empty, a copy of this address space; `done` gets 0 or a negated errno. */
  forkInto(child: AddressSpace, done: Answer): void {
    forkInto(this.#parts, child.#parts, done);
  }

  /** The device behind a queue mapping is gone: accesses fail, the address stays taken. `done` when none can be left. */
  kill(va: number, done: () => void): void {
    const mapping = this.#parts.mappings.find(va);
    assert(mapping !== null && mapping.kind === 'queue', 'a queue mapping is killed');
    if (mapping.state === 'live') mapping.state = 'dead';
    this.#parts.pages.clear(mapping.va, mapping.bytes);
    this.#forget(mapping, done);
  }

  /** Resolves a page fault of CPU or device at `va`; `done` is called exactly once, at once or later. */
  handleFault(va: number, access: Access, done: (answer: FaultAnswer) => void): void {
    this.#faults.handle(va, access, done);
  }

  /** Guest-physical address of `va` for an access of the kernel on behalf of the process; -1 = page fault. */
  accessGuest(va: number, access: 'read' | 'write'): number {
    return this.#quiet ? -1 : this.#parts.pages.access(va, access === 'write');
  }

  /** The same as a physical address. */
  access(va: number, access: 'read' | 'write'): number {
    const gpa = this.accessGuest(va, access);
    return gpa < 0 ? -1 : this.frames.toPhysical(gpa);
  }

  /** Kind of the mapping at `va`, or null. */
  kindAt(va: number): Mapping['kind'] | null {
    return this.#parts.mappings.find(va)?.kind ?? null;
  }

  /** Where the pool or queue mapping that starts at `va` lies in physical memory. */
  physicalAddress(va: number): number {
    const mapping = this.#parts.mappings.find(va);
    assert(mapping !== null && mapping.gpa >= 0, 'the mapping is contiguous');
    return this.frames.toPhysical(mapping.gpa);
  }

  /** From now on every fault fails (hazard U10): the first step of the process's end. */
  quiesce(): void {
    this.#quiet = true;
  }

  /** Frees everything. No device is bound any more; `done` when changes under way and accesses have ended, too. */
  destroy(done: () => void): void {
    assert(this.#quiet && this.#devices.size === 0, 'an address space ends quiet and unbound');
    const finish = (): void => {
      for (const mapping of [...this.#parts.mappings]) this.#giveUp(mapping);
      this.#table.destroy();
      done();
    };
    this.#options.leaveAccesses(() => {
      if (this.#owed === 0) finish();
      else this.#onDrained = finish;
    });
  }

  /** An address for a mapping of `bytes` bytes, or why there is none. */
  #reserve(bytes: number, alignBytes: number): number {
    const { mappings } = this.#parts;
    if (!isPageRange(0, bytes)) return -errno.EINVAL;
    if (bytes > limits.MAPPING_BYTES_MAX || mappings.length >= limits.MAPPINGS_PER_PROCESS) {
      return -errno.ENOMEM;
    }
    return mappings.place(bytes, alignBytes) ?? -errno.ENOMEM;
  }

  /** Aligned for large leaves where that pays and such a run is left. */
  #allocatePool(frames: number): number | null {
    const large = MEGAPAGE_BYTES / PAGE_BYTES;
    const aligned = frames >= large ? this.frames.allocateViewable(frames, large) : null;
    return aligned ?? this.frames.allocateViewable(frames);
  }

  #installAll(mapping: Mapping): number {
    if (this.#parts.pages.installSpan(mapping)) return mapping.va;
    this.#retire(mapping, nothing);
    return -errno.ENOMEM;
  }

  #unmapNow(va: number, bytes: number, done: Answer): void {
    const mapping = this.#quiet ? null : this.#parts.mappings.find(va);
    if (mapping === null || mapping.state === 'draining' || !isRemovable(mapping, va, bytes)) {
      done(-errno.EINVAL);
      return;
    }
    // A hole makes two mappings of one: without this, a process would have as many as pages (hazard V1).
    if (isInside(mapping, va, bytes) && this.mappingCount >= limits.MAPPINGS_PER_PROCESS) {
      done(-errno.ENOMEM);
      return;
    }
    this.#retire(mapping.kind === 'demand' ? this.#cutOut(mapping, va, bytes) : mapping, () => done(0));
  }

  /** Splits [va, va + bytes) off a demand mapping; what is left and right of it stays. */
  #cutOut(mapping: Mapping, va: number, bytes: number): Mapping {
    const { mappings } = this.#parts;
    mappings.remove(mapping);
    const [left, middle, right] = splitDemand(mapping, va, bytes);
    for (const piece of [left, middle, right]) if (piece.bytes > 0) mappings.insert(piece);
    return middle;
  }

  #retire(mapping: Mapping, done: () => void): void {
    const { pages, trace } = this.#parts;
    mapping.state = 'draining';
    trace?.emit('entries cleared', this.pscid, mapping.va.toString(16));
    if (mapping.kind === 'demand') this.#clearPages(mapping);
    else pages.clear(mapping.va, mapping.bytes);
    this.#forget(mapping, () => {
      this.#giveUp(mapping);
      trace?.emit('frames given up', this.pscid, mapping.va.toString(16));
      done();
    });
  }

  /** A page on its way out is none that could be written out instead. */
  #clearPages({ pages }: Mapping): void {
    for (const [at, page] of pages) {
      this.#parts.pages.clear(at, PAGE_BYTES);
      this.#parts.resident.delete(page);
    }
  }

  #forget(range: PageRange | null, done: () => void): void {
    const { iommu, leaveAccesses } = this.#options;
    const { pscid, gscid, boundDevices: devices } = this;
    this.#owed += 1;
    const request = { pscid, gscid, devices, ...(range === null ? {} : { range }) };
    iommu.invalidate(request, () => {
      iommu.drainPageRequests();
      leaveAccesses(() => {
        this.#owed -= 1;
        done();
        if (this.#owed === 0) this.#onDrained?.();
      });
    });
  }

  /** Gives up the address and the frames of a mapping that no cache names. */
  #giveUp(mapping: Mapping): void {
    this.#parts.mappings.remove(mapping);
    for (const page of mapping.pages.values()) dropPage(this.#parts, page);
    mapping.onGone();
  }
}
