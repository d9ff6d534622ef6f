/** What waits, in the order of its arrival; one may leave from the middle. */
import { limits } from '../src/base/limits.js';

export class WaitingLine<T extends object> {
  /** Null where one has left, so that what is done with is not kept alive. */
  readonly #items: (T | null)[] = [];
  /** Index of the first that waits; the array is cut when half of it is history. */
  #first = 0;

  get isEmpty(): boolean {
    return this.#first === this.#items.length;
  }

  /** The one that has waited longest; null when none waits. */
  get head(): T | null {
    return this.#items[this.#first] ?? null;
  }

  /** Everyone who waits, in order. */
  get all(): readonly T[] {
    return this.#items.slice(this.#first).filter((item) => item !== null);
  }

  push(item: T): void {
    this.#items.push(item);
  }

  /** The head leaves. */
  shift(): void {
    this.#leave(this.#first);
  }

  /** Takes one out, wherever it is; false when it does not wait here. */
  remove(item: T): boolean {
    const index = this.#items.indexOf(item, this.#first);
    if (index < 0) return false;
    this.#leave(index);
    return true;
  }

  /** Everyone leaves. */
  clear(): readonly T[] {
    const all = this.all;
    this.#items.length = 0;
    this.#first = 0;
    return all;
  }

  #leave(index: number): void {
    this.#items[index] = null;
    while (!this.isEmpty && this.head === null) this.#first += 1;
    if (this.#first < limits.QUEUE_DEPTH || this.#first * 2 < this.#items.length) return;
    this.#items.splice(0, this.#first);
    this.#first = 0;
  }
}
