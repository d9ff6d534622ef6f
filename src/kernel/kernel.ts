/**
 * The simulated kernel: processes, devices and system calls. It runs on one thread and never blocks: whatever must
 * wait answers later, through `reply` or `done`, exactly once.
 *
 * Requests come from untrusted code. Every field is checked when the call is decoded; a bad one is an errno, never an
 * exception.
 */
import { unreachable } from '../base/assert.js';
import { limits } from '../base/limits.js';
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
import { Sva } from './sva.js';

export interface KernelOptions {
  readonly memory: PhysicalMemory;
  readonly frames: FrameTable;
  readonly iommu: IommuControl;
  /** Time of device errors. */
  readonly clock: Pick<Clock, 'nowNs'>;
  readonly counters: KernelCounters;
  /** One PASID for an address space on all devices, unless another is given. */
  readonly pasids?: PasidAllocator;
}

export interface CreateProcessOptions {
  readonly memory: MemoryDomain;
  /** The user thread that waits for completions, as the host numbers them. */
  readonly waiter: number;
  /** Frames that the process may hold; its domain's quota unless said otherwise. */
  readonly quotaFrames?: number;
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
  #epoch = 0;

  constructor(options: KernelOptions) {
    this.#options = options;
    const { iommu, counters, pasids = new SharedPasids() } = options;
    const sva = new Sva({ iommu, pasids });
    const faults = new IoPageFaults({ iommu, counters, find: (device, pasid) => sva.find(device, pasid) });
    sva.onUnbound = (deviceId, pasid) => faults.forget(deviceId, pasid);
    this.#around = {
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
  }: CreateProcessOptions): Process | null {
    const [pid, pscid] = [this.#pids.take(), this.#pscids.take()];
    const { memory, iommu } = this.#options;
    const frames = new ProcessMemory({ memory, domain, quotaFrames });
    const space = pscid === null ? null : AddressSpace.create({ memory, frames, iommu, pscid });
    if (pid === null || pscid === null || space === null) {
      if (pid !== null) this.#pids.give(pid);
      if (pscid !== null) this.#pscids.give(pscid);
      return null;
    }
    const process = new Process({ pid, space, frames, waiter });
    this.#processes.set(pid, process);
    return process;
  }

  /** Ends a process; `done` gets 0 when hardware, tables and frames have let go of it, or -ESRCH. */
  exitProcess(pid: number, done: Answer): void {
    const process = this.#processes.get(pid);
    if (process === undefined || process.ending) {
      done(-errno.ESRCH);
      return;
    }
    process.end(() => {
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
    else if (request.call === 'munmap') memoryCalls.munmap(process, request, reply);
    else if (request.call === 'writeMemory') reply(memoryCalls.write(process, this.#mmio, request));
    else reply(atOnce(process, find, request));
  }
}

type Immediate = Exclude<SyscallRequest, { call: 'close' | 'ioctl' | 'munmap' | 'writeMemory' }>;

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
    case 'readMemory':
      return memoryCalls.read(process, request);
    case 'getpid':
      return { ret: process.pid };
    default:
      return unreachable(request);
  }
}
