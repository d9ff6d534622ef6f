/**
 * The alarm at the end of a time slice, or of a wait for a device that denies to stop: one at a time. That it goes off is
 * a tick of the scheduler, and counted.
 */
import type { CancelAlarm, Clock } from '../hw/clock.js';
import type { SchedulerCounters } from './scheduler-parts.js';

export class SliceTimer {
  readonly #clock: Clock;
  readonly #counters: SchedulerCounters;
  readonly #ended: () => void;
  #cancel: CancelAlarm | null = null;

  constructor(clock: Clock, counters: SchedulerCounters, ended: () => void) {
    this.#clock = clock;
    this.#counters = counters;
    this.#ended = ended;
  }

  /** Goes off in `ns`; never for null. Nothing is armed. */
  arm(ns: number | null): void {
    if (ns === null) return;
    this.#cancel = this.#clock.alarm(Math.max(1, Math.ceil(ns)), () => {
      this.#cancel = null;
      this.#counters.tick();
      this.#ended();
    });
  }

  /** Nothing is armed any more. */
  cancel(): void {
    this.#cancel?.();
    this.#cancel = null;
  }
}
