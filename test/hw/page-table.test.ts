// Do page tables say what was mapped, at every level, and give every frame back?
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MEGAPAGE_BYTES, MiB, PAGE_BYTES } from '../../src/base/units.js';
import { FrameTable, frameOwner } from '../../src/hw/frame-table.js';
import {
  ADDRESS_SPACE_BYTES,
  encode,
  entryTarget,
  leafBytes,
  PageTable,
  pte,
  type TableMemory,
} from '../../src/hw/page-table.js';
import { PhysicalMemory } from '../../src/hw/physical-memory.js';

const FLAGS = pte.R | pte.U;

function newTable(quotaFrames = Number.POSITIVE_INFINITY) {
  const memory = PhysicalMemory.create(4 * MiB);
  const frames = new FrameTable(memory);
  const free = frames.freeFrames;
  const tables: TableMemory = {
    allocateTable: () =>
      free - frames.freeFrames < quotaFrames
        ? frames.allocate({ frames: 1, owner: frameOwner.FIRST_DOMAIN })
        : null,
    freeTable: (address) => frames.release(address),
    toPhysical: (address) => address,
  };
  return { table: PageTable.create(memory, tables)!, memory, frames, free };
}

/** Pages at both ends of the address space, of megapages and of gigapages. */
const page = fc.oneof(
  fc
    .constantFrom(0, 1, 511, 512, 513, 2 ** 18 - 1, 2 ** 18, 2 ** 26 - 1)
    .map((number) => number * PAGE_BYTES),
  fc.nat(2 ** 26 - 1).map((number) => number * PAGE_BYTES),
);

describe('page tables', () => {
  it('find what was mapped and not unmapped, and destroy returns every frame', () => {
    const step = fc.record({ va: page, map: fc.boolean(), gpa: fc.nat(2 ** 20 - 1) });
    const property = fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { table, frames, free } = newTable();
      const model = new Map<number, number>();
      for (const { va, map, gpa } of steps) {
        if (map) {
          expect(table.map({ va, gpa: gpa * PAGE_BYTES, flags: FLAGS })).toBe(true);
          model.set(va, gpa * PAGE_BYTES);
        } else {
          expect(table.unmap(va) !== 0).toBe(model.delete(va));
        }
      }
      for (const { va } of steps) {
        const leaf = table.find(va);
        expect(leaf === null ? undefined : entryTarget(leaf.entry)).toBe(model.get(va));
      }
      table.destroy();
      expect(frames.freeFrames).toBe(free);
    });
    fc.assert(property, { numRuns: 100 });
  });

  it.each([0, 1, 2])('a leaf of level %i covers its bytes and not one more', (level) => {
    const { table } = newTable();
    const va = 2 * leafBytes(2);
    table.map({ va, gpa: 0, flags: FLAGS, level });
    expect(table.find(va + leafBytes(level) - 1)?.level).toBe(level);
    expect(table.find(va + leafBytes(level))).toBeNull();
    expect(table.find(va - 1)).toBeNull();
  });

  it('no frame for a table on the way: nothing is mapped', () => {
    for (let quota = 1; quota < 3; quota++) {
      const { table } = newTable(quota);
      expect(table.map({ va: 0x1000, gpa: 0, flags: FLAGS })).toBe(false);
      expect(table.find(0x1000)).toBeNull();
    }
  });

  it('an entry that hardware has changed meanwhile is not replaced, and unmap answers the bits it left', () => {
    const { table, memory } = newTable();
    table.map({ va: 0x1000, gpa: 0x5000, flags: FLAGS });
    const leaf = table.find(0x1000)!;
    memory.store32(leaf.entryAddress, leaf.entry | pte.A | pte.D);
    expect(table.replace(leaf, leaf.entry | pte.COPY_ON_WRITE)).toBe(false);
    expect(table.unmap(0x1000) & (pte.A | pte.D)).toBe(pte.A | pte.D);
  });

  it('misaligned, out of range, or under a larger leaf is our own bug and stops', () => {
    const { table } = newTable();
    const map =
      (va: number, gpa: number, level = 0) =>
      () =>
        table.map({ va, gpa, flags: FLAGS, level });
    table.map({ va: 0, gpa: 0, flags: FLAGS, level: 1 });
    for (const wrong of [
      map(1, 0),
      map(0x1000, 5),
      map(MEGAPAGE_BYTES + 0x1000, 0, 1),
      map(ADDRESS_SPACE_BYTES, 0),
      map(0x1000, 0),
    ]) {
      expect(wrong).toThrow('broken invariant');
    }
    expect(table.map({ va: ADDRESS_SPACE_BYTES - PAGE_BYTES, gpa: 0, flags: FLAGS })).toBe(true);
  });

  it('every frame below 4 GiB fits an entry, with its flags', () => {
    const property = fc.property(fc.nat(2 ** 20 - 1), fc.nat(0x3ff), (frame, flags) => {
      expect(entryTarget(encode(frame * PAGE_BYTES, flags))).toBe(frame * PAGE_BYTES);
      expect(encode(frame * PAGE_BYTES, flags) & 0x3ff).toBe(flags);
    });
    fc.assert(property);
  });
});
