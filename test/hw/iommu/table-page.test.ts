/**
 * Table pages as small integers: is any page taken for another one, however large its number? And what an IOMMU says of
 * pointers that lead out of every memory, or to its very end.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EntryKind, kindOf } from '../../../src/hw/iommu/pte.js';
import {
  addressIn,
  NO_TABLE,
  pagesOf,
  tableAt0,
  tableAt10,
  tableOf,
} from '../../../src/hw/iommu/table-page.js';
import type { MemoryView } from '../../../src/hw/memory-view.js';
import { buildTables, PAGE } from '../../checking/two-stage-tables.js';
import { pte, RequestType, TestMachine } from './machine.js';

const dword = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
/** Page numbers around the first one that no table has, and of any size. */
const page = fc.oneof(
  fc.bigInt({ min: 2n ** 29n - 3n, max: 2n ** 29n + 3n }),
  fc.integer({ min: 0, max: 43 }).map((bit) => 2n ** BigInt(bit)),
  fc.bigInt({ min: 0n, max: 2n ** 44n - 1n }),
);
const halves = (value: bigint): [number, number] => [Number(value & 0xffff_ffffn), Number(value >> 32n)];
const cut = (value: bigint): number => (value < 2n ** 29n ? Number(value) : NO_TABLE);
const memoryOf = (bytes: number): MemoryView => ({
  bytes,
  load32: () => 0,
  store32: () => {},
  compareExchange32: () => 0,
});

describe('the page of a table', () => {
  test('is it the number in the entry or context, or NO_TABLE for all that are too large?', () => {
    fc.assert(
      fc.property(page, dword, (number, rest) => {
        const entry = (rest & ~(0xfff_ffff_ffffn << 10n)) | (number << 10n);
        expect(tableAt10(...halves(entry))).toBe(cut(number));
        const context = (rest & ~0xfff_ffff_ffffn) | number;
        expect(tableAt0(...halves(context))).toBe(cut(number));
        expect(tableOf(Number(number))).toBe(cut(number));
      }),
    );
  });

  test('does each byte of the largest memory have its address?', () => {
    const pages = pagesOf(memoryOf(2 ** 32 - 4096));
    expect(pages).toBe(2 ** 20 - 1);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: pages - 1 }), fc.nat(4095), (table, offset) => {
        expect(addressIn(table, offset)).toBe(table * 4096 + offset);
      }),
    );
  });

  test.each([2 ** 32, 2 ** 32 + 4096, 8192 + 8])('is a memory of %d bytes refused?', (bytes) => {
    expect(() => pagesOf(memoryOf(bytes))).toThrow(/whole pages and less than 4 GiB/);
  });
});

describe('what an entry is', () => {
  /** The rules of the privileged specification, one after another. */
  function expected(entry: bigint, level: number): number {
    const has = (bit: number): boolean => ((entry >> BigInt(bit)) & 1n) === 1n;
    const [v, r, w, x, u, a, d] = [0, 1, 2, 3, 4, 6, 7].map(has);
    if (!v || (w && !r) || ((entry >> 54n) & 0x1ffn) !== 0n) return EntryKind.invalid;
    const low = (entry >> 10n) & 15n;
    if (has(63) && (level !== 0 || low !== 8n)) return EntryKind.invalid;
    if (!r && !x) return level === 0 || u || a || d ? EntryKind.invalid : EntryKind.pointer;
    const within = (1n << BigInt(9 * level)) - 1n;
    return ((entry >> 10n) & within) === 0n ? EntryKind.leaf : EntryKind.invalid;
  }

  const number = fc.oneof(page, fc.constantFrom(8n, 24n, 512n, 513n, 2n ** 18n, 2n ** 18n + 512n, 2n ** 22n));
  const high = fc.constantFrom(0n, 0n, 1n << 63n, 1n << 62n, 1n << 54n, 3n << 62n);

  test('is it so at every level, whatever flags it has and whatever its high word says?', () => {
    const flags = fc.integer({ min: 0, max: 1023 });
    fc.assert(
      fc.property(flags, number, high, fc.constantFrom(0, 1, 2), (low, ppn, special, level) => {
        const entry = BigInt(low) | (ppn << 10n) | special;
        expect(kindOf(...halves(entry), level)).toBe(expected(entry, level));
      }),
      { numRuns: 2000 },
    );
  });
});

describe('a pointer out of memory', () => {
  const outside = page.filter((number) => number >= 64n);
  /** Beyond what the second stage of the tables maps, too: its root has two entries. */
  const unmapped = page.filter((number) => number >= 2n ** 19n);
  const SV39 = 8n << 60n;

  function built(): TestMachine {
    const machine = new TestMachine();
    buildTables(machine);
    return machine.startQueues().setDirectory(2, PAGE.device);
  }

  const faultOf = (machine: TestMachine, deviceId: number): { cause: number; iotval2: bigint } => {
    const { cause } = machine.read(deviceId, 0);
    return { cause, iotval2: machine.takeFault()![3]! };
  };

  test('does the record name its guest page, all 44 bits of it?', () => {
    fc.assert(
      fc.property(unmapped, fc.boolean(), (number, isRoot) => {
        const machine = built();
        if (isRoot) machine.put(PAGE.device, 7, SV39 | number);
        else machine.put(PAGE.firstRoot, 0, (number << 10n) | 1n);
        expect(faultOf(machine, 1)).toEqual({ cause: 21, iotval2: (number << 12n) | 1n });
      }),
    );
  });

  test('without a second stage, is it an access fault that names no guest page?', () => {
    fc.assert(
      fc.property(outside, (number) => {
        const machine = built();
        machine.put(PAGE.device, 9, 0n);
        machine.put(PAGE.device, 8, 1n | 2n, 0n, 0n, SV39 | number);
        expect(faultOf(machine, 2)).toEqual({ cause: 5, iotval2: 0n });
      }),
    );
  });

  test.each(['device directory', 'second stage'])(
    'does a root of the %s beyond memory end in its fault?',
    (kind) => {
      fc.assert(
        fc.property(outside, (number) => {
          const root = number & ~3n;
          const machine = built();
          if (kind === 'device directory') machine.setDirectory(2, Number(root));
          else machine.put(PAGE.device, 5, SV39 | root);
          expect(machine.read(1, 0).cause).toBe(kind === 'device directory' ? 257 : 5);
        }),
      );
    },
  );

  test('is the root of a second stage, of which memory ends before the last page, read no further than that?', () => {
    const machine = built();
    const bytes = (PAGE.secondRoot + 2) * 4096;
    const memory: MemoryView = {
      bytes,
      load32: (address) => {
        expect(address).toBeLessThan(bytes);
        return machine.memory.load32(address);
      },
      store32: () => {},
      compareExchange32: (_address, found) => found,
    };
    const iommu = machine.another({ memory });
    // One stage: the address is guest-physical.
    machine.put(PAGE.device, 4, 1n | 2n | 128n, SV39 | BigInt(PAGE.secondRoot), 0n, 0n);
    const causeAt = (gigabyte: number): number => {
      const address = gigabyte * 2 ** 30;
      const halves64 = { iovaHigh: Math.floor(address / 2 ** 32), iovaLow: address >>> 0 };
      return machine.translate({ deviceId: 1, type: RequestType.untranslated, ...halves64 }, iommu).cause;
    };
    machine.put(PAGE.secondRoot, 1023, pte(0, 'vrwxuad'));
    expect([causeAt(1022), causeAt(1023), causeAt(1024), causeAt(2047)]).toEqual([21, 0, 5, 5]);
  });
});

describe('caches that hold nothing', () => {
  test('S1: does any name a page, under the first generation or the last?', () => {
    const { iommu } = new TestMachine();
    for (const generation of [0, -1]) {
      for (let number = 0; number < 64; number++) expect(iommu.cachesFrame(number, generation)).toEqual([]);
    }
  });
});
