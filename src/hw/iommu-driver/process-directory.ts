/**
 * The process directory of one (device, domain): three levels (PD20) from a PASID to an address space. Its pages lie
 * in the domain's own memory and come when the first PASID below them is set; process 0 is the ring address space.
 *
 * Entries change here; forgetting what was cached is `IommuControl.invalidateProcess`. A context becomes valid with
 * its last store.
 */
import { assert } from '../../base/assert.js';
import { limits } from '../../base/limits.js';
import { PAGE_BYTES } from '../../base/units.js';
import { FscMode } from '../iommu/device-directory.js';
import { DIRECTORY_ENTRY, PROCESS_CONTEXT } from '../iommu/layouts.js';
import type { TableMemory } from '../page-table.js';
import type { PhysicalMemory } from '../physical-memory.js';
import { pageFieldLow } from './registers-port.js';

/** An address space as a process context names it. */
export interface ProcessContextContents {
  /** Guest-physical address of the Sv39 root. */
  readonly root: number;
  readonly pscid: number;
}

const { fields } = PROCESS_CONTEXT;
/** Bits of the PASID below each level's index, from the root down. */
const LEVEL_SHIFTS = [17, 8] as const;
const LEAF_ENTRIES = 256;

export class ProcessDirectory {
  readonly deviceId: number;
  /** Guest-physical address of the root page: what the device context holds. */
  readonly root: number;
  readonly #memory: PhysicalMemory;
  readonly #tables: TableMemory;
  readonly #pages: number[] = [];

  constructor(memory: PhysicalMemory, tables: TableMemory, place: { deviceId: number; root: number }) {
    this.#memory = memory;
    this.#tables = tables;
    this.deviceId = place.deviceId;
    this.root = place.root;
    this.#pages.push(place.root);
  }

  /** Names `contents` as process `pasid`, whose entry is invalid; false when no frame is left for its page. */
  set(pasid: number, { root, pscid }: ProcessContextContents): boolean {
    const at = this.#contextAddress(pasid, true);
    if (at === null) return false;
    const { data } = this.#memory;
    assert(fields.valid.read(data, at) === 0, `process ${pasid} of device ${this.deviceId} is out of use`);
    const image = new DataView(new ArrayBuffer(PROCESS_CONTEXT.bytes));
    fields.valid.write(image, 0, 1);
    fields.pscid.write(image, 0, pscid);
    fields.fscPpnLow.write(image, 0, root / PAGE_BYTES);
    fields.fscMode.write(image, 0, FscMode.sv39);
    for (let byte = PROCESS_CONTEXT.bytes - 4; byte >= 0; byte -= 4) {
      this.#memory.store32(at + byte, image.getUint32(byte, true));
    }
    return true;
  }

  /** Makes process `pasid` invalid. Whoever calls this invalidates next. */
  clear(pasid: number): void {
    const at = this.#contextAddress(pasid, false);
    if (at !== null) this.#memory.store32(at, 0);
  }

  /** Whether `pasid` names an address space. */
  isSet(pasid: number): boolean {
    const at = this.#contextAddress(pasid, false);
    return at !== null && fields.valid.read(this.#memory.data, at) === 1;
  }

  /** Returns every page. The device context that named the root is gone, and in no cache. */
  destroy(): void {
    for (const page of this.#pages.splice(0)) this.#tables.freeTable(page);
  }

  #contextAddress(pasid: number, create: boolean): number | null {
    assert(pasid >= 0 && pasid <= limits.PASID_MAX, `${pasid} is a PASID`);
    let page: number | null = this.root;
    for (const shift of LEVEL_SHIFTS) {
      page = this.#next(page, (pasid >>> shift) % (PAGE_BYTES / DIRECTORY_ENTRY.bytes), create);
      if (page === null) return null;
    }
    return this.#tables.toPhysical(page) + (pasid % LEAF_ENTRIES) * PROCESS_CONTEXT.bytes;
  }

  #next(page: number, index: number, create: boolean): number | null {
    const at = this.#tables.toPhysical(page) + index * DIRECTORY_ENTRY.bytes;
    const { valid, ppnLow } = DIRECTORY_ENTRY.fields;
    if (valid.read(this.#memory.data, at) === 1) return ppnLow.read(this.#memory.data, at) * PAGE_BYTES;
    if (!create) return null;
    const next = this.#tables.allocateTable();
    if (next === null) return null;
    this.#pages.push(next);
    this.#memory.store32(at, pageFieldLow(next) + 1);
    return next;
  }
}
