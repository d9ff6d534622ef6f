// Does a second stage map what it was told, in the leaves that fit, and never a table of its own or a frame of others?
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MEGAPAGE_BYTES, MiB, PAGE_BYTES } from '../../src/base/units.js';
import { FrameTable, frameOwner } from '../../src/hw/frame-table.js';
import { pte } from '../../src/hw/page-table.js';
import { PhysicalMemory } from '../../src/hw/physical-memory.js';
import { GUEST_ADDRESS_BYTES, SecondStageTable } from '../../src/hw/second-stage-table.js';
import { Access, TestMachine } from './iommu/machine.js';
import { pagesOf, tablesBelow } from './second-stage-walk.js';

const OWNER = frameOwner.FIRST_DOMAIN + 1;
const GPA = 2 ** 30;
const MEGAPAGE_FRAMES = MEGAPAGE_BYTES / PAGE_BYTES;

/** 16 MiB; megapages 2 to 5 belong to the domain. */
function newStage() {
  const memory = PhysicalMemory.create(16 * MiB);
  const machine = new TestMachine({ memory });
  const frames = new FrameTable(memory);
  // What the machine keeps its queues in.
  frames.allocate({ frames: 63, owner: frameOwner.MACHINE });
  const carveOut = frames.carve({ frames: 4 * MEGAPAGE_FRAMES, owner: OWNER, alignFrames: MEGAPAGE_FRAMES })!;
  const free = frames.freeFrames;
  const table = SecondStageTable.create({ memory, frames, owner: OWNER })!;
  return { machine, memory, frames, table, free, pa: carveOut.firstFrame * PAGE_BYTES };
}

describe('second-stage tables', () => {
  it('a root of 16 KiB, aligned; destroy returns every frame', () => {
    const { frames, table, pa, free } = newStage();
    expect(table.root % (16 * 1024)).toBe(0);
    expect(frames.freeFrames).toBe(free - 4);
    table.map({ gpa: GPA, pa, bytes: 3 * PAGE_BYTES });
    expect(frames.freeFrames).toBe(free - 6);
    table.destroy();
    expect(frames.freeFrames).toBe(free);
  });

  it.each([
    ['aligned alike', 0, 0, 2 * MEGAPAGE_BYTES, [1, 1]],
    ['with a tail', 0, 0, MEGAPAGE_BYTES + 2 * PAGE_BYTES, [1, 0, 0]],
    ['smaller than a megapage', 0, 0, 3 * PAGE_BYTES, [0, 0, 0]],
    [
      'beginning before a megapage',
      -PAGE_BYTES,
      MEGAPAGE_BYTES - PAGE_BYTES,
      MEGAPAGE_BYTES + PAGE_BYTES,
      [0, 1],
    ],
    ['aligned apart', 0, PAGE_BYTES, MEGAPAGE_BYTES, new Array(MEGAPAGE_FRAMES).fill(0)],
  ])('%s: leaves as large as both addresses allow', (_case, gpaOffset, paOffset, bytes, levels) => {
    const { memory, table, pa } = newStage();
    const range = { gpa: GPA + gpaOffset, pa: pa + paOffset, bytes };
    expect(table.map(range)).toBe(true);
    const pages = pagesOf(memory, table.root);
    const seen = [...pages].map(([gpa, page]) => [gpa, page.pa]);
    const expected = Array.from({ length: bytes / PAGE_BYTES }, (_, page) => [
      range.gpa + page * PAGE_BYTES,
      range.pa + page * PAGE_BYTES,
    ]);
    expect(seen).toEqual(expected);
    const leaves = [...pages.values()].filter(({ first }) => first);
    expect(leaves.map(({ level }) => level)).toEqual(levels);
    for (const { flags } of leaves) expect(flags).toBe(pte.V | pte.R | pte.W | pte.U | pte.A | pte.D);
  });

  it('through any sequence of calls they say what was mapped and not unmapped, and no table is a target (R47, R50)', () => {
    const SLOTS = 6;
    const step = fc.record({
      slot: fc.nat(SLOTS - 1),
      from: fc.nat(3),
      pages: fc.integer({ min: 1, max: 600 }),
    });
    const property = fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const { memory, frames, table, pa, free } = newStage();
      const model = new Map<number, { pa: number; bytes: number }>();
      for (const { slot, from, pages } of steps) {
        const gpa = GPA + slot * 2 * MEGAPAGE_BYTES;
        const known = model.get(gpa);
        if (known !== undefined) {
          table.unmap(gpa, known.bytes);
          model.delete(gpa);
        } else {
          const range = {
            pa: pa + (from % 2) * PAGE_BYTES + (from >> 1) * MEGAPAGE_BYTES,
            bytes: pages * PAGE_BYTES,
          };
          expect(table.map({ gpa, ...range })).toBe(true);
          model.set(gpa, range);
        }
      }
      const expected = [...model].flatMap(([gpa, range]) =>
        Array.from({ length: range.bytes / PAGE_BYTES }, (_, page) => [
          gpa + page * PAGE_BYTES,
          range.pa + page * PAGE_BYTES,
        ]),
      );
      const pages = pagesOf(memory, table.root);
      expect([...pages].map(([gpa, page]) => [gpa, page.pa])).toEqual(expected.sort(([a], [b]) => a! - b!));
      const tables = new Set(tablesBelow(memory, table.root));
      for (const page of pages.values()) expect(tables.has(page.pa)).toBe(false);
      for (const address of tables) expect(frames.owner(address)).toBe(frameOwner.MACHINE);
      table.destroy();
      expect(frames.freeFrames).toBe(free);
    });
    fc.assert(property, { numRuns: 40 });
  });

  it('both ends of the guest-physical addresses can be mapped, and nothing beyond', () => {
    const { memory, table, pa } = newStage();
    const last = GUEST_ADDRESS_BYTES - PAGE_BYTES;
    expect(table.map({ gpa: 0, pa, bytes: PAGE_BYTES })).toBe(true);
    expect(table.map({ gpa: last, pa, bytes: PAGE_BYTES })).toBe(true);
    expect([...pagesOf(memory, table.root).keys()]).toEqual([0, last]);
    expect(() => table.map({ gpa: last, pa, bytes: 2 * PAGE_BYTES })).toThrow('broken invariant');
  });

  it('no frame for a table on the way: nothing of the range is mapped, and destroy returns the rest', () => {
    // One table of megapages is always needed, and one table of pages for each of the two 2 MiB that the range touches.
    for (let left = 0; left < 3; left++) {
      const { memory, frames, table, pa, free } = newStage();
      const taken: number[] = [];
      while (frames.freeFrames > left) taken.push(frames.allocate({ frames: 1, owner: frameOwner.MACHINE })!);
      const range = { gpa: GPA, pa: pa + PAGE_BYTES, bytes: MEGAPAGE_BYTES + PAGE_BYTES };
      expect(table.map(range)).toBe(false);
      expect(pagesOf(memory, table.root).size).toBe(0);
      for (const address of taken.splice(0)) frames.release(address);
      expect(table.map(range)).toBe(true);
      table.destroy();
      expect(frames.freeFrames).toBe(free);
    }
  });

  it('no frames for a root: there is no table, and nothing is taken', () => {
    const { memory, frames } = newStage();
    // Every fourth frame held: enough is free, nowhere four in a row that are aligned.
    const held: number[] = [];
    for (;;) {
      const address = frames.allocate({ frames: 1, owner: frameOwner.MACHINE, alignFrames: 4 });
      if (address === null) break;
      held.push(address);
    }
    const free = frames.freeFrames;
    expect(free).toBeGreaterThan(held.length);
    expect(SecondStageTable.create({ memory, frames, owner: OWNER })).toBeNull();
    expect(frames.freeFrames).toBe(free);
  });

  it('a table, a frame of the host, a free frame: what is not of the domain is never mapped (R47, R50)', () => {
    const { frames, table, pa, memory } = newStage();
    const host = frames.allocate({ frames: 1, owner: frameOwner.FIRST_DOMAIN })!;
    const other = frames.carve({ frames: 1, owner: OWNER + 1 })!.firstFrame * PAGE_BYTES;
    for (const foreign of [table.root, host, other, memory.bytes - PAGE_BYTES, 0]) {
      expect(() => table.map({ gpa: GPA, pa: foreign, bytes: PAGE_BYTES })).toThrow('broken invariant');
    }
    const end = pa + 4 * MEGAPAGE_BYTES;
    expect(() => table.map({ gpa: GPA, pa: end - PAGE_BYTES, bytes: 2 * PAGE_BYTES })).toThrow(
      'broken invariant',
    );
    expect(pagesOf(memory, table.root).size).toBe(0);
  });

  it('misaligned, mapped twice, unmapped in parts or not mapped at all is our own bug and stops', () => {
    const { table, pa } = newStage();
    table.map({ gpa: GPA, pa, bytes: MEGAPAGE_BYTES });
    for (const wrong of [
      () => table.map({ gpa: GPA + 4 * MiB + 1, pa, bytes: PAGE_BYTES }),
      () => table.map({ gpa: GPA + 4 * MiB, pa: pa + 8, bytes: PAGE_BYTES }),
      () => table.map({ gpa: GPA + 4 * MiB, pa, bytes: 8 }),
      () => table.map({ gpa: GPA, pa, bytes: MEGAPAGE_BYTES }),
      () => table.map({ gpa: GPA + PAGE_BYTES, pa, bytes: PAGE_BYTES }),
      () => table.unmap(GPA, PAGE_BYTES),
      () => table.unmap(GPA + PAGE_BYTES, MEGAPAGE_BYTES - PAGE_BYTES),
      () => table.unmap(GPA + MEGAPAGE_BYTES, PAGE_BYTES),
    ]) {
      expect(wrong).toThrow('broken invariant');
    }
  });
});

describe('the IOMMU on a second stage', () => {
  /** Device 1 has no first stage: its addresses are guest-physical. */
  function withDevice({ gpaOffset = 0, paOffset = 0, bytes = MEGAPAGE_BYTES }) {
    const stage = newStage();
    const { machine, memory, table, pa } = stage;
    const range = { gpa: GPA + gpaOffset, pa: pa + paOffset, bytes };
    table.map(range);
    const [directoryPage, valid, gade, sv39x4] = [1, 1n, 1n << 7n, 8n << 60n];
    const context = directoryPage * PAGE_BYTES + 32;
    memory.data.setBigUint64(context, valid | gade, true);
    memory.data.setBigUint64(context + 8, sv39x4 | BigInt(table.root / PAGE_BYTES), true);
    machine.startQueues().setDirectory(2, directoryPage);
    const ask = (iova: number, access: number = Access.read) =>
      machine.translate({ deviceId: 1, iovaLow: iova >>> 0, iovaHigh: Math.floor(iova / 2 ** 32), access });
    return { ...stage, range, ask };
  }

  it.each([
    ['megapages', {}],
    ['pages', { paOffset: PAGE_BYTES }],
    ['both', { gpaOffset: -PAGE_BYTES, paOffset: MEGAPAGE_BYTES - PAGE_BYTES, bytes: 2 * MEGAPAGE_BYTES }],
  ])('%s: every page is where it was put, readable and writable', (_case, layout) => {
    const { range, ask } = withDevice(layout);
    for (let offset = 0; offset < range.bytes; offset += PAGE_BYTES) {
      for (const access of [Access.read, Access.write]) {
        expect(ask(range.gpa + offset + 8, access)).toMatchObject({
          status: 0,
          ppn: (range.pa + offset) / PAGE_BYTES,
          pageOffset: 8,
        });
      }
    }
  });

  it('just outside, at both ends, an access is a guest page fault of its kind, and so is any fetch (R50)', () => {
    const { range, ask } = withDevice({});
    const causes = (iova: number) =>
      [Access.execute, Access.read, Access.write].map((access) => ask(iova, access).cause);
    for (const outside of [range.gpa - 1, range.gpa + range.bytes, range.pa, 0, GUEST_ADDRESS_BYTES - 1]) {
      expect(causes(outside)).toEqual([20, 21, 23]);
    }
    expect(causes(range.gpa)).toEqual([20, 0, 0]);
    expect(causes(range.gpa + range.bytes - 1)).toEqual([20, 0, 0]);
  });

  it('a translation leaves the tables as they were: hardware finds nothing to mark', () => {
    const { memory, table, range, ask } = withDevice({});
    const image = () => tablesBelow(memory, table.root).map((at) => memory.view(at, PAGE_BYTES).slice());
    const before = image();
    for (const access of [Access.read, Access.write]) expect(ask(range.gpa, access).status).toBe(0);
    expect(image()).toEqual(before);
  });
});
