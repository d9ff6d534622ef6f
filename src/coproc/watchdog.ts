/**
 * Notices a device that has hung although nobody asks anything of it: while one vcoproc has work and no other, it is never
 * told to stop, and a device that has hung reports no work of anybody who comes later (R48, R49). So whoever is loaded and
 * has work is looked after: when the device was not heard of for WATCHDOG_NS, the scheduler core asks whether it still
 * answers. Decides nothing about who runs: its alarm is no tick of the scheduler.
 */
import { limits } from '../base/limits.js';
import type { CancelAlarm, Clock } from '../hw/clock.js';

export class Watchdog {
  readonly #clock: Clock;
  readonly #ask: () => void;
  #heardNs = 0;
  #cancel: CancelAlarm | null = null;

  /** `ask` is called when the device was not heard of for so long; the answer is to be reported as `heard`. */
  constructor(clock: Clock, ask: () => void) {
    this.#clock = clock;
    this.#ask = ask;
  }

  /** The device has reported or answered something. */
  heard(): void {
    this.#heardNs = this.#clock.nowNs();
  }

  /** Whether there is somebody to look after. Without, no alarm is left behind: the clock comes to rest. */
  watch(isOn: boolean): void {
    if (isOn) this.#cancel ??= this.#arm();
    else {
      this.#cancel?.();
      this.#cancel = null;
    }
  }

  #arm(): CancelAlarm {
    const dueNs = this.#heardNs + limits.WATCHDOG_NS;
    return this.#clock.alarm(Math.max(1, dueNs - this.#clock.nowNs()), () => this.#fire());
  }

  /** It may have been heard of since the alarm was armed: one alarm for all reports is cheaper than one for each. */
  #fire(): void {
    this.#cancel = null;
    if (this.#heardNs + limits.WATCHDOG_NS > this.#clock.nowNs()) this.#cancel = this.#arm();
    else this.#ask();
  }
}
