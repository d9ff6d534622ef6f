/**
 * A binary heap whose entries know their place, so that one of them can move or leave in O(log n). An entry is in one heap
 * at a time. Order is total: `before` must break ties, so that the same calls give the same order.
 */
import { assert } from '../../base/assert.js';

/** What an entry carries for the heap; written by the heap only. */
export interface HeapEntry<Entry extends HeapEntry<Entry>> {
  heap: IndexedHeap<Entry> | null;
  heapIndex: number;
}

export class IndexedHeap<Entry extends HeapEntry<Entry>> {
  /** Entries that were looked at so far. */
  visited = 0;
  readonly #entries: Entry[] = [];
  readonly #before: (a: Entry, b: Entry) => boolean;

  constructor(before: (a: Entry, b: Entry) => boolean) {
    this.#before = before;
  }

  get size(): number {
    return this.#entries.length;
  }

  get first(): Entry | undefined {
    return this.#entries[0];
  }

  add(entry: Entry): void {
    assert(entry.heap === null, 'an entry is in one heap');
    entry.heap = this;
    this.#put(entry, this.#entries.length);
    this.#rise(entry);
  }

  remove(entry: Entry): void {
    assert(entry.heap === this, 'an entry leaves the heap that it is in');
    entry.heap = null;
    const last = this.#entries.pop()!;
    if (last === entry) return;
    this.#put(last, entry.heapIndex);
    this.moved(last);
  }

  /** The key of `entry` has changed. */
  moved(entry: Entry): void {
    this.#rise(entry);
    this.#sink(entry);
  }

  #rise(entry: Entry): void {
    this.visited += 1;
    while (entry.heapIndex > 0) {
      const parent = this.#entries[(entry.heapIndex - 1) >> 1]!;
      this.visited += 1;
      if (!this.#before(entry, parent)) return;
      this.#exchange(entry, parent);
    }
  }

  #sink(entry: Entry): void {
    for (;;) {
      const child = this.#firstChild(entry.heapIndex);
      if (child === undefined || !this.#before(child, entry)) return;
      this.#exchange(child, entry);
    }
  }

  #firstChild(index: number): Entry | undefined {
    const left = this.#entries[2 * index + 1];
    const right = this.#entries[2 * index + 2];
    this.visited += (left === undefined ? 0 : 1) + (right === undefined ? 0 : 1);
    return left !== undefined && right !== undefined && this.#before(right, left) ? right : left;
  }

  #exchange(a: Entry, b: Entry): void {
    const index = a.heapIndex;
    this.#put(a, b.heapIndex);
    this.#put(b, index);
  }

  #put(entry: Entry, index: number): void {
    this.#entries[index] = entry;
    entry.heapIndex = index;
  }
}
