/**
 * Address spaces as a process and its devices see them: is memory private, zero at first, and out of reach of every
 * device before it is anybody else's?
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { limits } from '../../src/base/limits.js';
import { MEGAPAGE_BYTES, PAGE_BYTES } from '../../src/base/units.js';
import { errno } from '../../src/uapi/errno.js';
import { Bench, type User, WAITING } from './bench.js';

/** A process bound to device 0 (PASID 1), and another bound too (PASID 2). */
function two() {
  const bench = new Bench();
  const { path } = bench.addDevice();
  const [user, other] = [bench.user(), bench.user()];
  for (const each of [user, other]) each.open(path);
  return { bench, path, user, other };
}

describe('mappings', () => {
  it('a length of zero, unaligned or wrapping around is EINVAL and changes nothing (S30)', () => {
    const { bench, user } = two();
    const va = user.demand(4 * PAGE_BYTES);
    const before = bench.frames.freeFrames;
    const bad = [0, 1, PAGE_BYTES - 1, PAGE_BYTES + 1, Number.MAX_SAFE_INTEGER, 2 ** 53, 1.5, Number.NaN];
    for (const bytes of bad) {
      expect(user.pool(bytes)).toBe(-errno.EINVAL);
      expect(user.demand(bytes)).toBe(-errno.EINVAL);
      expect(user.munmap(va, bytes).ret).toBe(-errno.EINVAL);
    }
    for (const address of [0, va + 1, va - PAGE_BYTES, 2 ** 53 - PAGE_BYTES, -PAGE_BYTES]) {
      expect(user.munmap(address, PAGE_BYTES).ret).toBe(-errno.EINVAL);
    }
    expect(user.demand(2 ** 52)).toBe(-errno.ENOMEM);
    expect(bench.frames.freeFrames).toBe(before);
    expect(user.process.space.mappingCount).toBe(1);
  });

  it('mappings do not overlap, and running over the end of one faults', () => {
    const { user } = two();
    const [first, second] = [user.demand(PAGE_BYTES), user.demand(PAGE_BYTES)];
    expect(second).toBeGreaterThan(first + PAGE_BYTES);
    expect(user.write(first + PAGE_BYTES - 1, 1, 2)).toBe(-errno.EFAULT);
    expect(user.read(first + PAGE_BYTES, 1)).toBe(-errno.EFAULT);
    expect(user.read(0, 1)).toBe(-errno.EFAULT);
    expect(user.read(2 ** 52, 1)).toBe(-errno.EFAULT);
  });

  it('a pool is contiguous, marked as used and mapped with large leaves where it can be', () => {
    const { bench, user } = two();
    const bytes = MEGAPAGE_BYTES + 3 * PAGE_BYTES;
    const reply = user.issue({ call: 'mmapAnonymous', kind: 'pool', bytes });
    expect(reply.ret % MEGAPAGE_BYTES).toBe(0);
    const physical = reply.physicalAddress!;
    expect(bench.ask(0, 1, reply.ret + 5 * PAGE_BYTES)).toMatchObject({
      r: true,
      w: true,
      bytes: MEGAPAGE_BYTES,
    });
    expect(bench.ask(0, 1, reply.ret + MEGAPAGE_BYTES)).toMatchObject({ r: true, bytes: PAGE_BYTES });
    for (const offset of [0, 12_345, MEGAPAGE_BYTES + 1]) {
      expect(bench.ask(0, 1, reply.ret + offset).physical).toBe(physical + offset);
    }
  });

  it('a pool that is not prefaulted shows its pages as they are asked for, in the same place', () => {
    const { bench, user } = two();
    const reply = user.issue({ call: 'mmapAnonymous', kind: 'pool', bytes: 3 * PAGE_BYTES, prefault: false });
    const va = reply.ret + PAGE_BYTES;
    expect(bench.ask(0, 1, va).r).toBe(false);
    bench.requestPage({ pasid: 1, va });
    expect(bench.ask(0, 1, va).physical).toBe(reply.physicalAddress! + PAGE_BYTES);
    expect(bench.ask(0, 1, va + PAGE_BYTES).r).toBe(false);
  });

  it('a 2 MiB leaf never covers a slot that still holds a page table (S27), and nothing leaks by it', () => {
    const { bench, path } = two();
    const user = bench.user();
    const fd = user.open(path);
    const small = user.pool(PAGE_BYTES);
    user.munmap(small, PAGE_BYTES);
    const large = user.pool(2 * MEGAPAGE_BYTES);
    expect(large).toBe(small);
    expect(bench.ask(0, 3, large).bytes).toBe(PAGE_BYTES);
    expect(bench.ask(0, 3, large + MEGAPAGE_BYTES).bytes).toBe(MEGAPAGE_BYTES);
    user.close(fd);
    user.exit();
    expect(user.process.frames.usedFrames).toBe(0);
  });

  it('too many mappings are refused (V1)', () => {
    const user = new Bench().user();
    let mapped = 0;
    while (user.demand(PAGE_BYTES) > 0) mapped += 1;
    expect(mapped).toBe(limits.MAPPINGS_PER_PROCESS);
    expect(user.demand(limits.MAPPING_BYTES_MAX + PAGE_BYTES)).toBe(-errno.ENOMEM);
  });
});

describe('memory', () => {
  it('reads as zeros first, whoever had it before (G4, X4)', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 6 })), { maxLength: 12 }),
        (steps) => {
          const { bench, user } = two();
          for (const [pool, pages] of steps) {
            const bytes = pages * PAGE_BYTES;
            const va = pool ? user.pool(bytes) : user.demand(bytes);
            expect(isZero(user.read(va, bytes))).toBe(true);
            user.fill(va, bytes, 0xaa);
            user.munmap(va, bytes);
          }
          user.exit();
          const next = bench.user();
          expect(isZero(next.read(next.demand(20 * PAGE_BYTES), 20 * PAGE_BYTES))).toBe(true);
        },
      ),
      { numRuns: 20 },
    );
  });

  it('demand memory behaves like an array with holes, whatever is unmapped of it', () => {
    const PAGES = 16;
    const step = fc.tuple(
      fc.constantFrom('write', 'read', 'unmap'),
      fc.nat(PAGES - 1),
      fc.integer({ min: 1, max: 4 }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { user } = two();
        const va = user.demand(PAGES * PAGE_BYTES);
        const model: (number | null)[] = new Array(PAGES).fill(0);
        for (const [index, [kind, page, count]] of steps.entries()) {
          const at = va + page * PAGE_BYTES;
          if (kind === 'unmap') expectUnmap(user, model, { va, page, count });
          else if (kind === 'read') expect(user.read(at, 1)).toEqual(modelRead(model, page));
          else expectWrite(user, model, { at, page, value: (index % 255) + 1 });
        }
      }),
      { numRuns: 100 },
    );
  });

  it('the quota holds for everything a process takes, and what fails takes nothing', () => {
    const bench = new Bench({ swapPages: 0 });
    const user = bench.user(20);
    const va = user.demand(64 * PAGE_BYTES);
    let page = 0;
    while (user.write(va + page * PAGE_BYTES, 1) === 1) page += 1;
    expect(page).toBeGreaterThan(10);
    expect(user.process.frames.usedFrames).toBe(20);
    expect(user.pool(PAGE_BYTES)).toBe(-errno.ENOMEM);
    user.exit();
    expect(bench.frames.freeFrames).toBe(bench.freeAtStart);
  });

  it('frames once shown as a view go to nobody else while the process lives, and come back zeroed to itself', () => {
    const { bench, user, other } = two();
    const first = user.issue({ call: 'mmapAnonymous', kind: 'pool', bytes: 4 * PAGE_BYTES });
    user.write(first.ret, 0x5a);
    user.munmap(first.ret, 4 * PAGE_BYTES);
    const range = [first.physicalAddress!, first.physicalAddress! + 4 * PAGE_BYTES] as const;
    for (let each = 0; each < 50; each++) {
      const taken = other.issue({ call: 'mmapAnonymous', kind: 'pool', bytes: PAGE_BYTES }).physicalAddress!;
      expect(taken < range[0] || taken >= range[1]).toBe(true);
    }
    const again = user.issue({ call: 'mmapAnonymous', kind: 'pool', bytes: 2 * PAGE_BYTES });
    expect(again.physicalAddress).toBe(range[0]);
    expect(user.read(again.ret, 1)).toEqual(Uint8Array.of(0));
    expect(user.process.frames.quarantinedFrames).toBe(2);
    const held = bench.frames.freeFrames;
    user.exit();
    expect(bench.frames.freeFrames).toBeGreaterThanOrEqual(held + 4);
  });
});

function isZero(bytes: Uint8Array | number): boolean {
  return typeof bytes !== 'number' && bytes.every((byte) => byte === 0);
}

function expectUnmap(
  user: User,
  model: (number | null)[],
  { va, page, count }: Record<'va' | 'page' | 'count', number>,
) {
  const end = Math.min(page + count, model.length);
  // One call removes pages of one mapping: the whole range must still be there.
  const whole = model.slice(page, end).every((value) => value !== null);
  const ret = user.munmap(va + page * PAGE_BYTES, (end - page) * PAGE_BYTES).ret;
  expect(ret).toBe(whole ? 0 : -errno.EINVAL);
  if (whole) model.fill(null, page, end);
}

function expectWrite(
  user: User,
  model: (number | null)[],
  { at, page, value }: Record<'at' | 'page' | 'value', number>,
) {
  expect(user.write(at, value)).toBe(model[page] === null ? -errno.EFAULT : 1);
  if (model[page] !== null) model[page] = value;
}

function modelRead(model: (number | null)[], page: number): Uint8Array | number {
  const value = model[page]!;
  return model[page] === null ? -errno.EFAULT : Uint8Array.of(value);
}

describe('removal and devices', () => {
  it('munmap answers only when every device has acknowledged; frames and addresses wait for it (S1, S31)', () => {
    const { bench, user } = two();
    const va = user.demand(PAGE_BYTES);
    user.write(va, 1);
    expect(bench.ask(0, 1, va).r).toBe(true);
    bench.holdsInvalidations = true;
    const free = bench.frames.freeFrames;
    const reply = user.munmap(va, PAGE_BYTES);
    expect(reply.ret).toBe(WAITING);
    expect(user.read(va, 1)).toBe(-errno.EFAULT);
    expect(bench.frames.freeFrames).toBe(free);
    expect(user.demand(PAGE_BYTES)).not.toBe(va);
    expect(user.munmap(va, PAGE_BYTES).ret).toBe(-errno.EINVAL);
    bench.acknowledge();
    expect(reply.ret).toBe(0);
    expect(bench.frames.freeFrames).toBe(free + 1);
    expect(bench.ask(0, 1, va).r).toBe(false);
    expect(user.demand(PAGE_BYTES)).toBe(va);
  });

  it('every bound device is told, under its own PASID (S7)', () => {
    const bench = new Bench();
    const paths = [0, 1, 2].map((deviceId) => bench.addDevice({}, deviceId).path);
    const user = bench.user();
    for (const path of paths) user.open(path);
    const va = user.pool(PAGE_BYTES);
    bench.holdsInvalidations = true;
    user.munmap(va, PAGE_BYTES);
    expect(bench.heldInvalidations.map(({ rid, pasid }) => [rid, pasid])).toEqual([
      [0, 1],
      [1, 1],
      [2, 1],
    ]);
  });

  it('after munmap no device reaches the range, and no process ever reaches another (S7, C5)', () => {
    const step = fc.record({
      who: fc.nat(1),
      what: fc.constantFrom('pool', 'demand', 'unmap', 'touch'),
      which: fc.nat(7),
      pages: fc.integer({ min: 1, max: 3 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { bench, user, other } = two();
        const users = [user, other];
        const live: { va: number; bytes: number }[][] = [[], []];
        for (const { who, what, which, pages } of steps) {
          const [actor, mine] = [users[who]!, live[who]!];
          const bytes = pages * PAGE_BYTES;
          const target = mine[which % Math.max(1, mine.length)];
          if (what === 'pool') mine.push({ va: actor.pool(bytes), bytes });
          else if (what === 'demand') mine.push({ va: actor.demand(bytes), bytes });
          else if (target !== undefined && what === 'touch') {
            bench.requestPage({ pasid: who + 1, va: target.va });
            expect(bench.ask(0, who + 1, target.va).w).toBe(true);
          } else if (target !== undefined) {
            expect(actor.munmap(target.va, target.bytes).ret).toBe(0);
            mine.splice(mine.indexOf(target), 1);
            expect(bench.ask(0, who + 1, target.va).r).toBe(false);
          }
          const frames = live.map((list, index) => reachable(bench, index + 1, list));
          expect(frames[0]!.some((frame) => frames[1]!.includes(frame))).toBe(false);
        }
      }),
      { numRuns: 60 },
    );
  });
});

function reachable(bench: Bench, pasid: number, mappings: { va: number; bytes: number }[]): number[] {
  const frames: number[] = [];
  for (const { va, bytes } of mappings) {
    for (let page = va; page < va + bytes; page += PAGE_BYTES)
      frames.push(bench.ask(0, pasid, page).physical);
  }
  return frames.filter((frame) => frame >= 0);
}
