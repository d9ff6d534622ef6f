// Is the first of the heap always the least, whatever moves, comes and goes?
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type HeapEntry, IndexedHeap } from '../../../src/coproc/policies/indexed-heap.js';

class Entry implements HeapEntry<Entry> {
  heap: IndexedHeap<Entry> | null = null;
  heapIndex = 0;
  readonly id: number;
  key = 0;

  constructor(id: number) {
    this.id = id;
  }
}

const before = (a: Entry, b: Entry): boolean => a.key < b.key || (a.key === b.key && a.id < b.id);

it('the first is the least of those inside, through any sequence of changes', () => {
  const step = fc.record({ id: fc.nat(15), key: fc.integer({ min: 0, max: 20 }), leaves: fc.boolean() });
  const property = fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
    const heap = new IndexedHeap<Entry>(before);
    const entries = Array.from({ length: 16 }, (_, id) => new Entry(id));
    for (const { id, key, leaves } of steps) {
      const entry = entries[id]!;
      entry.key = key;
      if (entry.heap === null) heap.add(entry);
      else if (leaves) heap.remove(entry);
      else heap.moved(entry);
      const inside = entries.filter((each) => each.heap === heap).sort((a, b) => (before(a, b) ? -1 : 1));
      expect(heap.first).toBe(inside[0]);
      expect(heap.size).toBe(inside.length);
    }
  });
  fc.assert(property, { numRuns: 200 });
});

it('an entry is in one heap, and leaves the one that it is in', () => {
  const [first, second] = [new IndexedHeap<Entry>(before), new IndexedHeap<Entry>(before)];
  const entry = new Entry(1);
  first.add(entry);
  expect(() => second.add(entry)).toThrow('in one heap');
  expect(() => second.remove(entry)).toThrow('leaves the heap');
});
