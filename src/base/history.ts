/**
 * A bounded history: keeps the newest `capacity` items and forgets the oldest. For trace tails and recent faults
 * only, never for anything that must not be lost.
 *
 * Two implementations of one interface: the well-known ring-buffer-ts, and our own for places that must not
 * depend on a package. docs/decisions/0003-ring-buffer-ts.md says why it is used here and nowhere else.
 */
import ringBuffer from 'ring-buffer-ts';
import { assert } from './assert.js';

export interface History<T> {
  /** Adds the newest item; the oldest goes when `capacity` is exceeded. */
  push(item: T): void;
  /** The kept items, oldest first. */
  toArray(): T[];
  /** Items kept now, at most `capacity`. */
  readonly length: number;
}

/** A history on ring-buffer-ts. `capacity` must be at least 1 (the package corrupts at 0). */
export function packagedHistory<T>(capacity: number): History<T> {
  assert(Number.isInteger(capacity) && capacity >= 1, `a history keeps at least one item, not ${capacity}`);
  const ring = new ringBuffer.RingBuffer<T>(capacity);
  return {
    push: (item) => {
      ring.add(item);
    },
    toArray: () => ring.toArray(),
    get length() {
      return ring.getBufferLength();
    },
  };
}

/** The custom fallback, with the same behaviour. */
export class PlainHistory<T> implements History<T> {
  readonly #items: T[] = [];
  readonly #capacity: number;
  #oldest = 0;

  constructor(capacity: number) {
    assert(Number.isInteger(capacity) && capacity >= 1, `a history keeps at least one item, not ${capacity}`);
    this.#capacity = capacity;
  }

  push(item: T): void {
    if (this.#items.length < this.#capacity) {
      this.#items.push(item);
      return;
    }
    this.#items[this.#oldest] = item;
    this.#oldest = (this.#oldest + 1) % this.#capacity;
  }

  toArray(): T[] {
    return [...this.#items.slice(this.#oldest), ...this.#items.slice(0, this.#oldest)];
  }

  get length(): number {
    return this.#items.length;
  }
}
