/**
 * The scheduler core of one coproc: owns the state of its vcoprocs and performs every switch. Which one runs is
 * the policy's answer; how one is stopped and another started is written here.
 *
 * Each coproc has a scheduler, a timer and a list of vcoprocs of its own. With a policy that answers no slice the
 * core is tickless.
 */
import type { CancelAlarm, Clock } from '../hw/clock.js';
import type { CoprocHardware } from '../hw/coproc-port.js';
import type { PolicyModule, SchedulerPolicy } from './policy.js';
import { type Vcoproc, type VcoprocOwner, vcoprocState } from './vcoproc.js';

/** What the core counts; kept apart because bypass is proved by their not moving. */
export interface SchedulerCounters {
  wakeup(): void;
  tick(): void;
}

export class Scheduler implements VcoprocOwner {
  readonly #hardware: CoprocHardware;
  readonly #clock: Clock;
  readonly #counters: SchedulerCounters;
  readonly #policy: SchedulerPolicy;
  readonly #vcoprocs = new Set<Vcoproc>();
  /** Those whose owner has work, whatever their state: one that sleeps may stay loaded. */
  readonly #awake = new Set<Vcoproc>();
  #current: Vcoproc | null = null;
  #cancelSlice: CancelAlarm | null = null;

  constructor(parts: {
    hardware: CoprocHardware;
    clock: Clock;
    counters: SchedulerCounters;
    policy: PolicyModule;
  }) {
    this.#hardware = parts.hardware;
    this.#clock = parts.clock;
    this.#counters = parts.counters;
    this.#policy = parts.policy.create();
  }

  get vcoprocs(): readonly Vcoproc[] {
    return [...this.#vcoprocs];
  }

  get current(): Vcoproc | null {
    return this.#current;
  }

  add(vcoproc: Vcoproc): void {
    this.#vcoprocs.add(vcoproc);
    this.#policy.add(vcoproc);
  }

  wake(vcoproc: Vcoproc): void {
    if (this.#awake.has(vcoproc)) return;
    this.#awake.add(vcoproc);
    // One that slept but stayed loaded runs on: no wakeup, but the policy has to know that it has work.
    if (vcoproc.state === vcoprocState.SLEEPING) {
      this.#counters.wakeup();
      vcoproc.enter(vcoprocState.WAITING);
    }
    this.#policy.wake(vcoproc, this.#clock.nowNs());
    this.#schedule();
  }

  sleep(vcoproc: Vcoproc): void {
    if (!this.#awake.delete(vcoproc)) return;
    this.#policy.sleep(vcoproc, this.#clock.nowNs());
    this.#schedule();
    if (vcoproc.state === vcoprocState.WAITING) vcoproc.enter(vcoprocState.SLEEPING);
  }

  /** Hands an interrupt of the hardware to the vcoproc whose context is loaded. */
  deliver(irq: Parameters<Vcoproc['deliver']>[0]): void {
    const receivers = irq.kind === 'lost' ? this.#vcoprocs : [this.#current];
    for (const vcoproc of receivers) vcoproc?.deliver(irq);
  }

  #schedule(): void {
    this.#cancelSlice?.();
    this.#cancelSlice = null;
    const { next, sliceNs } = this.#policy.schedule(this.#clock.nowNs(), this.#current);
    this.#switchTo(next as Vcoproc | null);
    if (sliceNs !== null) this.#cancelSlice = this.#clock.alarm(sliceNs, () => this.#sliceEnded());
  }

  #sliceEnded(): void {
    this.#counters.tick();
    this.#schedule();
  }

  #switchTo(next: Vcoproc | null): void {
    if (next === this.#current) return;
    if (this.#current !== null) {
      this.#hardware.stop(() => {});
      this.#current.enter(this.#awake.has(this.#current) ? vcoprocState.WAITING : vcoprocState.SLEEPING);
    }
    this.#current = next;
    if (next === null) return;
    next.enter(vcoprocState.RUNNING);
    this.#hardware.start(() => {});
  }
}
