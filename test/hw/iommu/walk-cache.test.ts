/**
 * The walk cache: is anything but the number of memory reads different with it? And what is known of the caches from
 * outside: their counters, and which of them name a page of memory.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { IommuOptions } from '../../../src/hw/iommu/iommu.js';
import type { TranslationResult } from '../../../src/hw/iommu/translation.js';
import type { MemoryView } from '../../../src/hw/memory-view.js';
import { Access, COMMANDS, NO_PASID, pte, RequestType, TestMachine } from './machine.js';

const SV39 = 8n << 60n;
const PAGE_BYTES = 4096;

/** Physical pages. First-stage tables exist three times: for the domains A and B, and for no domain, as A's are. */
const PAGE = {
  device: 0,
  process: 1,
  secondRootA: 4,
  secondMiddleA: 8,
  secondLowA: 9,
  root: 10,
  middle: 11,
  low: 12,
  lowOfGlobal: 13,
  globalMiddle: 14,
  lowBelowGlobal: 15,
  secondRootB: 16,
  secondMiddleB: 20,
  secondLowB: 21,
} as const;
const FIRST_STAGE_PAGES = 6;
/** Where domain B's guest pages 10 to 15 lie. */
const OFFSET_OF_B = 20;
const DATA_PAGE = 40;
const EMPTY_PAGE = 50;
const TABLE_PAGES = 40;
const MEMORY_PAGES = 64;

/** Device 0 is of domain A and has processes 0 and 1, device 1 is of domain B, device 2 of none; 3 is as 2, with processes. */
function buildTables(machine: TestMachine): void {
  const flags = 1n | 2n | 128n | 256n;
  const root = SV39 | BigInt(PAGE.root);
  const processes = (1n << 60n) | BigInt(PAGE.process);
  const secondA = SV39 | BigInt(PAGE.secondRootA);
  machine.put(PAGE.device, 0, flags | 32n | 512n, secondA, 0n, processes);
  machine.put(PAGE.device, 4, flags, SV39 | BigInt(PAGE.secondRootB), 0n, root);
  machine.put(PAGE.device, 8, flags, 0n, 0n, root);
  machine.put(PAGE.device, 12, flags | 32n, 0n, 0n, processes);
  machine.put(PAGE.process, 0, 7n, root, 3n, root);
  buildSecondStage(machine, PAGE.secondRootA, (page) => page);
  const isTable = (page: number): boolean => page >= PAGE.root && page < PAGE.root + FIRST_STAGE_PAGES;
  buildSecondStage(machine, PAGE.secondRootB, (page) => (isTable(page) ? page + OFFSET_OF_B : page));
  buildFirstStage(machine, 0, DATA_PAGE);
  buildFirstStage(machine, OFFSET_OF_B, DATA_PAGE + 4);
}

/** The root's four pages, then the two tables below it. Slots 1 hold superpages. */
function buildSecondStage(machine: TestMachine, root: number, toPhysical: (page: number) => number): void {
  const [middle, low] = [root + 4, root + 5];
  machine.put(root, 0, pte(middle, 'v'), pte(0, 'vrwxu'));
  machine.put(middle, 0, pte(low, 'v'), pte(0, 'vrwxu'));
  for (let page = 0; page < MEMORY_PAGES; page++) machine.put(low, page, pte(toPhysical(page), 'vrwxu'));
}

function buildFirstStage(machine: TestMachine, offset: number, data: number): void {
  const at = (page: number): number => page + offset;
  machine.put(at(PAGE.root), 0, pte(PAGE.middle, 'v'), pte(PAGE.globalMiddle, 'vg'), pte(0, 'vrwu'));
  machine.put(at(PAGE.middle), 0, pte(PAGE.low, 'v'), pte(PAGE.lowOfGlobal, 'vg'), pte(0, 'vrwxu'));
  machine.put(at(PAGE.globalMiddle), 0, pte(PAGE.lowBelowGlobal, 'v'), pte(PAGE.low, 'v'));
  for (const table of [PAGE.low, PAGE.lowOfGlobal, PAGE.lowBelowGlobal]) {
    const letters = ['vrwu', 'vrxu', 'vrwxg', 'vru'];
    for (const [slot, flags] of letters.entries())
      machine.put(at(table), slot, pte(data + ((slot + table) % 4), flags));
  }
}

function built(options: Partial<IommuOptions> = {}): TestMachine {
  const machine = new TestMachine({ barePageBytes: 2 ** 30, ...options });
  buildTables(machine);
  return machine.startQueues().setDirectory(2, PAGE.device);
}

/** Tells which addresses are read, and may act in between. */
class WatchedMemory implements MemoryView {
  readonly #memory: MemoryView;
  readonly loads: number[] = [];
  onLoad: (address: number) => void = () => {};

  constructor(memory: MemoryView) {
    this.#memory = memory;
  }

  get bytes(): number {
    return this.#memory.bytes;
  }

  load32(address: number): number {
    this.loads.push(address);
    this.onLoad(address);
    return this.#memory.load32(address);
  }

  store32(address: number, value: number): void {
    this.#memory.store32(address, value);
  }

  compareExchange32(address: number, expected: number, next: number): number {
    return this.#memory.compareExchange32(address, expected, next);
  }

  /** Pages read since the last call, in order. */
  takePages(): number[] {
    return this.loads.splice(0).map((address) => Math.floor(address / PAGE_BYTES));
  }
}

function watched(machine: TestMachine, options: Partial<IommuOptions> = {}) {
  const memory = new WatchedMemory(machine.memory);
  return { memory, iommu: machine.another({ memory, ...options }) };
}

/** A virtual address by its three indices. */
const va = (top: number, middle: number, low: number): number =>
  top * 2 ** 30 + middle * 2 ** 21 + low * 4096;

const slots = fc.nat(3);
const place = fc.constantFrom(
  ...[PAGE.device, PAGE.process, PAGE.secondRootA, PAGE.secondMiddleA, PAGE.secondRootB, PAGE.secondMiddleB],
  ...Array.from({ length: FIRST_STAGE_PAGES }, (_, index) => PAGE.root + index),
  ...Array.from({ length: FIRST_STAGE_PAGES }, (_, index) => PAGE.root + OFFSET_OF_B + index),
);
const secondLowSlot = fc.constantFrom(1, 10, 11, 12, 13, 14, 15, 40, 41, 42, 43, 44, 45, 46, 47);
const target = fc.oneof(
  fc.record({ page: place, slot: slots }),
  fc.record({ page: fc.constantFrom(PAGE.secondLowA, PAGE.secondLowB), slot: secondLowSlot }),
);
/** Inverted flags, or another page: tables that differ little from good ones. */
const invert = fc
  .oneof(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 7 }), fc.integer({ min: 10, max: 14 }))
  .map((at) => 1n << BigInt(at));
const request = fc.record({
  deviceId: fc.constantFrom(0, 0, 1, 2, 3),
  pasid: fc.constantFrom(NO_PASID, 0, 1),
  type: fc.constantFrom(RequestType.untranslated, RequestType.ats),
  access: fc.constantFrom(Access.read, Access.read, Access.write, Access.execute),
  privileged: fc.boolean(),
  noWrite: fc.boolean(),
  execute: fc.boolean(),
  address: fc
    .tuple(fc.constantFrom(0, 0, 1, 2), fc.constantFrom(0, 0, 1, 2), slots)
    .map(([top, middle, low]) => va(top, middle, low)),
});
const command = fc.constantFrom(
  COMMANDS.invalidateFirstStage,
  COMMANDS.invalidateSecondStage,
  COMMANDS.invalidateDevices,
);
/** Stores to entries that were valid are followed by the invalidation; without one, an entry only becomes valid. */
const step = fc.oneof(
  { weight: 6, arbitrary: request.map((asked) => ({ asked })) },
  { weight: 1, arbitrary: fc.record({ target, invert, command }) },
  { weight: 1, arbitrary: fc.record({ command }) },
);
const steps = fc.array(step, { minLength: 1, maxLength: 60, size: 'max' });

type Asked = typeof request extends fc.Arbitrary<infer T> ? T : never;
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function ask(
  machine: TestMachine,
  { address, ...asked }: Asked,
  iommu = machine.iommu,
): { result: TranslationResult; record: bigint[] | null } {
  const iovaHigh = Math.floor(address / 2 ** 32);
  const result = machine.translate({ ...asked, iovaHigh, iovaLow: address >>> 0 }, iommu);
  return { result, record: machine.takeFault() };
}

/** Stores, and invalidates if an entry that may be cached changed. */
function apply(machine: TestMachine, change: Exclude<Step, { asked: Asked }>): void {
  let wasValid = true;
  if ('target' in change) {
    const { page, slot } = change.target;
    const before = machine.dword(page, slot);
    wasValid = (before & 1n) !== 0n || page === PAGE.device || page === PAGE.process;
    machine.put(page, slot, before ^ change.invert);
  }
  if (wasValid) machine.command(change.command);
}

describe('a machine with a walk cache', () => {
  // R109: what one domain or process may reach is decided by its tables alone, whatever is cached.
  test.each([
    { cacheEntries: 0, directoryEntries: 0, walkEntries: 256 },
    { cacheEntries: 0, directoryEntries: 64, walkEntries: 1 },
    { cacheEntries: 16, directoryEntries: 4, walkEntries: 4 },
  ])('does it ever answer, record or mark otherwise than one without? %o', (options) => {
    fc.assert(
      fc.property(steps, (history) => {
        const machines = [built(options), built({ cacheEntries: 0 })] as const;
        for (const current of history) {
          if ('asked' in current) {
            const [cached, plain] = machines.map((machine) => ask(machine, current.asked));
            expect(cached).toEqual(plain);
          } else {
            for (const machine of machines) apply(machine, current);
          }
        }
        const tables = machines.map(({ memory }) => memory.view(0, TABLE_PAGES * PAGE_BYTES));
        expect(Buffer.compare(tables[0]!, tables[1]!)).toBe(0);
      }),
      { numRuns: 200 },
    );
  });

  test('do the random cases use the cache, and reach faults and global entries through it?', () => {
    const seen = new Set<string>();
    let hits = 0;
    fc.assert(
      fc.property(steps, (history) => {
        const machine = built({ cacheEntries: 0, walkEntries: 256 });
        const { walk } = machine.iommu.cacheCounters;
        for (const current of history) {
          if (!('asked' in current)) {
            apply(machine, current);
            continue;
          }
          const before = walk.hits;
          const { result } = ask(machine, current.asked);
          if (walk.hits === before) continue;
          seen.add(String(result.cause));
          if (result.global) seen.add('global');
        }
        hits += walk.hits;
      }),
      { numRuns: 400, seed: 11 },
    );
    expect([...seen]).toEqual(expect.arrayContaining(['0', '12', '13', '15', '20', '21', '23', 'global']));
    expect(hits).toBeGreaterThan(5000);
  });

  test('where does a walk begin whose neighbour was walked before?', () => {
    const machine = built();
    const { memory, iommu } = watched(machine, { cacheEntries: 0, directoryEntries: 64, walkEntries: 256 });
    const read = (address: number): number[] => {
      const result = machine.translate({ deviceId: 0, pasid: 1, iovaLow: address }, iommu);
      expect(result.cause).toBe(0);
      return [...new Set(memory.takePages())];
    };
    expect(read(va(0, 0, 0))).toContain(PAGE.root);
    // The last table of each stage; the address behind it is of another one.
    expect(read(va(0, 0, 1))).toEqual([PAGE.low, PAGE.secondLowA]);
    // Another 2 MiB of the same GiB: one level above.
    expect(read(va(0, 1, 0))).toEqual([PAGE.middle, PAGE.secondLowA, PAGE.lowOfGlobal]);
  });

  test('may a pointer that is replaced without an invalidation be used; may it after IOTINVAL?', () => {
    fc.assert(
      fc.property(fc.constantFrom(0, 1, 2), fc.boolean(), command, (deviceId, isTop, low) => {
        const machine = built({ cacheEntries: 0, walkEntries: 256 });
        const read = (): number => machine.read(deviceId, va(0, 0, 0)).ppn;
        const old = read();
        const page = (isTop ? PAGE.root : PAGE.middle) + (deviceId === 1 ? OFFSET_OF_B : 0);
        machine.put(page, 0, pte(isTop ? PAGE.globalMiddle : PAGE.lowOfGlobal, 'v'));
        const fresh = machine.translate({ deviceId }, machine.another({ cacheEntries: 0 })).ppn;
        expect(fresh).not.toBe(old);
        expect([old, fresh]).toContain(read());
        machine.command(low);
        expect(read()).toBe(fresh);
      }),
    );
  });

  test('does a walk that an invalidation overtakes leave anything behind?', () => {
    const machine = built();
    const { memory, iommu } = watched(machine, { cacheEntries: 0, directoryEntries: 0, walkEntries: 256 });
    const read = (): number => machine.translate({ deviceId: 2 }, iommu).ppn;
    const overtakes = (address: number): void => {
      // The leaf is about to be read: the pointers above were followed.
      if (address !== PAGE.low * PAGE_BYTES) return;
      memory.onLoad = () => {};
      machine.put(PAGE.root, 0, pte(PAGE.globalMiddle, 'v'));
      machine.command(COMMANDS.invalidateFirstStage);
    };
    memory.onLoad = overtakes;
    const old = read();
    expect(iommu.cachesFrame(PAGE.low)).toEqual([]);
    expect(read()).not.toBe(old);
  });

  test('is a pointer ever kept that has V = 0, or whose table nobody can read, or holds nothing?', () => {
    const machine = built({ cacheEntries: 0, walkEntries: 256 });
    for (const pointer of [pte(PAGE.low, ''), pte(2 ** 40, 'v'), pte(EMPTY_PAGE, 'v')]) {
      machine.put(PAGE.middle, 0, pointer);
      machine.command(COMMANDS.invalidateFirstStage);
      expect(machine.read(2, 0).cause).not.toBe(0);
      machine.put(PAGE.middle, 0, pte(PAGE.low, 'v'));
      expect(machine.read(2, 0).cause).toBe(0);
    }
  });

  test('is a global table at guest page 0 still global, and marked, when it is known?', () => {
    const machine = built({ cacheEntries: 0, walkEntries: 256 });
    machine.put(PAGE.middle, 0, pte(0, 'vg'));
    machine.put(PAGE.secondLowA, 0, pte(PAGE.low, 'vrwxu'));
    for (const low of [0, 1]) {
      const asked = { deviceId: 0, pasid: 1, type: RequestType.ats, iovaLow: va(0, 0, low) };
      expect(machine.translate(asked)).toMatchObject({ r: true, global: true });
      expect(machine.dword(PAGE.low, low) & 64n).toBe(64n);
    }
    expect(machine.iommu.cacheCounters.walk.hits).toBeGreaterThan(0);
  });

  test.each([1, 256])(
    'do domains whose tables have the same guest pages meet in %i entries?',
    (walkEntries) => {
      const machine = built({ cacheEntries: 0, walkEntries });
      const pages = [0, 1, 2, 0, 1, 2].map((deviceId) => machine.read(deviceId, va(0, 0, 0)).ppn);
      expect(pages.slice(3)).toEqual(pages.slice(0, 3));
      expect(pages[1]).toBe(pages[0]! + 4);
    },
  );
});

describe('the counters of the caches', () => {
  const counted = (hits: number, misses: number) => expect.objectContaining({ hits, misses });

  test('what do they say after a first look-up, a second, and one after an invalidation?', () => {
    const machine = built();
    const { cacheCounters } = machine.iommu;
    const ask1 = () => machine.translate({ deviceId: 3, pasid: 1, iovaLow: 0 });
    const drops = () => Object.values(cacheCounters).map(({ invalidations }) => invalidations);
    ask1();
    expect(cacheCounters).toEqual({
      iotlb: counted(0, 1),
      walk: counted(0, 1),
      deviceDirectory: counted(0, 1),
      processDirectory: counted(0, 1),
    });
    ask1();
    expect(cacheCounters.iotlb).toEqual(counted(1, 1));
    machine.translate({ deviceId: 3, pasid: 1, iovaLow: va(0, 0, 1) });
    expect(cacheCounters).toEqual({
      iotlb: counted(1, 2),
      walk: counted(1, 1),
      deviceDirectory: counted(1, 1),
      processDirectory: counted(1, 1),
    });
    const before = drops();
    machine.command(COMMANDS.invalidateFirstStage);
    ask1();
    ask1();
    expect(drops()).toEqual(before.map((count) => count + 1));
  });

  test('does an IOMMU without caches count anything, or name a page?', () => {
    const machine = built({ cacheEntries: 0 });
    for (const deviceId of [0, 1, 2, 3]) machine.read(deviceId, 0);
    for (const counters of Object.values(machine.iommu.cacheCounters)) {
      expect(counters).toEqual({ hits: 0, misses: 0, invalidations: 0 });
    }
    for (let page = 0; page < MEMORY_PAGES; page++) expect(machine.iommu.cachesFrame(page)).toEqual([]);
  });

  test('is a number of entries that is no power of two refused?', () => {
    expect(() => new TestMachine({ walkEntries: 3 })).toThrow(/power of two/);
  });
});

describe('which caches name a page', () => {
  // Hazard S1: no cached translation or cached table pointer refers to a frame after it is freed.
  test('S1: what do the caches name after one translation through two stages, and after an invalidation?', () => {
    const machine = built();
    const { ppn } = machine.translate({ deviceId: 0, pasid: 1 });
    const { iommu } = machine;
    const named = () => Array.from({ length: MEMORY_PAGES }, (_, page) => iommu.cachesFrame(page));
    const expected: Record<number, string[]> = { [ppn]: ['IOTLB'] };
    for (const page of [PAGE.middle, PAGE.low, PAGE.secondMiddleA, PAGE.secondLowA])
      expected[page] = ['walk cache'];
    for (let page = 0; page < 4; page++)
      expected[PAGE.secondRootA + page] = ['walk cache', 'device directory'];
    expect(named()).toEqual(Array.from({ length: MEMORY_PAGES }, (_, page) => expected[page] ?? []));
    const generation = machine.registers.generation();
    machine.command(COMMANDS.invalidateFirstStage);
    expect(named().flat()).toEqual([]);
    expect(iommu.cachesFrame(ppn, generation)).toEqual(['IOTLB']);
  });

  test('S1: which cache names the root of a process without a second stage?', () => {
    const machine = built();
    machine.translate({ deviceId: 3, pasid: 1 });
    expect(machine.iommu.cachesFrame(PAGE.process)).toEqual(['device directory']);
    expect(machine.iommu.cachesFrame(PAGE.root)).toEqual(['walk cache', 'process directory']);
    machine.command(COMMANDS.invalidateFirstStage);
    machine.read(2, 0);
    expect(machine.iommu.cachesFrame(PAGE.root)).toEqual(['walk cache', 'device directory']);
  });

  test('S1: does an answer for a range name each page of it?', () => {
    const machine = built();
    const asked = { deviceId: 2, type: RequestType.ats, iovaLow: va(0, 2, 3) };
    expect(machine.translate(asked).rangeBytes).toBe(2 ** 21);
    expect([0, 3, 511, 512].map((page) => machine.iommu.cachesFrame(page))).toEqual([
      ['IOTLB'],
      ['IOTLB'],
      ['IOTLB'],
      [],
    ]);
  });

  test('S1: is whatever a translation starts from, or answers without a walk, named beforehand?', () => {
    fc.assert(
      fc.property(steps, (history) => {
        const machine = built();
        const { memory, iommu } = watched(machine, {
          cacheEntries: 16,
          directoryEntries: 4,
          walkEntries: 16,
        });
        for (const current of history) {
          if (!('asked' in current)) {
            apply(machine, current);
            continue;
          }
          const named = Array.from({ length: MEMORY_PAGES }, (_, page) => iommu.cachesFrame(page));
          const { hits } = iommu.cacheCounters.iotlb;
          memory.takePages();
          const { result } = ask(machine, current.asked, iommu);
          const [first] = memory.takePages();
          if (first !== undefined && first !== PAGE.device) expect(named[first]).not.toEqual([]);
          const isKnown = iommu.cacheCounters.iotlb.hits > hits && result.ppn in named;
          // An answer that grants nothing names no page.
          const grantsNothing = current.asked.type === RequestType.ats && !result.r && !result.w;
          if (isKnown && !grantsNothing) expect(named[result.ppn]).toContain('IOTLB');
        }
      }),
      { numRuns: 150 },
    );
  });
});
