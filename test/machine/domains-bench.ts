/**
 * Domains on a kernel, an IOMMU and a framework that are real, with coprocessors that are simulated: their contexts have
 * work for so many ns as soon as a queue of theirs is started. The first instance is `zip0` under `fair`, the second
 * `copy0` under `null`, unless a test says otherwise; the host has a vcoproc of each.
 */
import { limits } from '../../src/base/limits.js';
import type { MemorySwitch } from '../../src/coproc/context-switch.js';
import { Framework } from '../../src/coproc/framework.js';
import { IommuMemorySwitch } from '../../src/coproc/iommu-memory-switch.js';
import type { SimContextOptions } from '../../src/coproc/sim-context.js';
import { SimHardware } from '../../src/coproc/sim-hardware.js';
import { SimMemory } from '../../src/coproc/sim-memory.js';
import { IdPool } from '../../src/kernel/id-pool.js';
import { builtinPolicies } from '../../src/machine/builtin-policies.js';
import { checkConfigFile, type InstanceSetup, type MachineSetup } from '../../src/machine/config-file.js';
import { type CallAnswer, DomainCalls } from '../../src/machine/domain-calls.js';
import { type Domain, Domains } from '../../src/machine/domains.js';
import { UACCE_CMD_START_Q } from '../../src/uapi/ioctl.js';
import { Bench, fakeDriver, User } from '../kernel/bench.js';

/** Kinds of device that a configuration of a test can name. */
export const drivers = ['zip', 'copy'].map((name) => ({
  name,
  device: { name } as SimHardware['description'],
}));
export const known = { drivers, policies: builtinPolicies };

/** What a machine is when nobody says otherwise. */
const DEFAULT_CONFIG = {
  memory: '32MiB',
  chosen: {
    coprocessors: [
      { id: 'zip0', driver: 'zip', policy: 'fair' },
      { id: 'copy0', driver: 'copy' },
    ],
  },
};

export interface DomainsBenchOptions {
  /** A start-up configuration; 32 MiB of memory, whatever it says. */
  readonly config?: unknown;
  /** Asked before each step of a creation: true lets it fail. */
  readonly failsAt?: (step: string) => boolean;
  /** What contexts are like; nothing to do unless said otherwise. */
  readonly contextOf?: () => SimContextOptions;
  /** Told of each request of `zip0` that is over. */
  readonly finished?: (context: number) => void;
  /** What each step of a switch costs, ns; 0 unless said otherwise. */
  readonly stepNs?: number;
}

export class DomainsBench {
  readonly base = new Bench();
  readonly hardware = new Map<string, SimHardware>();
  readonly framework: Framework;
  readonly domains: Domains;
  readonly calls: DomainCalls;
  readonly #options: DomainsBenchOptions;
  /** By requester number. */
  readonly #memories: SimMemory[] = [];

  constructor(options: DomainsBenchOptions = {}) {
    this.#options = options;
    const { memory, frames, driver: iommu, kernel, host, clock } = this.base;
    const counters = { wakeup: () => {}, tick: () => {} };
    this.framework = new Framework({ clock, counters, memory: this.#memorySwitch() });
    const { failsAt = null } = options;
    const parts = { memory, frames, iommu, kernel, framework: this.framework, hostMemory: host, failsAt };
    this.domains = new Domains(parts);
    this.calls = new DomainCalls({
      domains: this.domains,
      framework: this.framework,
      policies: builtinPolicies,
    });
    this.#start(checkConfigFile(options.config ?? DEFAULT_CONFIG, known)._unsafeUnwrap());
  }

  /** Everything that is due within `ns`. */
  advance(ns: number): void {
    this.base.advance(ns);
  }

  /** The answer of a call, which may take time. */
  call(request: unknown): CallAnswer {
    let answer: CallAnswer | null = null;
    this.calls.call(request, (answered) => {
      if (answer !== null) throw new Error('a call is answered once');
      answer = answered;
    });
    for (let left = 1000; answer === null && left > 0; left--) this.advance(limits.STEP_TIMEOUT_NS / 100);
    if (answer === null) throw new Error('a call is answered');
    return answer;
  }

  /** What a call that succeeds answers. */
  ask<Answer>(request: unknown): Answer {
    return this.call(request)._unsafeUnwrap() as Answer;
  }

  /** A live domain. */
  domain(name: string): Domain {
    const domain = this.domains.find(name);
    if (domain === null) throw new Error(`no domain ${name}`);
    return domain;
  }

  /** A process in a domain. */
  user(domain: Domain): User {
    const process = this.domains.processes.create(domain, { waiter: 0 });
    if (process === null) throw new Error('no process');
    return new User(this.base, process);
  }

  /** A process in a domain with a queue of an instance that is started, and the descriptor of it. */
  worker(domain: Domain, instance: string): { readonly user: User; readonly fd: number } {
    const user = this.user(domain);
    const fd = user.open(`/dev/${domain.devices.get(instance)}`);
    user.ioctl(fd, UACCE_CMD_START_Q);
    return { user, fd };
  }

  #start({ instances, host, domains }: MachineSetup): void {
    for (const instance of instances) this.#register(instance);
    for (const [instance, parameters] of Object.entries(host)) {
      this.domains.attach(this.domains.host, instance, parameters, (answer) => answer._unsafeUnwrap());
    }
    for (const request of domains) this.domains.create(request, (answer) => answer._unsafeUnwrap());
  }

  #register({ id, driver, policy: policyName, parameters, switchPayer, faultModel }: InstanceSetup): void {
    const { clock } = this.base;
    const deviceId = this.#memories.length;
    const memory = new SimMemory(clock);
    this.#memories.push(memory);
    const { stepNs = 0, contextOf = () => ({ load: { kind: 'given' } }) as const } = this.#options;
    const costs = { stop: stepNs, save: stepNs, restore: stepNs };
    const finished = (context: number): void => {
      if (id === 'zip0') this.#options.finished?.(context);
    };
    const hardware = new SimHardware({ clock, memory, instance: id, deviceId, costs, contextOf, finished });
    this.hardware.set(id, hardware);
    const policy = builtinPolicies.find(({ name }) => name === policyName)!;
    this.framework.register(hardware, { policy, parameters, switchPayer })._unsafeUnwrap();
    this.domains.addInstance({
      instance: id,
      deviceId,
      driver: { ...fakeDriver, deviceName: `wd_${driver}`, queues: 16 },
      faultModel,
      queueNumbers: new IdPool(0, 15),
    });
  }

  /** The IOMMU's, watched by that of each simulated device. */
  #memorySwitch(): MemorySwitch {
    const iommu = new IommuMemorySwitch(this.base.driver);
    return {
      enter: (vcoproc, done) =>
        iommu.enter(vcoproc, () => this.#memories[vcoproc.deviceId]!.enter(vcoproc, done)),
      leave: (vcoproc, done) =>
        iommu.leave(vcoproc, () => this.#memories[vcoproc.deviceId]!.leave(vcoproc, done)),
    };
  }
}
