/**
 * A DMA port on a real IOMMU, with page tables that a test writes itself and no kernel: what a page request or a
 * stalled access is answered with, and when an invalidation is asked for, is the test's choice.
 */
import { MiB, PAGE_BYTES } from '../../src/base/units.js';
import type { DmaFault } from '../../src/hw/device-model.js';
import { DmaPort } from '../../src/hw/dma-port.js';
import type { FaultModel } from '../../src/hw/fault-model.js';
import { FrameTable, frameOwner } from '../../src/hw/frame-table.js';
import { ALL_INSTANCE_WORDS } from '../../src/hw/instance-words.js';
import { Iommu } from '../../src/hw/iommu/iommu.js';
import { IOMMU_REGISTER_WORDS, IommuRegisterFile } from '../../src/hw/iommu/registers.js';
import {
  type IommuMessage,
  newTranslationRequest,
  newTranslationResult,
} from '../../src/hw/iommu/translation.js';
import type { PageRequestRecord, StallRecord } from '../../src/hw/iommu-driver/control.js';
import { IommuDriver } from '../../src/hw/iommu-driver/iommu-driver.js';
import type { ProcessDirectory } from '../../src/hw/iommu-driver/process-directory.js';
import { PageTable, pte, type TableMemory } from '../../src/hw/page-table.js';
import { PhysicalMemory } from '../../src/hw/physical-memory.js';
import { QueueDma } from '../../src/hw/queue-dma.js';
import { installedTranslationCheck, newTranslationCheck } from '../../src/machine/checking.js';
import { DeviceWires } from '../../src/machine/device-wires.js';

const DEVICE = 3;
/** A PASID that no table has, whose page requests only fill the queue. */
const NOBODY = 0x777;
const LEAF = { r: pte.R | pte.U | pte.A, rw: pte.R | pte.W | pte.U | pte.A | pte.D } as const;
const words = (count: number): Int32Array => new Int32Array(new SharedArrayBuffer(count * 4));

export class PortBench {
  readonly memory = PhysicalMemory.create(8 * MiB);
  readonly frames = new FrameTable(this.memory);
  port: DmaPort;
  /** Page requests received, and the answer of the test: a response code, or null to leave it waiting. */
  readonly requests: PageRequestRecord[] = [];
  answer: (request: PageRequestRecord) => number | null = () => 1;
  /** Stalled accesses received, and the answer: whether the device is to try again, or null to leave it waiting. */
  readonly stalls: StallRecord[] = [];
  answerStall: (event: StallRecord) => boolean | null = () => false;
  /** Called before each member of a page request group goes out; whether it is the last. */
  beforeMember: (last: boolean) => void = () => {};
  /** The IOMMU's wire, pulled on the thread of the engine. */
  onDeviceInterrupt: () => void = () => {};
  /** Responses to groups, by the IOMMU itself and by software. */
  readonly responses = { automatic: 0, sent: 0 };
  acknowledgements = 0;
  readonly driver: IommuDriver;
  readonly #makePort: () => DmaPort;
  readonly #device: Iommu;
  readonly #wires: DeviceWires;
  readonly #directory: ProcessDirectory;
  readonly #tables = new Map<number, PageTable>();
  readonly #tableMemory: TableMemory = {
    allocateTable: () => this.frame(),
    freeTable: (address) => this.frames.release(address),
    toPhysical: (address) => address,
  };

  constructor(faultModel: FaultModel = 'pageRequests') {
    const registers = new IommuRegisterFile(words(IOMMU_REGISTER_WORDS));
    registers.reset();
    const instances = words(ALL_INSTANCE_WORDS);
    this.#wires = new DeviceWires(instances, () => {});
    const check = newTranslationCheck(installedTranslationCheck(), {
      memory: this.memory,
      registers,
      instances,
      backlog: () => this.driver.backlog,
    });
    const iommu = (lockHolder: number, sendMessage: (message: IommuMessage) => void): Iommu =>
      new Iommu({
        memory: this.memory,
        registers,
        lockHolder,
        cacheEntries: 64,
        sendMessage,
        interrupt: () => this.onDeviceInterrupt(),
        check,
        stall: faultModel === 'stall',
        drainsUntranslated: faultModel !== 'pageRequests',
      });
    const kernelSide = iommu(1, (message) => {
      if (message.type === 'pageGroupResponse') this.responses.sent += 1;
      this.#wires.send(message);
    });
    this.#wires.completed = (id) => kernelSide.invalidationCompleted(id);
    this.driver = new IommuDriver({ port: kernelSide, memory: this.memory, frames: this.frames });
    this.driver.onPageRequests({
      pageRequested: (request) => this.#pageRequested(request),
      stalled: (event) => this.#stalled(event),
      requestsLost: () => {},
    });
    this.#directory = this.driver.createProcessDirectory(DEVICE, this.#tableMemory)!;
    const contents = { secondStage: null, processDirectory: this.#directory.root, faultModel };
    this.driver.setDeviceContext(DEVICE, contents, () => {});
    this.service();
    this.#wires.connect(DEVICE);
    this.#device = iommu(2, () => {});
    this.#observePageRequests();
    this.#makePort = () =>
      new DmaPort({
        memory: this.memory,
        iommu: this.#device,
        deviceId: DEVICE,
        words: instances,
        acknowledged: () => this.acknowledgements++,
        check,
        faultModel,
      });
    this.port = this.#makePort();
  }

  /** The engine dies and another one is started on the same words: what the first waited for is nobody's. */
  restartEngine(): void {
    this.port = this.#makePort();
  }

  /** A page request of nobody who waits: fills a slot of the queue. */
  flood(count: number): void {
    const message = { rid: DEVICE, dsv: false, dseg: 0, pasid: NOBODY, privileged: false, execute: false };
    for (let sent = 0; sent < count; sent++)
      this.#device.pageRequest({ ...message, payloadHigh: 0, payloadLow: 1 });
  }

  /** Faults of a device without a context, until the fault queue is full and has lost one. */
  floodFaults(): void {
    const [request, result] = [newTranslationRequest(), newTranslationResult()];
    request.deviceId = DEVICE + 1;
    do this.#device.translate(request, result);
    while (result.recorded);
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
    this.driver.invalidate({ pscid: pasid + 10, gscid: null, devices, range }, done);
  }

  /** The kernel looks at everything the hardware has to say. */
  service(): void {
    for (let times = 0; times < 4; times++) {
      this.#wires.collect();
      this.driver.service();
    }
  }

  respond(request: PageRequestRecord, code: number): void {
    const { deviceId, pasid, prgi } = request;
    this.driver.respond({ deviceId, pasid, prgi, code });
    this.service();
  }

  resume(tag: number, retry: boolean): void {
    this.driver.resume({ deviceId: DEVICE, tag, retry });
    this.service();
  }

  /** The device may not send anything any more. */
  clearContext(): void {
    this.driver.clearDeviceContext(DEVICE, () => {});
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

  #observePageRequests(): void {
    const take = this.#device.pageRequest.bind(this.#device);
    this.#device.pageRequest = (request) => {
      if (request.pasid !== NOBODY) this.beforeMember((request.payloadLow & 4) !== 0);
      const outcome = take(request);
      if (outcome.response !== null) this.responses.automatic += 1;
      return outcome;
    };
  }

  #stalled(event: StallRecord): void {
    this.stalls.push(event);
    const retry = this.answerStall(event);
    if (retry !== null) this.driver.resume({ deviceId: event.deviceId, tag: event.tag, retry });
  }

  #pageRequested(request: PageRequestRecord): void {
    if (request.pasid === NOBODY) return;
    this.requests.push(request);
    const code = this.answer(request);
    if (code !== null && request.last) {
      this.driver.respond({ deviceId: request.deviceId, pasid: request.pasid, prgi: request.prgi, code });
    }
  }
}
