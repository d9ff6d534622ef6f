/**
 * The kernel's small parts by themselves: free addresses, runs of frames, turns, the guest memory of a domain.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MEGAPAGE_BYTES, MiB, PAGE_BYTES } from '../../src/base/units.js';
import { FrameTable, frameOwner } from '../../src/hw/frame-table.js';
import { PhysicalMemory } from '../../src/hw/physical-memory.js';
import { FrameRuns } from '../../src/kernel/frame-runs.js';
import { type Mapping, newMapping } from '../../src/kernel/mapping.js';
import { ADDRESS_FIRST, MappingList } from '../../src/kernel/mapping-list.js';
import { HostMemoryDomain } from '../../src/kernel/memory-domain.js';
import { Serial } from '../../src/kernel/serial.js';

describe('addresses', () => {
  it('the lowest free address is found, whatever came and went before', () => {
    const step = fc.tuple(fc.boolean(), fc.nat(20), fc.constantFrom(PAGE_BYTES, MEGAPAGE_BYTES));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const list = new MappingList();
        const live: Mapping[] = [];
        for (const [add, number, align] of steps) {
          if (!add && live.length > 0) list.remove(live.splice(number % live.length, 1)[0]!);
          else {
            const bytes = (number + 1) * PAGE_BYTES;
            const va = list.place(bytes, align)!;
            expect(va).toBe(lowestFree(live, bytes, align));
            const mapping = mappingAt(va, bytes);
            list.insert(mapping);
            live.push(mapping);
            expect(list.find(va + bytes - 1)).toBe(mapping);
          }
        }
      }),
    );
  });
});

function mappingAt(va: number, bytes: number): Mapping {
  return newMapping({ va, bytes, kind: 'demand', gpa: -1, onGone: () => {} });
}

/** Candidates in order: the start, and the end of each mapping; the first that touches no mapping or its guard. */
function lowestFree(live: readonly Mapping[], bytes: number, align: number): number {
  const ends = live.map((mapping) => mapping.va + mapping.bytes + PAGE_BYTES);
  const candidates = [ADDRESS_FIRST, ...ends]
    .map((end) => Math.ceil(end / align) * align)
    .sort((a, b) => a - b);
  const fits = (va: number) =>
    live.every((m) => va + bytes + PAGE_BYTES <= m.va || va >= m.va + m.bytes + PAGE_BYTES);
  return candidates.find(fits)!;
}

describe('quarantined frames', () => {
  it('are handed out once, aligned, and neighbours merge', () => {
    const step = fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 6 }), fc.constantFrom(1, 2, 4), fc.nat());
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const runs = new FrameRuns();
        const TOTAL = 32;
        runs.add(0, TOTAL);
        const taken: { gpa: number; frames: number }[] = [];
        for (const [take, frames, align, pick] of steps) {
          if (take) {
            const gpa = runs.take(frames, align);
            if (gpa === null) continue;
            expect(gpa % (align * PAGE_BYTES)).toBe(0);
            const end = gpa + frames * PAGE_BYTES;
            expect(
              taken.every((other) => end <= other.gpa || other.gpa + other.frames * PAGE_BYTES <= gpa),
            ).toBe(true);
            taken.push({ gpa, frames });
          } else if (taken.length > 0) {
            const [back] = taken.splice(pick % taken.length, 1);
            runs.add(back!.gpa, back!.frames);
          }
          expect(runs.frames).toBe(TOTAL - taken.reduce((sum, each) => sum + each.frames, 0));
        }
        for (const { gpa, frames } of taken) runs.add(gpa, frames);
        expect(runs.drain()).toEqual([{ gpa: 0, frames: TOTAL }]);
      }),
    );
  });
});

describe('the host domain', () => {
  it('hands out no more than its quota, and only takes back what is its own', () => {
    const frames = new FrameTable(PhysicalMemory.create(MiB));
    const [domain, other] = [0, 1].map(
      (index) => new HostMemoryDomain({ frames, owner: frameOwner.FIRST_DOMAIN + index, quotaFrames: 10 }),
    );
    const gpa = domain!.alloc(10)!;
    expect(domain!.alloc(1)).toBeNull();
    expect(domain!.toPa(gpa)).toBe(gpa);
    expect(() => other!.free(gpa, 1)).toThrow('of this domain');
    domain!.free(gpa, 4);
    expect([domain!.usedFrames, domain!.alloc(5), domain!.alloc(4) === null]).toEqual([6, null, false]);
  });
});

describe('turns', () => {
  it('are taken in order, one at a time, by those who wait and those who do not', () => {
    const serial = new Serial();
    const log: string[] = [];
    const leaves: (() => void)[] = [];
    serial.enter((leave) => {
      log.push('a');
      leaves.push(leave);
    });
    serial.enter((leave) => {
      log.push('b');
      leave();
    });
    serial.enter((leave) => {
      log.push('c');
      leaves.push(leave);
    });
    expect(log).toEqual(['a']);
    leaves[0]!();
    expect(log).toEqual(['a', 'b', 'c']);
    expect(() => leaves[0]!()).toThrow('left once');
  });
});
