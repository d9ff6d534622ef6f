// Does a CPU read and write exactly what the page table says, and nothing else, whatever address it is given?
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MEGAPAGE_BYTES, MiB, PAGE_BYTES } from '../../src/base/units.js';
import { CpuMemory } from '../../src/hw/cpu-memory.js';
import { FrameTable, frameOwner } from '../../src/hw/frame-table.js';
import { ADDRESS_SPACE_BYTES, PageTable, pte, type TableMemory } from '../../src/hw/page-table.js';
import { PhysicalMemory } from '../../src/hw/physical-memory.js';

const READABLE = pte.R | pte.U;
const WRITABLE = READABLE | pte.W;
const MARKS = pte.A | pte.D;

/** Memory, one process's table in it, and the CPU that walks it. */
class Board {
  readonly memory = PhysicalMemory.create(8 * MiB);
  readonly frames = new FrameTable(this.memory);
  readonly table = PageTable.create(
    this.memory,
    this.#tables((address) => address),
  )!;
  readonly cpu = new CpuMemory({ memory: this.memory, rootTable: this.table.root, secondStageRoot: null });

  #tables(toPhysical: (address: number) => number): TableMemory {
    return {
      allocateTable: () => this.frame(),
      freeTable: (address) => this.frames.release(address),
      toPhysical,
    };
  }

  frame(frames = 1, alignFrames = 1): number {
    return this.frames.allocate({ frames, owner: frameOwner.FIRST_DOMAIN, alignFrames })!;
  }

  /** Maps a new page at `va`; its frame. */
  page(va: number, flags: number): number {
    const gpa = this.frame();
    this.table.map({ va, gpa, flags });
    return gpa;
  }

  entry(va: number): number {
    return this.table.find(va)!.entry;
  }

  read(va: number, bytes: number): { bytes: number; data: Uint8Array } {
    const data = new Uint8Array(bytes);
    return { bytes: this.cpu.tryRead(va, data), data };
  }
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

describe('a store and a load', () => {
  it('move bytes across a page boundary, through frames that are no neighbours', () => {
    const board = new Board();
    const first = board.page(0x1000, WRITABLE);
    board.frame();
    const second = board.page(0x2000, WRITABLE);
    expect(second).not.toBe(first + PAGE_BYTES);
    expect(board.cpu.tryWrite(0x1ffd, text('abcdef'))).toBe(6);
    expect(board.memory.view(first + 0xffd, 3)).toEqual(text('abc'));
    expect(board.memory.view(second, 3)).toEqual(text('def'));
    expect(board.read(0x1ffd, 6)).toEqual({ bytes: 6, data: text('abcdef') });
  });

  it('set A for a load, A and D for a store, and nothing where they fault', () => {
    const board = new Board();
    board.page(0x1000, WRITABLE);
    board.page(0x2000, READABLE);
    expect(board.read(0x1000, 1).bytes).toBe(1);
    expect(board.entry(0x1000) & MARKS).toBe(pte.A);
    expect(board.cpu.tryWrite(0x1000, text('x'))).toBe(1);
    expect(board.entry(0x1000) & MARKS).toBe(MARKS);
    expect(board.cpu.tryWrite(0x2000, text('x'))).toBe(0);
    expect(board.entry(0x2000) & MARKS).toBe(0);
  });

  it.each([
    ['not mapped', 0],
    ['without U', pte.R | pte.W],
    ['of which only W is said', pte.W | pte.U],
  ])('of a page that is %s fault', (_what, flags) => {
    const board = new Board();
    if (flags !== 0) board.page(0x1000, flags);
    expect(board.read(0x1000, 4).bytes).toBe(0);
    expect(board.cpu.tryWrite(0x1000, text('x'))).toBe(0);
  });

  it('stop at the first page that faults, and what lies before it is done', () => {
    const board = new Board();
    const frame = board.page(0x1000, WRITABLE);
    const readOnly = board.page(0x2000, READABLE);
    expect(board.cpu.tryWrite(0x1ffe, text('wxyz'))).toBe(2);
    expect(board.memory.view(frame + 0xffe, 2)).toEqual(text('wx'));
    expect(board.memory.view(readOnly, 2)).toEqual(new Uint8Array(2));
    expect(board.read(0x2ffc, 8).bytes).toBe(4);
  });

  it('see a change of the table at once: nothing is remembered', () => {
    const board = new Board();
    const old = board.page(0x1000, WRITABLE);
    expect(board.cpu.tryWrite(0x1000, text('old'))).toBe(3);
    board.table.unmap(0x1000);
    expect(board.cpu.tryWrite(0x1000, text('bad'))).toBe(0);
    board.page(0x1000, READABLE);
    expect(board.read(0x1000, 3).data).toEqual(new Uint8Array(3));
    expect(board.memory.view(old, 3)).toEqual(text('old'));
  });

  it('reach every part of a 2 MiB leaf', () => {
    const board = new Board();
    const gpa = board.frame(512, 512);
    board.table.map({ va: MEGAPAGE_BYTES, gpa, flags: WRITABLE, level: 1 });
    expect(board.cpu.tryWrite(2 * MEGAPAGE_BYTES - 2, text('ab'))).toBe(2);
    expect(board.memory.view(gpa + MEGAPAGE_BYTES - 2, 2)).toEqual(text('ab'));
    expect(board.cpu.tryWrite(2 * MEGAPAGE_BYTES - 2, text('abc'))).toBe(2);
  });
});

describe('an address that is none', () => {
  it.each([
    -1,
    0.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    ADDRESS_SPACE_BYTES,
    ADDRESS_SPACE_BYTES + 0x1000,
    2 ** 39 + 0x1000,
    2 ** 52 + 0x1000,
    Number.MAX_SAFE_INTEGER,
    -(2 ** 38),
  ])('%s faults, like any page that is not there', (va) => {
    const board = new Board();
    board.page(0, WRITABLE);
    board.page(0x1000, WRITABLE);
    board.page(ADDRESS_SPACE_BYTES - PAGE_BYTES, WRITABLE);
    expect(board.read(va, 3).bytes).toBe(0);
    expect(board.cpu.tryWrite(va, text('x'))).toBe(0);
  });

  it('the end of the address space is not its beginning', () => {
    const board = new Board();
    const low = board.page(0, WRITABLE);
    board.page(ADDRESS_SPACE_BYTES - PAGE_BYTES, WRITABLE);
    expect(board.cpu.tryWrite(ADDRESS_SPACE_BYTES - 2, text('abcd'))).toBe(2);
    expect(board.memory.view(low, 4)).toEqual(new Uint8Array(4));
  });

  it('a table or a frame outside of memory faults, and is not read', () => {
    const board = new Board();
    board.table.map({ va: 0x1000, gpa: board.memory.bytes, flags: WRITABLE });
    expect(board.read(0x1000, 1).bytes).toBe(0);
    const slot = board.table.root + 8;
    board.memory.store32(slot, ((board.memory.bytes / PAGE_BYTES) << 10) | pte.V);
    expect(board.read(2 ** 30, 1).bytes).toBe(0);
  });
});

describe('with a second stage', () => {
  /** Guest pages are `SHIFT` above the frames that they stand for; the table's own pages are mapped, too. */
  const SHIFT = 0x4000_0000;

  /** A process whose table lies in guest-physical memory, and the table of the domain. */
  function guest() {
    const board = new Board();
    const root = board.frame(4, 4);
    const identity = {
      allocateTable: () => board.frame(),
      freeTable: () => {},
      toPhysical: (at: number) => at,
    };
    const second = new PageTable(board.memory, identity, root);
    const expose = (frame: number, flags = WRITABLE): number => {
      second.map({ va: frame + SHIFT, gpa: frame, flags });
      return frame + SHIFT;
    };
    const inGuest: TableMemory = {
      allocateTable: () => expose(board.frame()),
      freeTable: () => {},
      toPhysical: (gpa) => gpa - SHIFT,
    };
    const table = PageTable.create(board.memory, inGuest)!;
    const cpu = new CpuMemory({ memory: board.memory, rootTable: table.root, secondStageRoot: root });
    return { board, second, expose, table, cpu };
  }

  it('both are walked, and both are marked', () => {
    const { board, second, expose, table, cpu } = guest();
    const frame = board.frame();
    table.map({ va: 0x1000, gpa: expose(frame), flags: WRITABLE });
    expect(cpu.tryWrite(0x1004, text('deep'))).toBe(4);
    expect(board.memory.view(frame + 4, 4)).toEqual(text('deep'));
    for (const entry of [table.find(0x1000)!.entry, second.find(frame + SHIFT)!.entry])
      expect(entry & MARKS).toBe(MARKS);
  });

  it('what the domain does not have or may not write faults, in the page and in the table', () => {
    const { board, second, expose, table, cpu } = guest();
    const frame = board.frame();
    table.map({ va: 0x1000, gpa: expose(frame, READABLE), flags: WRITABLE });
    table.map({ va: 0x2000, gpa: 0, flags: WRITABLE });
    expect(cpu.tryWrite(0x1000, text('x'))).toBe(0);
    expect(cpu.tryRead(0x1000, new Uint8Array(1))).toBe(1);
    expect(cpu.tryRead(0x2000, new Uint8Array(1))).toBe(0);
    second.unmap(table.root);
    expect(cpu.tryRead(0x1000, new Uint8Array(1))).toBe(0);
  });
});

describe('any table', () => {
  const PAGES = 8;
  const page = fc.record({
    at: fc.nat(PAGES - 1),
    flags: fc.constantFrom(READABLE, WRITABLE, WRITABLE | pte.A, WRITABLE | MARKS, pte.R, pte.W | pte.U, 0),
  });
  const access = fc.record({
    write: fc.boolean(),
    at: fc.integer({ min: 0, max: PAGES * PAGE_BYTES }),
    bytes: fc.integer({ min: 1, max: 3 * PAGE_BYTES }),
    fill: fc.integer({ min: 1, max: 255 }),
  });
  const step = fc.oneof(page, access);
  /** Where the pages lie: also around a boundary of level 1, and at the end of the address space. */
  const base = fc.constantFrom(
    0,
    2 * MEGAPAGE_BYTES - 4 * PAGE_BYTES,
    ADDRESS_SPACE_BYTES - PAGES * PAGE_BYTES,
  );

  it('gives what a map of pages gives: bytes, lengths and marks', () => {
    const property = fc.property(base, fc.array(step, { maxLength: 40 }), (start, steps) => {
      const board = new Board();
      const model = new Map<number, { flags: number; bytes: Uint8Array }>();
      for (const one of steps) {
        if ('flags' in one) {
          board.table.unmap(start + one.at * PAGE_BYTES);
          model.delete(one.at);
          if (one.flags === 0) continue;
          board.page(start + one.at * PAGE_BYTES, one.flags);
          model.set(one.at, { flags: one.flags, bytes: new Uint8Array(PAGE_BYTES) });
          continue;
        }
        const { write, at, bytes, fill } = one;
        const source = new Uint8Array(bytes).fill(fill);
        const expected = modelAccess(model, { write, at, source });
        if (write) expect(board.cpu.tryWrite(start + at, source)).toBe(expected.length);
        else {
          const { bytes: done, data } = board.read(start + at, bytes);
          expect(done).toBe(expected.length);
          expect(Buffer.compare(data.subarray(0, done), expected)).toBe(0);
        }
      }
      for (const [at, { flags }] of model)
        expect(board.entry(start + at * PAGE_BYTES) & 0x3ff).toBe(flags | pte.V);
    });
    fc.assert(property, { numRuns: 150 });
  });

  /** The bytes read or written until the first fault. */
  function modelAccess(
    model: Map<number, { flags: number; bytes: Uint8Array }>,
    { write, at, source }: { write: boolean; at: number; source: Uint8Array },
  ): Uint8Array {
    const read = new Uint8Array(source.length);
    const needed = write ? WRITABLE : READABLE;
    for (let offset = 0; offset < source.length; offset++) {
      const found = model.get(Math.floor((at + offset) / PAGE_BYTES));
      if (found === undefined || (found.flags & needed) !== needed) return read.subarray(0, offset);
      found.flags |= write ? MARKS : pte.A;
      if (write) found.bytes[(at + offset) % PAGE_BYTES] = source[offset]!;
      read[offset] = found.bytes[(at + offset) % PAGE_BYTES]!;
    }
    return read;
  }
});
