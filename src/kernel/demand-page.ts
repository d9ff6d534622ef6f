/**
 * One page of a demand mapping that was touched before: in a frame, or in the swap store, or on its way between.
 *
 * A page that is changing (read in, written out, copied) is busy. Whoever wants it waits and looks again afterwards, so
 * no two changes of a page ever overlap, and nobody sees one half done.
 */
import { assert } from '../base/assert.js';

/** Where the bytes of a page are. */
export class DemandPage {
  /** Guest-physical address of its frame; -1 while it is not in memory. */
  gpa = -1;
  /** Its slot in the swap store; -1 while it is in memory. */
  slot = -1;
  #busy = false;
  #waiting: (() => void)[] = [];

  get busy(): boolean {
    return this.#busy;
  }

  /** A change begins. */
  begin(): void {
    assert(!this.#busy, 'one change of a page at a time');
    this.#busy = true;
  }

  /** The change is over; those who waited look again, in the order in which they came. */
  settle(): void {
    assert(this.#busy, 'a change ends once');
    this.#busy = false;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const look of waiting) look();
  }

  /** Calls `look` when the change under way is over. */
  whenSettled(look: () => void): void {
    assert(this.#busy, 'a settled page need not be waited for');
    this.#waiting.push(look);
  }
}
