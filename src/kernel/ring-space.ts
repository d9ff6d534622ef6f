/**
 * The ring address space of one (device, domain): process 0 of its process directory. It maps the DUS regions of
 * exactly the queues that are open there, and nothing else; ring addresses are guest-physical addresses.
 */
import type { IommuControl } from '../hw/iommu-driver/control.js';
import type { ProcessDirectory } from '../hw/iommu-driver/process-directory.js';
import { PageTable } from '../hw/page-table.js';
import type { PhysicalMemory } from '../hw/physical-memory.js';
import { type MemoryDomain, tablesIn } from './memory-domain.js';
import { PageInstaller } from './page-installer.js';

export interface RingSpaceOptions {
  readonly memory: PhysicalMemory;
  readonly domain: MemoryDomain;
  readonly iommu: IommuControl;
  readonly directory: ProcessDirectory;
  /** Its own, unique among live address spaces. */
  readonly pscid: number;
}

interface Span {
  readonly gpa: number;
  readonly bytes: number;
}

/** Requests without PASID are of process 0 and cached without one. */
const RING_PROCESS = 0;
const NO_PASID = -1;

export class RingSpace {
  readonly pscid: number;
  readonly #options: RingSpaceOptions;
  readonly #table: PageTable;
  readonly #pages: PageInstaller;

  private constructor(options: RingSpaceOptions, table: PageTable) {
    this.pscid = options.pscid;
    this.#options = options;
    this.#table = table;
    this.#pages = new PageInstaller(table);
  }

  /** An empty ring address space, named as process 0; null when no frame is left. */
  static create(options: RingSpaceOptions): RingSpace | null {
    const table = PageTable.create(options.memory, tablesIn(options.domain));
    if (table === null) return null;
    if (options.directory.set(RING_PROCESS, { root: table.root, pscid: options.pscid })) {
      return new RingSpace(options, table);
    }
    table.destroy();
    return null;
  }

  /** Maps a DUS region at its own guest-physical address; false when no frame is left, then `unmap` it all the same. */
  map({ gpa, bytes }: Span): boolean {
    return this.#pages.installSpan({ va: gpa, gpa, bytes });
  }

  /** Unmaps a region; `done` when no cache of IOMMU or device remembers it. */
  unmap({ gpa, bytes }: Span, done: () => void): void {
    this.#pages.clear(gpa, bytes);
    const { iommu, directory, domain } = this.#options;
    const devices = [{ deviceId: directory.deviceId, pasid: NO_PASID }];
    const gscid = domain.secondStage?.gscid ?? null;
    iommu.invalidate({ pscid: this.pscid, gscid, devices, range: { va: gpa, bytes } }, done);
  }

  /** Ends process 0 and frees its tables. No queue is mapped any more. */
  destroy(done: () => void): void {
    const { iommu, directory, domain } = this.#options;
    directory.clear(RING_PROCESS);
    const device = { deviceId: directory.deviceId, pasid: NO_PASID };
    const gscid = domain.secondStage?.gscid ?? null;
    iommu.invalidateProcess({ pscid: this.pscid, gscid, devices: [device], device }, () => {
      this.#table.destroy();
      done();
    });
  }
}
