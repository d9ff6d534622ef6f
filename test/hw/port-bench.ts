/**
 * A DMA port on a real IOMMU, with page tables that a test writes itself and no kernel: what a page request is
 * answered with, and when an invalidation is asked for, is the test's choice.
 */
import { MiB, PAGE_BYTES } from '../../src/base/units.js';
import type { DmaFault } from '../../src/hw/device-model.js';
import { DmaPort } from '../../src/hw/dma-port.js';
import { FrameTable, frameOwner } from '../../src/hw/frame-table.js';
import { ALL_INSTANCE_WORDS } from '../../src/hw/instance-words.js';
import { Iommu } from '../../src/hw/iommu/iommu.js';
import { IOMMU_REGISTER_WORDS, IommuRegisterFile } from '../../src/hw/iommu/registers.js';
import type { IommuMessage } from '../../src/hw/iommu/translation.js';
import type { PageRequestRecord } from '../../src/hw/iommu-driver/control.js';
import { IommuDriver } from '../../src/hw/iommu-driver/iommu-driver.js';
import type { ProcessDirectory } from '../../src/hw/iommu-driver/process-directory.js';
import { PageTable, pte, type TableMemory } from '../../src/hw/page-table.js';
import { PhysicalMemory } from '../../src/hw/physical-memory.js';
import { QueueDma } from '../../src/hw/queue-dma.js';
import { DeviceWires } from '../../src/machine/device-wires.js';

const DEVICE = 3;
const LEAF = { r: pte.R | pte.U | pte.A, rw: pte.R | pte.W | pte.U | pte.A | pte.D } as const;
const words = (count: number): Int32Array => new Int32Array(new SharedArrayBuffer(count * 4));

export class PortBench {
  readonly memory = PhysicalMemory.create(8 * MiB);
  readonly frames = new FrameTable(this.memory);
  readonly port: DmaPort;
  /** Page requests received, and the answer of the test: a response code, or null to leave it waiting. */
  readonly requests: PageRequestRecord[] = [];
  answer: (request: PageRequestRecord) => number | null = () => 1;
  acknowledgements = 0;
  readonly #driver: IommuDriver;
  readonly #wires: DeviceWires;
  readonly #directory: ProcessDirectory;
  readonly #tables = new Map<number, PageTable>();
  readonly #tableMemory: TableMemory = {
    allocateTable: () => this.frame(),
    freeTable: (address) => this.frames.release(address),
    toPhysical: (address) => address,
  };

  constructor() {
    const registers = new IommuRegisterFile(words(IOMMU_REGISTER_WORDS));
    registers.reset();
    const instances = words(ALL_INSTANCE_WORDS);
    this.#wires = new DeviceWires(instances, () => {});
    const iommu = (lockHolder: number, sendMessage: (message: IommuMessage) => void): Iommu =>
      new Iommu({
        memory: this.memory,
        registers,
        lockHolder,
        cacheEntries: 64,
        sendMessage,
        interrupt: () => {},
      });
    const kernelSide = iommu(1, (message) => this.#wires.send(message));
    this.#wires.completed = (id) => kernelSide.invalidationCompleted(id);
    this.#driver = new IommuDriver({ port: kernelSide, memory: this.memory, frames: this.frames });
    this.#driver.onPageRequests({
      pageRequested: (request) => this.#pageRequested(request),
      requestsLost: () => {},
    });
    this.#directory = this.#driver.createProcessDirectory(DEVICE, this.#tableMemory)!;
    const contents = { secondStage: null, processDirectory: this.#directory.root, enAts: true, enPri: true };
    this.#driver.setDeviceContext(DEVICE, contents, () => {});
    this.service();
    this.#wires.connect(DEVICE);
    this.port = new DmaPort({
      memory: this.memory,
      iommu: iommu(2, () => {}),
      deviceId: DEVICE,
      words: instances,
      acknowledged: () => this.acknowledgements++,
    });
  }

  /** A zeroed frame. */
  frame(): number {
    return this.frames.allocate({ frames: 1, owner: frameOwner.FIRST_DOMAIN })!;
  }

  /** Maps one page: the physical address of its frame. */
  map(pasid: number, va: number, flags: keyof typeof LEAF = 'rw', frame = this.frame()): number {
    this.table(pasid).map({ va, gpa: frame, flags: LEAF[flags] });
    return frame;
  }

  /** The table that a PASID names; -1 is the ring address space, process 0. */
  table(pasid: number): PageTable {
    const known = this.#tables.get(pasid);
    if (known !== undefined) return known;
    const table = PageTable.create(this.memory, this.#tableMemory)!;
    this.#tables.set(pasid, table);
    this.#directory.set(Math.max(0, pasid), { root: table.root, pscid: pasid + 10 });
    return table;
  }

  /** Unmaps a page and asks for its invalidation; `done` when the device has acknowledged. */
  unmap(pasid: number, va: number, done: () => void): void {
    this.table(pasid).unmap(va);
    const range = { va, bytes: PAGE_BYTES };
    const devices = [{ deviceId: DEVICE, pasid }];
    this.#driver.invalidate({ pscid: pasid + 10, gscid: null, devices, range }, done);
  }

  /** The kernel looks at everything the hardware has to say. */
  service(): void {
    for (let times = 0; times < 4; times++) {
      this.#wires.collect();
      this.#driver.service();
    }
  }

  respond(request: PageRequestRecord, code: number): void {
    const { deviceId, pasid, prgi } = request;
    this.#driver.respond({ deviceId, pasid, prgi, code });
    this.service();
  }

  dma(pasid: number): QueueDma {
    return new QueueDma(this.port, pasid);
  }

  /** Runs an access to its end; the kernel looks at each yield. */
  finish<T>(access: Generator<number, T, void>): T {
    for (let yields = 0; yields < 100; yields++) {
      const { done, value } = access.next();
      if (done === true) return value;
      this.service();
    }
    throw new Error('the access waits for ever');
  }

  /** The fault that an access ends in. */
  faultOf(access: Generator<number, unknown, void>): DmaFault {
    try {
      this.finish(access);
    } catch (error) {
      return error as DmaFault;
    }
    throw new Error('the access was made');
  }

  #pageRequested(request: PageRequestRecord): void {
    this.requests.push(request);
    const code = this.answer(request);
    if (code !== null && request.last) {
      this.#driver.respond({ deviceId: request.deviceId, pasid: request.pasid, prgi: request.prgi, code });
    }
  }
}
