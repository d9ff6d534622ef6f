// Do both histories keep exactly the newest items, in order?
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type History, PlainHistory, packagedHistory } from '../../src/base/history.js';

const implementations: readonly [string, (capacity: number) => History<number>][] = [
  ['ring-buffer-ts', packagedHistory],
  ['our own', (capacity) => new PlainHistory(capacity)],
];

describe.each(implementations)('a history on %s', (_name, create) => {
  it('keeps what a list cut to its capacity keeps, after every push', () => {
    const property = fc.property(
      fc.integer({ min: 1, max: 9 }),
      fc.array(fc.integer()),
      (capacity, items) => {
        const history = create(capacity);
        const model: number[] = [];
        for (const item of items) {
          history.push(item);
          model.push(item);
          if (model.length > capacity) model.shift();
          expect(history.toArray()).toEqual(model);
          expect(history.length).toBe(model.length);
        }
      },
    );
    fc.assert(property);
  });

  it('is empty at first, and its array is the caller’s own', () => {
    const history = create(2);
    expect([history.length, history.toArray()]).toEqual([0, []]);
    history.push(1);
    history.toArray().push(2);
    expect(history.toArray()).toEqual([1]);
  });

  it.each([0, -1, 1.5, Number.NaN])('of capacity %s is refused', (capacity) => {
    expect(() => create(capacity)).toThrow('broken invariant');
  });
});
