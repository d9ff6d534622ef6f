/**
 * The simulated kernel: processes, devices and system calls. It runs on one thread and never blocks: whatever must
 * wait answers later, through `reply` or `done`, exactly once.
 *
 * Requests come from untrusted code. Every field is checked when the call is decoded; a bad one is an errno, never an
 * exception.
 */
import { unreachable } from '../base/assert.js';
import { limits } from '../base/limits.js';
import type { Trace } from '../base/trace.js';
import { PAGE_BYTES } from '../base/units.js';
import type { Clock } from '../hw/clock.js';
import type { FrameTable } from '../hw/frame-table.js';
import type { IommuControl } from '../hw/iommu-driver/control.js';
import { MmioBus } from '../hw/mmio-bus.js';
import type { PhysicalMemory } from '../hw/physical-memory.js';
import { errno } from '../uapi/errno.js';
import type { SyscallReply, SyscallRequest } from '../uapi/syscall.js';
import { AddressSpace, type Answer } from './address-space.js';
import type { KernelCounters } from './counters.js';
import { decodeRequest } from './decode-request.js';
import { buildDevice, type DeviceRequest, type DeviceSurroundings } from './device-setup.js';
import { DeviceTable } from './device-table.js';
import * as fileCalls from './file-calls.js';
import { IdPool } from './id-pool.js';
import { IoPageFaults } from './io-page-fault.js';
import * as memoryCalls from './memory-calls.js';
import type { MemoryDomain } from './memory-domain.js';
import { type PasidAllocator, SharedPasids } from './pasid.js';
import { Process } from './process.js';
import { ProcessMemory } from './process-memory.js';
import { Reclaimer } from './reclaim.js';
import { Sva } from './sva.js';
import { SwapStore } from './swap-store.js';

export interface KernelOptions {
  readonly memory: PhysicalMemory;
  readonly frames: FrameTable;
  readonly iommu: IommuControl;
  readonly clock: Clock;
  readonly counters: KernelCounters;
  /** One PASID for an address space on all devices, unless another is given. */
  readonly pasids?: PasidAllocator;
  /** Who knows what user threads are doing; absent: none of them touches memory by itself. */
  readonly threads?: UserThreads;
  /** Pages that can be written out of memory; `limits.SWAP_BYTES` unless said otherwise. */
  readonly swapPages?: number;
  readonly trace?: Trace | null;
  /** Interrupts user thread `waiter` for the queue whose MMIO region is at a physical address; absent: nobody is. */
  readonly interrupt?: (waiter: number, mmioAddress: number) => void;
}

/** The user threads of processes, as far as memory is concerned. */
export interface UserThreads {
  /** Calls `done` when the thread of process `pid` has left the accesses to memory that it had begun before. */
  leave(pid: number, done: () => void): void;
}

/** What a fork answers: a negated errno, or the child and what its threads can have views of. */
export type ForkAnswer = number | { readonly child: Process };

export interface CreateProcessOptions {
  readonly memory: MemoryDomain;
  /** The user thread that waits for completions, as the host numbers them. */
  readonly waiter: number;
  /** Frames that the process may hold; its domain's quota unless said otherwise. */
  readonly quotaFrames?: number;
  /** Share of the process among those of its domain: a whole number, 1 unless said otherwise. */
  readonly weight?: number;
}

/** A device's name, `NAME-ID`, or why it was refused: a negated errno. */
export type AddDeviceAnswer = (answer: string | number) => void;

export class Kernel {
  readonly #options: KernelOptions;
  readonly #processes = new Map<number, Process>();
  readonly #pids = new IdPool(1, limits.PROCESSES_MAX);
  /** PSCIDs are tags of 20 bits; each address space and each ring space has one. */
  readonly #pscids = new IdPool(1, 2 ** 20 - 1);
  readonly #devices = new DeviceTable();
  /** Registers that processes reach by storing to mapped memory. */
  readonly #mmio = new MmioBus();
  readonly #around: DeviceSurroundings;
  readonly #reclaimer = new Reclaimer();
  readonly #swap: SwapStore;
  #epoch = 0;

  constructor(options: KernelOptions) {
    this.#options = options;
    const { iommu, counters, clock, trace = null, pasids = new SharedPasids() } = options;
    this.#swap = new SwapStore(options.swapPages ?? limits.SWAP_BYTES / PAGE_BYTES);
    const sva = new Sva({ iommu, pasids });
    const find = (deviceId: number, pasid: number): AddressSpace | null => sva.find(deviceId, pasid);
    const faults = new IoPageFaults({ iommu, counters, clock, trace, find });
    sva.drainFaults = (deviceId, pasid, done) => faults.whenIdle(deviceId, pasid, done);
    this.#around = {
      interrupt: () => {},
      ...options,
      mmio: this.#mmio,
      sva,
      pscids: this.#pscids,
      nextEpoch: () => ++this.#epoch,
    };
  }

  /** Registers `/dev/NAME-ID` and its attributes; `done` gets the name when the device can be opened. */
  addDevice(request: DeviceRequest, done: AddDeviceAnswer): void {
    const name = this.#devices.newName(request.driver.deviceName);
    buildDevice(this.#around, request, name, (built) => {
      if (typeof built === 'number') {
        done(built);
        return;
      }
      this.#devices.add(built);
      done(name);
    });
  }

  /** Takes the device away under whoever uses it; `done` gets 0 when nothing refers to its hardware, or -ENODEV. */
  removeDevice(name: string, done: Answer): void {
    const built = this.#devices.remove(name);
    if (built === null) done(-errno.ENODEV);
    else built.device.remove(() => built.dismantle(() => done(0)));
  }

  /** A hardware error: disables the queues, lets the driver reset the device, counts towards isolation. */
  resetDevice(name: string, done: Answer): void {
    const built = this.#devices.get(name);
    if (built === null) done(-errno.ENODEV);
    else built.device.reset(done);
  }

  /** A new process with an empty address space; null when numbers or memory are used up. */
  createProcess({
    memory: domain,
    waiter,
    quotaFrames = domain.quotaFrames,
    weight = 1,
  }: CreateProcessOptions): Process | null {
    const [pid, pscid] = [this.#pids.take(), this.#pscids.take()];
    const frames = new ProcessMemory({ memory: this.#options.memory, domain, quotaFrames });
    const space = pid === null || pscid === null ? null : this.#createSpace(pid, pscid, frames);
    if (pid === null || pscid === null || space === null) {
      if (pid !== null) this.#pids.give(pid);
      if (pscid !== null) this.#pscids.give(pscid);
      return null;
    }
    const process = new Process({ pid, space, frames, waiter, weight });
    this.#reclaimer.add(space);
    this.#processes.set(pid, process);
    return process;
  }

  #createSpace(pid: number, pscid: number, frames: ProcessMemory): AddressSpace | null {
    const { memory, iommu, threads, trace = null } = this.#options;
    return AddressSpace.create({
      memory,
      frames,
      iommu,
      pscid,
      swap: this.#swap,
      trace,
      leaveAccesses: (done) => {
        if (threads === undefined) done();
        else threads.leave(pid, done);
      },
      reclaim: (needy, done) => this.#reclaimer.reclaim(needy, done),
    });
  }

  /**
   * Makes a copy of process `pid` whose thread is `waiter`: its memory copy-on-write, its open files, no mapping of a
   * queue. `done` gets the child, or ESRCH, EAGAIN when no number is left, ENOMEM.
   */
  forkProcess(pid: number, waiter: number, done: (answer: ForkAnswer) => void): void {
    this.#options.counters.add('syscalls');
    const parent = this.#processes.get(pid);
    if (parent === undefined || parent.ending) {
      done(-errno.ESRCH);
      return;
    }
    const { domain, quotaFrames } = parent.frames;
    const isFull = this.#pids.free === 0 || this.#pscids.free === 0;
    const child = this.createProcess({ memory: domain, waiter, quotaFrames, weight: parent.weight });
    if (child === null) {
      done(isFull ? -errno.EAGAIN : -errno.ENOMEM);
      return;
    }
    parent.space.forkInto(child.space, (ret) => {
      if (ret < 0) this.exitProcess(child.pid, () => done(ret));
      else {
        child.files.inherit(parent.files);
        done({ child });
      }
    });
  }

  /** Ends a process; `done` gets 0 when hardware, tables and frames have let go of it, or -ESRCH. */
  exitProcess(pid: number, done: Answer): void {
    const process = this.#processes.get(pid);
    if (process === undefined || process.ending) {
      done(-errno.ESRCH);
      return;
    }
    process.end(() => {
      this.#reclaimer.remove(process.space);
      this.#processes.delete(pid);
      this.#pscids.give(process.space.pscid);
      this.#pids.give(pid);
      done(0);
    });
  }

  /** Executes a call of process `pid`. `request` may be anything; `reply` is called exactly once. */
  syscall(pid: number, request: SyscallRequest, reply: (reply: SyscallReply) => void): void {
    this.#options.counters.add('syscalls');
    const process = this.#processes.get(pid);
    const decoded = decodeRequest(request);
    if (process === undefined || process.ending) reply({ ret: -errno.ESRCH });
    else if (typeof decoded === 'number') reply({ ret: decoded });
    else this.#dispatch(process, decoded, reply);
  }

  #dispatch(process: Process, request: SyscallRequest, reply: (reply: SyscallReply) => void): void {
    const find = (path: string) => this.#devices.find(process, path);
    if (request.call === 'close') fileCalls.close(process, request, reply);
    else if (request.call === 'ioctl') fileCalls.ioctl(process, request, reply);
    else if (isOnMemory(request)) this.#onMemory(process, request, reply);
    else reply(atOnce(process, find, request));
  }

  /** Calls on memory that may have to wait for caches, threads or room. */
  #onMemory(process: Process, request: OnMemory, reply: (reply: SyscallReply) => void): void {
    switch (request.call) {
      case 'munmap':
        return memoryCalls.munmap(process, request, reply);
      case 'mprotect':
        return memoryCalls.mprotect(process, request, reply);
      case 'pageOut':
        return memoryCalls.pageOut(process, request, reply);
      case 'pin':
        return memoryCalls.pin(process, request, reply);
      case 'pageFault':
        return memoryCalls.pageFault(process, request, reply);
      case 'readMemory':
        return memoryCalls.read(process, request, reply);
      case 'writeMemory':
        return memoryCalls.write(process, this.#mmio, request, reply);
    }
  }
}

const ON_MEMORY = [
  'munmap',
  'mprotect',
  'pageOut',
  'pin',
  'pageFault',
  'readMemory',
  'writeMemory',
] as const satisfies readonly SyscallRequest['call'][];
type OnMemory = Extract<SyscallRequest, { call: (typeof ON_MEMORY)[number] }>;

function isOnMemory(request: SyscallRequest): request is OnMemory {
  return (ON_MEMORY as readonly string[]).includes(request.call);
}

type Immediate = Exclude<SyscallRequest, OnMemory | { call: 'close' | 'ioctl' }>;

/** The calls that never wait. */
function atOnce(process: Process, find: fileCalls.Find, request: Immediate): SyscallReply {
  switch (request.call) {
    case 'open':
      return fileCalls.open(process, find, request);
    case 'mmap':
      return fileCalls.mmap(process, request);
    case 'poll':
      return fileCalls.poll(process, request);
    case 'readdir':
      return fileCalls.readdir(find, request);
    case 'readFile':
      return fileCalls.readFile(find, request);
    case 'writeFile':
      return fileCalls.writeFile(find, request);
    case 'mmapAnonymous':
      return memoryCalls.mmapAnonymous(process, request);
    case 'mremap':
      return memoryCalls.mremap(process, request);
    case 'unpin':
      return memoryCalls.unpin(process, request);
    case 'getpid':
      return { ret: process.pid };
    default:
      return unreachable(request);
  }
}
