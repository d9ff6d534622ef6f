/**
 * The processor of a domain, as far as a coprocessor is concerned: it runs and sleeps in a pattern of its own. An
 * interrupt that comes while it sleeps wakes it (R51), and it runs on until the pattern lets it sleep again; whatever else
 * its processes are to do waits until it runs. When it sleeps or runs changes nothing about who uses the coprocessor (R23).
 */
import { assert } from '../base/assert.js';
import type { CancelAlarm, Clock } from '../hw/clock.js';

/** Runs for `busyNs`, then sleeps for `idleNs`, over and over, in whole ns; 0 for `idleNs` = always running. */
export interface VcpuPattern {
  readonly busyNs: number;
  readonly idleNs: number;
}

export class Vcpu {
  readonly #clock: Clock;
  readonly #pattern: VcpuPattern;
  readonly #startNs: number;
  /** What is to be done when it runs. */
  readonly #waiting: (() => void)[] = [];
  #cancelAlarm: CancelAlarm | null = null;
  /** The period in which an interrupt woke it last, counted from 0. */
  #wokenIn = -1;
  #wakeups = 0;

  constructor(clock: Clock, pattern: VcpuPattern) {
    assert(
      pattern.busyNs > 0 && pattern.idleNs >= 0,
      'a vcpu runs for some time, and sleeps for some or none',
    );
    this.#clock = clock;
    this.#pattern = pattern;
    this.#startNs = clock.nowNs();
  }

  /** Times that an interrupt found it asleep. */
  get wakeups(): number {
    return this.#wakeups;
  }

  get running(): boolean {
    const { period, passedNs } = this.#place();
    return passedNs < this.#pattern.busyNs || this.#wokenIn === period;
  }

  /** An interrupt: it is handled at once, by a processor that runs or that wakes for it. */
  interrupt(handle: () => void): void {
    if (!this.running) {
      this.#wakeups += 1;
      this.#wokenIn = this.#place().period;
    }
    handle();
    this.#runWaiting();
  }

  /** Calls `act` at once if it runs, else when it does; in the order of the calls. */
  whenRunning(act: () => void): void {
    this.#waiting.push(act);
    // Its alarm may be one of several of this moment, and not the first.
    if (this.running) this.#runWaiting();
    else this.#cancelAlarm ??= this.#clock.alarm(this.#untilPeriodEndNs(), () => this.#runWaiting());
  }

  #runWaiting(): void {
    this.#cancelAlarm?.();
    this.#cancelAlarm = null;
    for (const act of this.#waiting.splice(0)) act();
  }

  #untilPeriodEndNs(): number {
    const { busyNs, idleNs } = this.#pattern;
    return busyNs + idleNs - this.#place().passedNs;
  }

  #place(): { readonly period: number; readonly passedNs: number } {
    const { busyNs, idleNs } = this.#pattern;
    const sinceNs = this.#clock.nowNs() - this.#startNs;
    const periodNs = busyNs + idleNs;
    return { period: Math.floor(sinceNs / periodNs), passedNs: sinceNs % periodNs };
  }
}
