/**
 * Real time with alarms, for a thread that sleeps in `Atomics.wait`: the owner asks when the next alarm is due and
 * fires what is due when it wakes.
 */
import { NS_PER_MS } from '../../base/units.js';
import type { CancelAlarm, Clock } from '../../hw/clock.js';

interface Alarm {
  readonly atNs: number;
  readonly fire: () => void;
}

export class RealClock implements Clock {
  readonly #alarms = new Set<Alarm>();

  nowNs(): number {
    return performance.now() * NS_PER_MS;
  }

  alarm(delayNs: number, fire: () => void): CancelAlarm {
    const alarm = { atNs: this.nowNs() + delayNs, fire };
    this.#alarms.add(alarm);
    return () => this.#alarms.delete(alarm);
  }

  /** Fires every alarm that is due. */
  fireDue(): void {
    if (this.#alarms.size === 0) return;
    const now = this.nowNs();
    for (const alarm of [...this.#alarms]) {
      if (alarm.atNs > now || !this.#alarms.delete(alarm)) continue;
      alarm.fire();
    }
  }

  /** Milliseconds until the next alarm; infinite without one: the thread is tickless then. */
  nextDelayMs(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { atNs } of this.#alarms) next = Math.min(next, atNs);
    return Math.max(0, (next - this.nowNs()) / NS_PER_MS);
  }
}
