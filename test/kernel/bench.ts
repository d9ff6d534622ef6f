/**
 * A kernel on a real IOMMU with a device that is not there: `FakePort` records what the kernel asks of the hardware
 * and answers at once, or when told to. Invalidations, too, can be held back, to look at what must not happen before
 * they are acknowledged.
 *
 * A test reads as a user's session: `user.open('/dev/...')`, `user.ioctl(fd, START)`; a call that has not been
 * answered yet shows as `WAITING`.
 */
import { assert } from '../../src/base/assert.js';
import { MiB } from '../../src/base/units.js';
import { VirtualClock } from '../../src/hw/clock.js';
import type { CoprocIrq, CoprocPort, Done, QueueBinding } from '../../src/hw/coproc-port.js';
import type { DeviceDescription } from '../../src/hw/device-model.js';
import { FrameTable, frameOwner } from '../../src/hw/frame-table.js';
import { Iommu } from '../../src/hw/iommu/iommu.js';
import { IOMMU_REGISTER_WORDS, IommuRegisterFile } from '../../src/hw/iommu/registers.js';
import {
  type IommuMessage,
  newTranslationRequest,
  newTranslationResult,
  RequestType,
} from '../../src/hw/iommu/translation.js';
import { IommuDriver } from '../../src/hw/iommu-driver/iommu-driver.js';
import { PhysicalMemory } from '../../src/hw/physical-memory.js';
import { queueContextLayout } from '../../src/hw/queue-context.js';
import { Kernel } from '../../src/kernel/kernel.js';
import type { KernelDriver } from '../../src/kernel/kernel-driver.js';
import { HostMemoryDomain } from '../../src/kernel/memory-domain.js';
import type { PasidAllocator } from '../../src/kernel/pasid.js';
import type { Process } from '../../src/kernel/process.js';
import type { SyscallReply, SyscallRequest } from '../../src/uapi/syscall.js';

/** Stands for a call that is not answered yet; no errno and no value. */
export const WAITING = Number.NEGATIVE_INFINITY;

const description: DeviceDescription = {
  name: 'fake',
  sqeBytes: 128,
  preemption: 'none',
  registers: [],
  create: () => {
    throw new Error('the fake device is never powered on');
  },
};

export class FakePort implements CoprocPort {
  readonly instance: string;
  readonly deviceId: number;
  readonly description = description;
  /** What the kernel asked for, in order: `attach 3`, `detach 3`, `wake`, `sleep`. */
  readonly log: string[] = [];
  readonly bindings = new Map<number, QueueBinding>();
  /** While true, attach and detach wait for `release`. */
  holds = false;
  /** Answer of the next attachQueue. */
  attachResult = 0;
  readonly #held: (() => void)[] = [];
  irq: (irq: CoprocIrq) => void = () => {};

  constructor(deviceId: number) {
    this.deviceId = deviceId;
    this.instance = `fake${deviceId}`;
  }

  attachQueue(binding: QueueBinding, done: Done): void {
    this.log.push(`attach ${binding.queueNumber}`);
    assert(!this.bindings.has(binding.queueNumber), 'a queue is attached once');
    this.#answer(() => {
      if (this.attachResult === 0) this.bindings.set(binding.queueNumber, binding);
      done(this.attachResult);
    });
  }

  detachQueue(queueNumber: number, done: Done): void {
    this.log.push(`detach ${queueNumber}`);
    assert(this.bindings.has(queueNumber), 'an attached queue is detached');
    this.#answer(() => {
      this.bindings.delete(queueNumber);
      done(0);
    });
  }

  release(): void {
    for (const act of this.#held.splice(0)) act();
  }

  ringDoorbell(queueNumber: number, value: Uint8Array): void {
    this.log.push(`doorbell ${queueNumber} ${Buffer.from(value).toString('hex')}`);
  }

  wake(): void {
    this.log.push('wake');
  }

  sleep(): void {
    this.log.push('sleep');
  }

  readRegister(_offset: number, _width: 32 | 64, done: (value: number) => void): void {
    done(0);
  }

  writeRegister(_offset: number, _width: 32 | 64, _value: number, done: Done): void {
    done(0);
  }

  onIrq(receive: (irq: CoprocIrq) => void): void {
    this.irq = receive;
  }

  #answer(act: () => void): void {
    if (this.holds) this.#held.push(act);
    else act();
  }
}

export const fakeDriver: KernelDriver = {
  deviceName: 'fake',
  api: 'hisi_qm_v3',
  algorithms: ['zlib', 'gzip'],
  queues: 4,
  sqDepth: 16,
  cqDepth: 16,
  sva: true,
  isolation: { threshold: 0 },
};

export interface BenchOptions {
  readonly quotaFrames?: number;
  readonly pasids?: PasidAllocator;
}

export class Bench {
  readonly memory = PhysicalMemory.create(32 * MiB);
  readonly frames = new FrameTable(this.memory);
  readonly clock = new VirtualClock();
  readonly counts = { syscalls: 0, pageRequests: 0 };
  /** Page group responses that left the IOMMU: device, PASID, group, code. */
  readonly responses: { deviceId: number; pasid: number; prgi: number; code: number }[] = [];
  /** While true, devices do not acknowledge invalidations until `acknowledge`. */
  holdsInvalidations = false;
  readonly heldInvalidations: IommuMessage[] = [];
  readonly iommu: Iommu;
  readonly registers: IommuRegisterFile;
  readonly driver: IommuDriver;
  readonly kernel: Kernel;
  readonly host: HostMemoryDomain;
  /** Free frames before the first process, device or table. */
  readonly freeAtStart: number;
  #driverReady = false;

  constructor({ quotaFrames = 4096, pasids }: BenchOptions = {}) {
    this.registers = new IommuRegisterFile(new Int32Array(IOMMU_REGISTER_WORDS));
    this.registers.reset();
    this.iommu = new Iommu({
      memory: this.memory,
      registers: this.registers,
      lockHolder: 1,
      sendMessage: (message) => this.#deliver(message),
      interrupt: () => {
        if (this.#driverReady) this.driver.service();
      },
    });
    this.driver = new IommuDriver({ port: this.iommu, memory: this.memory, frames: this.frames });
    this.#driverReady = true;
    this.host = new HostMemoryDomain({ frames: this.frames, owner: frameOwner.FIRST_DOMAIN, quotaFrames });
    this.freeAtStart = this.frames.freeFrames;
    this.kernel = new Kernel({
      memory: this.memory,
      frames: this.frames,
      iommu: this.driver,
      clock: this.clock,
      counters: { add: (name) => void this.counts[name]++ },
      ...(pasids === undefined ? {} : { pasids }),
    });
  }

  /** Adds a device on a port of its own; the name, or the errno when it was refused. */
  addDevice(
    driver: Partial<KernelDriver> = {},
    deviceId = 0,
  ): { name: string; path: string; port: FakePort } {
    const port = new FakePort(deviceId);
    let name: string | number = WAITING;
    this.kernel.addDevice({ port, driver: { ...fakeDriver, ...driver }, domain: this.host }, (answer) => {
      name = answer;
    });
    return { name: String(name), path: `/dev/${name}`, port };
  }

  user(quotaFrames?: number): User {
    const options = { memory: this.host, waiter: 0, ...(quotaFrames === undefined ? {} : { quotaFrames }) };
    const process = this.kernel.createProcess(options);
    assert(process !== null, 'there is room for a process');
    return new User(this, process);
  }

  removeDevice(name: string): Answered {
    return answered((done) => this.kernel.removeDevice(name, done));
  }

  resetDevice(name: string): Answered {
    return answered((done) => this.kernel.resetDevice(name, done));
  }

  /** Devices acknowledge what they were asked to forget, and from now on at once. */
  acknowledge(): void {
    this.holdsInvalidations = false;
    this.acknowledgeHeld();
  }

  /** Devices acknowledge what they were asked to forget so far; what is asked next is held again. */
  acknowledgeHeld(): void {
    for (const { id } of this.heldInvalidations.splice(0)) this.iommu.invalidationCompleted(id);
  }

  /** An ATS request of a device: what it is granted, the physical address (-1 = none), bytes of the grant. */
  ask(deviceId: number, pasid: number, va: number) {
    const request = newTranslationRequest();
    const result = newTranslationResult();
    Object.assign(request, { type: RequestType.ats, deviceId, pasid });
    request.iovaHigh = Math.floor(va / 2 ** 32);
    request.iovaLow = va >>> 0;
    this.iommu.translate(request, result);
    const granted = result.status === 0 && result.r;
    const bytes = result.rangeBytes;
    const physical = granted ? result.ppn * 4096 + (va % bytes) : -1;
    return { r: granted && result.r, w: granted && result.w, physical, bytes };
  }

  /** A page request message of a device. */
  requestPage(at: {
    deviceId?: number;
    pasid: number;
    va: number;
    prgi?: number;
    last?: boolean;
    write?: boolean;
  }) {
    const { deviceId = 0, pasid, va, prgi = 0, last = true, write = true } = at;
    return this.iommu.pageRequest({
      rid: deviceId,
      dsv: false,
      dseg: 0,
      pasid,
      privileged: false,
      execute: false,
      payloadHigh: Math.floor(va / 2 ** 32),
      payloadLow: ((va >>> 0) | (prgi << 3) | (last ? 4 : 0) | (write ? 2 : 0) | 1) >>> 0,
    });
  }

  /** Publishes `count` completions, as the engine would. */
  complete(binding: QueueBinding, count = 1): void {
    const at = binding.contextAddress + queueContextLayout.fields.cqTail.spec.at;
    this.memory.store32(at, this.memory.load32(at) + count);
  }

  #deliver(message: IommuMessage): void {
    if (message.type === 'pageGroupResponse') {
      const { rid: deviceId, pasid, payloadHigh } = message;
      this.responses.push({ deviceId, pasid, prgi: payloadHigh & 0x1ff, code: (payloadHigh >>> 12) & 15 });
    } else if (this.holdsInvalidations) this.heldInvalidations.push(message);
    else this.iommu.invalidationCompleted(message.id);
  }
}

/** The result of something that may be answered later. */
export interface Answered {
  ret: number;
}

function answered(call: (done: (ret: number) => void) => void): Answered {
  const answer: Answered = { ret: WAITING };
  call((ret) => {
    assert(answer.ret === WAITING, 'a call is answered once');
    answer.ret = ret;
  });
  return answer;
}

/** A process and its system calls. */
export class User {
  readonly #bench: Bench;
  readonly process: Process;

  constructor(bench: Bench, process: Process) {
    this.#bench = bench;
    this.process = process;
  }

  /** Issues any request; the reply object fills in when the kernel answers. */
  issue(request: unknown): SyscallReply {
    const holder: { ret: number } = { ret: WAITING };
    this.#bench.kernel.syscall(this.process.pid, request as SyscallRequest, (reply) => {
      assert(holder.ret === WAITING, 'a call is answered once');
      Object.assign(holder, reply);
    });
    return holder;
  }

  open(path: string): number {
    return this.issue({ call: 'open', path }).ret;
  }

  close(fd: number): number {
    return this.issue({ call: 'close', fd }).ret;
  }

  ioctl(fd: number, command: number, argument?: Uint8Array): SyscallReply {
    return this.issue({ call: 'ioctl', fd, command, argument });
  }

  mmap(fd: number, regionType: number, bytes: number): number {
    return this.issue({ call: 'mmap', fd, offset: regionType * 4096, bytes }).ret;
  }

  pool(bytes: number, prefault = true): number {
    return this.issue({ call: 'mmapAnonymous', kind: 'pool', bytes, prefault }).ret;
  }

  demand(bytes: number): number {
    return this.issue({ call: 'mmapAnonymous', kind: 'demand', bytes }).ret;
  }

  munmap(address: number, bytes: number): SyscallReply {
    return this.issue({ call: 'munmap', address, bytes });
  }

  poll(fd: number): number {
    return this.issue({ call: 'poll', fd }).ret;
  }

  read(address: number, bytes: number): Uint8Array | number {
    const reply = this.issue({ call: 'readMemory', address, bytes });
    return reply.bytes ?? reply.ret;
  }

  write(address: number, ...bytes: number[]): number {
    return this.issue({ call: 'writeMemory', address, source: Uint8Array.from(bytes) }).ret;
  }

  fill(address: number, bytes: number, value: number): number {
    return this.issue({ call: 'writeMemory', address, source: new Uint8Array(bytes).fill(value) }).ret;
  }

  cat(path: string): string | number {
    const reply = this.issue({ call: 'readFile', path });
    return reply.text ?? reply.ret;
  }

  echo(path: string, text: string): number {
    return this.issue({ call: 'writeFile', path, text }).ret;
  }

  exit(): Answered {
    return answered((done) => this.#bench.kernel.exitProcess(this.process.pid, done));
  }
}
