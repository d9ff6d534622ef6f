/**
 * A kernel on a real IOMMU with a device that is not there: `FakePort` records what the kernel asks of the hardware
 * and answers at once, or when told to. Invalidations, too, can be held back, and so can the threads of processes inside
 * their accesses, to look at what must not happen before they are acknowledged and have left. A frame that is freed
 * while any cache still names it fails the test it happens in (hazards S1, S31).
 *
 * A test reads as a user's session: `user.open('/dev/...')`, `user.ioctl(fd, START)`; a call that has not been
 * answered yet shows as `WAITING`.
 */
import { assert } from '../../src/base/assert.js';
import { MiB, PAGE_BYTES } from '../../src/base/units.js';
import { VirtualClock } from '../../src/hw/clock.js';
import type { CoprocIrq, CoprocPort, Done, QueueBinding } from '../../src/hw/coproc-port.js';
import type { DeviceDescription } from '../../src/hw/device-model.js';
import { FrameTable, frameOwner } from '../../src/hw/frame-table.js';
import { ALL_INSTANCE_WORDS } from '../../src/hw/instance-words.js';
import { Iommu } from '../../src/hw/iommu/iommu.js';
import { IOMMU_REGISTER_WORDS, IommuRegisterFile } from '../../src/hw/iommu/registers.js';
import {
  type IommuMessage,
  newTranslationRequest,
  newTranslationResult,
  type PageRequestOutcome,
  RequestType,
} from '../../src/hw/iommu/translation.js';
import { IommuDriver } from '../../src/hw/iommu-driver/iommu-driver.js';
import { PhysicalMemory } from '../../src/hw/physical-memory.js';
import { queueContextLayout } from '../../src/hw/queue-context.js';
import { GuestMemoryDomain } from '../../src/kernel/guest-memory.js';
import { type ForkAnswer, Kernel, type UserThreads } from '../../src/kernel/kernel.js';
import type { KernelDriver } from '../../src/kernel/kernel-driver.js';
import { HostMemoryDomain, type MemoryDomain } from '../../src/kernel/memory-domain.js';
import type { PasidAllocator } from '../../src/kernel/pasid.js';
import type { Process } from '../../src/kernel/process.js';
import { installedTranslationCheck, newTranslationCheck } from '../../src/machine/checking.js';
import type { Protection, SyscallReply, SyscallRequest } from '../../src/uapi/syscall.js';
import { FakeDevice } from './fake-device.js';

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

/** Physical memory that tells, before anybody else can have it, which frame is free. */
class WatchedFrames extends FrameTable {
  onFreed: (address: number) => void = () => {};

  override release(address: number): boolean {
    return this.#tell(address, super.release(address));
  }

  override unpin(address: number): boolean {
    return this.#tell(address, super.unpin(address));
  }

  #tell(address: number, freed: boolean): boolean {
    if (freed) this.onFreed(address);
    return freed;
  }
}

/** User threads that are inside no access, or, while `holds`, inside one that goes on until `leaveAll`. */
class FakeThreads implements UserThreads {
  /** While true, whoever waits for a thread waits until `leaveAll`. */
  holds = false;
  #held: (() => void)[] = [];

  leave(_pid: number, done: () => void): void {
    if (this.holds) this.#held.push(done);
    else done();
  }

  /** How many wait for a thread to leave its access. */
  get waiting(): number {
    return this.#held.length;
  }

  /** Every thread leaves the access it was in, in the order in which they were waited for, and enters no other. */
  leaveAll(): void {
    this.holds = false;
    this.leaveHeld();
  }

  /** The same, and from now on threads are inside accesses again. */
  leaveHeld(): void {
    const held = this.#held;
    this.#held = [];
    for (const done of held) done();
  }
}

export interface BenchOptions {
  readonly quotaFrames?: number;
  readonly pasids?: PasidAllocator;
  /** Pages that the swap store holds; the machine's default unless said otherwise. */
  readonly swapPages?: number;
}

export class Bench {
  readonly memory = PhysicalMemory.create(32 * MiB);
  readonly frames = new WatchedFrames(this.memory);
  readonly clock = new VirtualClock();
  readonly counts = { syscalls: 0, pageRequests: 0 };
  /** Page group responses that left the IOMMU: device, PASID, group, code. */
  readonly responses: { deviceId: number; pasid: number; prgi: number; code: number }[] = [];
  /** While true, devices do not acknowledge invalidations until `acknowledge`. */
  holdsInvalidations = false;
  readonly heldInvalidations: IommuMessage[] = [];
  /** While true, the IOMMU's interrupt stays pending until `interrupt`. */
  holdsInterrupts = false;
  readonly threads = new FakeThreads();
  readonly #devices = new Map<number, FakeDevice>();
  readonly iommu: Iommu;
  readonly registers: IommuRegisterFile;
  readonly driver: IommuDriver;
  readonly kernel: Kernel;
  readonly host: HostMemoryDomain;
  /** Free frames before the first process, device or table. */
  readonly freeAtStart: number;
  #driverReady = false;

  constructor({ quotaFrames = 4096, pasids, swapPages }: BenchOptions = {}) {
    this.registers = new IommuRegisterFile(new Int32Array(IOMMU_REGISTER_WORDS));
    this.registers.reset();
    this.iommu = new Iommu({
      memory: this.memory,
      registers: this.registers,
      lockHolder: 1,
      sendMessage: (message) => this.#deliver(message),
      interrupt: () => {
        if (this.#driverReady && !this.holdsInterrupts) this.driver.service();
      },
      check: newTranslationCheck(installedTranslationCheck(), {
        memory: this.memory,
        registers: this.registers,
        // No device of this bench has a cache of its own.
        instances: new Int32Array(ALL_INSTANCE_WORDS),
        backlog: () => this.driver.backlog,
      }),
    });
    this.driver = new IommuDriver({ port: this.iommu, memory: this.memory, frames: this.frames });
    this.#driverReady = true;
    this.frames.onFreed = (address) => assertForgotten(address, this.iommu, this.#devices);
    this.host = new HostMemoryDomain({ frames: this.frames, owner: frameOwner.FIRST_DOMAIN, quotaFrames });
    this.freeAtStart = this.frames.freeFrames;
    this.kernel = new Kernel({
      memory: this.memory,
      frames: this.frames,
      iommu: this.driver,
      clock: this.clock,
      counters: { add: (name) => void this.counts[name]++ },
      threads: this.threads,
      ...(pasids === undefined ? {} : { pasids }),
      ...(swapPages === undefined ? {} : { swapPages }),
    });
  }

  /** Adds a device on a port of its own; the name, or the errno when it was refused. */
  addDevice(
    driver: Partial<KernelDriver> = {},
    deviceId = 0,
    domain: MemoryDomain = this.host,
  ): { name: string; path: string; port: FakePort } {
    const port = new FakePort(deviceId);
    let name: string | number = WAITING;
    this.kernel.addDevice({ port, driver: { ...fakeDriver, ...driver }, domain }, (answer) => {
      name = answer;
    });
    return { name: String(name), path: `/dev/${name}`, port };
  }

  user(quotaFrames?: number, memory: MemoryDomain = this.host): User {
    const options = { memory, waiter: 0, ...(quotaFrames === undefined ? {} : { quotaFrames }) };
    const process = this.kernel.createProcess(options);
    assert(process !== null, 'there is room for a process');
    return new User(this, process);
  }

  /** A domain with a second stage of its own; its frames are watched like those of the host. */
  guest(bytes: number): GuestMemoryDomain {
    const options = {
      memory: this.memory,
      frames: this.frames,
      owner: frameOwner.FIRST_DOMAIN + 1,
      gscid: 1,
    };
    const domain = GuestMemoryDomain.create({ ...options, bytes });
    assert(domain !== null, 'there is room for a domain');
    const free = domain.free.bind(domain);
    domain.free = (gpa, frames) => {
      const pages = Array.from({ length: frames }, (_, frame) => gpa + frame * PAGE_BYTES);
      const last = pages.filter((page) => domain.holders(page) === 1 && domain.pins(page) === 0);
      free(gpa, frames);
      for (const page of last) this.frames.onFreed(domain.toPa(page));
    };
    return domain;
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
    for (const message of this.heldInvalidations.splice(0)) this.#complete(message);
  }

  /** The interrupt that was held back, and from now on at once. */
  interrupt(): void {
    this.holdsInterrupts = false;
    this.driver.service();
  }

  /** The time goes on until nothing is due within `ns`. */
  advance(ns: number): void {
    let over = false;
    this.clock.alarm(ns, () => {
      over = true;
    });
    while (!over) this.clock.step();
  }

  /** A device with a cache of its own at number `deviceId`, whatever queues it has. */
  device(deviceId = 0): FakeDevice {
    const known = this.#devices.get(deviceId);
    if (known !== undefined) return known;
    const device = new FakeDevice({
      memory: this.memory,
      deviceId,
      ask: (pasid, va) => this.ask(deviceId, pasid, va),
      requestPage: (request) => this.#relay(deviceId, this.requestPage({ deviceId, ...request })),
    });
    this.#devices.set(deviceId, device);
    return device;
  }

  /** A device reads the byte at `va` of a process: the byte, -EFAULT, or WAITING for a page. */
  deviceRead(user: User, va: number, deviceId = 0): Answered {
    const pasid = user.pasid(deviceId);
    return answered((done) => this.device(deviceId).access({ pasid, va }, done));
  }

  /** A device writes the byte at `va` of a process: 0, -EFAULT, or WAITING for a page. */
  deviceWrite(user: User, va: number, value: number, deviceId = 0): Answered {
    const pasid = user.pasid(deviceId);
    return answered((done) => this.device(deviceId).access({ pasid, va, value }, done));
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
      const [prgi, code] = [payloadHigh & 0x1ff, (payloadHigh >>> 12) & 15];
      this.responses.push({ deviceId, pasid, prgi, code });
      this.#devices.get(deviceId)?.respond(prgi, code);
    } else if (this.holdsInvalidations) this.heldInvalidations.push(message);
    else this.#complete(message);
  }

  #complete(message: IommuMessage): void {
    this.#devices.get(message.rid)?.forget(message);
    this.iommu.invalidationCompleted(message.id);
  }

  /** What the IOMMU answers by itself, when the queue cannot take a request. */
  #relay(deviceId: number, { response }: PageRequestOutcome): void {
    if (response !== null) this.#devices.get(deviceId)?.respond(response.prgi, response.code);
  }
}

/** Hazards S1 and S31: a frame is free only when nothing leads to it any more. */
function assertForgotten(address: number, iommu: Iommu, devices: ReadonlyMap<number, FakeDevice>): void {
  const named: string[] = iommu.cachesFrame(address / PAGE_BYTES);
  for (const [deviceId, device] of devices) if (device.caches(address)) named.push(`device ${deviceId}`);
  assert(named.length === 0, `frame 0x${address.toString(16)} is free and cached: ${named.join(', ')}`);
}

/** The result of something that may be answered later. */
export interface Answered {
  ret: number;
}

/** What a fork gave, or will. */
export interface Forked {
  ret: number;
  user: User | null;
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

  mprotect(address: number, bytes: number, protection: Protection): SyscallReply {
    return this.issue({ call: 'mprotect', address, bytes, protection });
  }

  pageOut(address: number, bytes: number): SyscallReply {
    return this.issue({ call: 'pageOut', address, bytes });
  }

  pin(address: number, bytes: number): SyscallReply {
    return this.issue({ call: 'pin', address, bytes });
  }

  unpin(pin: number): number {
    return this.issue({ call: 'unpin', pin }).ret;
  }

  pageFault(address: number, access: 'read' | 'write'): SyscallReply {
    return this.issue({ call: 'pageFault', address, access });
  }

  /** PASID of the process on a device; it has a queue there. */
  pasid(deviceId = 0): number {
    const pasid = this.process.space.pasidOn(deviceId);
    assert(pasid > 0, `process ${this.process.pid} is bound to device ${deviceId}`);
    return pasid;
  }

  /** Physical address that a device is granted for `va`, or -1. */
  physical(va: number, deviceId = 0): number {
    return this.#bench.ask(deviceId, this.pasid(deviceId), va).physical;
  }

  /** A fork: `ret` is 0 when the child is there. */
  fork(): Forked {
    const forked: Forked = { ret: WAITING, user: null };
    this.#bench.kernel.forkProcess(this.process.pid, 0, (answer: ForkAnswer) => {
      assert(forked.ret === WAITING, 'a fork is answered once');
      forked.ret = typeof answer === 'number' ? answer : 0;
      if (typeof answer !== 'number') forked.user = new User(this.#bench, answer.child);
    });
    return forked;
  }

  /** A fork that is answered at once, with a child. */
  child(): User {
    const { user } = this.fork();
    assert(user !== null, 'the fork succeeds at once');
    return user;
  }

  exit(): Answered {
    return answered((done) => this.#bench.kernel.exitProcess(this.process.pid, done));
  }
}
