/**
 * Numbers that are handed out and come back: PASIDs, PSCIDs, hardware queues, process ids. Never a number twice,
 * never an error dressed up as a number (hazard S6).
 */
import { assert } from '../base/assert.js';

export class IdPool {
  readonly #first: number;
  readonly #last: number;
  readonly #taken = new Set<number>();
  readonly #returned: number[] = [];
  #next: number;

  /** Hands out `first` to `last`, both included. */
  constructor(first: number, last: number) {
    assert(last >= first, 'a pool has numbers');
    this.#first = first;
    this.#last = last;
    this.#next = first;
  }

  /** Numbers that can be taken now. */
  get free(): number {
    return this.#last - this.#first + 1 - this.#taken.size;
  }

  /** A number that nobody holds, or null. What came back last goes out first: reuse is met early, in tests too. */
  take(): number | null {
    const id = this.#returned.pop() ?? this.#fresh();
    if (id !== null) this.#taken.add(id);
    return id;
  }

  /** Returns a number; every table indexed by it has been cleared before (hazard U13). */
  give(id: number): void {
    assert(this.#taken.delete(id), `${id} was handed out`);
    this.#returned.push(id);
  }

  #fresh(): number | null {
    return this.#next > this.#last ? null : this.#next++;
  }
}
