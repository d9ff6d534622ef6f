// Small outputs share memory: can one ever reach another, or take it away?
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { outputMemory } from '../../lib/output.js';
import { limits } from '../../src/base/limits.js';

const SMALL_MAX = limits.OUTPUT_SLAB_BYTES / 4;

test('each has bytes of its own, wherever a slab ends', () => {
  const sizes = fc.array(fc.integer({ min: 1, max: SMALL_MAX + 10 }), { minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(sizes, (lengths) => {
      const outputs = lengths.map((bytes) => outputMemory(bytes));
      for (const [i, output] of outputs.entries()) output.fill(i);
      for (const [i, output] of outputs.entries()) {
        expect(output.length).toBe(lengths[i]);
        expect(output.every((byte) => byte === i)).toBe(true);
      }
    }),
  );
});

test('any array of numbers fits on it', () => {
  for (const bytes of [1, 8, 13, 800]) {
    const { buffer, byteOffset } = outputMemory(bytes);
    expect(new Float64Array(buffer, byteOffset, bytes >> 3).length).toBe(bytes >> 3);
  }
});

test('a program that transfers one does not take the others away', () => {
  const [first, second] = [outputMemory(100).fill(1), outputMemory(100).fill(2)];
  try {
    structuredClone(first, { transfer: [first.buffer as ArrayBuffer] });
  } catch (error) {
    // Later versions of Node say so; earlier ones copy.
    expect(error).toMatchObject({ name: 'DataCloneError' });
  }
  expect([first.length, second.length, second[99]]).toEqual([100, 100, 2]);
});
