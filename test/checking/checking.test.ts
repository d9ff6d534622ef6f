// Is a cache that says something else than the tables caught, wherever it lies, and is one that tells the truth let be?
//
// The caches are made to lie in the two ways that there are: a table changes behind the kernel's back, or the invalidation
// that the kernel asks for gets lost in the hardware.
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import copy from '../../drivers/copy/index.js';
import { PAGE_BYTES } from '../../src/base/units.js';
import { ALL_INSTANCE_WORDS, INSTANCE_WORDS, instanceWord } from '../../src/hw/instance-words.js';
import { IOMMU_REGISTER_WORDS, IommuRegisterFile, REGISTERS } from '../../src/hw/iommu/registers.js';
import { newTranslationRequest, newTranslationResult } from '../../src/hw/iommu/translation.js';
import { pte } from '../../src/hw/page-table.js';
import { PhysicalMemory } from '../../src/hw/physical-memory.js';
import { permission, TranslationCache } from '../../src/hw/translation-cache.js';
import type { CacheName } from '../../src/hw/translation-check.js';
import {
  type CheckedMachine,
  installedTranslationCheck,
  installTranslationCheck,
  newTranslationCheck,
  type TranslationCheckFactory,
} from '../../src/machine/checking.js';
import { copyOutcome, copySqeOf } from '../hw/copy-requests.js';
import { Access, RequestType, TestMachine } from '../hw/iommu/machine.js';
import { PortBench } from '../hw/port-bench.js';
import { MockProcess, newMachine } from '../hw/ring-mock.js';
import { type CheckingMode, checkingMode } from './checking-mode.js';
import { eventsPerSecond } from './events-per-second.js';
import { buildTables, DATA_PAGE, PAGE } from './two-stage-tables.js';

const VA = 0x40_0000;
const PASID = 5;
const { READ, WRITE } = permission;
const NOTHING_PENDING = (): boolean => false;

let mode: CheckingMode;
let everywhere: TranslationCheckFactory | null;

// The set-up's own mode would fail the tests that make a cache lie.
beforeEach(() => {
  everywhere = installedTranslationCheck();
  mode = checkingMode();
  installTranslationCheck(mode.factory);
});

afterEach(() => {
  installTranslationCheck(everywhere);
  vi.restoreAllMocks();
});

/** Changes the leaf of `VA` behind everybody's back. */
function changeLeaf(bench: PortBench, change: (entry: number) => number): void {
  const table = bench.table(PASID);
  const leaf = table.find(VA)!;
  expect(table.replace(leaf, change(leaf.entry) >>> 0)).toBe(true);
}

const confirmed = (): number => mode.counters.confirmed.ATC + mode.counters.confirmed.IOTLB;

describe('what an ATC or IOTLB holds and the tables do not is caught', () => {
  const lies: readonly [string, (entry: number) => number, RegExp][] = [
    ['an entry that outlives its mapping', () => 0, /the tables grant nothing: .* not valid/],
    ['another page', (entry) => entry + 0x400, /the tables name the page at 0x/],
    ['a permission to write that was taken', (entry) => entry & ~pte.W, /the tables do not grant w/],
    [
      'a permission to write a page that is not dirty',
      (entry) => entry & ~pte.D,
      /the tables do not grant w/,
    ],
    ['a page that is no longer for users', (entry) => entry & ~pte.U, /the other privilege/],
  ];

  it.each(lies)('ATC: %s', (_name, change, message) => {
    const bench = new PortBench();
    bench.map(PASID, VA);
    bench.port.translate(PASID, VA, WRITE);
    changeLeaf(bench, change);
    expect(() => bench.port.translate(PASID, VA + 8, WRITE)).toThrow(message);
    expect(mode.counters.contradictions).toHaveLength(1);
  });

  it.each(lies)('IOTLB: %s', (_name, change, message) => {
    const bench = new PortBench();
    bench.map(PASID, VA);
    bench.port.translate(PASID, VA, WRITE);
    changeLeaf(bench, change);
    bench.port.cache.flush();
    expect(() => bench.port.translate(PASID, VA + 8, WRITE)).toThrow(message);
    expect(mode.counters.contradictions[0]).toMatch(/^IOTLB of device 3/);
  });

  it('read permission, when all is taken but execute', () => {
    const bench = new PortBench();
    bench.map(PASID, VA, 'r');
    bench.port.translate(PASID, VA, READ);
    changeLeaf(bench, (entry) => (entry & ~pte.R) | pte.X);
    expect(() => bench.port.translate(PASID, VA, READ)).toThrow(/do not grant r/);
  });

  it('a table that left the directory, with every mapping in it', () => {
    const bench = new PortBench();
    bench.map(PASID, VA);
    bench.port.translate(PASID, VA, READ);
    bench.memory.zero(bench.table(PASID).root, 1);
    expect(() => bench.port.translate(PASID, VA, READ)).toThrow(/the tables grant nothing/);
  });

  it('the same address of the rings, which no PASID names', () => {
    const bench = new PortBench();
    bench.map(-1, VA);
    bench.port.translate(-1, VA, READ);
    bench.table(-1).unmap(VA);
    expect(() => bench.port.translate(-1, VA, READ)).toThrow(/ATC of device 3, no PASID, address 0x400000/);
  });

  it('the error names cache, device, PASID, address, what was cached, and each step of the walk', () => {
    const bench = new PortBench();
    const frame = bench.map(PASID, VA);
    bench.port.translate(PASID, VA, WRITE);
    bench.table(PASID).unmap(VA);
    expect(() => bench.port.translate(PASID, VA + 0x123, WRITE)).toThrow();
    const [first, ...more] = mode.counters.contradictions[0]!.split('\n');
    expect(first).toMatch(/^ATC of device 3, PASID 5, address 0x400123: the tables grant nothing/);
    expect(more[0]).toBe(`  cached: write at 0x${(frame + 0x123).toString(16)}`);
    expect(more.filter((step) => step.startsWith('  walk: first stage at 0x'))).toHaveLength(3);
    expect(more.at(-1)).toMatch(/^ {2}walk: the entry of the first stage is not valid/);
  });
});

describe('two stages', () => {
  /** The two-stage machine, an IOMMU that is checked, and a cached answer to one ATS request. */
  function cached(): { machine: TestMachine; ask: () => unknown } {
    const machine = new TestMachine();
    buildTables(machine);
    machine.startQueues().setDirectory(2, PAGE.device);
    const { memory, registers } = machine;
    const check = mode.factory({ memory, registers, pendingInvalidations: NOTHING_PENDING });
    const iommu = machine.another({ check });
    const ask = () => machine.translate({ type: RequestType.ats, deviceId: 0, pasid: 1 }, iommu);
    expect(ask()).toMatchObject({ r: true, w: true, ppn: DATA_PAGE });
    return { machine, ask };
  }

  it.each([
    ['D of the second stage', PAGE.secondLow, DATA_PAGE, 1n << 7n, /do not grant w/],
    ['W of the second stage', PAGE.secondLow, DATA_PAGE, 1n << 2n, /do not grant w/],
    ['U of the second stage', PAGE.secondLow, DATA_PAGE, 1n << 4n, /not for users/],
    ['the page of the second stage', PAGE.secondLow, DATA_PAGE, 1n << 10n, /name the page at 0x15000/],
    ['the page under a table', PAGE.secondLow, PAGE.firstLow, 1n, /grant nothing/],
    ['V of the device context', PAGE.device, 0, 1n, /device context/],
    ['ATS of the device context', PAGE.device, 0, 2n | 4n, /ATS is not allowed/],
    ['V of the process context', PAGE.process8, 2, 1n, /process context/],
  ])('%s', (_name, page, slot, mask, message) => {
    const { machine, ask } = cached();
    machine.put(page, slot, machine.dword(page, slot) ^ mask);
    expect(ask).toThrow(message);
  });

  it('a range that covers more than the tables grant', () => {
    const { memory, registers } = new TestMachine();
    const check = mode.factory({ memory, registers, pendingInvalidations: NOTHING_PENDING });
    registers.write32(REGISTERS.ddtp.at, 1);
    const result = { ...newTranslationResult(), ppn: 0, rangeBytes: 2 ** 31 };
    const request = newTranslationRequest();
    expect(() => check('IOTLB', request, { ...result, pageOffset: 0 })).not.toThrow();
    const machine = cached().machine;
    const other = mode.factory({ ...machine, pendingInvalidations: NOTHING_PENDING });
    const asked = { ...request, type: RequestType.ats, pasid: 1 };
    const wide = { ...result, ppn: 16, rangeBytes: 8 * PAGE_BYTES, r: true };
    const iovaLow = 4 * PAGE_BYTES;
    machine.put(PAGE.firstLow, 4, machine.dword(PAGE.firstLow, 0));
    expect(() => other('IOTLB', { ...asked, iovaLow }, wide)).toThrow(/no more than 4096 bytes/);
  });
});

describe('what is no lie is let be', () => {
  it('less than the tables grant: a permission was added, and only slowness comes of it', () => {
    const bench = new PortBench();
    bench.map(PASID, VA, 'r');
    bench.port.translate(PASID, VA, READ);
    changeLeaf(bench, (entry) => entry | pte.W | pte.D | pte.X);
    expect(bench.port.translate(PASID, VA, READ)).toBeGreaterThan(0);
    expect(mode.counters).toMatchObject({ confirmed: { ATC: 1 }, contradictions: [] });
  });

  it('A is not compared, and neither A nor D nor any other byte is changed', () => {
    const bench = new PortBench();
    bench.map(PASID, VA);
    bench.port.translate(PASID, VA, READ);
    changeLeaf(bench, (entry) => entry & ~(pte.A | pte.D));
    const before = bench.memory.view(0, bench.memory.bytes).slice();
    expect(bench.port.translate(PASID, VA, READ)).toBeGreaterThan(0);
    expect(mode.counters.confirmed.ATC).toBe(1);
    expect(() => bench.port.translate(PASID, VA, WRITE)).toThrow(/do not grant w/);
    expect(Buffer.compare(bench.memory.u8, before)).toBe(0);
  });

  it('any sequence of mapping, unmapping with invalidation, and access, and every hit is looked at', () => {
    const step = fc.record({
      act: fc.constantFrom('map', 'map', 'unmap', 'acknowledge', ...Array<'access'>(10).fill('access')),
      pasid: fc.constantFrom(1, 2),
      page: fc.nat(1),
      needed: fc.constantFrom(READ, WRITE),
    });
    const property = fc.property(fc.array(step, { minLength: 60, maxLength: 80 }), (steps) => {
      const bench = new PortBench();
      for (const { act, pasid, page, needed } of steps) {
        const va = VA + page * PAGE_BYTES;
        const isMapped = (bench.table(pasid).find(va)?.entry ?? 0) !== 0;
        if (act === 'map' && !isMapped) bench.map(pasid, va, needed === WRITE ? 'rw' : 'r');
        if (act === 'unmap' && isMapped) bench.unmap(pasid, va, () => {});
        if (act === 'acknowledge') bench.port.acknowledge();
        if (act === 'access') bench.port.translate(pasid, va, needed);
        bench.service();
      }
    });
    fc.assert(property, { numRuns: 60 });
    expect(mode.counters.contradictions).toEqual([]);
    expect(mode.counters.confirmed.ATC).toBeGreaterThan(100);
  });
});

describe('while an invalidation is under way', () => {
  it('a cache may hold what it takes away; when it is over, no longer: the invalidation got lost (S24, R131)', () => {
    const bench = new PortBench();
    bench.map(PASID, VA);
    bench.port.translate(PASID, VA, READ);
    vi.spyOn(TranslationCache.prototype, 'flush').mockImplementation(() => {});
    let done = false;
    bench.unmap(PASID, VA, () => {
      done = true;
    });
    bench.service();
    expect(bench.port.translate(PASID, VA, READ)).toBeGreaterThan(0);
    expect([done, mode.counters.excused]).toEqual([false, 1]);
    bench.port.acknowledge();
    bench.service();
    expect(done).toBe(true);
    expect(() => bench.port.translate(PASID, VA, READ)).toThrow(/^ATC of device 3, PASID 5/);
    expect(mode.counters.excused).toBe(1);
  });

  /** What a machine tells the check of a cache of device 2: commands in the ring, in the backlog, who owes an answer. */
  function pending(cache: CacheName, { ring = 0, backlog = 0, owing = -1 }): boolean {
    const registers = new IommuRegisterFile(new Int32Array(IOMMU_REGISTER_WORDS));
    const instances = new Int32Array(ALL_INSTANCE_WORDS);
    let told: CheckedMachine | null = null;
    const factory: TranslationCheckFactory = (machine) => {
      told = machine;
      return () => {};
    };
    const memory = PhysicalMemory.create(65_536);
    newTranslationCheck(factory, { memory, registers, instances, backlog: () => backlog });
    registers.write32(REGISTERS.cqt.at, ring);
    if (owing >= 0) instances[owing * INSTANCE_WORDS + instanceWord.INVALIDATIONS_REQUESTED] = 1;
    return told!.pendingInvalidations(cache, 2);
  }

  it.each([
    ['nothing waits', {}, { IOTLB: false, ATC: false }],
    ['the ring holds a command', { ring: 1 }, { IOTLB: true, ATC: true }],
    ['the backlog holds one', { backlog: 1 }, { IOTLB: true, ATC: true }],
    ['the device owes an acknowledgement', { owing: 2 }, { IOTLB: false, ATC: true }],
    ['another device owes one', { owing: 1 }, { IOTLB: false, ATC: false }],
  ])('%s', (_name, state, expected) => {
    expect({ IOTLB: pending('IOTLB', state), ATC: pending('ATC', state) }).toEqual(expected);
  });
});

describe('the inline host', () => {
  it('is checked in every test of the project, unless a machine says otherwise', async () => {
    expect(everywhere).not.toBeNull();
    const { confirmed: checked } = await eventsPerSecond({ events: 200, checked: true });
    expect(checked).toBeGreaterThan(200);
    const before = confirmed();
    expect(await eventsPerSecond({ events: 200, checked: false })).toMatchObject({ confirmed: 0 });
    expect(confirmed()).toBe(before);
  });

  it('both caches of its engines are checked by what is installed', async () => {
    const process = new MockProcess(newMachine({ drivers: [copy] }));
    const ring = await process.queue();
    const { address } = await process.pool(2 * PAGE_BYTES);
    const sqe = copySqeOf({ source: address, destination: address + PAGE_BYTES, bytes: 64 });
    const copies = (): void => {
      for (let round = 0; round < 4; round++) expect(copyOutcome(ring.execute(sqe)).status).toBe(0);
    };
    copies();
    expect(mode.counters.confirmed.ATC).toBeGreaterThan(0);
    // A device that finds nothing in its own cache asks the IOMMU every time.
    vi.spyOn(TranslationCache.prototype, 'find').mockReturnValue(-1);
    copies();
    expect(mode.counters.confirmed.IOTLB).toBeGreaterThan(0);
  });

  it('a device that forgets to forget is caught at its first access to memory that was unmapped (R131)', async () => {
    const process = new MockProcess(newMachine({ drivers: [copy] }));
    const ring = await process.queue();
    const kept = await process.demand(PAGE_BYTES);
    const gone = await process.demand(PAGE_BYTES);
    const sqe = copySqeOf({ source: gone, destination: kept, bytes: 64 });
    expect(copyOutcome(ring.execute(sqe)).status).toBe(0);
    vi.spyOn(TranslationCache.prototype, 'flush').mockImplementation(() => {});
    await process.call({ call: 'munmap', address: gone, bytes: PAGE_BYTES });
    expect(() => ring.execute(sqe)).toThrow(`address 0x${gone.toString(16)}: the tables grant nothing`);
  });
});

it('an access that a device makes with what it holds is judged as that access', () => {
  const machine = new TestMachine();
  buildTables(machine);
  machine.setDirectory(2, PAGE.device);
  const check = mode.factory({ ...machine, pendingInvalidations: NOTHING_PENDING });
  const request = { ...newTranslationRequest(), pasid: 1, iovaLow: 2 * PAGE_BYTES + 5 };
  const result = { ...newTranslationResult(), ppn: DATA_PAGE + 2, pageOffset: 5 };
  check('ATC', { ...request, access: Access.read }, result);
  check('ATC', { ...request, access: Access.execute }, result);
  expect(() => check('ATC', { ...request, access: Access.write }, result)).toThrow(/do not grant w/);
  expect(() => check('ATC', request, { ...result, pageOffset: 6 })).toThrow(/name the page/);
});
