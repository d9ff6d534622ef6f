/**
 * The IOMMU, caches and all, against a second implementation that has none: random tables, random requests,
 * stores into the tables followed by the invalidation that the specification asks for. Two IOMMU objects share the
 * registers, as two threads do; only the first executes commands.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Iommu } from '../../../src/hw/iommu/iommu.js';
import { Access, COMMANDS, NO_PASID, pte, RequestType, TestMachine } from './machine.js';
import { type ReferenceAnswer, type ReferenceRequest, ReferenceWalk } from './reference-walk.js';

/** Pages of the tables. The second stage maps every page of memory onto itself, unless a store changes that. */
const PAGE = {
  device: 0,
  process8: 1,
  process17: 2,
  secondRoot: 4,
  secondMiddle: 8,
  secondLow: 9,
  firstRoot: 10,
  firstMiddle: 11,
  firstLow: 12,
  otherRoot: 13,
} as const;
const DATA_PAGE = 20;
const MEMORY_PAGES = 64;
const SV39 = 8n << 60n;
const CONTEXT = { v: 1n, ats: 2n, pri: 4n, dtf: 16n, pdtv: 32n, gade: 128n, sade: 256n, dpe: 512n } as const;
const BARE_BYTES = 2 ** 30;
const MODE_ONE_LEVEL = 2;

type Place = keyof typeof PAGE;

/** A store into a table: some bits of the dword that is there are inverted. */
interface Store {
  readonly place: Place;
  readonly slot: number;
  readonly invert: bigint;
}

/** Slots that the requests below can reach, by table. */
const SLOTS: Readonly<Record<Place, readonly number[]>> = {
  device: [0, 1, 2, 3, 4, 5, 7, 8, 9, 11],
  process8: [0, 1, 2, 3, 4, 5],
  process17: [0, 1],
  secondRoot: [0, 1],
  secondMiddle: [0, 1],
  secondLow: [1, 2, 10, 11, 12, 13, 20, 21, 22, 23],
  firstRoot: [0, 1],
  firstMiddle: [0, 1],
  firstLow: [0, 1, 2, 3],
  otherRoot: [0, 1],
};

/** Flags and modes, or the page that is named, or anything: tables that differ little from good ones. */
const invert = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 9 }) },
  { weight: 3, arbitrary: fc.integer({ min: 10, max: 16 }) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 63 }) },
);
const store: fc.Arbitrary<Store> = fc.constantFrom(...(Object.keys(PAGE) as Place[])).chain((place) =>
  fc.record({
    place: fc.constant(place),
    slot: fc.constantFrom(...SLOTS[place]),
    invert: invert.map((at) => 1n << BigInt(at)),
  }),
);

const iova = fc
  .record({
    top: fc.constantFrom(0n, 0n, 0n, 0n, 1n, 2n),
    middle: fc.constantFrom(0n, 0n, 0n, 1n),
    page: fc.bigInt({ min: 0n, max: 3n }),
    offset: fc.constantFrom(0n, 0x123n, 0xfffn),
    beyond: fc.oneof(
      { weight: 15, arbitrary: fc.constant(0n) },
      fc.constantFrom(1n, 1n << 20n, (1n << 26n) - 1n),
    ),
  })
  .map(({ top, middle, page, offset, beyond }) => {
    return (beyond << 38n) | (top << 30n) | (middle << 21n) | (page << 12n) | offset;
  });

const requester = fc.oneof(
  { weight: 6, arbitrary: fc.record({ deviceId: fc.constant(0), pasid: fc.constantFrom(null, 0, 1, 1, 2) }) },
  { weight: 3, arbitrary: fc.record({ deviceId: fc.constant(1), pasid: fc.constant(null) }) },
  { weight: 3, arbitrary: fc.record({ deviceId: fc.constant(2), pasid: fc.constantFrom(0, 1, 256, 257) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      deviceId: fc.constantFrom(0, 1, 2, 3, 200),
      pasid: fc.constantFrom(null, 1, 300, 70_000, 140_000),
    }),
  },
);

const request: fc.Arbitrary<ReferenceRequest> = fc
  .record({
    requester,
    kind: fc.constantFrom('untranslated', 'untranslated', 'untranslated', 'ats', 'ats', 'ats', 'translated'),
    privileged: fc.constantFrom(false, false, true),
    access: fc.constantFrom('read', 'write', 'execute'),
    noWrite: fc.boolean(),
    execute: fc.boolean(),
    iova,
  })
  .map(({ requester: { deviceId, pasid }, ...others }) => ({ ...others, deviceId, pasid }));

/** A request is one of the case's few, so that it meets what the others left in the caches. */
type Step = { readonly store: Store } | { readonly request: number; readonly thread: 0 | 1 };
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 1, arbitrary: fc.record({ store }) },
  { weight: 4, arbitrary: fc.record({ request: fc.nat(), thread: fc.constantFrom(0 as const, 1 as const) }) },
);
const scenario = fc.record({
  requests: fc.array(request, { minLength: 1, maxLength: 5 }),
  steps: fc.array(step, { minLength: 1, maxLength: 40, size: 'max' }),
});

/** Tables that work, of both stages, for devices 0 (with processes) and 1 (without). */
function buildTables(machine: TestMachine): void {
  const { v, ats, pri, gade, sade, pdtv, dpe } = CONTEXT;
  const flags = v | ats | pri | gade | sade;
  machine.put(
    PAGE.device,
    0,
    flags | pdtv | dpe,
    SV39 | BigInt(PAGE.secondRoot),
    0n,
    (1n << 60n) | BigInt(PAGE.process8),
  );
  machine.put(PAGE.device, 4, flags, SV39 | BigInt(PAGE.secondRoot), 0n, SV39 | BigInt(PAGE.firstRoot));
  machine.put(PAGE.device, 8, flags | pdtv, 0n, 0n, (2n << 60n) | BigInt(PAGE.process17));
  machine.put(PAGE.process17, 0, pte(PAGE.process8, 'v'), pte(PAGE.process8, 'v'));
  machine.put(PAGE.process8, 0, 7n, SV39 | BigInt(PAGE.otherRoot), 3n, SV39 | BigInt(PAGE.firstRoot), 1n, 0n);
  machine.put(PAGE.secondRoot, 0, pte(PAGE.secondMiddle, 'v'), pte(0, 'vrwxuad'));
  machine.put(PAGE.secondMiddle, 0, pte(PAGE.secondLow, 'v'), pte(0, 'vrwxu'));
  for (let page = 0; page < MEMORY_PAGES; page++) machine.put(PAGE.secondLow, page, pte(page, 'vrwxua'));
  machine.put(PAGE.firstRoot, 0, pte(PAGE.firstMiddle, 'v'), pte(0, 'vrwu'));
  machine.put(PAGE.otherRoot, 0, pte(PAGE.firstMiddle, 'vg'), pte(0, 'vrx'));
  machine.put(PAGE.firstMiddle, 0, pte(PAGE.firstLow, 'v'), pte(0, 'vrwxua'));
  const flagsOfPage = ['vrwu', 'vrwxuad', 'vrx', 'vrug'];
  for (const [slot, letters] of flagsOfPage.entries())
    machine.put(PAGE.firstLow, slot, pte(DATA_PAGE + slot, letters));
}

function apply(machine: TestMachine, { place, slot, invert: mask }: Store): void {
  machine.put(PAGE[place], slot, machine.dword(PAGE[place], slot) ^ mask);
}

/** Invalidates what a store to `place` may have made stale. */
function invalidate(machine: TestMachine, place: Place): void {
  if (place === 'device' || place.startsWith('process')) machine.command(COMMANDS.invalidateDevices);
  else if (place.startsWith('second')) machine.command(COMMANDS.invalidateSecondStage);
  else machine.command(COMMANDS.invalidateFirstStage);
}

/** What the IOMMU answers, in the shape of the reference's answer. */
function ask(machine: TestMachine, iommu: Iommu, asked: ReferenceRequest): ReferenceAnswer {
  const { kind, iova: address, pasid, access, ...rest } = asked;
  const answer = machine.translate(
    {
      ...rest,
      type: RequestType[kind],
      pasid: pasid ?? NO_PASID,
      access: Access[access],
      iovaHigh: Number(address >> 32n),
      iovaLow: Number(address & 0xffff_ffffn),
    },
    iommu,
  );
  const status = (['success', 'unsupportedRequest', 'completerAbort'] as const)[answer.status]!;
  const start = BigInt(answer.ppn) * 4096n;
  const { cause, r, w, x, priv, global, rangeBytes: bytes } = answer;
  const isGranted = kind === 'ats' && (r || w);
  const hasAddress = kind !== 'ats' && status === 'success';
  return {
    status,
    cause,
    pa: hasAddress ? start + BigInt(answer.pageOffset) : null,
    ats: isGranted ? { start, bytes, r, w, x, priv, global } : null,
    record: decodeRecord(machine.takeFault()),
  };
}

function decodeRecord(dwords: bigint[] | null): ReferenceAnswer['record'] {
  if (dwords === null) return null;
  const [origin, , iotval, iotval2] = dwords as [bigint, bigint, bigint, bigint];
  const part = (low: bigint, width: bigint) => Number((origin >> low) & ((1n << width) - 1n));
  return {
    cause: part(0n, 12n),
    pid: part(12n, 20n),
    pv: part(32n, 1n),
    priv: part(33n, 1n),
    ttyp: part(34n, 6n),
    did: part(40n, 24n),
    iotval,
    iotval2,
  };
}

/** Two machines with the same tables: one has the IOMMU, the other the reference. */
function twins(cacheEntries: number): {
  machine: TestMachine;
  threads: Iommu[];
  copy: TestMachine;
  reference: ReferenceWalk;
} {
  const machine = new TestMachine({ cacheEntries, barePageBytes: BARE_BYTES });
  const copy = new TestMachine();
  for (const each of [machine, copy]) buildTables(each);
  machine.startQueues().setDirectory(MODE_ONE_LEVEL, PAGE.device);
  const memory = {
    bytes: copy.memory.bytes,
    read: (address: number) => copy.memory.data.getBigUint64(address, true),
    write: (address: number, value: bigint) => copy.memory.data.setBigUint64(address, value, true),
  };
  const reference = new ReferenceWalk(memory, BigInt(PAGE.device << 10) | BigInt(MODE_ONE_LEVEL), BARE_BYTES);
  const threads = [machine.iommu, machine.another({ cacheEntries, barePageBytes: BARE_BYTES })];
  return { machine, threads, copy, reference };
}

function tables({ memory }: TestMachine): Uint8Array {
  return memory.view(0, DATA_PAGE * 4096);
}

// R109: what one domain or process may reach is decided by its tables alone, whatever is cached.
test.each([0, 2, 256])(
  'does a cache of %i entries ever change an answer, a record or a mark?',
  (cacheEntries) => {
    fc.assert(
      fc.property(scenario, ({ requests, steps }) => {
        const { machine, threads, copy, reference } = twins(cacheEntries);
        for (const current of steps) {
          if ('store' in current) {
            for (const each of [machine, copy]) apply(each, current.store);
            invalidate(machine, current.store.place);
          } else {
            const asked = requests[current.request % requests.length]!;
            const expected = reference.translate(asked);
            expect(ask(machine, threads[current.thread]!, asked)).toEqual(expected);
          }
        }
        expect(Buffer.compare(tables(machine), tables(copy))).toBe(0);
      }),
      { numRuns: 500 },
    );
  },
);

test('do the random cases reach every kind of answer, and the caches?', () => {
  const causes = new Set<number>();
  let hits = 0;
  fc.assert(
    fc.property(scenario, ({ requests, steps }) => {
      const { machine } = twins(256);
      for (const current of steps) {
        if ('store' in current) {
          apply(machine, current.store);
          invalidate(machine, current.store.place);
        } else {
          causes.add(ask(machine, machine.iommu, requests[current.request % requests.length]!).cause);
        }
      }
      hits += machine.iommu.cacheCounters.iotlb.hits;
    }),
    { numRuns: 500, seed: 7 },
  );
  expect([...causes]).toEqual(
    expect.arrayContaining([0, 1, 5, 7, 12, 13, 15, 20, 21, 23, 258, 259, 260, 265, 266, 267]),
  );
  expect(hits).toBeGreaterThan(500);
});
