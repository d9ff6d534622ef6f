/**
 * The software side of a machine, the same on both hosts: frames, the kernel's IOMMU, its driver, the coprocessor
 * framework and the kernel, wired together. Runs on one thread and never blocks.
 */
import { assert } from '../base/assert.js';
import { limits } from '../base/limits.js';
import { Framework, HOST_DOMAIN } from '../coproc/framework.js';
import { nullPolicy } from '../coproc/policies/null.js';
import type { Clock } from '../hw/clock.js';
import type { CoprocHardware } from '../hw/coproc-port.js';
import { FrameTable, frameOwner } from '../hw/frame-table.js';
import { Iommu } from '../hw/iommu/iommu.js';
import { IommuDriver } from '../hw/iommu-driver/iommu-driver.js';
import type { PhysicalMemory } from '../hw/physical-memory.js';
import { Kernel } from '../kernel/kernel.js';
import type { KernelDriver } from '../kernel/kernel-driver.js';
import { HostMemoryDomain } from '../kernel/memory-domain.js';
import { DeviceWires } from './device-wires.js';
import type { MachineWords } from './machine-words.js';

/** Lock holder number of the kernel thread's IOMMU; engines use their device id + 2. */
const KERNEL_LOCK_HOLDER = 1;
export const engineLockHolder = (deviceId: number): number => deviceId + 2;

export interface KernelSideParts {
  readonly memory: PhysicalMemory;
  readonly words: MachineWords;
  readonly clock: Clock;
  /** Wakes the engine that hosts a device. */
  readonly wakeEngine: (deviceId: number) => void;
  /** Asks for a call of `service` soon, on this thread. */
  readonly serviceSoon: () => void;
}

export class KernelSide {
  readonly kernel: Kernel;
  readonly wires: DeviceWires;
  readonly #framework: Framework;
  readonly #iommuDriver: IommuDriver;
  readonly #hostMemory: HostMemoryDomain;

  constructor({ memory, words, clock, wakeEngine, serviceSoon }: KernelSideParts) {
    words.iommuRegisters.reset();
    const frames = new FrameTable(memory);
    this.wires = new DeviceWires(words.instances, wakeEngine);
    const iommu = new Iommu({
      memory,
      registers: words.iommuRegisters,
      lockHolder: KERNEL_LOCK_HOLDER,
      cacheEntries: limits.IOTLB_ENTRIES,
      sendMessage: (message) => this.wires.send(message),
      interrupt: serviceSoon,
    });
    this.wires.completed = (id) => iommu.invalidationCompleted(id);
    this.#iommuDriver = new IommuDriver({ port: iommu, memory, frames });
    this.#framework = new Framework({
      clock,
      counters: { wakeup: () => words.count('wakeups'), tick: () => words.count('ticks') },
    });
    this.#hostMemory = new HostMemoryDomain({
      frames,
      owner: frameOwner.FIRST_DOMAIN,
      quotaFrames: frames.freeFrames,
    });
    const counters = { add: (name: 'syscalls' | 'pageRequests') => words.count(name) };
    this.kernel = new Kernel({ memory, frames, iommu: this.#iommuDriver, clock, counters });
  }

  /** Registers an instance with the framework and announces it as a uacce device; `done` gets its name in /dev. */
  addInstance(hardware: CoprocHardware, driver: KernelDriver, done: (name: string) => void): void {
    this.#framework.register(hardware, nullPolicy);
    const port = this.#framework.createVcoproc(hardware.instance, HOST_DOMAIN);
    this.kernel.addDevice({ port, driver, domain: this.#hostMemory }, (name) => {
      assert(typeof name === 'string', `${hardware.instance} could be added, not refused with ${name}`);
      done(name);
    });
  }

  /** A new process of the host's domain whose interrupts go to `waiter`; its PID, or null when none is left. */
  createProcess(waiter: number): number | null {
    return this.kernel.createProcess({ memory: this.#hostMemory, waiter })?.pid ?? null;
  }

  /** Looks at everything that devices and IOMMU may have to say. Safe at any time. */
  service(): void {
    this.wires.collect();
    this.#iommuDriver.service();
  }
}
