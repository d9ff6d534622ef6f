/**
 * One alarm for several things that must each end within the same time: it is armed for the oldest. Whoever owns the
 * things says which one that is whenever it changes; without any, no alarm is left behind, so that a virtual clock
 * comes to rest and a real one lets its thread sleep.
 */
import type { CancelAlarm, Clock } from '../hw/clock.js';

export interface OverdueAlarmOptions {
  readonly clock: Clock;
  /** How long each thing may take, ns. */
  readonly boundNs: number;
  /** The oldest has taken as long as that. Not called again before the owner calls `watch`. */
  readonly overdue: () => void;
}

export class OverdueAlarm {
  readonly #options: OverdueAlarmOptions;
  #oldestNs: number | null = null;
  #cancel: CancelAlarm | null = null;

  constructor(options: OverdueAlarmOptions) {
    this.#options = options;
  }

  /** The oldest began at `sinceNs`, never earlier than what was watched before; null when nothing is waited for. */
  watch(sinceNs: number | null): void {
    this.#oldestNs = sinceNs;
    if (sinceNs === null) {
      this.#cancel?.();
      this.#cancel = null;
    } else {
      // An alarm that is armed for an older one goes off early and looks again: cheaper than a new one each time.
      this.#cancel ??= this.#arm();
    }
  }

  /** Whether what began at `sinceNs` has had its time. */
  isOver(sinceNs: number): boolean {
    return sinceNs + this.#options.boundNs <= this.#options.clock.nowNs();
  }

  #arm(): CancelAlarm {
    const { clock, boundNs } = this.#options;
    return clock.alarm(Math.max(0, this.#oldestNs! + boundNs - clock.nowNs()), () => this.#fire());
  }

  #fire(): void {
    this.#cancel = null;
    if (this.isOver(this.#oldestNs!)) this.#options.overdue();
    else this.#cancel = this.#arm();
  }
}
