/**
 * When a device that keeps failing is taken out of service: each reset after a hardware error is remembered for an
 * hour, and the device is isolated when as many earlier ones as the threshold allows are remembered. Isolation is
 * final; threshold 0 switches the counting off; a reset that failed isolates at once.
 */
import { limits } from '../base/limits.js';
import type { Clock } from '../hw/clock.js';
import { errno } from '../uapi/errno.js';

export class Isolation {
  readonly #clock: Pick<Clock, 'nowNs'>;
  #threshold: number;
  #errorsAtNs: number[] = [];
  #isolated = false;

  /** `threshold` errors, 0 = off. */
  constructor(clock: Pick<Clock, 'nowNs'>, threshold: number) {
    this.#clock = clock;
    this.#threshold = threshold;
  }

  get isolated(): boolean {
    return this.#isolated;
  }

  get threshold(): number {
    return this.#threshold;
  }

  /** Sets the threshold and forgets what was counted: 0, -EINVAL, or -EPERM while isolated. */
  setThreshold(threshold: number): number {
    if (!Number.isInteger(threshold) || threshold < 0 || threshold > limits.ISOLATION_THRESHOLD_MAX) {
      return -errno.EINVAL;
    }
    if (this.#isolated) return -errno.EPERM;
    this.#threshold = threshold;
    this.#errorsAtNs = [];
    return 0;
  }

  /** Records a reset that a hardware error made necessary. */
  recordReset(succeeded: boolean): void {
    if (!succeeded) this.#isolated = true;
    if (this.#threshold === 0 || this.#isolated) return;
    const now = this.#clock.nowNs();
    this.#errorsAtNs = this.#errorsAtNs.filter((atNs) => now - atNs <= limits.ISOLATION_WINDOW_NS);
    if (this.#errorsAtNs.length >= this.#threshold) this.#isolated = true;
    this.#errorsAtNs.push(now);
  }
}
