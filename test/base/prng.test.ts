// Is chance repeatable, independent by name, and even?
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { prngStream } from '../../src/base/prng.js';

const drawn = (seed: number, name: string, count = 32): number[] => {
  const stream = prngStream(seed, name);
  return Array.from({ length: count }, () => stream.next());
};

describe('a stream of chance', () => {
  it('is the same for the same seed and name, and another for another', () => {
    const property = fc.property(
      fc.integer(),
      fc.string(),
      fc.integer(),
      fc.string(),
      (seed, name, other, otherName) => {
        expect(drawn(seed, name)).toEqual(drawn(seed, name));
        fc.pre(seed !== other && name !== otherName);
        expect(drawn(other, name)).not.toEqual(drawn(seed, name));
        expect(drawn(seed, otherName)).not.toEqual(drawn(seed, name));
      },
    );
    fc.assert(property);
  });

  it('does not notice that another stream is drawn from', () => {
    const [one, two] = [prngStream(1, 'one'), prngStream(1, 'two')];
    const mixed = Array.from({ length: 20 }, () => {
      two.next();
      return one.next();
    });
    expect(mixed).toEqual(drawn(1, 'one', 20));
  });

  it('stays below its bound, reaches both ends, and is spread evenly', () => {
    const property = fc.property(fc.integer(), fc.integer({ min: 1, max: 2 ** 32 }), (seed, bound) => {
      const stream = prngStream(seed, 'bound');
      for (let i = 0; i < 50; i++) {
        const value = stream.below(bound);
        expect(Number.isInteger(value) && value >= 0 && value < bound).toBe(true);
      }
    });
    fc.assert(property);
    const counts = new Array<number>(8).fill(0);
    const stream = prngStream(1, 'even');
    for (let i = 0; i < 8000; i++) counts[stream.below(8)]! += 1;
    // 1,000 expected in each; 150 is five standard deviations.
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });

  it('no seed gets stuck at zero', () => {
    for (const seed of [0, 1, -1, 2 ** 31, 2 ** 32 - 1]) expect(new Set(drawn(seed, '')).size).toBe(32);
  });
});
