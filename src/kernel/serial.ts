/**
 * One section at a time: what the mutex of a queue is in a kernel that may block. A section that must wait keeps the
 * turn until it calls `leave`; those that come meanwhile run after it, in order.
 */
import { assert } from '../base/assert.js';
import { limits } from '../base/limits.js';

/** `leave` ends the section; called exactly once, at once or later. */
export type Section = (leave: () => void) => void;

export class Serial {
  readonly #waiting: Section[] = [];
  #busy = false;

  /** Runs `section` when its turn comes; false when too many wait already. For callers that nobody trusts. */
  tryEnter(section: Section): boolean {
    if (this.#waiting.length >= limits.QUEUE_CALLS_WAITING) return false;
    this.enter(section);
    return true;
  }

  /** Runs `section` when its turn comes. */
  enter(section: Section): void {
    if (this.#busy) this.#waiting.push(section);
    else this.#begin(section);
  }

  #begin(section: Section): void {
    this.#busy = true;
    let left = false;
    section(() => {
      assert(!left, 'a section is left once');
      left = true;
      this.#busy = false;
      const next = this.#waiting.shift();
      if (next !== undefined) this.#begin(next);
    });
  }
}
