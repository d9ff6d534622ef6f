/**
 * The scheduler core of one coproc: owns the state of its vcoprocs, performs every switch and charges every nanosecond.
 * Who there is and who has work is in roster.ts; which vcoproc runs is the policy's answer; how one is stopped and another
 * started is context-switch.ts; what happens to one that will not stop is escalation.ts.
 *
 * Phases: *settled* (one is loaded, or none), *leaving*, *entering*. A decision is taken when settled; whatever changes
 * meanwhile asks for another one at the end of the phase, so no wake is lost (F2) and no switch begins inside another.
 * A device that denies to stop leaves the coproc settled with the old vcoproc *asked to sleep*; the policy is asked again
 * at the device's hint and may change its mind.
 *
 * Each coproc has a scheduler, a timer and a list of vcoprocs of its own (R22). With one vcoproc, or a policy that answers
 * no slice, the core is tickless.
 */
import { limits } from '../base/limits.js';
import type { Clock } from '../hw/clock.js';
import type { ContextHardware, ContextIrq, StepAnswer } from '../hw/context-hardware.js';
import { ContextSwitch } from './context-switch.js';
import { Denial } from './denial.js';
import { Escalation } from './escalation.js';
import type { Account, LedgerSnapshot } from './ledger.js';
import type { Parameters, PolicyModule, SchedulerPolicy } from './policy.js';
import { type ParametersOf, Roster } from './roster.js';
import type { Phase, SchedulerCounters, SchedulerParts, SwitchPayer } from './scheduler-parts.js';
import { SliceTimer } from './slice-timer.js';
import { SwitchStatistics } from './switch-statistics.js';
import { type Vcoproc, type VcoprocOwner, vcoprocState } from './vcoproc.js';
import { Watchdog } from './watchdog.js';

const { SLEEPING, WAITING, RUNNING, ASKED_TO_SLEEP, ISOLATED } = vcoprocState;

export class Scheduler implements VcoprocOwner {
  readonly statistics = new SwitchStatistics();
  readonly #hardware: ContextHardware;
  readonly #clock: Clock;
  readonly #counters: SchedulerCounters;
  readonly #switch: ContextSwitch;
  readonly #switchPayer: SwitchPayer;
  readonly #roster: Roster;
  readonly #escalation: Escalation;
  readonly #denial = new Denial();
  readonly #slice: SliceTimer;
  readonly #watchdog: Watchdog;
  #current: Vcoproc | null = null;
  #phase: Phase = 'settled';
  #again = false;
  #deciding = false;

  constructor(parts: SchedulerParts) {
    const { hardware, memory, clock, counters, policy, parameters, switchPayer } = parts;
    this.#hardware = hardware;
    this.#clock = clock;
    this.#counters = counters;
    this.#switch = new ContextSwitch({ hardware, memory, clock });
    this.#switchPayer = switchPayer;
    this.#roster = new Roster(clock, policy, parameters);
    this.#escalation = new Escalation({
      roster: this.#roster,
      contextSwitch: this.#switch,
      statistics: this.statistics,
      current: () => this.#current,
      unloaded: () => {
        this.#current = null;
      },
      workChanged: (vcoproc) => this.workChanged(vcoproc),
    });
    this.#slice = new SliceTimer(clock, counters, () => this.#schedule());
    this.#watchdog = new Watchdog(clock, () => this.#askWhetherAlive());
    hardware.onIrq((irq) => this.#interrupted(irq));
  }

  get vcoprocs(): readonly Vcoproc[] {
    return this.#roster.vcoprocs;
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
    return this.#escalation.isolated;
  }

  /** The device is being reset: a context that was created now might go with the others, or stay. */
  get resetting(): boolean {
    return this.#escalation.resetting;
  }

  get policyModule(): PolicyModule {
    return this.#roster.policyModule;
  }

  get policy(): SchedulerPolicy {
    return this.#roster.policy;
  }

  /** Whether it is being destroyed: the policy has forgotten it. */
  isLeavingForGood(vcoproc: Vcoproc): boolean {
    return this.#roster.isLeaving(vcoproc);
  }

  ledger(): LedgerSnapshot {
    return this.#roster.ledger();
  }

  /** A new vcoproc; `parameters` are complete and checked. */
  add(vcoproc: Vcoproc, parameters: Parameters): void {
    this.#roster.add(vcoproc, parameters);
    this.#sharingChanged();
  }

  /** Ends a vcoproc in whatever phase it is; `done` when the hardware has forgotten it. Its queues are detached. */
  remove(vcoproc: Vcoproc, done: () => void): void {
    this.#roster.beginRemoval(vcoproc, done);
    this.#schedule();
  }

  /** Other parameters for one vcoproc, complete and checked. */
  adjust(vcoproc: Vcoproc, parameters: Parameters): void {
    if (this.#roster.isLeaving(vcoproc)) return;
    this.#roster.policy.adjust(vcoproc, parameters, this.#clock.nowNs());
    this.#schedule();
  }

  /** Other parameters for the policy, complete and checked. */
  configure(parameters: Parameters): void {
    this.#roster.policy.configure(parameters, this.#clock.nowNs());
    this.#schedule();
  }

  /** Puts another policy in place (R17). Nobody stops running for it, and nobody is forgotten. */
  changePolicy(module: PolicyModule, parameters: Parameters, parametersOf: ParametersOf): void {
    this.#roster.changePolicy(module, parameters, parametersOf);
    this.#schedule();
  }

  workChanged(vcoproc: Vcoproc): void {
    const change = this.#roster.workChange(vcoproc);
    if (change === 'wakes') this.#wake(vcoproc);
    else if (change === 'sleeps') this.#sleep(vcoproc);
  }

  #sharingChanged(): void {
    const { shared, vcoprocs } = this.#roster;
    // With one owner nothing is reported: what was known of it would be out of date when others come.
    if (!shared) for (const vcoproc of vcoprocs) vcoproc.noteBusy(false);
    this.#hardware.share(shared);
    for (const vcoproc of vcoprocs) this.workChanged(vcoproc);
  }

  #wake(vcoproc: Vcoproc): void {
    // One that slept but stayed loaded runs on: no wakeup, but the policy has to know that it has work.
    if (vcoproc.state === SLEEPING) {
      this.#counters.wakeup();
      vcoproc.enter(WAITING);
    }
    this.#roster.wake(vcoproc);
    this.#schedule();
  }

  #sleep(vcoproc: Vcoproc): void {
    this.#roster.sleep(vcoproc);
    // What it could not leave is over.
    if (vcoproc === this.#current) this.#denial.retryNow();
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
    this.#watch();
  }

  #decide(): void {
    this.#slice.cancel();
    if (this.#escalation.isolated) return this.#finishRemovals();
    this.#roster.charge(this.#settledAccount());
    const current = this.#current;
    const { next, sliceNs } = this.#roster.choose(current);
    if (next === current) this.#stay(sliceNs);
    else if (current !== null) this.#leaveWhenDue(current, next, sliceNs);
    else if (next !== null) this.#enter(null, next, sliceNs);
    this.#finishRemovals();
  }

  /** Who runs goes on, or the coproc stays idle. */
  #stay(sliceNs: number | null): void {
    const current = this.#current;
    if (current?.state === ASKED_TO_SLEEP) this.#takeBack(current, sliceNs);
    else this.#slice.arm(sliceNs);
  }

  /** A stop is not wanted any more. */
  #takeBack(current: Vcoproc, sliceNs: number | null): void {
    this.#phase = 'entering';
    this.#switch.resume(current, (answer) => {
      if (answer.kind !== 'done') {
        this.#notEntered(current, answer);
        return;
      }
      this.#denial.end();
      current.enter(RUNNING);
      current.registersLoaded();
      this.#settleFor(sliceNs);
    });
  }

  // The switch.

  /** One that denies is not asked again before it said that it is worth the while. */
  #leaveWhenDue(current: Vcoproc, next: Vcoproc | null, sliceNs: number | null): void {
    const waitNs = this.#denial.waitNs(this.#clock.nowNs());
    if (waitNs > 0) this.#slice.arm(waitNs);
    else this.#leave(current, next, sliceNs);
  }

  #leave(current: Vcoproc, next: Vcoproc | null, sliceNs: number | null): void {
    this.#phase = 'leaving';
    if (current.state === RUNNING) current.enter(ASKED_TO_SLEEP);
    let stoppedNs = this.#clock.nowNs();
    const stopped = (): void => {
      stoppedNs = this.#clock.nowNs();
      this.#roster.charge(this.#roster.switchAccount(this.#switchPayer, current, next));
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
    this.#roster.standBy(current);
    // What was chosen stands, unless it went away or lost its work meanwhile.
    if (next === null) this.#settleFor(sliceNs);
    else if (this.#roster.isAwake(next)) this.#enter(current, next, sliceNs);
    else this.#settle(true);
  }

  #notLeft(current: Vcoproc, answer: Exclude<StepAnswer, { kind: 'done' }>): void {
    if (answer.kind === 'failed') {
      this.#escalate(current, answer.reason);
      return;
    }
    const nowNs = this.#clock.nowNs();
    this.statistics.denied();
    this.#denial.note(current, nowNs);
    if (this.#denial.lastedNs(nowNs) >= limits.DRAIN_DEADLINE_NS) {
      this.#escalate(current, `it denied to stop for ${this.#denial.lastedNs(nowNs)} ns`);
      return;
    }
    const waitNs = this.#denial.retryIn(answer.ns, nowNs);
    if (!this.#roster.isAwake(current)) this.#denial.retryNow();
    this.#settleFor(waitNs);
  }

  /** `left` was switched out for it. */
  #enter(left: Vcoproc | null, next: Vcoproc, sliceNs: number | null): void {
    this.#phase = 'entering';
    const startNs = this.#clock.nowNs();
    this.#roster.charge(this.#roster.switchAccount(this.#switchPayer, left, next));
    const replays = (): void => this.#roster.charge({ vcoproc: next.id, kind: 'emulation' });
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
    else this.#escalation.blame(next, reason, () => this.#settle(true));
  }

  /** The phase is over. Unless something changed meanwhile, the policy is asked again in `sliceNs`. */
  #settleFor(sliceNs: number | null): void {
    if (!this.#again) this.#slice.arm(sliceNs);
    this.#settle(this.#again);
  }

  /** The phase is over. `decide`: what runs next is open. */
  #settle(decide: boolean): void {
    this.#phase = 'settled';
    this.#watchdog.heard();
    this.#roster.charge(this.#settledAccount());
    if (decide || this.#again) this.#schedule();
    else {
      this.#finishRemovals();
      this.#watch();
    }
  }

  /** The device is got out of the context of `guilty`, whatever it takes. The phase stays what it is until then. */
  #escalate(guilty: Vcoproc, reason: string): void {
    this.#denial.end();
    this.#escalation.escalate(guilty, reason, () => this.#settle(true));
  }

  // News of the hardware, and the want of it.

  /** Whoever has work on a device that others share is looked after; one that denies is asked often enough. */
  #watch(): void {
    this.#watchdog.watch(this.#roster.worksBesideOthers(this.#current) && !this.#denial.isOn);
  }

  /** Stops whom it runs and lets it go on at once: a device that has hung answers neither. */
  #askWhetherAlive(): void {
    const current = this.#current;
    if (this.#phase !== 'settled' || current?.state !== RUNNING) return;
    this.#phase = 'leaving';
    current.enter(ASKED_TO_SLEEP);
    this.#switch.pause(current, (answer) => {
      this.#again = true;
      if (answer.kind === 'failed') this.#escalate(current, answer.reason);
      else this.#takeBack(current, null);
    });
  }

  #interrupted(irq: ContextIrq): void {
    this.#watchdog.heard();
    if (irq.kind === 'reset' || irq.kind === 'lost') this.#deviceWasReset(irq);
    else {
      // Nobody hears of a context that is being destroyed (R64).
      const vcoproc = this.#roster.ownerOf(irq.context);
      if (irq.kind !== 'work' && irq.kind !== 'idle') vcoproc?.deliver(irq);
      else if (this.#roster.shared) vcoproc?.noteBusy(irq.kind === 'work');
    }
  }

  /** Without being asked, and perhaps for good. A switch that is under way ends here: there is nothing to blame. */
  #deviceWasReset(irq: Extract<ContextIrq, { kind: 'reset' | 'lost' }>): void {
    this.#phase = 'leaving';
    this.#denial.end();
    this.#roster.charge({ vcoproc: null, kind: 'switch' });
    this.#escalation.forgetContexts();
    if (irq.kind === 'lost') this.#escalation.isolateAll(irq.reason);
    else {
      this.statistics.deviceReset();
      this.#escalation.tellAll(irq);
    }
    this.#switch.abandon(() => {
      // It may have gone to sleep once more while its memory was left.
      if (this.#current !== null) this.#roster.standBy(this.#current);
      this.#current = null;
      this.#settle(true);
    });
  }

  // Removal, and who pays.

  /** What is not loaded and not on its way can go. */
  #finishRemovals(): void {
    for (const [vcoproc, done] of this.#roster.leaving) {
      if (vcoproc === this.#current || this.#phase !== 'settled') continue;
      this.#roster.endRemoval(vcoproc);
      // Accesses that waited for it to be loaded are answered, and it takes no queues any more.
      if (vcoproc.state !== ISOLATED) vcoproc.enter(ISOLATED);
      this.#switch.destroy(vcoproc, (isGone) => {
        // What the device may still hold is not given to another before it is reset.
        if (isGone) this.#roster.freeContextOf(vcoproc);
        done();
      });
      this.#sharingChanged();
    }
  }

  #settledAccount(): Account {
    return this.#roster.settledAccount(this.#current, this.#denial.isOn);
  }
}
