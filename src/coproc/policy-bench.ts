/**
 * A policy on its own, in virtual time: vcoprocs with and without work, a device that runs them, switches between them and
 * denies to. No hardware and no kernel: what is measured is the policy. Every answer is checked against the contract
 * (policy.ts); an answer outside of it throws an error that says what was wrong.
 */
import type { InvalidArgument } from '../base/errors.js';
import {
  type ChargeKind,
  completeParameters,
  type Parameters,
  type PolicyModule,
  type SchedulableVcoproc,
  type SchedulerPolicy,
} from './policy.js';

/** How a vcoproc on a `PolicyBench` behaves by itself; without any of these it has work from `wake` to `sleep`. */
export interface BenchLoad {
  /** It goes to sleep each time after it has run for this long, ns. */
  readonly busyNs?: number;
  /** How long it then sleeps before it wakes by itself, ns; absent: until `wake`. */
  readonly idleNs?: number;
  /** How long it goes on each time that it is asked to stop, ns. */
  readonly denyNs?: number;
}

/** What a `PolicyBench` knows of a vcoproc, at the time of asking. */
export interface BenchAccount {
  /** Time that it had of the coproc with work: run, denied, and switches that were charged to it, ns. */
  readonly usedNs: number;
  /** The longest time that it had work and did not run, the present one included, ns. */
  readonly worstWaitNs: number;
  /** How often it was loaded. */
  readonly turns: number;
}

interface Member {
  readonly vcoproc: SchedulableVcoproc;
  readonly load: BenchLoad;
  parameters: Parameters;
  hasWork: boolean;
  workLeftNs: number;
  wakeNs: number;
  waitingSinceNs: number;
  worstWaitNs: number;
  usedNs: number;
  turns: number;
}

/** A stretch of time in which one vcoproc had the coproc, ns from the start. */
export interface BenchRun {
  readonly id: number;
  readonly fromNs: number;
  readonly toNs: number;
}

/** Mean time between decisions below which a policy is at fault: it would do nothing else. */
const LEAST_INTERVAL_NS = 5000;
const NEVER = Number.POSITIVE_INFINITY;

/** Drives one policy in virtual time; see the top of this file. */
export class PolicyBench {
  /** Who had the coproc when, in order. */
  readonly runs: BenchRun[] = [];
  readonly #module: PolicyModule;
  readonly #switchNs: number;
  readonly #members = new Map<number, Member>();
  #parameters: Parameters;
  #policy: SchedulerPolicy;
  #current: Member | null = null;
  #sliceEndNs = NEVER;
  #nowNs = 0;
  #nextId = 1;
  #decisions = 0;

  /** `parameters` are the policy's; `switchNs` is what each switch costs, charged to the one that is switched in. */
  constructor(module: PolicyModule, options: { parameters?: Parameters; switchNs?: number } = {}) {
    this.#module = module;
    this.#switchNs = options.switchNs ?? 0;
    this.#parameters = this.#complete(module.parameters, options.parameters ?? {});
    this.#policy = module.create(this.#parameters);
  }

  /** Virtual time since the bench was made, ns. */
  get nowNs(): number {
    return this.#nowNs;
  }

  /** How often the policy was asked who runs. */
  get decisions(): number {
    return this.#decisions;
  }

  /** Entities that the policy looked at. */
  get visited(): number {
    return this.#policy.visited;
  }

  /** Who is loaded. */
  get current(): SchedulableVcoproc | null {
    return this.#current?.vcoproc ?? null;
  }

  /** Whether the policy wants to be asked again after some time. */
  get ticks(): boolean {
    return this.#sliceEndNs !== NEVER;
  }

  /** Whether the policy admits a vcoproc with these parameters beside the others; `instead` is the one that changes. */
  admits(given: Parameters, instead?: SchedulableVcoproc): boolean {
    const candidate = this.#complete(this.#module.vcoprocParameters, given);
    const others = [...this.#members.values()].filter(({ vcoproc }) => vcoproc.id !== instead?.id);
    const existing = others.map(({ parameters }) => parameters);
    return (this.#module.admit?.(existing, candidate) ?? null) === null;
  }

  /** A new vcoproc, without work. */
  add(given: Parameters = {}, load: BenchLoad = {}): SchedulableVcoproc {
    const parameters = this.#complete(this.#module.vcoprocParameters, given);
    const vcoproc = { id: this.#nextId, domainId: this.#nextId };
    this.#nextId += 1;
    const idle = { hasWork: false, workLeftNs: NEVER, wakeNs: NEVER, waitingSinceNs: 0 };
    this.#members.set(vcoproc.id, {
      vcoproc,
      load,
      parameters,
      ...idle,
      worstWaitNs: 0,
      usedNs: 0,
      turns: 0,
    });
    this.#policy.add(vcoproc, parameters, this.#nowNs);
    return vcoproc;
  }

  /** It is destroyed, in whatever state. */
  remove(vcoproc: SchedulableVcoproc): void {
    const member = this.#member(vcoproc);
    this.#policy.remove(vcoproc, this.#nowNs);
    this.#members.delete(vcoproc.id);
    if (this.#current === member) this.#current = null;
    this.#decide();
  }

  /** It has work; nothing if it has already. */
  wake(...vcoprocs: SchedulableVcoproc[]): void {
    for (const vcoproc of vcoprocs) this.#wake(this.#member(vcoproc));
    this.#decide();
  }

  /** It has none; nothing if it has none already. */
  sleep(vcoproc: SchedulableVcoproc): void {
    this.#sleep(this.#member(vcoproc));
    this.#decide();
  }

  /** Other parameters for one vcoproc. */
  adjust(vcoproc: SchedulableVcoproc, given: Parameters): void {
    const member = this.#member(vcoproc);
    member.parameters = this.#complete(this.#module.vcoprocParameters, given);
    this.#policy.adjust(vcoproc, member.parameters, this.#nowNs);
    this.#decide();
  }

  /** Other parameters for the policy. */
  configure(given: Parameters): void {
    this.#parameters = this.#complete(this.#module.parameters, given);
    this.#policy.configure(this.#parameters, this.#nowNs);
    this.#decide();
  }

  /** Charges time that did not pass here, also to one that is gone, and asks again. */
  charge(vcoproc: SchedulableVcoproc, ns: number, kind: ChargeKind): void {
    this.#policy.charge(vcoproc, ns, kind, this.#nowNs);
    this.#decide();
  }

  /** A fresh policy of the same module takes over while everything goes on. */
  renewPolicy(): void {
    this.#policy = this.#module.create(this.#parameters);
    for (const { vcoproc, parameters } of this.#members.values()) {
      this.#policy.add(vcoproc, parameters, this.#nowNs);
    }
    for (const { vcoproc, hasWork } of this.#members.values()) {
      if (hasWork) this.#policy.wake(vcoproc, this.#nowNs);
    }
    this.#decide();
  }

  /** Lets `ns` pass. A denial or a switch that begins before the end is finished. */
  runFor(ns: number): void {
    const [startNs, decisions] = [this.#nowNs, this.#decisions];
    const endNs = startNs + ns;
    while (this.#nowNs < endNs) {
      this.#pass(Math.max(0, Math.min(endNs, this.#nextEventNs()) - this.#nowNs), 'run');
      if (this.#raiseEvents()) this.#decide();
      const decisionsMax = decisions + 1000 + (this.#nowNs - startNs) / LEAST_INTERVAL_NS;
      this.#expect(
        this.#decisions < decisionsMax,
        `asks for a decision each ${LEAST_INTERVAL_NS} ns or more often`,
      );
    }
  }

  /** What a vcoproc has had so far. */
  account(vcoproc: SchedulableVcoproc): BenchAccount {
    const member = this.#member(vcoproc);
    const waitsNs = this.#isWaiting(member) ? this.#nowNs - member.waitingSinceNs : 0;
    const worstWaitNs = Math.max(member.worstWaitNs, waitsNs);
    return { usedNs: member.usedNs, worstWaitNs, turns: member.turns };
  }

  /** What the policy keeps of a vcoproc. */
  dump(vcoproc: SchedulableVcoproc): Parameters {
    return this.#policy.dump(vcoproc);
  }

  #complete(specs: PolicyModule['parameters'], given: Parameters): Parameters {
    const completed = completeParameters(specs, given, this.#module.name);
    if (completed.kind === 'InvalidArgument') throw new TypeError((completed as InvalidArgument).message);
    return completed as Parameters;
  }

  #member({ id }: SchedulableVcoproc): Member {
    const member = this.#members.get(id);
    if (member === undefined) throw new TypeError(`PolicyBench: there is no vcoproc ${id}`);
    return member;
  }

  #isWaiting(member: Member): boolean {
    return member.hasWork && member !== this.#current;
  }

  #nextEventNs(): number {
    let nextNs = this.#sliceEndNs;
    const current = this.#current;
    if (current?.hasWork) nextNs = Math.min(nextNs, this.#nowNs + current.workLeftNs);
    for (const { wakeNs } of this.#members.values()) nextNs = Math.min(nextNs, wakeNs);
    return nextNs;
  }

  /** Wakes, sleeps and the end of the slice that are due; whether there was one. */
  #raiseEvents(): boolean {
    let isDue = this.#sliceEndNs <= this.#nowNs;
    const current = this.#current;
    if (current?.hasWork && current.workLeftNs <= 0) {
      this.#sleep(current);
      isDue = true;
    }
    for (const member of this.#members.values()) {
      if (member.wakeNs > this.#nowNs) continue;
      this.#wake(member);
      isDue = true;
    }
    return isDue;
  }

  #wake(member: Member): void {
    member.wakeNs = NEVER;
    if (member.hasWork) return;
    member.hasWork = true;
    member.workLeftNs = member.load.busyNs ?? NEVER;
    member.waitingSinceNs = this.#nowNs;
    this.#policy.wake(member.vcoproc, this.#nowNs);
  }

  #sleep(member: Member): void {
    if (!member.hasWork) return;
    this.#noteWait(member);
    member.hasWork = false;
    member.wakeNs = member.load.idleNs === undefined ? NEVER : this.#nowNs + member.load.idleNs;
    this.#policy.sleep(member.vcoproc, this.#nowNs);
  }

  #noteWait(member: Member): void {
    if (this.#isWaiting(member)) {
      member.worstWaitNs = Math.max(member.worstWaitNs, this.#nowNs - member.waitingSinceNs);
    }
  }

  /** Time passes, and is charged to the one that is loaded if it has work. */
  #pass(ns: number, kind: ChargeKind): void {
    const current = this.#current;
    const fromNs = this.#nowNs;
    this.#nowNs += ns;
    if (ns === 0 || !current?.hasWork) return;
    current.usedNs += ns;
    if (kind !== 'switch') current.workLeftNs -= ns;
    this.runs.push({ id: current.vcoproc.id, fromNs, toNs: this.#nowNs });
    this.#policy.charge(current.vcoproc, ns, kind, this.#nowNs);
  }

  #decide(): void {
    let { next, sliceNs } = this.#ask();
    if (next !== this.#current && this.#denies()) ({ next, sliceNs } = this.#ask());
    if (next !== this.#current) this.#switchTo(next);
    this.#sliceEndNs = sliceNs === null ? NEVER : this.#nowNs + sliceNs;
  }

  /** Whether the one that is loaded goes on for a while; that is over then. */
  #denies(): boolean {
    const current = this.#current;
    const denyNs = current?.hasWork ? (current.load.denyNs ?? 0) : 0;
    if (current === null || denyNs === 0) return false;
    this.#pass(denyNs, 'denied');
    if (current.workLeftNs <= 0) this.#sleep(current);
    return true;
  }

  #switchTo(next: Member | null): void {
    const left = this.#current;
    if (next !== null) this.#noteWait(next);
    this.#current = next;
    if (left !== null) left.waitingSinceNs = this.#nowNs;
    if (next === null) return;
    next.turns += 1;
    this.#pass(this.#switchNs, 'switch');
  }

  #ask(): { next: Member | null; sliceNs: number | null } {
    this.#decisions += 1;
    const { next, sliceNs } = this.#policy.schedule(this.#nowNs, this.current);
    const isLength = sliceNs === null || (Number.isSafeInteger(sliceNs) && sliceNs >= 1);
    this.#expect(isLength, `answers a slice of ${sliceNs} ns; it is a whole number from 1, or null`);
    if (next === null) {
      const isLate = sliceNs === null && [...this.#members.values()].some(({ hasWork }) => hasWork);
      this.#expect(!isLate, 'leaves the coproc idle for ever although somebody has work');
      return { next: null, sliceNs };
    }
    const member = this.#members.get(next.id);
    this.#expect(member !== undefined, `chooses vcoproc ${next.id}, which does not exist`);
    this.#expect(
      member!.hasWork || member === this.#current,
      `chooses vcoproc ${next.id}, which has no work and is not loaded`,
    );
    return { next: member!, sliceNs };
  }

  #expect(condition: boolean, fault: string): void {
    if (!condition) throw new Error(`the policy "${this.#module.name}" ${fault} (at ${this.#nowNs} ns)`);
  }
}
