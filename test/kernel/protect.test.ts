/**
 * Taking something away: is nothing freed, given out or answered before every device has acknowledged and every thread
 * has left its accesses, and does nobody else wait for it? And protections: do process and devices get what they say?
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { limits } from '../../src/base/limits.js';
import { MEGAPAGE_BYTES, PAGE_BYTES } from '../../src/base/units.js';
import { SharedPasids } from '../../src/kernel/pasid.js';
import { errno } from '../../src/uapi/errno.js';
import type { Protection } from '../../src/uapi/syscall.js';
import { Bench, type User, WAITING } from './bench.js';

/** A process with queues on two devices and a page that both have cached, and a neighbour with a page of its own. */
function scene() {
  const bench = new Bench({ pasids: new SharedPasids(2) });
  const paths = [0, 1].map((deviceId) => bench.addDevice({}, deviceId).path);
  const [user, neighbour] = [bench.user(), bench.user()];
  const [fd] = paths.map((path) => user.open(path));
  const va = user.demand(PAGE_BYTES);
  for (const deviceId of [0, 1]) expect(bench.deviceWrite(user, va, 7, deviceId).ret).toBe(0);
  return { bench, paths, user, neighbour, fd: fd!, va };
}
type Scene = ReturnType<typeof scene>;

interface TakingAway {
  readonly name: string;
  /** What comes before, with nothing held. */
  readonly prepare?: (scene: Scene) => void;
  readonly begin: (scene: Scene) => { readonly ret: number };
  readonly ret: number;
  /** Frames that are free afterwards and were not before; -1 = more than one. */
  readonly freed: number;
}

const takingAway: readonly TakingAway[] = [
  { name: 'unmap', begin: ({ user, va }) => user.munmap(va, PAGE_BYTES), ret: 0, freed: 1 },
  { name: 'no access', begin: ({ user, va }) => user.mprotect(va, PAGE_BYTES, 'none'), ret: 0, freed: 0 },
  { name: 'read only', begin: ({ user, va }) => user.mprotect(va, PAGE_BYTES, 'read'), ret: 0, freed: 0 },
  {
    name: 'writable again',
    prepare: ({ bench, user, va }) => {
      user.mprotect(va, PAGE_BYTES, 'read');
      bench.deviceRead(user, va);
    },
    begin: ({ user, va }) => user.mprotect(va, PAGE_BYTES, 'readWrite'),
    ret: 0,
    freed: 0,
  },
  { name: 'fork', begin: ({ user }) => user.fork(), ret: 0, freed: 0 },
  {
    name: 'copy on write',
    prepare: ({ bench, user, va }) => {
      user.child();
      bench.deviceRead(user, va);
    },
    begin: ({ user, va }) => user.pageFault(va, 'write'),
    ret: 0,
    freed: 0,
  },
  {
    name: 'the last holder after a fork',
    prepare: ({ bench, user, va }) => {
      user.child().exit();
      bench.deviceRead(user, va);
    },
    begin: ({ user, va }) => user.pageFault(va, 'write'),
    ret: 0,
    freed: 0,
  },
  { name: 'writing out', begin: ({ user, va }) => user.pageOut(va, PAGE_BYTES), ret: 1, freed: 1 },
  { name: 'exit', begin: ({ user }) => user.exit(), ret: 0, freed: -1 },
];

describe('the order of what takes something away (S1, S31, U10)', () => {
  for (const { name, prepare, begin, ret, freed } of takingAway) {
    it(`${name}: entries, invalidation, acknowledgement, threads, and only then an answer and free frames`, () => {
      const at = scene();
      const { bench, neighbour } = at;
      prepare?.(at);
      const before = bench.frames.freeFrames;
      bench.holdsInvalidations = true;
      bench.threads.holds = true;
      const answer = begin(at);
      const free = bench.frames.freeFrames;
      const page = neighbour.demand(PAGE_BYTES);
      const isUntouched = (): void => {
        expect(answer.ret).toBe(WAITING);
        expect(bench.frames.freeFrames).toBeLessThanOrEqual(free);
        // Nobody else waits: whatever takes nothing away is answered.
        expect(neighbour.write(page, 1)).toBe(1);
        expect(neighbour.read(page, 1)).toEqual(Uint8Array.of(1));
        expect(neighbour.demand(PAGE_BYTES)).toBeGreaterThan(0);
      };
      expect(bench.heldInvalidations.length).toBeGreaterThan(0);
      while (bench.heldInvalidations.length > 0) {
        isUntouched();
        bench.acknowledgeHeld();
      }
      expect(bench.threads.waiting).toBeGreaterThan(0);
      isUntouched();
      bench.threads.leaveAll();
      expect(answer.ret).toBe(ret);
      const used = neighbour.process.frames.usedFrames;
      neighbour.exit();
      // The neighbour had an address space and nothing else when the frames were counted first.
      const gained = bench.frames.freeFrames - before - 1;
      if (freed >= 0) expect(gained).toBeLessThanOrEqual(freed);
      else expect(gained).toBeGreaterThan(1);
      expect(used).toBeGreaterThan(1);
    });
  }

  it('an address is given out again only when it was forgotten, and then reads as zero', () => {
    const { bench, user, va } = scene();
    bench.holdsInvalidations = true;
    bench.threads.holds = true;
    user.munmap(va, PAGE_BYTES);
    expect(user.demand(PAGE_BYTES)).not.toBe(va);
    bench.acknowledge();
    expect(user.demand(PAGE_BYTES)).not.toBe(va);
    bench.threads.leaveAll();
    expect(user.demand(PAGE_BYTES)).toBe(va);
    expect(bench.deviceRead(user, va).ret).toBe(0);
  });

  it('a PASID is given out again only when its binding was forgotten, whatever process asks (S9)', () => {
    const { bench, paths, user, neighbour, va } = scene();
    const third = bench.user();
    expect(neighbour.open(paths[0]!)).toBe(3);
    bench.holdsInvalidations = true;
    const pasid = user.pasid();
    const exit = user.exit();
    while (exit.ret === WAITING) {
      expect(third.open(paths[0]!)).toBe(-errno.ENOSPC);
      bench.acknowledgeHeld();
    }
    bench.acknowledge();
    third.open(paths[0]!);
    expect(third.pasid()).toBe(pasid);
    expect(bench.deviceRead(third, va).ret).toBe(-errno.EFAULT);
  });

  it('a device that still holds the old translation uses it until it acknowledges, and nobody is harmed', () => {
    const { bench, user, neighbour, va } = scene();
    bench.holdsInvalidations = true;
    user.munmap(va, PAGE_BYTES);
    const page = neighbour.demand(PAGE_BYTES);
    neighbour.write(page, 1);
    expect(bench.deviceWrite(user, va, 0x66).ret).toBe(0);
    expect(neighbour.read(page, 1)).toEqual(Uint8Array.of(1));
    bench.acknowledge();
    expect(bench.deviceWrite(user, va, 0x66).ret).toBe(-errno.EFAULT);
  });

  it('calls of the same process that wait for a page are answered when it has settled, in any order', () => {
    const { bench, user, va } = scene();
    bench.holdsInvalidations = true;
    const out = user.pageOut(va, PAGE_BYTES);
    const read = user.issue({ call: 'readMemory', address: va, bytes: 1 });
    const unmap = user.munmap(va, PAGE_BYTES);
    expect([out.ret, read.ret, unmap.ret]).toEqual([WAITING, WAITING, WAITING]);
    bench.acknowledge();
    expect([out.ret, unmap.ret]).toEqual([1, 0]);
    expect(read.bytes?.[0]).toBe(7);
  });

  it('a page on its way out is no page that could be written out', () => {
    const { bench, user, va } = scene();
    bench.holdsInvalidations = true;
    const unmap = user.munmap(va, PAGE_BYTES);
    expect(user.pageOut(va, PAGE_BYTES).ret).toBe(0);
    bench.acknowledge();
    expect(unmap.ret).toBe(0);
  });
});

describe('mprotect', () => {
  it('what is refused changes nothing (S30)', () => {
    const { user, paths } = scene();
    const va = user.demand(2 * PAGE_BYTES);
    for (const bytes of [0, 1, PAGE_BYTES + 1, 2 ** 53]) {
      expect(user.mprotect(va, bytes, 'none').ret).toBe(-errno.EINVAL);
    }
    expect(user.mprotect(va + 1, PAGE_BYTES, 'none').ret).toBe(-errno.EINVAL);
    expect(user.mprotect(va, 3 * PAGE_BYTES, 'none').ret).toBe(-errno.ENOMEM);
    expect(user.mprotect(va - PAGE_BYTES, PAGE_BYTES, 'none').ret).toBe(-errno.ENOMEM);
    expect(user.mprotect(va, PAGE_BYTES, 'execute' as Protection).ret).toBe(-errno.EINVAL);
    const queue = user.mmap(user.open(paths[0]!), 0, 2 * PAGE_BYTES);
    expect(user.mprotect(queue, PAGE_BYTES, 'read').ret).toBe(-errno.EACCES);
    expect(user.write(va, 1)).toBe(1);
  });

  it('the same holds for the process and for a device that had cached the page for writing', () => {
    const { bench, user, va } = scene();
    user.mprotect(va, PAGE_BYTES, 'read');
    expect([user.write(va, 1), bench.deviceWrite(user, va, 1).ret]).toEqual([-errno.EFAULT, -errno.EFAULT]);
    expect([user.read(va, 1), bench.deviceRead(user, va).ret]).toEqual([Uint8Array.of(7), 7]);
    user.mprotect(va, PAGE_BYTES, 'none');
    expect([user.read(va, 1), bench.deviceRead(user, va).ret]).toEqual([-errno.EFAULT, -errno.EFAULT]);
    user.mprotect(va, PAGE_BYTES, 'readWrite');
    expect([bench.deviceWrite(user, va, 8).ret, user.read(va, 1)]).toEqual([0, Uint8Array.of(8)]);
  });

  it('a device that cached a page as read-only may write when the answer is there', () => {
    const { bench, user, va } = scene();
    user.mprotect(va, PAGE_BYTES, 'read');
    for (const deviceId of [0, 1]) bench.deviceRead(user, va, deviceId);
    user.mprotect(va, PAGE_BYTES, 'readWrite');
    expect([0, 1].map((deviceId) => bench.deviceWrite(user, va, 9, deviceId).ret)).toEqual([0, 0]);
  });

  it('pages of a large leaf are protected one by one, and the others keep their bytes and their place (S27)', () => {
    const { bench, user } = scene();
    const va = user.pool(2 * MEGAPAGE_BYTES);
    user.write(va + 5 * PAGE_BYTES, 5);
    user.write(va + MEGAPAGE_BYTES, 6);
    const frame = user.physical(va);
    expect(user.mprotect(va + 4 * PAGE_BYTES, PAGE_BYTES, 'none').ret).toBe(0);
    expect(bench.ask(0, 1, va)).toMatchObject({ w: true, physical: frame, bytes: PAGE_BYTES });
    expect(bench.ask(0, 1, va + MEGAPAGE_BYTES).bytes).toBe(MEGAPAGE_BYTES);
    expect(bench.deviceWrite(user, va + 4 * PAGE_BYTES, 1).ret).toBe(-errno.EFAULT);
    expect(user.read(va + 5 * PAGE_BYTES, 1)).toEqual(Uint8Array.of(5));
    // Across the border of two leaves, one of them still large.
    expect(user.mprotect(va + MEGAPAGE_BYTES - PAGE_BYTES, 2 * PAGE_BYTES, 'read').ret).toBe(0);
    expect(bench.deviceRead(user, va + MEGAPAGE_BYTES).ret).toBe(6);
    expect(bench.deviceWrite(user, va + MEGAPAGE_BYTES, 1).ret).toBe(-errno.EFAULT);
    expect(bench.deviceWrite(user, va + MEGAPAGE_BYTES + PAGE_BYTES, 1).ret).toBe(0);
    expect(user.munmap(va, 2 * MEGAPAGE_BYTES).ret).toBe(0);
  });

  it('a protection survives writing out, forking, and unmapping what lies beside it', () => {
    const { user } = scene();
    const va = user.demand(4 * PAGE_BYTES);
    user.fill(va, 4 * PAGE_BYTES, 3);
    user.mprotect(va + PAGE_BYTES, 2 * PAGE_BYTES, 'read');
    user.pageOut(va, 4 * PAGE_BYTES);
    user.munmap(va + PAGE_BYTES, PAGE_BYTES);
    for (const each of [user, user.child()]) {
      expect(each.write(va + 2 * PAGE_BYTES, 1)).toBe(-errno.EFAULT);
      expect(each.read(va + 2 * PAGE_BYTES, 1)).toEqual(Uint8Array.of(3));
      expect(each.write(va + 3 * PAGE_BYTES, 1)).toBe(1);
    }
  });

  it('whatever is protected in whatever order, each page allows what was said of it last', () => {
    const PAGES = 8;
    const change = fc.record({
      first: fc.nat(PAGES - 1),
      count: fc.integer({ min: 1, max: PAGES }),
      to: fc.constantFrom<Protection>('none', 'read', 'readWrite'),
    });
    fc.assert(
      fc.property(fc.boolean(), fc.array(change, { maxLength: 20 }), (isPool, changes) => {
        const { bench, user } = scene();
        const va = isPool ? user.pool(PAGES * PAGE_BYTES) : user.demand(PAGES * PAGE_BYTES);
        const expected: Protection[] = new Array(PAGES).fill('readWrite');
        for (const { first, count, to } of changes) {
          const end = Math.min(first + count, PAGES);
          expect(user.mprotect(va + first * PAGE_BYTES, (end - first) * PAGE_BYTES, to).ret).toBe(0);
          expected.fill(to, first, end);
        }
        expect(expected.map((_, page) => allowed(bench, user, va + page * PAGE_BYTES))).toEqual(expected);
      }),
      { numRuns: 40 },
    );
  });

  it('the parts of a mapping are bounded: one more is refused and changes nothing (V1)', () => {
    const { user } = scene();
    const parts = limits.PROTECTION_RUNS_PER_MAPPING;
    const va = user.demand((2 * parts + 2) * PAGE_BYTES);
    for (let part = 0; part < parts; part++) user.mprotect(va + 2 * part * PAGE_BYTES, PAGE_BYTES, 'read');
    expect(user.mprotect(va + 2 * parts * PAGE_BYTES, PAGE_BYTES, 'read').ret).toBe(-errno.ENOMEM);
    expect(user.write(va + 2 * parts * PAGE_BYTES, 1)).toBe(1);
    expect(user.mprotect(va + PAGE_BYTES, PAGE_BYTES, 'read').ret).toBe(0);
  });
});

/** What process and device may do with a page: they agree. */
function allowed(bench: Bench, user: User, va: number): Protection {
  const reads = typeof user.read(va, 1) !== 'number';
  const writes = user.write(va, 1) === 1;
  expect([bench.deviceRead(user, va).ret >= 0, bench.deviceWrite(user, va, 1).ret === 0]).toEqual([
    reads,
    writes,
  ]);
  return writes ? 'readWrite' : reads ? 'read' : 'none';
}
