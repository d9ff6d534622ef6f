// Is the walk that judges the caches right itself? It is compared with the reference walk of the IOMMU's own tests, which
// was written apart from it, in 64-bit values, and makes the marks that this one leaves out.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TestMachine } from '../hw/iommu/machine.js';
import { type ReferenceAnswer, type ReferenceRequest, ReferenceWalk } from '../hw/iommu/reference-walk.js';
import { buildTables, DATA_PAGE, DIRECTORIES, PAGE, type Place, SLOTS } from './two-stage-tables.js';
import { type Asker, type Found, NoTranslation, UncachedWalk } from './uncached-walk.js';

const BARE_BYTES = 2 ** 30;
const READ_WRITE = 0b0110n;

/** Bits of one dword of a table that are inverted. */
interface Damage {
  readonly place: Place;
  readonly slot: number;
  readonly mask: bigint;
}

const bitAt = (bit: number): bigint => 1n << BigInt(bit);

const damage: fc.Arbitrary<Damage> = fc.constantFrom(...(Object.keys(PAGE) as Place[])).chain((place) =>
  fc.record({
    place: fc.constant(place),
    slot: fc.constantFrom(...SLOTS[place]),
    mask: fc.oneof(
      { weight: 3, arbitrary: fc.nat(9).map(bitAt) },
      { weight: 2, arbitrary: fc.nat(16).map(bitAt) },
      { weight: 1, arbitrary: fc.nat(63).map(bitAt) },
      { weight: 1, arbitrary: fc.constant(READ_WRITE) },
    ),
  }),
);

const iova = fc
  .record({
    top: fc.constantFrom(0n, 0n, 0n, 0n, 1n, 2n, 511n),
    middle: fc.constantFrom(0n, 0n, 0n, 1n),
    page: fc.bigInt({ min: 0n, max: 3n }),
    offset: fc.constantFrom(0n, 0x123n, 0xfffn),
    beyond: fc.constantFrom(0n, 0n, 0n, 0n, 1n, 1n << 24n, (1n << 25n) - 1n),
  })
  .map(({ top, middle, page, offset, beyond }) => {
    return (beyond << 39n) | (top << 30n) | (middle << 21n) | (page << 12n) | offset;
  });

const request: fc.Arbitrary<ReferenceRequest> = fc.record({
  kind: fc.constantFrom('untranslated' as const, 'ats' as const),
  deviceId: fc.constantFrom(0, 0, 1, 2, 3, 3, 4, 200, 70_000),
  pasid: fc.constantFrom(null, null, 0, 1, 1, 2, 257, 140_000),
  privileged: fc.constantFrom(false, false, true),
  access: fc.constantFrom('read', 'write', 'execute'),
  noWrite: fc.constant(true),
  execute: fc.boolean(),
  iova,
});

const scenario = fc.record({
  directory: fc.constantFrom(...DIRECTORIES),
  damages: fc.array(damage, { maxLength: 3 }),
  requests: fc.array(request, { minLength: 1, maxLength: 10 }),
});

/** The root of process 1 is moved to the process directory, whose entries are then read as those of a page table. */
const PROCESSES_AS_PAGES = {
  directory: DIRECTORIES[0],
  damages: [{ place: 'process8', slot: 3, mask: 4n }] satisfies Damage[],
  requests: [
    {
      kind: 'untranslated',
      deviceId: 0,
      pasid: 1,
      privileged: true,
      access: 'read',
      noWrite: true,
      execute: false,
      iova: 0n,
    },
  ] satisfies ReferenceRequest[],
};

function machineOf(damages: readonly Damage[]): TestMachine {
  const machine = new TestMachine();
  buildTables(machine);
  for (const { place, slot, mask } of damages) {
    machine.put(PAGE[place], slot, machine.dword(PAGE[place], slot) ^ mask);
  }
  return machine;
}

/**
 * The reference over `machine`, every leaf of which it finds accessed. `marks` counts those that it wants to
 * make all the same, which are D: they are not made.
 */
function referenceOf(
  machine: TestMachine,
  { mode, page }: (typeof DIRECTORIES)[number],
): { walk: ReferenceWalk; marks: { wanted: number } } {
  const marks = { wanted: 0 };
  const { data, bytes } = machine.memory;
  const memory = {
    bytes,
    read: (address: number) => data.getBigUint64(address, true),
    write: () => {
      marks.wanted += 1;
    },
  };
  const directory = (BigInt(page) << 10n) | BigInt(mode);
  return { walk: new ReferenceWalk(memory, directory, BARE_BYTES, true), marks };
}

function askerOf({
  kind,
  deviceId,
  pasid,
  privileged,
  access,
  execute,
  iova: address,
}: ReferenceRequest): Asker {
  const ats = kind === 'ats';
  const fetches = ats ? execute && pasid !== null : access === 'execute';
  const iovaHigh = Number(address >> 32n);
  const iovaLow = Number(address & 0xffff_ffffn);
  return { ats, deviceId, pasid: pasid ?? -1, privileged, fetches, iovaHigh, iovaLow };
}

function find(walk: UncachedWalk, asker: Asker): Found | null {
  try {
    return walk.find(asker);
  } catch (error) {
    if (!(error instanceof NoTranslation)) throw error;
    return null;
  }
}

/** The address that an access reaches by what was found, or null. */
function reached(found: Found | null, { access, iova: address }: ReferenceRequest): bigint | null {
  const flag = ({ read: 'r', write: 'w', execute: 'x' } as const)[access];
  return found?.[flag] === true ? BigInt(found.page) * 4096n + (address & 0xfffn) : null;
}

/** What was found as the answer to an ATS request. */
function granted(
  found: Found | null,
  { execute, pasid, privileged }: ReferenceRequest,
): ReferenceAnswer['ats'] {
  if (found === null || (!found.r && !found.w)) return null;
  const { bytes, r, w, global } = found;
  const pages = BigInt(bytes / 4096);
  const start = (BigInt(found.page) / pages) * pages * 4096n;
  const x = r && found.x && execute && pasid !== null;
  return { start, bytes, r, w, x, priv: privileged && pasid !== null, global };
}

describe('the uncached walk', () => {
  it('finds what the reference finds, in good tables and in damaged ones', () => {
    const seen = { granted: 0, refused: 0 };
    const property = fc.property(scenario, ({ directory, damages, requests }) => {
      const machine = machineOf(damages).setDirectory(directory.mode, directory.page);
      const walk = new UncachedWalk(machine.memory, machine.registers);
      for (const asked of requests) {
        const { walk: reference, marks } = referenceOf(machine, directory);
        const expected = reference.translate(asked);
        const found = find(walk, askerOf(asked));
        if (asked.kind === 'ats') expect(granted(found, asked)).toEqual(expected.ats);
        else expect(reached(found, asked)).toEqual(marks.wanted > 0 ? null : expected.pa);
        seen[found === null ? 'refused' : 'granted'] += 1;
      }
    });
    fc.assert(property, { numRuns: 3000, examples: [[PROCESSES_AS_PAGES]] });
    expect(seen.granted).toBeGreaterThan(1000);
    expect(seen.refused).toBeGreaterThan(1000);
  });

  it('changes nothing in memory and nothing in the registers', () => {
    const property = fc.property(scenario, ({ directory, damages, requests }) => {
      const machine = machineOf(damages).startQueues().setDirectory(directory.mode, directory.page);
      const tables = machine.memory.view(0, machine.memory.bytes).slice();
      const status = machine.status();
      const walk = new UncachedWalk(machine.memory, machine.registers);
      for (const asked of requests) {
        find(walk, askerOf(asked));
        walk.pathOf(askerOf(asked));
      }
      expect(Buffer.compare(machine.memory.u8, tables)).toBe(0);
      expect(machine.status()).toEqual(status);
      expect(machine.takeFault()).toBeNull();
    });
    fc.assert(property, { numRuns: 50 });
  });

  it('grants nothing while the IOMMU is off, and passes addresses through while it is Bare', () => {
    const machine = machineOf([]);
    const walk = new UncachedWalk(machine.memory, machine.registers);
    const asker = askerOf({
      kind: 'untranslated',
      deviceId: 9,
      pasid: null,
      privileged: false,
      access: 'write',
      noWrite: false,
      execute: false,
      iova: 0x12_3456_7000n,
    });
    expect(find(walk, asker)).toBeNull();
    machine.setDirectory(1, 0);
    expect(find(walk, asker)).toMatchObject({ page: 0x123_4567, w: true });
    expect(find(walk, { ...asker, ats: true })).toBeNull();
  });

  it('tells its path in the order of the walk', () => {
    const machine = machineOf([]).setDirectory(2, PAGE.device);
    const walk = new UncachedWalk(machine.memory, machine.registers);
    const asker = {
      ats: true,
      deviceId: 0,
      pasid: 1,
      privileged: false,
      fetches: false,
      iovaHigh: 0,
      iovaLow: 0,
    };
    const path = walk.pathOf(asker).map((step) => step.replace(/ at .*/, ''));
    expect(path[0]).toBe('ddtp');
    expect(path.at(-1)).toBe('second stage');
    expect(path.filter((step) => step === 'first stage')).toHaveLength(3);
    expect(walk.find(asker).page).toBe(DATA_PAGE);
  });
});
