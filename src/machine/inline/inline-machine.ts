/**
 * The inline host: a whole machine on the calling thread, on a virtual clock, from one seed. The same seed and the
 * same calls give the same trace, byte for byte.
 */
import { err, ok, type Result } from 'neverthrow';
import { type InvalidArgument, type InvalidState, invalidArgument, invalidState } from '../../base/errors.js';
import { limits } from '../../base/limits.js';
import { type Prng, prngStream } from '../../base/prng.js';
import { TraceTail } from '../../base/trace.js';
import { MiB } from '../../base/units.js';
import type { CallRequest } from '../../coproc/calls.js';
import type { CallError, Framework } from '../../coproc/framework.js';
import type { Parameters, PolicyModule } from '../../coproc/policy.js';
import type { Vcpu } from '../../coproc/vcpu.js';
import { VirtualClock } from '../../hw/clock.js';
import type { ContextIrq } from '../../hw/context-hardware.js';
import type { DeviceDescription } from '../../hw/device-model.js';
import { DmaPort } from '../../hw/dma-port.js';
import { Engine } from '../../hw/engine.js';
import { Iommu } from '../../hw/iommu/iommu.js';
import { PhysicalMemory } from '../../hw/physical-memory.js';
import type { Counters } from '../../uapi/syscall.js';
import { builtinPolicies } from '../builtin-policies.js';
import { installedTranslationCheck, type TranslationCheckFactory } from '../checking.js';
import type { AnswerTo } from '../domain-calls.js';
import type { DomainRequest, Domains } from '../domains.js';
import { type CreatedProcess, engineLockHolder, KernelSide } from '../kernel-side.js';
import {
  checkConfig,
  faultModelOf,
  hostUse,
  type InstanceConfig,
  type MachineConfig,
} from '../machine-config.js';
import type { MachineDriver } from '../machine-driver.js';
import { MachineWords } from '../machine-words.js';
import { mistakeInSettings, NO_PROCESS, type ProcessSettings } from '../process-settings.js';
import { DomainProcessors, type ProcessorState } from './domain-processors.js';
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
  /** Instances that the host's own domain uses, with its parameters; all of them unless said otherwise. */
  readonly host?: MachineConfig['host'];
  /** Domains beside the host's own, created at the start. */
  readonly domains?: MachineConfig['domains'] | undefined;
  /** Policies that an instance can have; those of the package unless said otherwise. */
  readonly policies?: readonly PolicyModule[];
  /** Virtual time that a device may take to acknowledge an invalidation before it is reset, ns; default 5 s. */
  readonly invalidationTimeoutNs?: number;
  /**
   * Checking mode: makes the judge of every answer that comes out of a translation cache; null for none. Default what
   * `installTranslationCheck` installed. @internal
   */
  readonly checkTranslations?: TranslationCheckFactory | null;
}

/** From an interrupt of the IOMMU to the kernel's look, ns: a base and a random part. */
const KERNEL_NS = 500;
const KERNEL_JITTER_NS = 256;
/** What saving and what restoring the registers of a context takes, ns, where contexts share a device. */
const SWITCH_NS = 1000;
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
  /** By waiter number. */
  readonly #platforms: (InlinePlatform | null)[] = [];
  /** Which instance serves the queue whose MMIO region is at an address. */
  readonly #served = new Map<number, InlineHardware>();
  readonly #kernelJitter: Prng;
  readonly #processors = new DomainProcessors(this.#clock);
  #serviceScheduled = false;
  /** Why a domain that the machine was to have from the start could not be created. */
  #startMistake: CallError | null = null;

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
      interrupt: (waiter, mmioAddress) => this.#interrupt(waiter, mmioAddress),
      instances,
      policies: options.policies,
      trace: this.#trace,
      unresponsive: (deviceId) =>
        this.#hardware[deviceId]?.forceReset('did not acknowledge an invalidation in time'),
      invalidationTimeoutNs: options.invalidationTimeoutNs,
      checkTranslations:
        options.checkTranslations === undefined ? installedTranslationCheck() : options.checkTranslations,
    });
    for (const config of instances) {
      const driver = options.drivers.find(({ name }) => name === config.driver)!;
      this.#addInstance(config, driver, hostUse(options, config));
    }
    this.runUntilIdle();
    for (const domain of options.domains ?? []) this.#startDomain(domain);
  }

  /** Builds a machine, or says which option is wrong. */
  static create(options: InlineMachineOptions): Result<InlineMachine, CallError> {
    // One whose memory accesses no IOMMU checks is not shared (R44).
    const shareable = options.drivers.filter(({ device }) => device.unprotected !== true);
    const names = shareable.map(({ name }) => name);
    const instances = options.instances ?? names.map((driver) => ({ id: `${driver}0`, driver }));
    const memoryBytes = options.memoryBytes ?? DEFAULT_MEMORY_BYTES;
    const { invalidationTimeoutNs, host, domains, policies = builtinPolicies } = options;
    const config = { memoryBytes, instances, invalidationTimeoutNs, host, domains };
    const checked = checkConfig(config, names, policies);
    if (checked.isErr()) return err(checked.error);
    const machine = new InlineMachine(options, instances);
    return machine.#startMistake === null ? ok(machine) : err(machine.#startMistake);
  }

  /** A new process. */
  createProcess(settings: ProcessSettings = {}): Result<InlinePlatform, InvalidArgument | InvalidState> {
    const mistake = mistakeInSettings(settings);
    if (mistake !== null) return err(mistake);
    const waiter = this.#platforms.length;
    const process = this.#kernelSide.createProcess(waiter, settings);
    if (process === null) return err(invalidState(NO_PROCESS));
    const { domains } = this.#kernelSide;
    const domain = settings.domain === undefined ? domains.host : domains.find(settings.domain)!;
    const platform = this.#platformFor(process, waiter, this.#processors.of(domain));
    this.#platforms.push(platform);
    return ok(platform);
  }

  #platformFor(process: CreatedProcess, waiter: number, vcpu: Vcpu): InlinePlatform {
    return new InlinePlatform({
      process,
      vcpu,
      memory: this.#memory,
      words: this.#words,
      kernelSide: this.#kernelSide,
      pump: this.#pump,
      nowNs: () => this.#clock.nowNs(),
      ring: (mmioAddress) => this.#served.get(mmioAddress)?.ring(),
      wakeKernel: () => this.#serviceSoon(),
      fork: (pid, done) => this.#fork(pid, vcpu, done),
      exited: () => {
        this.#platforms[waiter] = null;
      },
    });
  }

  /** The child lives where its parent does, and runs on the same processor. */
  #fork(pid: number, vcpu: Vcpu, done: (child: InlinePlatform | number) => void): void {
    const waiter = this.#platforms.length;
    // The number is the child's from now on, whoever else is created before it is there.
    this.#platforms.push(null);
    this.#kernelSide.forkProcess(pid, waiter, (answer) => {
      if (typeof answer === 'number') {
        done(answer);
        return;
      }
      const child = this.#platformFor(answer, waiter, vcpu);
      this.#platforms[waiter] = child;
      done(child);
    });
  }

  /** From now on the device of `instance` does nothing and acknowledges nothing, until it is reset. For tests. */
  hang(instance: string): Result<void, InvalidArgument> {
    const hardware = this.#hardware.find((candidate) => candidate.instance === instance);
    if (hardware === undefined) {
      const expected = `one of ${this.#hardware.map((known) => known.instance).join(', ')}`;
      return err(invalidArgument({ argument: 'instance', value: instance, expected }));
    }
    this.#trace.emit('device hangs', instance);
    return ok(hardware.hang());
  }

  /** What the processor of a live domain does now; that of a domain without a pattern always runs. */
  processor(domain: string): Result<ProcessorState, InvalidArgument> {
    const { domains } = this.#kernelSide;
    const found = domains.find(domain);
    if (found !== null) return ok(this.#processors.stateOf(found));
    const expected = `one of ${domains.all.map(({ name }) => name).join(', ')}`;
    return err(invalidArgument({ argument: 'domain', value: domain, expected }));
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

  /** The machine's domains, for tests; programs use `call`. @internal */
  get domains(): Domains {
    return this.#kernelSide.domains;
  }

  /** The framework, likewise. @internal */
  get framework(): Framework {
    return this.#kernelSide.framework;
  }

  /** A call of the framework, as docs/calls.md lists them: domains, policies, parameters, everything about coprocessors. */
  call<Request extends CallRequest>(request: Request): Promise<AnswerTo<Request>> {
    return new Promise((resolve) => {
      this.#kernelSide.call(request, (answer) => {
        this.#pump.userRuns();
        // The answer to this request is of its kind: the table of the calls ties them.
        resolve(answer as AnswerTo<Request>);
      });
      this.#pump.soon();
    });
  }

  /** What the machine counted so far. */
  counters(): Counters {
    return this.#words.counters();
  }

  /** The newest trace lines, oldest first. */
  trace(): string[] {
    return this.#trace.lines();
  }

  #startDomain(request: DomainRequest): void {
    this.#kernelSide.domains.create(request, (created) => {
      if (created.isOk()) this.#processors.add(created.value, request);
      else this.#startMistake ??= created.error;
    });
    this.runUntilIdle();
  }

  #addInstance(config: InstanceConfig, driver: MachineDriver, host: Parameters | null): void {
    const { id: instance } = config;
    const deviceId = this.#hardware.length;
    const { device: description, kernelDriver } = driver;
    const hardware: InlineHardware = new InlineHardware({
      instance,
      deviceId,
      description,
      clock: this.#clock,
      jitter: prngStream(this.seed, `wake ${instance}`),
      switchNs: SWITCH_NS,
      attached: ({ mmioAddress }) => this.#served.set(mmioAddress, hardware),
      lost: (reason) => this.#lost(hardware, reason),
      makeEngine: (raise) => this.#makeEngine({ deviceId, description, config }, raise),
    });
    this.#hardware.push(hardware);
    this.#kernelSide.wires.connect(deviceId);
    this.#kernelSide.addInstance(hardware, { driver: kernelDriver, config, host }, (name) =>
      this.#trace.emit('device added', instance, name ?? 'not to the host'),
    );
  }

  #makeEngine(
    of: { deviceId: number; description: DeviceDescription; config: InstanceConfig },
    raise: (irq: ContextIrq) => void,
  ): Engine {
    const { deviceId, description, config } = of;
    const iommu = new Iommu({
      memory: this.#memory,
      registers: this.#words.iommuRegisters,
      lockHolder: engineLockHolder(deviceId),
      cacheEntries: limits.IOTLB_ENTRIES,
      sendMessage: () => {},
      interrupt: () => this.#serviceSoon(),
      check: this.#kernelSide.check,
    });
    const port = new DmaPort({
      memory: this.#memory,
      iommu,
      deviceId,
      words: this.#words.instances,
      faultModel: faultModelOf(config),
      acknowledged: () => this.#serviceSoon(),
      check: this.#kernelSide.check,
    });
    return new Engine({
      description,
      port,
      interrupt: ({ waiter, mmioAddress, epoch }) => {
        this.#trace.emit('interrupt', epoch);
        this.#interrupt(waiter, mmioAddress);
      },
      raise,
      trace: this.#trace,
    });
  }

  #interrupt(waiter: number, mmioAddress: number): void {
    this.#clock.alarm(0, () => this.#platforms[waiter]?.interrupt(mmioAddress));
  }

  /** Whoever waits for a queue of the device is told. */
  #lost(hardware: InlineHardware, reason: string): void {
    this.#trace.emit('device reset', hardware.instance, reason);
    for (const [mmioAddress, by] of [...this.#served]) {
      if (by !== hardware) continue;
      this.#served.delete(mmioAddress);
      for (const platform of this.#platforms) platform?.lost(mmioAddress, reason);
    }
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
