/**
 * Programs the IOMMU for the kernel and the framework: device directory, process directories, the three queues, and
 * the order of stores, invalidations and fences around every change.
 *
 * `service` is the interrupt handler. The IOMMU's wire only says that something happened; whoever owns the kernel
 * thread calls `service` then, and may call it at any other time. Handlers and dones run inside it.
 */
import { assert } from '../../base/assert.js';
import { type History, packagedHistory } from '../../base/history.js';
import { limits } from '../../base/limits.js';
import { PAGE_BYTES, pagesFor } from '../../base/units.js';
import { type FrameTable, frameOwner } from '../frame-table.js';
import { COMMAND_BYTES } from '../iommu/command-layouts.js';
import { FAULT_RECORD, PAGE_RECORD } from '../iommu/layouts.js';
import { REGISTERS } from '../iommu/registers.js';
import type { TableMemory } from '../page-table.js';
import type { PhysicalMemory } from '../physical-memory.js';
import { CommandQueue } from './command-queue.js';
import {
  type Command,
  invalidateDeviceContext,
  invalidateProcessContext,
  invalidateWholeAtc,
  respondToGroup,
  resumeStalled,
} from './commands.js';
import type {
  BoundDevice,
  DeviceContextContents,
  Invalidation,
  IommuControl,
  PageRequestReceiver,
  PageResponse,
  StallAnswer,
} from './control.js';
import { DeviceTable } from './device-directory.js';
import { invalidationCommands } from './invalidation.js';
import { ProcessDirectory } from './process-directory.js';
import { RecordQueue } from './record-queue.js';
import { type DmaFaultRecord, isStall, readFault, readPageRequest, readStall } from './records.js';
import type { DriverParts, IommuRegisterPort, QueueInMemory } from './registers-port.js';

export interface IommuDriverOptions {
  readonly port: IommuRegisterPort;
  readonly memory: PhysicalMemory;
  /** Directory and queues are taken from here, owned by the machine. */
  readonly frames: FrameTable;
}

const LOG_ENTRIES = Math.log2(limits.IOMMU_QUEUE_ENTRIES);
assert(Number.isInteger(LOG_ENTRIES), 'queues of the IOMMU have a power of two of entries');

export class IommuDriver implements IommuControl {
  /** The newest unrecoverable faults. */
  readonly faults: History<DmaFaultRecord> = packagedHistory(limits.FAULT_HISTORY);
  readonly #parts: DriverParts;
  readonly #frames: FrameTable;
  readonly #devices: DeviceTable;
  readonly #commands: CommandQueue;
  readonly #faultQueue: RecordQueue;
  readonly #pageQueue: RecordQueue;
  #receiver: PageRequestReceiver | null = null;
  #servicing = false;
  #again = false;

  constructor({ port, memory, frames }: IommuDriverOptions) {
    this.#parts = { port, memory };
    this.#frames = frames;
    this.#commands = new CommandQueue(this.#parts, this.#queue(COMMAND_BYTES), this.#page());
    this.#faultQueue = new RecordQueue(
      this.#parts,
      { base: REGISTERS.fqb.at, head: REGISTERS.fqh.at, tail: REGISTERS.fqt.at, control: REGISTERS.fqcsr.at },
      { ...this.#queue(FAULT_RECORD.bytes), recordBytes: FAULT_RECORD.bytes },
    );
    this.#pageQueue = new RecordQueue(
      this.#parts,
      { base: REGISTERS.pqb.at, head: REGISTERS.pqh.at, tail: REGISTERS.pqt.at, control: REGISTERS.pqcsr.at },
      { ...this.#queue(PAGE_RECORD.bytes), recordBytes: PAGE_RECORD.bytes },
    );
    this.#devices = new DeviceTable(this.#parts, this.#page());
  }

  /** Commands that wait for room in the command queue. */
  get backlog(): number {
    return this.#commands.backlog;
  }

  /** Looks at everything that the IOMMU may have to say. Safe at any time, any number of times, from inside itself. */
  service(): void {
    this.#again = true;
    if (this.#servicing) return;
    this.#servicing = true;
    try {
      // An overflow that is still set brings its pending bit straight back: one more round finds it clear.
      while (this.#again || this.#parts.port.readRegister(REGISTERS.ipsr.at) !== 0) {
        this.#again = false;
        this.#round();
      }
    } finally {
      this.#servicing = false;
    }
  }

  #round(): void {
    const { port } = this.#parts;
    const pending = port.readRegister(REGISTERS.ipsr.at);
    this.#commands.acknowledge();
    // Before anything is looked at: what arrives from here on sets its bit again (hazard S21).
    if (pending !== 0) port.writeRegister(REGISTERS.ipsr.at, pending);
    this.#commands.advance();
    this.drainPageRequests();
  }

  onPageRequests(receiver: PageRequestReceiver): void {
    this.#receiver = receiver;
  }

  drainPageRequests(): void {
    const { memory } = this.#parts;
    // Groups that lost members are void before a member of a later group with the same index can be stored.
    const lost = this.#pageQueue.drain((address) => {
      this.#receiver?.pageRequested(readPageRequest(memory, address));
    });
    if (lost) {
      this.#receiver?.requestsLost();
      this.#pageQueue.clearOverflow();
    }
    if (this.#faultQueue.drain((address) => this.#takeFault(address))) this.#faultQueue.clearOverflow();
  }

  #takeFault(address: number): void {
    const { memory } = this.#parts;
    if (!isStall(memory, address)) {
      this.faults.push(readFault(memory, address));
      return;
    }
    const event = readStall(memory, address);
    // The device waits, whether anybody resolves faults or not.
    if (this.#receiver === null) this.resume({ ...event, retry: false });
    else this.#receiver.stalled(event);
  }

  respond(response: PageResponse): void {
    this.#commands.submit([respondToGroup(response)]);
  }

  resume(answer: StallAnswer): void {
    this.#commands.submit([resumeStalled(answer)]);
  }

  invalidate(request: Invalidation, done: () => void): void {
    this.#commands.submit(this.#commandsOf(request), done);
  }

  invalidateProcess(request: Invalidation & { readonly device: BoundDevice }, done: () => void): void {
    const { deviceId, pasid } = request.device;
    const context = invalidateProcessContext(deviceId, Math.max(0, pasid));
    this.#commands.submit([context, ...this.#commandsOf(request)], done);
  }

  invalidateDevice(deviceId: number, done: () => void): void {
    const everything = [invalidateWholeAtc(deviceId, -1), invalidateWholeAtc(deviceId, 0, true)];
    this.#commands.submit(this.#devices.mayCache(deviceId) ? everything : [], done);
  }

  /** A device without ATS must not be sent an ATS message; what it has under way ends before the closing fence does. */
  #commandsOf(request: Invalidation): Command[] {
    const devices = [...request.devices].filter(({ deviceId }) => this.#devices.mayCache(deviceId));
    return invalidationCommands({ ...request, devices });
  }

  setDeviceContext(deviceId: number, contents: DeviceContextContents, done: () => void): void {
    const install = (): void => {
      this.#devices.write(deviceId, contents);
      this.#commands.submit([invalidateDeviceContext(deviceId)], done);
    };
    if (this.#devices.isValid(deviceId)) this.clearDeviceContext(deviceId, install);
    else install();
  }

  clearDeviceContext(deviceId: number, done: () => void): void {
    this.#devices.clear(deviceId);
    this.#commands.submit([invalidateDeviceContext(deviceId)], done);
  }

  createProcessDirectory(deviceId: number, tables: TableMemory): ProcessDirectory | null {
    const root = tables.allocateTable();
    return root === null ? null : new ProcessDirectory(this.#parts.memory, tables, { deviceId, root });
  }

  #queue(entryBytes: number): QueueInMemory {
    return { address: this.#allocate(pagesFor(entryBytes * 2 ** LOG_ENTRIES)), logEntries: LOG_ENTRIES };
  }

  #page(): number {
    return this.#allocate(1);
  }

  /** Queue bases are aligned to the size of the queue. */
  #allocate(frames: number): number {
    const address = this.#frames.allocate({ frames, owner: frameOwner.MACHINE, alignFrames: frames });
    assert(address !== null, `memory has ${frames * PAGE_BYTES} bytes for the IOMMU`);
    return address;
  }
}
