/**
 * The driver side of a queue, by hand: a process of an inline machine with raw system calls, and one open queue of
 * it as words and slots. Nothing here is the user library: a test can write what no library would.
 *
 * Between two awaits the machine stands still; `machine.step()` moves it by one event, `settle` until nothing is left.
 */

import { MiB, PAGE_BYTES } from '../../src/base/units.js';
import { InlineMachine, type InlineMachineOptions } from '../../src/machine/inline/inline-machine.js';
import type { ProcessSettings } from '../../src/machine/process-settings.js';
import {
  qpContextArgument,
  qpInfoArgument,
  queueRegion,
  UACCE_CMD_QM_SET_QP_CTX,
  UACCE_CMD_QM_SET_QP_INFO,
  UACCE_CMD_START_Q,
} from '../../src/uapi/ioctl.js';
import {
  CQE_BYTES,
  cqeLayout,
  type DusShape,
  dusShape,
  engineAsleep,
  QUEUE_MMIO_BYTES,
  queueWord,
} from '../../src/uapi/queue-layout.js';
import type { Platform, SyscallReply, SyscallRequest } from '../../src/uapi/syscall.js';

export type QueueWordName = keyof typeof queueWord;

/** A machine, or a failed test. 32 MiB of memory unless said otherwise. */
export function newMachine(options: InlineMachineOptions): InlineMachine {
  return InlineMachine.create({ memoryBytes: 32 * MiB, ...options })._unsafeUnwrap();
}

/** Memory of a process: its address, and the bytes themselves. */
export interface MockPool {
  readonly address: number;
  readonly view: Uint8Array;
}

export class MockProcess {
  readonly machine: InlineMachine;
  readonly platform: Platform;

  constructor(machine: InlineMachine, settings: ProcessSettings = {}) {
    this.machine = machine;
    this.platform = machine.createProcess(settings)._unsafeUnwrap();
  }

  /** A system call that must succeed. */
  async call(request: SyscallRequest): Promise<SyscallReply> {
    const reply = await this.platform.syscall(request);
    if (reply.ret < 0) throw new Error(`${request.call} answered ${reply.ret}`);
    return reply;
  }

  /** Prefaulted, contiguous memory with a view. */
  async pool(bytes: number): Promise<MockPool> {
    const { ret: address } = await this.call({ call: 'mmapAnonymous', kind: 'pool', bytes });
    return { address, view: this.platform.mapRegion(address, bytes) };
  }

  /** Demand-paged memory: not a page of it is there. */
  async demand(bytes: number): Promise<number> {
    return (await this.call({ call: 'mmapAnonymous', kind: 'demand', bytes })).ret;
  }

  async write(address: number, source: Uint8Array): Promise<void> {
    await this.call({ call: 'writeMemory', address, source });
  }

  async read(address: number, bytes: number): Promise<Uint8Array> {
    return (await this.call({ call: 'readMemory', address, bytes })).bytes!;
  }

  /** Opens, maps and starts a queue of a device. */
  async queue({ path = '/dev/wd_copy-0', qcType = 0 } = {}): Promise<RingMock> {
    const { ret: fd } = await this.call({ call: 'open', path });
    const context = new Uint8Array(qpContextArgument.bytes);
    qpContextArgument.fields.qcType.write(new DataView(context.buffer), 0, qcType);
    const { bytes: answer } = await this.call({
      call: 'ioctl',
      fd,
      command: UACCE_CMD_QM_SET_QP_CTX,
      argument: context,
    });
    const shape = await this.#shapeOf(fd);
    const mmio = await this.#region(fd, queueRegion.MMIO, QUEUE_MMIO_BYTES);
    const dus = await this.#region(fd, queueRegion.DUS, shape.bytes);
    await this.call({ call: 'ioctl', fd, command: UACCE_CMD_START_Q });
    const number = qpContextArgument.fields.id.read(viewOf(answer!), 0);
    return new RingMock({
      process: this,
      fd,
      number,
      shape,
      mmio: mmio.view,
      mmioAddress: mmio.address,
      dus: dus.view,
      dusAddress: dus.address,
    });
  }

  async #shapeOf(fd: number): Promise<DusShape> {
    const argument = new Uint8Array(qpInfoArgument.bytes);
    const { bytes } = await this.call({ call: 'ioctl', fd, command: UACCE_CMD_QM_SET_QP_INFO, argument });
    const { sqeBytes, sqDepth, cqDepth } = qpInfoArgument.fields;
    const view = viewOf(bytes!);
    return dusShape(sqeBytes.read(view, 0), sqDepth.read(view, 0), cqDepth.read(view, 0));
  }

  async #region(fd: number, type: number, bytes: number): Promise<MockPool> {
    const { ret: address } = await this.call({ call: 'mmap', fd, offset: type * PAGE_BYTES, bytes });
    return { address, view: this.platform.mapRegion(address, bytes) };
  }
}

/** One completion as it stands in the rings. */
export interface MockCompletion {
  /** SQ slot that it names. */
  readonly slot: number;
  readonly queueNumber: number;
  /** The SQ slot as it came back. */
  readonly sqe: Uint8Array;
}

interface RingMockParts {
  readonly process: MockProcess;
  readonly fd: number;
  readonly number: number;
  readonly shape: DusShape;
  readonly mmio: Uint8Array;
  readonly mmioAddress: number;
  readonly dus: Uint8Array;
  readonly dusAddress: number;
}

export class RingMock {
  readonly process: MockProcess;
  readonly fd: number;
  /** Hardware queue number. */
  readonly number: number;
  readonly shape: DusShape;
  readonly mmio: Uint8Array;
  /** Where the MMIO region is mapped in the process. */
  readonly mmioAddress: number;
  readonly dus: Uint8Array;
  /** Where the DUS region is mapped in the process. */
  readonly dusAddress: number;
  /** Interrupts received since the queue was opened. */
  interrupts = 0;
  /** Free-running, modulo 2^32. */
  sqTail = 0;
  cqHead = 0;
  readonly #words: Int32Array;
  readonly #phases: Uint16Array;

  constructor({ process, fd, number, shape, mmio, mmioAddress, dus, dusAddress }: RingMockParts) {
    this.process = process;
    this.fd = fd;
    this.number = number;
    this.shape = shape;
    this.mmio = mmio;
    this.mmioAddress = mmioAddress;
    this.dus = dus;
    this.dusAddress = dusAddress;
    this.#words = new Int32Array(mmio.buffer, mmio.byteOffset, mmio.length >>> 2);
    this.#phases = new Uint16Array(dus.buffer, dus.byteOffset, dus.length >>> 1);
    process.platform.onInterrupt(fd, () => {
      this.interrupts += 1;
      this.writeWord('INTERRUPT_PENDING', 0);
    });
  }

  get #dusView(): DataView {
    return viewOf(this.dus);
  }

  /** Bytes of an SQ slot, to look at or to change at any time. */
  slot(index: number): Uint8Array {
    const at = (index % this.shape.sqDepth) * this.shape.sqeBytes;
    return this.dus.subarray(at, at + this.shape.sqeBytes);
  }

  /** Writes an SQE into the next slot and tells nobody: its slot. */
  place(sqe: Uint8Array): number {
    const slot = (this.sqTail >>> 0) % this.shape.sqDepth;
    this.slot(slot).set(sqe);
    this.sqTail = (this.sqTail + 1) | 0;
    return slot;
  }

  /** Places an SQE, publishes the tail and wakes a sleeping engine: the slot. */
  submit(sqe: Uint8Array): number {
    const slot = this.place(sqe);
    this.publishTail();
    return slot;
  }

  publishTail(): void {
    this.writeWord('SQ_TAIL', this.sqTail);
    if (this.readWord('ENGINE_ASLEEP') !== engineAsleep.AWAKE) this.ring();
  }

  /** Completions published and not taken, oldest first; takes them and publishes the head. */
  completions(): MockCompletion[] {
    const taken: MockCompletion[] = [];
    while (this.published()) taken.push(this.#takeOne());
    if (taken.length > 0) this.publishHead();
    return taken;
  }

  /** Whether the CQE `ahead` places after the head has been published. */
  published(ahead = 0): boolean {
    const count = (this.cqHead + ahead) >>> 0;
    const entry = count % this.shape.cqDepth;
    const pass = Math.floor(count / this.shape.cqDepth);
    const at = this.shape.cqOffset + entry * CQE_BYTES + 14;
    return (Atomics.load(this.#phases, at >>> 1) & 1) === (pass & 1 ? 0 : 1);
  }

  publishHead(): void {
    this.writeWord('CQ_HEAD', this.cqHead);
    if (this.readWord('ENGINE_ASLEEP') === engineAsleep.NO_COMPLETION_SLOT) this.ring();
  }

  /** Stores any value into any of our words. */
  writeWord(name: QueueWordName, value: number): void {
    Atomics.store(this.#words, queueWord[name] >>> 2, value | 0);
  }

  readWord(name: QueueWordName): number {
    return Atomics.load(this.#words, queueWord[name] >>> 2) >>> 0;
  }

  /** The status words at the end of the DUS region: 1 = disabled. */
  readStatus(): { rx: number; tx: number } {
    const { rxStatusOffset, txStatusOffset } = this.shape;
    return {
      rx: this.#dusView.getUint32(rxStatusOffset, true),
      tx: this.#dusView.getUint32(txStatusOffset, true),
    };
  }

  /** The doorbell's event. */
  ring(): void {
    this.process.platform.wake(this.fd);
  }

  /** Submits one SQE and lets the machine come to rest: the completion's SQE. */
  execute(sqe: Uint8Array): Uint8Array {
    this.submit(sqe);
    this.process.machine.runUntilIdle();
    const [first, ...more] = this.completions();
    if (first === undefined || more.length > 0)
      throw new Error(`${more.length + (first ? 1 : 0)} completions for one SQE`);
    return first.sqe;
  }

  #takeOne(): MockCompletion {
    const entry = (this.cqHead >>> 0) % this.shape.cqDepth;
    const at = this.shape.cqOffset + entry * CQE_BYTES;
    const slot = cqeLayout.fields.sqHead.read(this.#dusView, at);
    const queueNumber = cqeLayout.fields.sqNumber.read(this.#dusView, at);
    this.cqHead = (this.cqHead + 1) | 0;
    return { slot, queueNumber, sqe: this.slot(slot).slice() };
  }
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
