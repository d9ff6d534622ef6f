/**
 * The pins of one process: memory that stays where it is for a device that cannot take page faults. Each pin names
 * whole frames and is undone by its number, whatever became of the mapping (hazard V7). Their number is bounded
 * (hazard V1).
 */
import { limits } from '../base/limits.js';
import { PAGE_BYTES, pagesFor } from '../base/units.js';
import { errno } from '../uapi/errno.js';
import type { AddressSpace } from './address-space.js';
import { IdPool } from './id-pool.js';
import { isPageRange } from './mapping.js';

interface PinUnderWay {
  readonly va: number;
  readonly bytes: number;
  readonly gpas: number[];
  readonly done: (ret: number) => void;
}

export class PinTable {
  readonly #space: AddressSpace;
  readonly #pins = new Map<number, readonly number[]>();
  readonly #numbers = new IdPool(1, limits.PINS_PER_PROCESS);
  readonly #underWay = new Set<PinUnderWay>();
  #frames = 0;

  constructor(space: AddressSpace) {
    this.#space = space;
  }

  /** Frames pinned now, each counted as often as it is pinned. */
  get pinnedFrames(): number {
    return this.#frames;
  }

  /**
   * Brings the pages of [va, va + bytes) in, unshared and writable, and pins them one by one. `done` gets the pin's
   * number, EINVAL for no whole pages, EFAULT where a write is not allowed, ENOMEM beyond a limit.
   */
  pin(va: number, bytes: number, done: (ret: number) => void): void {
    const count = pagesFor(bytes);
    if (!isPageRange(va, bytes)) done(-errno.EINVAL);
    else if (this.#numbers.free === 0 || this.#frames + count > limits.PINNED_FRAMES_PER_PROCESS) {
      done(-errno.ENOMEM);
    } else {
      // Counted at once, so that pins under way together stay within the limit.
      this.#frames += count;
      const pin: PinUnderWay = { va, bytes, gpas: [], done };
      this.#underWay.add(pin);
      this.#next(pin);
    }
  }

  /** Which limit of pins the pages of `bytes` bytes do not fit, and the remedy; null if they fit all. */
  explainShortage(bytes: number): string | null {
    const { PINS_PER_PROCESS, PINNED_FRAMES_PER_PROCESS } = limits;
    if (this.#numbers.free === 0)
      return `the process has ${PINS_PER_PROCESS} pins, as many as it may: unpin some`;
    if (this.#frames + pagesFor(bytes) <= PINNED_FRAMES_PER_PROCESS) return null;
    return `the process has pinned ${this.#frames} of at most ${PINNED_FRAMES_PER_PROCESS} frames: unpin some`;
  }

  /** Undoes pin number `pin`: 0, or EINVAL. */
  unpin(pin: number): number {
    const gpas = this.#pins.get(pin);
    if (gpas === undefined) return -errno.EINVAL;
    this.#pins.delete(pin);
    this.#numbers.give(pin);
    this.#release(gpas, gpas.length);
    return 0;
  }

  /** Undoes all of them: the process ends. What is under way fails when its page fault is answered. */
  unpinAll(): void {
    for (const pin of [...this.#pins.keys()]) this.unpin(pin);
    for (const { gpas } of this.#underWay) this.#release(gpas.splice(0), 0);
  }

  #next(pin: PinUnderWay): void {
    const { va, bytes, gpas } = pin;
    // Pages that are there are pinned in a loop, not one call inside the other.
    while (gpas.length < pagesFor(bytes)) {
      const gpa = this.#space.accessGuest(va + gpas.length * PAGE_BYTES, 'write');
      if (gpa < 0) return this.#bring(pin);
      this.#space.frames.domain.pin(gpa);
      gpas.push(gpa);
    }
    this.#finish(pin);
  }

  #bring(pin: PinUnderWay): void {
    const at = pin.va + pin.gpas.length * PAGE_BYTES;
    this.#space.handleFault(at, 'write', (answer) => {
      if (answer === 'resolved') this.#next(pin);
      else this.#fail(pin, answer === 'refused' ? -errno.EFAULT : -errno.ENOMEM);
    });
  }

  #finish(pin: PinUnderWay): void {
    const number = this.#space.quiet ? null : this.#numbers.take();
    if (number === null) {
      this.#fail(pin, this.#space.quiet ? -errno.ESRCH : -errno.ENOMEM);
      return;
    }
    this.#underWay.delete(pin);
    this.#pins.set(number, pin.gpas);
    pin.done(number);
  }

  #fail(pin: PinUnderWay, ret: number): void {
    this.#underWay.delete(pin);
    this.#release(pin.gpas, pagesFor(pin.bytes));
    pin.done(ret);
  }

  #release(gpas: readonly number[], counted: number): void {
    for (const gpa of gpas) this.#space.frames.unpin(gpa);
    this.#frames -= counted;
  }
}
