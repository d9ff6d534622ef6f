/**
 * The processor of a domain, as far as a coprocessor is concerned: it runs and sleeps in a pattern of its own. An
 * interrupt that comes while it sleeps wakes it (R51); when it sleeps or runs changes nothing about who uses the
 * coprocessor (R23).
 */
import { assert } from '../base/assert.js';
import type { Clock } from '../hw/clock.js';

/** Runs for `busyNs`, then sleeps for `idleNs`, over and over; 0 for `idleNs` = always running. */
export interface VcpuPattern {
  readonly busyNs: number;
  readonly idleNs: number;
}

export class Vcpu {
  readonly #clock: Clock;
  readonly #pattern: VcpuPattern;
  readonly #startNs: number;
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
    const { busyNs, idleNs } = this.#pattern;
    return (this.#clock.nowNs() - this.#startNs) % (busyNs + idleNs) < busyNs;
  }

  /** An interrupt: it is handled at once, by a processor that runs or that wakes for it. */
  interrupt(handle: () => void): void {
    if (!this.running) this.#wakeups += 1;
    handle();
  }
}
