/**
 * One coproc in virtual time: the scheduler core on a simulated coprocessor, with a log of every step, faults on demand,
 * and policies that hold the core to its side of the contract.
 */
import { expect } from 'vitest';
import { roundRobinPolicy } from '../../src/coproc/policies/round-robin.js';
import {
  type ChargeKind,
  completeParameters,
  type Decision,
  definePolicy,
  type Parameters,
  type PolicyModule,
  type SchedulableVcoproc,
  type SchedulerPolicy,
} from '../../src/coproc/policy.js';
import { Scheduler } from '../../src/coproc/scheduler.js';
import type { SwitchPayer } from '../../src/coproc/scheduler-parts.js';
import type { SimContextOptions } from '../../src/coproc/sim-context.js';
import { SimHardware } from '../../src/coproc/sim-hardware.js';
import { SimMemory, type SimMemoryCosts } from '../../src/coproc/sim-memory.js';
import type { SimCosts, SimFault, SimStep } from '../../src/coproc/sim-steps.js';
import { snapshotOf } from '../../src/coproc/snapshot.js';
import { Vcoproc } from '../../src/coproc/vcoproc.js';
import { VirtualClock } from '../../src/hw/clock.js';
import type { CoprocIrq, QueueBinding } from '../../src/hw/coproc-port.js';
import type { RegisterSpec } from '../../src/hw/device-model.js';
import type { RegisterHooks } from '../../src/hw/register-map.js';

export interface BenchOptions {
  readonly policy?: PolicyModule;
  readonly parameters?: Parameters;
  /** What the contexts are like, by number; those beyond have only what they are given. */
  readonly contexts?: readonly SimContextOptions[];
  readonly costs?: SimCosts;
  readonly memoryCosts?: SimMemoryCosts;
  readonly registers?: readonly RegisterSpec[];
  readonly switchPayer?: SwitchPayer;
  readonly clock?: VirtualClock;
  readonly instance?: string;
  readonly doorbellNs?: number;
  readonly hooksOf?: (context: number) => RegisterHooks;
}

/** More events than this in one go are an endless loop. */
const EVENTS_MAX = 1_000_000;

const STEPS: Readonly<Record<string, string>> = {
  createContext: 'create',
  destroyContext: 'destroy',
  stop: 'stop',
  saveRegisters: 'save',
  start: 'start',
  resetContext: 'resetContext',
  resetDevice: 'resetDevice',
  readRegister: 'read',
  writeRegister: 'write',
};

export class CoprocBench {
  readonly clock: VirtualClock;
  readonly memory: SimMemory;
  readonly hardware: SimHardware;
  readonly scheduler: Scheduler;
  /** Steps of hardware and memory, in the order in which they were asked for: `stop`, `enter 0`, `start 0`. */
  readonly log: string[] = [];
  /** What each domain was told, by vcoproc id. */
  readonly heard = new Map<number, CoprocIrq[]>();
  /** What goes wrong from now on: of a step of any context, or of `step context`. */
  readonly faults = new Map<SimStep | `${SimStep} ${number}`, SimFault>();
  readonly counts = { wakeups: 0, ticks: 0 };
  #nextId = 1;

  constructor(options: BenchOptions = {}) {
    const { policy = roundRobinPolicy, contexts = [], costs = {}, registers = [], doorbellNs = 0 } = options;
    const { instance = 'sim0', clock = new VirtualClock() } = options;
    this.clock = clock;
    this.memory = new SimMemory(clock, options.memoryCosts, (event, { context }) => {
      this.log.push(`${event} ${context}`);
    });
    this.hardware = this.#logged(
      new SimHardware({
        clock,
        instance,
        costs,
        registers,
        doorbellNs,
        hooksOf: options.hooksOf ?? (() => ({})),
        memory: this.memory,
        contextOf: (context) => contexts[context] ?? { load: { kind: 'given' } },
        faultOf: (step, context) =>
          this.faults.get(`${step} ${context ?? -1}`) ?? this.faults.get(step) ?? null,
      }),
    );
    this.scheduler = new Scheduler({
      hardware: this.hardware,
      memory: this.memory,
      clock,
      counters: { wakeup: () => this.counts.wakeups++, tick: () => this.counts.ticks++ },
      policy,
      parameters: complete(policy.parameters, options.parameters),
      switchPayer: options.switchPayer ?? 'system',
    });
  }

  /** A vcoproc, without a queue. */
  add(): Vcoproc {
    const id = this.#nextId++;
    const wiring = { hardware: this.hardware, owner: this.scheduler, clock: this.clock };
    const vcoproc = new Vcoproc(id, id, wiring);
    const { vcoprocParameters } = this.scheduler.policyModule;
    const heard: CoprocIrq[] = [];
    this.heard.set(id, heard);
    vcoproc.onIrq((irq) => heard.push(irq));
    this.scheduler.add(vcoproc, complete(vcoprocParameters));
    return vcoproc;
  }

  /** `count` vcoprocs with a started queue each. */
  start(count: number): Vcoproc[] {
    const vcoprocs = Array.from({ length: count }, () => this.add());
    for (const vcoproc of vcoprocs) this.attach(vcoproc);
    return vcoprocs;
  }

  /** Gives a vcoproc a started queue: the load of its context begins. Answers what attaching it did. */
  attach(vcoproc: Vcoproc): number {
    let result = Number.NaN;
    vcoproc.attachQueue({ queueNumber: vcoproc.id } as QueueBinding, (answer) => {
      result = answer;
    });
    if (result === 0) vcoproc.wake();
    return result;
  }

  /** Lets `ns` pass; `after` is called after each event. */
  runFor(ns: number, after: () => void = () => {}): void {
    let isOver = false;
    this.clock.alarm(ns, () => {
      isOver = true;
    });
    for (let events = 0; !isOver; events++) {
      if (events > EVENTS_MAX / 10) throw new Error('endless');
      this.clock.step();
      after();
    }
  }

  /** What a vcoproc used so far, by kind. */
  times(vcoproc: Vcoproc): Readonly<Record<ChargeKind, number>> {
    const none = { run: 0, denied: 0, switch: 0, emulation: 0 };
    return this.scheduler.ledger().vcoprocs.get(vcoproc.id) ?? none;
  }

  /** The parts of a stretch of time that vcoprocs ran, given what they had used before it. */
  sharesSince(before: readonly number[], vcoprocs: readonly Vcoproc[], ns: number): number[] {
    return vcoprocs.map((vcoproc, index) => (this.used(vcoproc) - before[index]!) / ns);
  }

  used(vcoproc: Vcoproc): number {
    const { run, denied } = this.times(vcoproc);
    return run + denied;
  }

  /** Kinds of news that a domain was told. */
  told(vcoproc: Vcoproc): string[] {
    return this.heard.get(vcoproc.id)!.map(({ kind }) => kind);
  }

  /** What is true at any moment. */
  checkInvariants(): void {
    const { scheduler, hardware, memory } = this;
    const { current, phase, vcoprocs } = scheduler;
    const snapshot = snapshotOf('sim0', scheduler, {});
    expect(sumOf(snapshot.ledger)).toBe(snapshot.ledger.totalNs);
    expect(snapshot.vcoprocs.map(({ id }) => id)).toEqual(vcoprocs.map(({ id }) => id));
    if (current !== null) expect(vcoprocs).toContain(current);
    if (hardware.executing !== null) {
      expect(hardware.executing).toBe(current?.context);
      expect(memory.context).toBe(hardware.executing);
    }
    for (const vcoproc of vcoprocs) {
      const { raised, told } = vcoproc.interrupts.counts;
      expect(raised).toBeGreaterThanOrEqual(told);
      const isLoaded = vcoproc.state === 'RUNNING' || vcoproc.state === 'ASKED_TO_SLEEP';
      if (vcoproc !== current) expect(isLoaded).toBe(false);
      else if (phase === 'settled') expect(isLoaded).toBe(true);
      if (scheduler.isolated) expect(vcoproc.state).toBe('ISOLATED');
    }
    expect(new Set(vcoprocs.map(({ context }) => context)).size).toBe(vcoprocs.length);
  }

  #logged(hardware: SimHardware): SimHardware {
    const log = this.log;
    return new Proxy(hardware, {
      get(target, name) {
        const value = target[name as keyof SimHardware] as unknown;
        if (typeof value !== 'function') return value;
        return (...parameters: unknown[]) => {
          const step = STEPS[String(name)];
          if (step !== undefined) {
            log.push([step, ...parameters.filter((each) => typeof each === 'number')].join(' '));
          }
          return value.apply(target, parameters);
        };
      },
    });
  }
}

function complete(specs: PolicyModule['parameters'], given: Parameters = {}): Parameters {
  return completeParameters(specs, given, 'test') as Parameters;
}

/** Everything that a ledger has booked. */
export function sumOf({ idleNs, switchNs, formerNs, vcoprocs }: ReturnType<Scheduler['ledger']>): number {
  const times = [...vcoprocs.values()].flatMap((each) => Object.values(each));
  return times.reduce((sum, ns) => sum + ns, idleNs + switchNs + formerNs);
}

/** Checks that the core keeps the contract of a policy, and asks `module`. `ledger` is that of the coproc. */
export function checked(
  module: PolicyModule,
  ledger: () => ReturnType<Scheduler['ledger']>,
): PolicyModule & { readonly awake: Set<number> } {
  const awake = new Set<number>();
  const create = (parameters: Parameters): SchedulerPolicy => {
    awake.clear();
    return new CheckedPolicy(module.create(parameters), awake, ledger);
  };
  return { ...module, create, awake };
}

class CheckedPolicy implements SchedulerPolicy {
  readonly #policy: SchedulerPolicy;
  readonly #awake: Set<number>;
  readonly #ledger: () => ReturnType<Scheduler['ledger']>;
  /** What each had used when it was added, and what was charged since. */
  readonly #expected = new Map<number, Record<ChargeKind, number>>();
  #isCalled = false;

  constructor(policy: SchedulerPolicy, awake: Set<number>, ledger: () => ReturnType<Scheduler['ledger']>) {
    this.#policy = policy;
    this.#awake = awake;
    this.#ledger = ledger;
  }

  get visited(): number {
    return this.#policy.visited;
  }

  add(vcoproc: SchedulableVcoproc, parameters: Parameters, nowNs: number): void {
    expect(this.#expected.has(vcoproc.id)).toBe(false);
    this.#expected.set(vcoproc.id, this.#used(vcoproc.id));
    this.#call(() => this.#policy.add(vcoproc, parameters, nowNs));
  }

  remove(vcoproc: SchedulableVcoproc, nowNs: number): void {
    expect(this.#expected.delete(vcoproc.id)).toBe(true);
    this.#awake.delete(vcoproc.id);
    this.#call(() => this.#policy.remove(vcoproc, nowNs));
  }

  wake(vcoproc: SchedulableVcoproc, nowNs: number): void {
    expect(this.#expected.has(vcoproc.id) && !this.#awake.has(vcoproc.id)).toBe(true);
    this.#awake.add(vcoproc.id);
    this.#call(() => this.#policy.wake(vcoproc, nowNs));
  }

  sleep(vcoproc: SchedulableVcoproc, nowNs: number): void {
    expect(this.#awake.delete(vcoproc.id)).toBe(true);
    this.#call(() => this.#policy.sleep(vcoproc, nowNs));
  }

  charge(vcoproc: SchedulableVcoproc, ns: number, kind: ChargeKind, nowNs: number): void {
    expect(Number.isSafeInteger(ns) && ns > 0).toBe(true);
    this.#expected.get(vcoproc.id)![kind] += ns;
    this.#call(() => this.#policy.charge(vcoproc, ns, kind, nowNs));
  }

  schedule(nowNs: number, current: SchedulableVcoproc | null): Decision {
    // Decisions rest on what really happened: every ns up to now was charged.
    for (const [id, times] of this.#expected) expect(this.#used(id)).toEqual(times);
    if (current !== null) expect(this.#expected.has(current.id)).toBe(true);
    return this.#call(() => this.#policy.schedule(nowNs, current));
  }

  adjust(vcoproc: SchedulableVcoproc, parameters: Parameters, nowNs: number): void {
    expect(this.#expected.has(vcoproc.id)).toBe(true);
    this.#call(() => this.#policy.adjust(vcoproc, parameters, nowNs));
  }

  configure(parameters: Parameters, nowNs: number): void {
    this.#call(() => this.#policy.configure(parameters, nowNs));
  }

  dump(vcoproc: SchedulableVcoproc): Parameters {
    expect(this.#expected.has(vcoproc.id)).toBe(true);
    return this.#policy.dump(vcoproc);
  }

  #used(id: number): Record<ChargeKind, number> {
    return { run: 0, denied: 0, switch: 0, emulation: 0, ...this.#ledger().vcoprocs.get(id) };
  }

  #call<Answer>(act: () => Answer): Answer {
    expect(this.#isCalled).toBe(false);
    this.#isCalled = true;
    const answer = act();
    this.#isCalled = false;
    return answer;
  }
}

/** Answers what a test says; when it says nothing, whoever woke first, without a slice. */
export class ScriptedPolicy implements SchedulerPolicy {
  readonly visited = 0;
  readonly awake = new Map<number, SchedulableVcoproc>();
  readonly answers: Decision[] = [];
  /** Every time it was asked: who was loaded. */
  readonly asked: (number | null)[] = [];
  /** Slice of the answers that no test gave. */
  sliceNs: number | null = null;
  /** Whether a context that has no work stays loaded. */
  keepsLoaded = true;
  readonly module: PolicyModule = definePolicy({
    name: 'scripted',
    parameters: [],
    vcoprocParameters: [],
    create: () => this,
  });

  add(): void {}

  remove({ id }: SchedulableVcoproc): void {
    this.awake.delete(id);
  }

  wake(vcoproc: SchedulableVcoproc): void {
    this.awake.set(vcoproc.id, vcoproc);
  }

  sleep({ id }: SchedulableVcoproc): void {
    this.awake.delete(id);
  }

  charge(): void {}

  adjust(): void {}

  configure(): void {}

  dump(): Parameters {
    return {};
  }

  schedule(_nowNs: number, current: SchedulableVcoproc | null): Decision {
    this.asked.push(current?.id ?? null);
    const scripted = this.answers.shift();
    if (scripted !== undefined) return scripted;
    const [first] = this.awake.values();
    return { next: first ?? (this.keepsLoaded ? current : null), sliceNs: first ? this.sliceNs : null };
  }
}
