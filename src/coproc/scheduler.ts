/**
 * The scheduler core of one coproc: owns the state of its vcoprocs, performs every switch and charges every nanosecond.
 * Which vcoproc runs is the policy's answer; how one is stopped and another started is context-switch.ts; what happens
 * when a device will not stop is escalation.ts.
 *
 * Phases: *settled* (one is loaded, or none), *leaving*, *entering*. A decision is taken when settled; whatever changes
 * meanwhile asks for another one at the end of the phase, so no wake is lost (F2) and no switch begins inside another.
 * A device that denies to stop leaves the coproc settled with the old vcoproc *asked to sleep*; the policy is asked again
 * at the device's hint and may change its mind.
 *
 * Each coproc has a scheduler, a timer and a list of vcoprocs of its own (R22). With one vcoproc, or a policy that answers
 * no slice, the core is tickless.
 */
import { assert } from '../base/assert.js';
import { limits } from '../base/limits.js';
import type { CancelAlarm, Clock } from '../hw/clock.js';
import type { ContextHardware, ContextIrq, StepAnswer } from '../hw/context-hardware.js';
import { ContextSwitch, type MemorySwitch } from './context-switch.js';
import { Denial } from './denial.js';
import { type Account, Ledger, type LedgerSnapshot } from './ledger.js';
import type { Parameters, PolicyModule, SchedulableVcoproc, SchedulerPolicy } from './policy.js';
import { SwitchStatistics } from './switch-statistics.js';
import { type Vcoproc, type VcoprocOwner, vcoprocState } from './vcoproc.js';

/** What the core counts; kept apart because bypass is proved by their not moving. */
export interface SchedulerCounters {
  wakeup(): void;
  tick(): void;
}

/** Who pays for a switch: nobody, the one that is switched out, or the one that is switched in (R95). */
export type SwitchPayer = 'system' | 'from' | 'to';

export interface SchedulerParts {
  readonly hardware: ContextHardware;
  readonly memory: MemorySwitch;
  readonly clock: Clock;
  readonly counters: SchedulerCounters;
  readonly policy: PolicyModule;
  /** Complete and checked. */
  readonly parameters: Parameters;
  readonly switchPayer: SwitchPayer;
}

/** Parameters of a vcoproc under a policy, complete and checked. */
export type ParametersOf = (vcoproc: Vcoproc, policy: PolicyModule) => Parameters;

/** `settled`: one vcoproc is loaded, or none. `leaving`, `entering`: the halves of a switch. */
export type Phase = 'settled' | 'leaving' | 'entering';
const { SLEEPING, WAITING, RUNNING, ASKED_TO_SLEEP, ISOLATED } = vcoprocState;

export class Scheduler implements VcoprocOwner {
  readonly statistics = new SwitchStatistics();
  readonly #hardware: ContextHardware;
  readonly #clock: Clock;
  readonly #counters: SchedulerCounters;
  readonly #switch: ContextSwitch;
  readonly #switchPayer: SwitchPayer;
  readonly #ledger: Ledger;
  readonly #vcoprocs = new Map<number, Vcoproc>();
  /** By the number of their context on the hardware: also those whose context is being destroyed. */
  readonly #contexts = new Map<number, Vcoproc>();
  /** Those that the policy was told have work. */
  readonly #awake = new Set<Vcoproc>();
  /** Being destroyed, and who waits for it. */
  readonly #leavingForGood = new Map<Vcoproc, () => void>();
  readonly #denial = new Denial();
  #module: PolicyModule;
  #policy: SchedulerPolicy;
  #current: Vcoproc | null = null;
  #phase: Phase = 'settled';
  #again = false;
  #deciding = false;
  #cancelSlice: CancelAlarm | null = null;
  /** Those because of which the device had to be reset, by id: one that does it over and over condemns itself alone. */
  readonly #culprits = new Set<number>();
  #isolated = false;
  /** When the device that denies to stop is worth another attempt. */
  #retryNs = 0;

  constructor(parts: SchedulerParts) {
    const { hardware, memory, clock, counters, policy, parameters, switchPayer } = parts;
    this.#hardware = hardware;
    this.#clock = clock;
    this.#counters = counters;
    this.#switch = new ContextSwitch({ hardware, memory, clock });
    this.#switchPayer = switchPayer;
    this.#ledger = new Ledger(clock.nowNs());
    this.#module = policy;
    this.#policy = policy.create(parameters);
    hardware.onIrq((irq) => this.#interrupted(irq));
  }

  get vcoprocs(): readonly Vcoproc[] {
    return [...this.#vcoprocs.values()];
  }

  /** The one that is loaded, whatever its state. */
  get current(): Vcoproc | null {
    return this.#current;
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** Out of service for good. */
  get isolated(): boolean {
    return this.#isolated;
  }

  get policyModule(): PolicyModule {
    return this.#module;
  }

  get policy(): SchedulerPolicy {
    return this.#policy;
  }

  /** Whether it is being destroyed: the policy has forgotten it. */
  isLeavingForGood(vcoproc: Vcoproc): boolean {
    return this.#leavingForGood.has(vcoproc);
  }

  ledger(): LedgerSnapshot {
    return this.#ledger.snapshot(this.#clock.nowNs());
  }

  /** A new vcoproc; `parameters` are complete and checked. */
  add(vcoproc: Vcoproc, parameters: Parameters): void {
    vcoproc.context = this.#freeContext();
    this.#contexts.set(vcoproc.context, vcoproc);
    this.#vcoprocs.set(vcoproc.id, vcoproc);
    this.#policy.add(vcoproc, parameters, this.#clock.nowNs());
    this.#sharingChanged();
  }

  /** Ends a vcoproc in whatever phase it is; `done` when the hardware has forgotten it. Its queues are detached. */
  remove(vcoproc: Vcoproc, done: () => void): void {
    const isHere = this.#vcoprocs.get(vcoproc.id) === vcoproc && !this.#leavingForGood.has(vcoproc);
    assert(isHere, 'a vcoproc is removed once');
    this.#charge(this.#ledger.account);
    this.#policy.remove(vcoproc, this.#clock.nowNs());
    this.#awake.delete(vcoproc);
    this.#leavingForGood.set(vcoproc, done);
    this.#schedule();
  }

  /** Other parameters for one vcoproc, complete and checked. */
  adjust(vcoproc: Vcoproc, parameters: Parameters): void {
    if (this.#leavingForGood.has(vcoproc)) return;
    this.#policy.adjust(vcoproc, parameters, this.#clock.nowNs());
    this.#schedule();
  }

  /** Other parameters for the policy, complete and checked. */
  configure(parameters: Parameters): void {
    this.#policy.configure(parameters, this.#clock.nowNs());
    this.#schedule();
  }

  /** Puts another policy in place (R17). Nobody stops running for it, and nobody is forgotten. */
  changePolicy(module: PolicyModule, parameters: Parameters, parametersOf: ParametersOf): void {
    this.#charge(this.#ledger.account);
    const nowNs = this.#clock.nowNs();
    this.#module = module;
    this.#policy = module.create(parameters);
    for (const vcoproc of this.#vcoprocs.values()) {
      if (this.#leavingForGood.has(vcoproc)) continue;
      this.#policy.add(vcoproc, parametersOf(vcoproc, module), nowNs);
      if (this.#awake.has(vcoproc)) this.#policy.wake(vcoproc, nowNs);
    }
    this.#schedule();
  }

  workChanged(vcoproc: Vcoproc): void {
    if (!this.#vcoprocs.has(vcoproc.id) || this.#leavingForGood.has(vcoproc)) return;
    const wants = vcoproc.wanted || (this.#shared ? vcoproc.busy : vcoproc.started);
    const has = wants && vcoproc.state !== ISOLATED;
    if (has && !this.#awake.has(vcoproc)) this.#wake(vcoproc);
    else if (!has && this.#awake.has(vcoproc)) this.#sleep(vcoproc);
  }

  get #shared(): boolean {
    return this.#vcoprocs.size > 1;
  }

  #sharingChanged(): void {
    // With one owner nothing is reported: what was known of it would be out of date when others come.
    if (!this.#shared) for (const vcoproc of this.#vcoprocs.values()) vcoproc.noteBusy(false);
    this.#hardware.share(this.#shared);
    for (const vcoproc of this.#vcoprocs.values()) this.workChanged(vcoproc);
  }

  #wake(vcoproc: Vcoproc): void {
    this.#awake.add(vcoproc);
    // One that slept but stayed loaded runs on: no wakeup, but the policy has to know that it has work.
    if (vcoproc.state === SLEEPING) {
      this.#counters.wakeup();
      vcoproc.enter(WAITING);
    }
    this.#policy.wake(vcoproc, this.#clock.nowNs());
    this.#schedule();
  }

  #sleep(vcoproc: Vcoproc): void {
    this.#awake.delete(vcoproc);
    this.#charge(this.#ledger.account);
    this.#policy.sleep(vcoproc, this.#clock.nowNs());
    // What it could not leave is over.
    if (vcoproc === this.#current) this.#retryNs = 0;
    // One that is being loaded is loaded first, and asked about then.
    if (vcoproc.state === WAITING && vcoproc !== this.#current) vcoproc.enter(SLEEPING);
    this.#schedule();
  }

  // Decisions.

  /** Decides now, or at the end of the phase. */
  #schedule(): void {
    if (this.#phase !== 'settled' || this.#deciding) {
      this.#again = true;
      return;
    }
    this.#deciding = true;
    do {
      this.#again = false;
      this.#decide();
    } while (this.#again && this.#phase === 'settled');
    this.#deciding = false;
  }

  #decide(): void {
    this.#cancelSlice?.();
    this.#cancelSlice = null;
    if (this.#isolated) {
      this.#finishRemovals();
      return;
    }
    this.#charge(this.#settledAccount());
    const current = this.#current;
    const isLeaving = current !== null && this.#leavingForGood.has(current);
    const { next, sliceNs } = this.#policy.schedule(this.#clock.nowNs(), isLeaving ? null : current);
    const chosen = this.#checked(next);
    if (chosen === current) this.#stay(sliceNs);
    else if (current !== null) this.#leaveWhenDue(current, chosen, sliceNs);
    else if (chosen !== null) this.#enter(null, chosen, sliceNs);
    this.#finishRemovals();
  }

  /** A policy may name one that has work, or the one that is loaded; anybody else counts as nobody. */
  #checked(next: SchedulableVcoproc | null): Vcoproc | null {
    const vcoproc = next === null ? undefined : this.#vcoprocs.get(next.id);
    if (vcoproc === undefined || this.#leavingForGood.has(vcoproc)) return null;
    return this.#awake.has(vcoproc) || vcoproc === this.#current ? vcoproc : null;
  }

  /** Who runs goes on, or the coproc stays idle. */
  #stay(sliceNs: number | null): void {
    const current = this.#current;
    if (current?.state === ASKED_TO_SLEEP) this.#takeBack(current, sliceNs);
    else this.#armSlice(sliceNs);
  }

  /** A denied stop is not wanted any more. */
  #takeBack(current: Vcoproc, sliceNs: number | null): void {
    this.#phase = 'entering';
    this.#switch.resume(current, (answer) => {
      if (answer.kind !== 'done') {
        this.#notEntered(current, answer);
        return;
      }
      this.#denial.end();
      current.enter(RUNNING);
      this.#settleFor(sliceNs);
    });
  }

  #armSlice(sliceNs: number | null): void {
    if (sliceNs === null) return;
    this.#cancelSlice = this.#clock.alarm(Math.max(1, Math.ceil(sliceNs)), () => {
      this.#cancelSlice = null;
      this.#counters.tick();
      this.#schedule();
    });
  }

  // The switch.

  /** One that denies is not asked again before it said that it is worth the while. */
  #leaveWhenDue(current: Vcoproc, next: Vcoproc | null, sliceNs: number | null): void {
    const waitNs = this.#denial.isOn ? this.#retryNs - this.#clock.nowNs() : 0;
    if (waitNs > 0) this.#armSlice(waitNs);
    else this.#leave(current, next, sliceNs);
  }

  #leave(current: Vcoproc, next: Vcoproc | null, sliceNs: number | null): void {
    this.#phase = 'leaving';
    if (current.state === RUNNING) current.enter(ASKED_TO_SLEEP);
    let stoppedNs = this.#clock.nowNs();
    const stopped = (): void => {
      stoppedNs = this.#clock.nowNs();
      this.#charge(this.#switchAccount(current, next));
    };
    this.#switch.leave(current, stopped, (answer) => {
      if (answer.kind === 'done') {
        this.statistics.left(this.#clock.nowNs() - stoppedNs);
        this.#left(current, next, sliceNs);
      } else this.#notLeft(current, answer);
    });
  }

  #left(current: Vcoproc, next: Vcoproc | null, sliceNs: number | null): void {
    this.#denial.end();
    this.#current = null;
    this.#standBy(current);
    // What was chosen stands, unless it went away or lost its work meanwhile.
    if (next === null) this.#settleFor(sliceNs);
    else if (this.#awake.has(next)) this.#enter(current, next, sliceNs);
    else this.#settle(true);
  }

  #notLeft(current: Vcoproc, answer: Exclude<StepAnswer, { kind: 'done' }>): void {
    if (answer.kind === 'failed') {
      this.#escalate(current, answer.reason);
      return;
    }
    const nowNs = this.#clock.nowNs();
    this.statistics.denied();
    if (this.#denial.note(nowNs) && current.cooperates) current.deliver({ kind: 'pleaseYield' });
    if (this.#denial.lastedNs(nowNs) >= limits.DRAIN_DEADLINE_NS) {
      this.#escalate(current, `it denied to stop for ${this.#denial.lastedNs(nowNs)} ns`);
      return;
    }
    const hintNs = answer.ns > limits.SWITCH_RETRY_NS_MIN ? Math.ceil(answer.ns) : limits.SWITCH_RETRY_NS_MIN;
    const waitNs = Math.min(hintNs, limits.SWITCH_RETRY_NS_MAX);
    this.#retryNs = this.#awake.has(current) ? nowNs + waitNs : nowNs;
    this.#settleFor(waitNs);
  }

  /** `left` was switched out for it. */
  #enter(left: Vcoproc | null, next: Vcoproc, sliceNs: number | null): void {
    this.#phase = 'entering';
    const startNs = this.#clock.nowNs();
    this.#charge(this.#switchAccount(left, next));
    const replays = (): void => this.#charge({ vcoproc: next.id, kind: 'emulation' });
    this.#current = next;
    this.#switch.enter(next, replays, (answer) => {
      if (answer.kind === 'done') {
        this.statistics.entered(this.#clock.nowNs() - startNs);
        next.enter(RUNNING);
        next.registersLoaded();
        // What it was loaded for may be over with the replay.
        this.workChanged(next);
        this.#settleFor(sliceNs);
      } else this.#notEntered(next, answer);
    });
  }

  #notEntered(next: Vcoproc, answer: Exclude<StepAnswer, { kind: 'done' }>): void {
    const reason =
      answer.kind === 'failed' ? answer.reason : `it could not start and asked for ${answer.ns} ns more`;
    if (next.exists) this.#escalate(next, reason);
    else this.#blame(next, reason);
  }

  /** The phase is over. Unless something changed meanwhile, the policy is asked again in `sliceNs`. */
  #settleFor(sliceNs: number | null): void {
    if (!this.#again) this.#armSlice(sliceNs);
    this.#settle(this.#again);
  }

  /** The phase is over. `decide`: what runs next is open. */
  #settle(decide: boolean): void {
    this.#phase = 'settled';
    this.#charge(this.#settledAccount());
    if (decide || this.#again) this.#schedule();
    else this.#finishRemovals();
  }

  /** It is not loaded: its state says whether it waits. */
  #standBy(vcoproc: Vcoproc): void {
    const state = this.#awake.has(vcoproc) ? WAITING : SLEEPING;
    if (vcoproc.state !== ISOLATED && vcoproc.state !== state) vcoproc.enter(state);
  }

  // Escalation (R26, R48, R49): context reset, device reset, out of service. Phase stays what it is until the end.

  /** The context could not be stopped or started, or denied for too long: its requests are dropped. */
  #escalate(guilty: Vcoproc, reason: string): void {
    this.#denial.end();
    this.statistics.contextReset();
    this.#switch.resetContext(guilty, (answer) => {
      if (answer.kind !== 'done') this.#resetDevice(guilty, reason);
      else
        this.#switch.leave(
          guilty,
          () => {},
          (left) => {
            if (left.kind !== 'done') this.#resetDevice(guilty, reason);
            else this.#blame(guilty, reason);
          },
        );
    });
  }

  /** Nothing is loaded any more, because of `guilty`. */
  #blame(guilty: Vcoproc, reason: string): void {
    this.#current = null;
    this.#standBy(guilty);
    this.#noteFailure(guilty, reason);
    this.#settle(true);
  }

  /** Counts a failure, which may be one too many. */
  #noteFailure(guilty: Vcoproc, reason: string): void {
    guilty.failures += 1;
    guilty.lastFailure = reason;
    if (guilty.failures >= limits.CONTEXT_FAILURES_MAX) this.#isolate(guilty, reason);
  }

  #resetDevice(guilty: Vcoproc, reason: string): void {
    this.#culprits.add(guilty.id);
    this.statistics.deviceReset();
    this.#switch.resetDevice((answer) => {
      this.#current = null;
      this.#forgetContexts();
      this.#noteFailure(guilty, reason);
      if (answer.kind !== 'done' || this.#culprits.size >= limits.DEVICE_FAILURES_MAX) {
        this.#isolateAll(reason);
      } else this.#tellAll({ kind: 'reset', reason });
      this.#settle(true);
    });
  }

  /** Every context of the device is gone. Not while settled: what changes by it is decided upon later. */
  #forgetContexts(): void {
    for (const vcoproc of this.#contexts.values()) {
      if (!this.#vcoprocs.has(vcoproc.id)) this.#freeContextOf(vcoproc);
    }
    for (const vcoproc of this.#vcoprocs.values()) {
      vcoproc.forgetContext();
      this.workChanged(vcoproc);
      this.#standBy(vcoproc);
    }
  }

  #tellAll(news: Extract<ContextIrq, { kind: 'reset' }>): void {
    for (const vcoproc of this.#vcoprocs.values()) {
      if (vcoproc.state !== ISOLATED) vcoproc.deliver(news);
    }
  }

  #isolate(vcoproc: Vcoproc, reason: string): void {
    vcoproc.enter(ISOLATED);
    vcoproc.lastFailure = reason;
    if (this.#awake.delete(vcoproc)) this.#policy.sleep(vcoproc, this.#clock.nowNs());
    vcoproc.deliver({ kind: 'lost', reason });
  }

  #isolateAll(reason: string): void {
    this.#isolated = true;
    for (const vcoproc of this.#vcoprocs.values()) {
      if (vcoproc.state !== ISOLATED) this.#isolate(vcoproc, reason);
    }
  }

  // Interrupts of the hardware.

  #interrupted(irq: ContextIrq): void {
    if (irq.kind === 'reset' || irq.kind === 'lost') this.#deviceWasReset(irq);
    else {
      const owner = this.#contexts.get(irq.context);
      // Nobody hears of a context that is being destroyed (R64).
      const vcoproc = owner && this.#vcoprocs.get(owner.id);
      if (irq.kind !== 'work' && irq.kind !== 'idle') vcoproc?.deliver(irq);
      else if (this.#shared) vcoproc?.noteBusy(irq.kind === 'work');
    }
  }

  /** Without being asked, and perhaps for good. A switch that is under way ends here: there is nothing to blame. */
  #deviceWasReset(irq: Extract<ContextIrq, { kind: 'reset' | 'lost' }>): void {
    this.#phase = 'leaving';
    this.#denial.end();
    this.#charge({ vcoproc: null, kind: 'switch' });
    this.#forgetContexts();
    if (irq.kind === 'lost') this.#isolateAll(irq.reason);
    else {
      this.statistics.deviceReset();
      this.#tellAll(irq);
    }
    this.#switch.abandon(() => {
      this.#current = null;
      this.#settle(true);
    });
  }

  // Removal and accounts.

  /** What is not loaded and not on its way can go. */
  #finishRemovals(): void {
    for (const [vcoproc, done] of [...this.#leavingForGood]) {
      if (vcoproc === this.#current || this.#phase !== 'settled') continue;
      this.#leavingForGood.delete(vcoproc);
      this.#vcoprocs.delete(vcoproc.id);
      this.#ledger.forget(vcoproc.id);
      vcoproc.interrupts.drop();
      this.#switch.destroy(vcoproc, (isGone) => {
        // What the device may still hold is not given to another before it is reset.
        if (isGone) this.#freeContextOf(vcoproc);
        done();
      });
      this.#sharingChanged();
    }
  }

  #freeContextOf(vcoproc: Vcoproc): void {
    if (this.#contexts.get(vcoproc.context) === vcoproc) this.#contexts.delete(vcoproc.context);
  }

  #freeContext(): number {
    let context = 0;
    while (this.#contexts.has(context)) context += 1;
    assert(context < limits.CONTEXTS_PER_INSTANCE, 'an instance has a context for each of its vcoprocs');
    return context;
  }

  /** Closes the stretch that ends now, tells the policy, and lets `next` pay from here on. */
  #charge(next: Account): void {
    const nowNs = this.#clock.nowNs();
    const { account, ns } = this.#ledger.turnTo(next, nowNs);
    if (account.vcoproc === null || ns === 0) return;
    const vcoproc = this.#vcoprocs.get(account.vcoproc);
    if (vcoproc === undefined || this.#leavingForGood.has(vcoproc)) return;
    this.#policy.charge(vcoproc, ns, account.kind, nowNs);
  }

  #settledAccount(): Account {
    const current = this.#current;
    if (current === null) return { vcoproc: null, kind: 'idle' };
    if (this.#denial.isOn) return { vcoproc: current.id, kind: 'denied' };
    return this.#awake.has(current) ? { vcoproc: current.id, kind: 'run' } : { vcoproc: null, kind: 'idle' };
  }

  #switchAccount(from: Vcoproc | null, to: Vcoproc | null): Account {
    const payer = this.#switchPayer === 'from' ? from : this.#switchPayer === 'to' ? to : null;
    if (payer === null || this.#leavingForGood.has(payer)) return { vcoproc: null, kind: 'switch' };
    return { vcoproc: payer.id, kind: 'switch' };
  }
}
