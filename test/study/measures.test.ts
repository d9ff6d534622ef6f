// Do the measures measure what they say?
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  lineThrough,
  mostInWindow,
  quantileNs,
  reversals,
  type Stretch,
  shareError,
  worstOf,
} from './measures.js';

/** Stretches in order, with gaps between some of them. */
const stretches = fc
  .array(fc.record({ gap: fc.nat(5), length: fc.integer({ min: 1, max: 9 }) }), {
    minLength: 1,
    maxLength: 12,
  })
  .map((parts) => {
    let atNs = 0;
    return parts.map(({ gap, length }): Stretch => {
      const fromNs = atNs + gap;
      atNs = fromNs + length;
      return { fromNs, toNs: atNs };
    });
  });

describe('the most in any window', () => {
  it('is what looking at every window finds', () => {
    fc.assert(
      fc.property(stretches, fc.integer({ min: 1, max: 30 }), (all, windowNs) => {
        const within = (fromNs: number): number =>
          all.reduce((sum, each) => {
            const overlap = Math.min(each.toNs, fromNs + windowNs) - Math.max(each.fromNs, fromNs);
            return sum + Math.max(0, overlap);
          }, 0);
        const endNs = all.at(-1)!.toNs;
        const every = Array.from({ length: endNs + windowNs + 1 }, (_, index) => within(index - windowNs));
        expect(mostInWindow(all, windowNs)).toBe(Math.max(...every));
      }),
    );
  });

  it('of nothing is nothing', () => {
    expect(mostInWindow([], 10)).toBe(0);
  });
});

describe('the error of a share', () => {
  it('may be 1 %, or one slice of what is due', () => {
    expect(shareError(99, 100, 0.5)).toEqual({ error: 0.01, bound: 0.01 });
    expect(shareError(107, 100, 6)).toEqual({ error: 0.07, bound: 0.06 });
  });

  it('the worst is the closest to its own bound, not the largest', () => {
    const [large, close] = [
      { error: 0.03, bound: 0.06 },
      { error: 0.009, bound: 0.01 },
    ];
    expect(worstOf([large, close])).toBe(close);
  });
});

it('a quantile is the upper bound of its bucket', () => {
  expect([quantileNs([0, 0, 98, 1, 1], 0.5), quantileNs([0, 0, 98, 1, 1], 0.99)]).toEqual([4, 8]);
  expect([quantileNs([5], 0.99), quantileNs([0, 0], 0.5)]).toEqual([1, 0]);
});

it('a line goes through its points', () => {
  const { at0, slope } = lineThrough([0, 1, 2, 5].map((x) => [x, 3 - 2 * x] as const));
  expect([at0, slope]).toEqual([3, -2]);
});

it('reversals are counted, equals are none', () => {
  expect([reversals([1, 1, 2, 5], 'up'), reversals([3, 4, 4, 2, 1], 'down'), reversals([], 'up')]).toEqual([
    0, 1, 0,
  ]);
});
