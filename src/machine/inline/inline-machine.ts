/**
 * The inline host: a whole machine on the calling thread, on a virtual clock, from one seed. The same seed and the
 * same calls give the same trace, byte for byte.
 */
import { err, ok, type Result } from 'neverthrow';
import { type InvalidArgument, type InvalidState, invalidState } from '../../base/errors.js';
import { limits } from '../../base/limits.js';
import { type Prng, prngStream } from '../../base/prng.js';
import { TraceTail } from '../../base/trace.js';
import { MiB } from '../../base/units.js';
import { VirtualClock } from '../../hw/clock.js';
import type { CoprocIrq, QueueBinding } from '../../hw/coproc-port.js';
import type { DeviceDescription } from '../../hw/device-model.js';
import { DmaPort } from '../../hw/dma-port.js';
import { Engine } from '../../hw/engine.js';
import { Iommu } from '../../hw/iommu/iommu.js';
import { PhysicalMemory } from '../../hw/physical-memory.js';
import type { Counters } from '../../uapi/syscall.js';
import { engineLockHolder, KernelSide } from '../kernel-side.js';
import { checkConfig, type InstanceConfig } from '../machine-config.js';
import type { MachineDriver } from '../machine-driver.js';
import { MachineWords } from '../machine-words.js';
import { InlineHardware } from './inline-hardware.js';
import { InlinePlatform } from './inline-platform.js';
import { Pump } from './pump.js';

/** What `create` takes. */
export interface InlineMachineOptions {
  readonly drivers: readonly MachineDriver[];
  /** Instances; default one of each driver, called after it: `zip0`. */
  readonly instances?: readonly InstanceConfig[];
  /** Seed of every random choice, a whole number; default 1. */
  readonly seed?: number;
  /** Physical memory, bytes; default 128 MiB. */
  readonly memoryBytes?: number;
}

/** From an interrupt of the IOMMU to the kernel's look, ns: a base and a random part. */
const KERNEL_NS = 500;
const KERNEL_JITTER_NS = 256;
const DEFAULT_MEMORY_BYTES = 128 * MiB;

/** A machine on the calling thread. Nothing happens in it but while somebody waits for it, or steps it. */
export class InlineMachine {
  readonly seed: number;
  readonly #memory: PhysicalMemory;
  readonly #words = new MachineWords();
  readonly #clock = new VirtualClock();
  readonly #trace: TraceTail;
  readonly #pump: Pump;
  readonly #kernelSide: KernelSide;
  readonly #hardware: InlineHardware[] = [];
  readonly #platforms: InlinePlatform[] = [];
  /** Which instance serves the queue whose MMIO region is at an address. */
  readonly #served = new Map<number, InlineHardware>();
  readonly #kernelJitter: Prng;
  #serviceScheduled = false;

  private constructor(options: InlineMachineOptions, instances: readonly InstanceConfig[]) {
    this.seed = options.seed ?? 1;
    this.#kernelJitter = prngStream(this.seed, 'kernel');
    this.#memory = PhysicalMemory.create(options.memoryBytes ?? DEFAULT_MEMORY_BYTES);
    this.#trace = new TraceTail(() => this.#clock.nowNs(), limits.TRACE_TAIL);
    this.#pump = new Pump(this.#clock);
    this.#kernelSide = new KernelSide({
      memory: this.#memory,
      words: this.#words,
      clock: this.#clock,
      wakeEngine: (deviceId) => this.#hardware[deviceId]?.ring(),
      serviceSoon: () => this.#serviceSoon(),
    });
    for (const { id, driver } of instances) {
      this.#addInstance(id, options.drivers.find(({ name }) => name === driver)!);
    }
    this.runUntilIdle();
  }

  /** Builds a machine, or says which option is wrong. */
  static create(options: InlineMachineOptions): Result<InlineMachine, InvalidArgument> {
    const names = options.drivers.map(({ name }) => name);
    const instances = options.instances ?? names.map((driver) => ({ id: `${driver}0`, driver }));
    const memoryBytes = options.memoryBytes ?? DEFAULT_MEMORY_BYTES;
    const checked = checkConfig({ memoryBytes, instances }, names);
    return checked.isErr() ? err(checked.error) : ok(new InlineMachine(options, instances));
  }

  /** A new process. */
  createProcess(): Result<InlinePlatform, InvalidState> {
    const waiter = this.#platforms.length;
    const pid = this.#kernelSide.createProcess(waiter);
    if (pid === null)
      return err(invalidState(`the machine has its ${limits.PROCESSES_MAX} processes; end one first`));
    const platform = new InlinePlatform({
      pid,
      memory: this.#memory,
      words: this.#words,
      kernelSide: this.#kernelSide,
      pump: this.#pump,
      nowNs: () => this.#clock.nowNs(),
      ring: (mmioAddress) => this.#served.get(mmioAddress)?.ring(),
    });
    this.#platforms.push(platform);
    return ok(platform);
  }

  /** Virtual time, ns. */
  get nowNs(): number {
    return this.#clock.nowNs();
  }

  /** Events dispatched since the start. */
  get events(): number {
    return this.#clock.dispatched;
  }

  /** Dispatches one event; false when none is left. */
  step(): boolean {
    return this.#clock.step();
  }

  /** Dispatches events until none is left; how many there were. */
  runUntilIdle(): number {
    return this.#pump.runUntilIdle();
  }

  /** What the machine counted so far. */
  counters(): Counters {
    return this.#words.counters();
  }

  /** The newest trace lines, oldest first. */
  trace(): string[] {
    return this.#trace.lines();
  }

  #addInstance(instance: string, driver: MachineDriver): void {
    const deviceId = this.#hardware.length;
    const { device: description, kernelDriver } = driver;
    const hardware: InlineHardware = new InlineHardware({
      instance,
      deviceId,
      description,
      clock: this.#clock,
      jitter: prngStream(this.seed, `wake ${instance}`),
      attached: ({ mmioAddress }) => this.#served.set(mmioAddress, hardware),
      makeEngine: (raise) => this.#makeEngine(deviceId, description, raise),
    });
    this.#hardware.push(hardware);
    this.#kernelSide.wires.connect(deviceId);
    this.#kernelSide.addInstance(hardware, kernelDriver, (name) =>
      this.#trace.emit('device added', instance, name),
    );
  }

  #makeEngine(deviceId: number, description: DeviceDescription, raise: (irq: CoprocIrq) => void): Engine {
    const iommu = new Iommu({
      memory: this.#memory,
      registers: this.#words.iommuRegisters,
      lockHolder: engineLockHolder(deviceId),
      cacheEntries: limits.IOTLB_ENTRIES,
      sendMessage: () => {},
      interrupt: () => this.#serviceSoon(),
    });
    const port = new DmaPort({
      memory: this.#memory,
      iommu,
      deviceId,
      words: this.#words.instances,
      acknowledged: () => this.#serviceSoon(),
    });
    return new Engine({
      description,
      port,
      interrupt: (to) => this.#interrupt(to),
      raise,
      trace: this.#trace,
    });
  }

  #interrupt({ waiter, mmioAddress, epoch }: QueueBinding): void {
    this.#trace.emit('interrupt', epoch);
    this.#clock.alarm(0, () => this.#platforms[waiter]?.interrupt(mmioAddress));
  }

  #serviceSoon(): void {
    if (this.#serviceScheduled) return;
    this.#serviceScheduled = true;
    this.#clock.alarm(KERNEL_NS + this.#kernelJitter.below(KERNEL_JITTER_NS), () => {
      this.#serviceScheduled = false;
      this.#trace.emit('kernel service', 0);
      this.#kernelSide.service();
    });
  }
}
