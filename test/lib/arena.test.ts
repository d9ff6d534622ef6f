// Can two requests ever be handed the same bytes of DMA memory, and does all of it come back? A model of what is
// out, beside the arena.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Arena, type Extent, Mapping } from '../../lib/arena.js';
import { KiB, MiB } from '../../src/base/units.js';

const MAPPING_BYTES = 16 * MiB;
const bytesOfMappings = [new Uint8Array(MAPPING_BYTES), new Uint8Array(MAPPING_BYTES)];

function newArena(mappings: number): { arena: Arena; mappings: Mapping[] } {
  const arena = new Arena();
  const added = bytesOfMappings
    .slice(0, mappings)
    .map((view, index) => new Mapping(2 ** 30 * (index + 1), view));
  for (const mapping of added) arena.add(mapping);
  return { arena, mappings: added };
}

/** The longest run of a mapping that no extent lies in, bytes. */
function longestGap(mapping: Mapping, out: readonly Extent[]): number {
  const taken = out.filter((extent) => extent.mapping === mapping).sort((a, b) => a.offset - b.offset);
  let [from, longest] = [0, 0];
  for (const { offset, bytes } of taken) {
    longest = Math.max(longest, offset - from);
    from = offset + bytes;
  }
  return Math.max(longest, mapping.view.length - from);
}

function expectSound(extent: Extent, asked: number, out: readonly Extent[]): void {
  expect(extent.bytes).toBeGreaterThanOrEqual(Math.max(1, asked));
  expect(extent.bytes).toBeLessThan(asked + 2 * KiB);
  expect(extent.offset + extent.bytes).toBeLessThanOrEqual(extent.mapping.view.length);
  expect(extent.address).toBe(extent.mapping.address + extent.offset);
  for (const other of out) {
    const apart =
      other.mapping !== extent.mapping ||
      other.offset + other.bytes <= extent.offset ||
      extent.offset + extent.bytes <= other.offset;
    expect(apart, `[${extent.offset}, +${extent.bytes}) and [${other.offset}, +${other.bytes})`).toBe(true);
  }
}

const sizes = fc.oneof(
  fc.integer({ min: 0, max: 4 * KiB }),
  fc.integer({ min: 0, max: 300 * KiB }),
  fc.integer({ min: 0, max: 8 * MiB }),
  fc.constantFrom(0, 1, KiB - 1, KiB, KiB + 1, 8 * MiB),
);
const steps = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ take: sizes }) },
    { weight: 2, arbitrary: fc.record({ give: fc.nat() }) },
  ),
  { maxLength: 80 },
);

describe('DMA memory', () => {
  test('no two extents overlap, nothing is refused while a gap is large enough, and all of it comes back', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 }), steps, (count, script) => {
        const { arena, mappings } = newArena(count);
        const out: Extent[] = [];
        for (const step of script) {
          if ('give' in step) {
            if (out.length > 0) arena.free(out.splice(step.give % out.length, 1)[0]!);
            continue;
          }
          const extent = arena.allocate(step.take);
          if (extent === null) {
            const rounded = Math.max(1, Math.ceil(step.take / KiB)) * KiB;
            for (const mapping of mappings) expect(longestGap(mapping, out)).toBeLessThan(rounded);
          } else {
            expectSound(extent, step.take, out);
            out.push(extent);
          }
        }
        for (const extent of out) arena.free(extent);
        for (const mapping of mappings) expect(mapping.usedBytes).toBe(0);
        for (let i = 0; i < count; i++) expect(arena.allocate(MAPPING_BYTES)).not.toBeNull();
        expect(arena.allocate(0)).toBeNull();
      }),
      { numRuns: 300 },
    );
  });

  test('a size that was freed gets the same bytes again: a steady load touches the same pages', () => {
    const { arena } = newArena(1);
    const first = arena.allocate(5000)!;
    arena.allocate(100);
    arena.free(first);
    expect(arena.allocate(5000)!.offset).toBe(first.offset);
  });

  test('neighbours that were freed in any order are one extent again', () => {
    const { arena } = newArena(1);
    const parts = Array.from({ length: 8 }, () => arena.allocate(2 * MiB)!);
    expect(arena.allocate(1)).toBeNull();
    for (const index of [3, 1, 2]) arena.free(parts[index]!);
    expect(arena.allocate(6 * MiB + 1)).toBeNull();
    expect(arena.allocate(6 * MiB)!.offset).toBe(parts[1]!.offset);
  });

  test('an extent cannot be given back to another arena', () => {
    const extent = newArena(1).arena.allocate(1)!;
    expect(() => newArena(1).arena.free(extent)).toThrow(/its own arena/);
  });
});
