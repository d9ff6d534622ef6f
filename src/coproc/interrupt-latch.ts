/**
 * Device interrupts on their way to the domain that owns a context. An interrupt belongs to the context that raised it,
 * whoever runs by the time it is handled (R31): none is lost, none goes to a neighbour. A storm is told once a window,
 * with its count, so that it costs its owner and nobody else (hazard X7).
 */
import { limits } from '../base/limits.js';
import type { CancelAlarm, Clock } from '../hw/clock.js';

/** Hands a domain `count` interrupts of `line` that came together. */
export type DeliverInterrupt = (line: number, count: number) => void;

export class InterruptLatch {
  readonly #clock: Clock;
  readonly #deliver: DeliverInterrupt;
  /** Raised and not told yet, by line. */
  readonly #pending = new Map<number, number>();
  #windowEndNs = 0;
  #inWindow = 0;
  #cancel: CancelAlarm | null = null;
  #raised = 0;
  #told = 0;
  #held = 0;

  constructor(clock: Clock, deliver: DeliverInterrupt) {
    this.#clock = clock;
    this.#deliver = deliver;
  }

  /** Interrupts raised, told, and told late because there were too many. Raised is told plus pending: none is lost. */
  get counts(): { readonly raised: number; readonly told: number; readonly throttled: number } {
    return { raised: this.#raised, told: this.#told, throttled: this.#held };
  }

  raise(line: number): void {
    this.#raised += 1;
    this.#pending.set(line, (this.#pending.get(line) ?? 0) + 1);
    const nowNs = this.#clock.nowNs();
    if (nowNs >= this.#windowEndNs) {
      this.#windowEndNs = nowNs + limits.INTERRUPT_WINDOW_NS;
      this.#inWindow = 0;
    }
    this.#inWindow += 1;
    if (this.#inWindow <= limits.INTERRUPTS_PER_WINDOW) this.#tell();
    else this.#tellLater(nowNs);
  }

  /** The context is gone: what was not told is told to nobody. */
  drop(): void {
    this.#cancel?.();
    this.#cancel = null;
    this.#pending.clear();
  }

  #tellLater(nowNs: number): void {
    this.#held += 1;
    this.#cancel ??= this.#clock.alarm(this.#windowEndNs - nowNs, () => {
      this.#cancel = null;
      this.#tell();
    });
  }

  #tell(): void {
    // Not a copy: a receiver that makes the device raise another one has the rest told by that call.
    for (const [line, count] of this.#pending) {
      this.#pending.delete(line);
      this.#told += count;
      this.#deliver(line, count);
    }
  }
}
