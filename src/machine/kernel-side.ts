/**
 * The software side of a machine, the same on both hosts: frames, the kernel's IOMMU, its driver, the coprocessor
 * framework and the kernel, wired together. Runs on one thread and never blocks.
 */
import { assert } from '../base/assert.js';
import { limits } from '../base/limits.js';
import type { Trace } from '../base/trace.js';
import { Framework } from '../coproc/framework.js';
import { IommuMemorySwitch } from '../coproc/iommu-memory-switch.js';
import type { Parameters, PolicyModule } from '../coproc/policy.js';
import { AccessEpochs } from '../hw/access-epoch.js';
import type { Clock } from '../hw/clock.js';
import type { ContextHardware } from '../hw/context-hardware.js';
import { FrameTable, frameOwner } from '../hw/frame-table.js';
import { Iommu } from '../hw/iommu/iommu.js';
import { IommuDriver } from '../hw/iommu-driver/iommu-driver.js';
import type { PhysicalMemory } from '../hw/physical-memory.js';
import type { TranslationCheck } from '../hw/translation-check.js';
import { IdPool } from '../kernel/id-pool.js';
import { Kernel } from '../kernel/kernel.js';
import type { KernelDriver } from '../kernel/kernel-driver.js';
import { HostMemoryDomain } from '../kernel/memory-domain.js';
import type { Process } from '../kernel/process.js';
import { builtinPolicies } from './builtin-policies.js';
import { newTranslationCheck, type TranslationCheckFactory } from './checking.js';
import { DeviceWires } from './device-wires.js';
import { type CallAnswer, DomainCalls } from './domain-calls.js';
import { Domains } from './domains.js';
import { faultModelOf, type InstanceConfig, iommuNeeds } from './machine-config.js';
import type { MachineWords } from './machine-words.js';
import type { ProcessSettings } from './process-settings.js';
import type { InheritedPool } from './view-table.js';

/** A new process, and where the walks of its user thread begin (CpuMemory). */
export interface CreatedProcess {
  readonly pid: number;
  /** Guest-physical address of the root of its Sv39 table. */
  readonly rootTable: number;
  /** Physical address of the root of its domain's Sv39x4 table; null = the host's own domain. */
  readonly secondStageRoot: number | null;
  /** What it has from its parent and can be viewed. */
  readonly pools: readonly InheritedPool[];
}

/** Lock holder number of the kernel thread's IOMMU; engines use their device id + 2. */
const KERNEL_LOCK_HOLDER = 1;
export const engineLockHolder = (deviceId: number): number => deviceId + 2;

export interface KernelSideParts {
  readonly memory: PhysicalMemory;
  readonly words: MachineWords;
  readonly clock: Clock;
  /** Wakes the engine that hosts a device. */
  readonly wakeEngine: (deviceId: number) => void;
  /** A device has not acknowledged in time: it is to be reset. What it owes is waited for until it makes no access. */
  readonly unresponsive: (deviceId: number) => void;
  /** How long a device may take to acknowledge, ns; `limits.INVALIDATION_TIMEOUT_NS` unless said otherwise. */
  readonly invalidationTimeoutNs?: number | undefined;
  /** Asks for a call of `service` soon, on this thread. */
  readonly serviceSoon: () => void;
  /** Interrupts user thread `waiter` for the queue whose MMIO region is at a physical address. */
  readonly interrupt: (waiter: number, mmioAddress: number) => void;
  /** The machine's instances: what their fault models need of the IOMMU. */
  readonly instances: readonly InstanceConfig[];
  /** Policies that an instance can have; those of the package unless said otherwise. */
  readonly policies?: readonly PolicyModule[] | undefined;
  readonly trace?: Trace | null;
  /** Checking mode: makes the judge of all translation caches of the machine. */
  readonly checkTranslations?: TranslationCheckFactory | null;
}

export class KernelSide {
  readonly kernel: Kernel;
  readonly wires: DeviceWires;
  /** Judges the caches of this machine's IOMMUs and ports; null outside the checking mode. */
  readonly check: TranslationCheck | null;
  /** Which user threads are inside an access to their memory. */
  readonly #threads: AccessEpochs;
  readonly framework: Framework;
  readonly domains: Domains;
  readonly #iommuDriver: IommuDriver;
  readonly #policies: readonly PolicyModule[];
  readonly #calls: DomainCalls;

  constructor(parts: KernelSideParts) {
    const { memory, words, clock, wakeEngine, serviceSoon, unresponsive } = parts;
    const timeoutNs = parts.invalidationTimeoutNs ?? limits.INVALIDATION_TIMEOUT_NS;
    this.check = newTranslationCheck(parts.checkTranslations ?? null, {
      memory,
      registers: words.iommuRegisters,
      instances: words.instances,
      backlog: () => this.#iommuDriver.backlog,
    });
    words.iommuRegisters.reset();
    this.#threads = new AccessEpochs(words.accessEpochs);
    const frames = new FrameTable(memory);
    const bound = { clock, timeoutNs, unresponsive };
    this.wires = new DeviceWires(words.instances, wakeEngine, bound, parts.trace ?? null);
    const iommu = new Iommu({
      memory,
      registers: words.iommuRegisters,
      lockHolder: KERNEL_LOCK_HOLDER,
      cacheEntries: limits.IOTLB_ENTRIES,
      sendMessage: (message) => this.wires.send(message),
      interrupt: serviceSoon,
      check: this.check,
      ...iommuNeeds(parts.instances),
    });
    this.wires.completed = (id) => iommu.invalidationCompleted(id);
    this.#iommuDriver = new IommuDriver({ port: iommu, memory, frames });
    this.framework = new Framework({
      clock,
      counters: { wakeup: () => words.count('wakeups'), tick: () => words.count('ticks') },
      memory: new IommuMemorySwitch(this.#iommuDriver),
    });
    const hostMemory = new HostMemoryDomain({
      frames,
      owner: frameOwner.FIRST_DOMAIN,
      quotaFrames: frames.freeFrames,
    });
    const counters = { add: (name: 'syscalls' | 'pageRequests') => words.count(name) };
    this.kernel = new Kernel({
      memory,
      frames,
      iommu: this.#iommuDriver,
      clock,
      counters,
      threads: this.#threads,
      interrupt: parts.interrupt,
      trace: parts.trace ?? null,
    });
    const { framework, kernel } = this;
    this.domains = new Domains({
      memory,
      frames,
      iommu: this.#iommuDriver,
      kernel,
      framework,
      hostMemory,
      processEnded: (pid) => this.#threads.forget(pid),
    });
    this.#policies = parts.policies ?? builtinPolicies;
    this.#calls = new DomainCalls({ domains: this.domains, framework, policies: this.#policies });
  }

  /**
   * Registers an instance with the framework, so that domains can use it; `done` gets its name in the host's /dev, or null
   * when the host does not use it.
   */
  addInstance(
    hardware: ContextHardware,
    { driver, config, host }: { driver: KernelDriver; config: InstanceConfig; host: Parameters | null },
    done: (name: string | null) => void,
  ): void {
    const { instance, deviceId } = hardware;
    const policy = this.#policies.find(({ name }) => name === (config.policy ?? 'null'));
    assert(policy !== undefined, `policy ${config.policy} of ${instance} is known`);
    const { parameters = {}, switchPayer = 'system' } = config;
    const registered = this.framework.register(hardware, { policy, parameters, switchPayer });
    if (registered.isErr()) assert(false, registered.error.message);
    const queueNumbers = new IdPool(0, driver.queues - 1);
    this.domains.addInstance({ instance, deviceId, driver, faultModel: faultModelOf(config), queueNumbers });
    if (host === null) {
      done(null);
      return;
    }
    this.domains.attach(this.domains.host, instance, host, (attached) => {
      if (attached.isErr()) assert(false, attached.error.message);
      done(attached._unsafeUnwrap());
    });
  }

  /** Carries out a call of the framework (docs/calls.md); `request` may be anything, `done` is called once. */
  call(request: unknown, done: (answer: CallAnswer) => void): void {
    this.#calls.call(request, done);
  }

  /** A new process whose interrupts go to `waiter`; null when there is no room for it, or no domain of that name. */
  createProcess(waiter: number, { domain: name, ...settings }: ProcessSettings): CreatedProcess | null {
    const domain = name === undefined ? this.domains.host : this.domains.find(name);
    if (domain === null) return null;
    const process = this.domains.processes.create(domain, { ...settings, waiter });
    return process === null ? null : this.#announce(process);
  }

  /** A child of process `pid`, whose interrupts go to `waiter`; `done` gets it, or a negated errno. */
  forkProcess(pid: number, waiter: number, done: (answer: CreatedProcess | number) => void): void {
    this.domains.processes.fork(pid, waiter, (answer) => {
      done(typeof answer === 'number' ? answer : this.#announce(answer.child));
    });
  }

  #announce({ pid, space, frames }: Process): CreatedProcess {
    this.#threads.attach(pid);
    const secondStageRoot = frames.domain.secondStage?.root ?? null;
    return { pid, rootTable: space.root, secondStageRoot, pools: space.pools };
  }

  /** Ends a process that asked for it, so that its thread is outside any access; `done` as in `Kernel.exitProcess`. */
  exitProcess(pid: number, done: (ret: number) => void): void {
    this.domains.processes.exit(pid, done);
  }

  /** Ends a process whose user thread has ended without a word, maybe inside an access. */
  abandonProcess(pid: number): void {
    this.#threads.forget(pid);
    this.domains.processes.exit(pid, () => {});
  }

  /** Whether something waits for a user thread to leave an access. */
  get awaitsThread(): boolean {
    return this.#threads.isWaiting;
  }

  /** Looks at everything that devices, IOMMU and user threads may have to say. Safe at any time. */
  service(): void {
    this.wires.collect();
    this.#iommuDriver.service();
    this.#threads.service();
  }
}
