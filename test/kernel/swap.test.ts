/**
 * Memory that is larger than memory: are all bytes right, who pays when there is no room, what stays, what is told when
 * nothing can leave, and does every slot of the store come back?
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PAGE_BYTES } from '../../src/base/units.js';
import { HostMemoryDomain } from '../../src/kernel/memory-domain.js';
import { SwapStore } from '../../src/kernel/swap-store.js';
import { errno } from '../../src/uapi/errno.js';
import { Bench, type BenchOptions, type User, WAITING } from './bench.js';

/** A process with a queue and at most `quotaFrames` frames: 8 or so are tables and the queue's. */
function scene(quotaFrames: number, options: BenchOptions = {}) {
  const bench = new Bench(options);
  const { path, name } = bench.addDevice();
  const user = bench.user(quotaFrames);
  user.open(path);
  return { bench, path, name, user };
}

/** Writes `page + 1` at the start of each page. */
function fill(user: User, va: number, pages: number): void {
  for (let page = 0; page < pages; page++)
    expect(user.write(va + page * PAGE_BYTES, (page % 250) + 1)).toBe(1);
}

/** The same as far as there are frames without anything leaving: how many pages. */
function fillToQuota(user: User, va: number): number {
  let pages = 0;
  while (user.process.frames.hasQuota(1) || pages === 0) fill(user, va, ++pages);
  return pages;
}

function expectFilled(user: User, va: number, pages: number): void {
  for (let page = 0; page < pages; page++) {
    expect(user.read(va + page * PAGE_BYTES, 1)).toEqual(Uint8Array.of((page % 250) + 1));
  }
}

describe('a working set above the quota', () => {
  it('all bytes are right, for the process and for devices, in any order of accesses', () => {
    const PAGES = 24;
    const access = fc.record({
      page: fc.nat(PAGES - 1),
      byDevice: fc.boolean(),
      value: fc.option(fc.integer({ min: 1, max: 255 })),
    });
    fc.assert(
      fc.property(fc.array(access, { maxLength: 120 }), (accesses) => {
        const { bench, user } = scene(16);
        const va = user.demand(PAGES * PAGE_BYTES);
        const expected = new Uint8Array(PAGES);
        for (const { page, byDevice, value } of accesses) {
          const at = va + page * PAGE_BYTES;
          if (value === null) {
            const read = byDevice ? bench.deviceRead(user, at).ret : user.read(at, 1);
            expect(read).toEqual(byDevice ? expected[page] : Uint8Array.of(expected[page]!));
          } else {
            expect(byDevice ? bench.deviceWrite(user, at, value).ret : user.write(at, value)).toBe(
              byDevice ? 0 : 1,
            );
            expected[page] = value;
          }
          expect(user.process.frames.usedFrames).toBeLessThanOrEqual(16);
        }
      }),
      { numRuns: 40 },
    );
  });

  it('one read of more than fits goes through, page by page', () => {
    const { user } = scene(16);
    const va = user.demand(40 * PAGE_BYTES);
    fill(user, va, 40);
    const all = user.read(va, 40 * PAGE_BYTES) as Uint8Array;
    expect(Array.from({ length: 40 }, (_, page) => all[page * PAGE_BYTES])).toEqual(
      Array.from({ length: 40 }, (_, page) => page + 1),
    );
  });

  it('what a device writes while a page is on its way out is in the page when it comes back', () => {
    const { bench, user } = scene(64);
    const va = user.demand(PAGE_BYTES);
    bench.deviceWrite(user, va, 1);
    bench.holdsInvalidations = true;
    const out = user.pageOut(va, PAGE_BYTES);
    expect([bench.deviceWrite(user, va, 2).ret, out.ret]).toEqual([0, WAITING]);
    bench.acknowledge();
    expect([out.ret, user.read(va, 1)]).toEqual([1, Uint8Array.of(2)]);
  });

  it('a thread that is inside an access may still write: the page leaves after it', () => {
    const { bench, user } = scene(64);
    const va = user.demand(PAGE_BYTES);
    user.write(va, 1);
    const frame = user.physical(va);
    bench.threads.holds = true;
    const out = user.pageOut(va, PAGE_BYTES);
    bench.memory.u8[frame] = 9;
    bench.threads.leaveAll();
    expect([out.ret, user.read(va, 1)]).toEqual([1, Uint8Array.of(9)]);
  });

  it('several faults that need room at once all get it: pages on their way out are waited for', () => {
    const { bench, user } = scene(16);
    const va = user.demand(40 * PAGE_BYTES);
    const pages = fillToQuota(user, va);
    bench.holdsInvalidations = true;
    const faults = [30, 31, 32].map((page) => user.pageFault(va + page * PAGE_BYTES, 'write'));
    const device = bench.deviceWrite(user, va + 33 * PAGE_BYTES, 34);
    expect([...faults, device].map(({ ret }) => ret)).toEqual([WAITING, WAITING, WAITING, WAITING]);
    bench.acknowledge();
    expect([...faults, device].map(({ ret }) => ret)).toEqual([0, 0, 0, 0]);
    expectFilled(user, va, pages);
  });

  it('a fault while the process itself writes everything out waits for that', () => {
    const { bench, user } = scene(16, { swapPages: 64 });
    const va = user.demand(40 * PAGE_BYTES);
    fillToQuota(user, va);
    bench.holdsInvalidations = true;
    const out = user.pageOut(va, 40 * PAGE_BYTES);
    const fault = user.pageFault(va + 30 * PAGE_BYTES, 'write');
    expect([out.ret, fault.ret]).toEqual([WAITING, WAITING]);
    bench.acknowledge();
    expect([out.ret > 0, fault.ret]).toEqual([true, 0]);
  });

  it('the same history gives the same memory, byte for byte and frame for frame', () => {
    const image = (): { bytes: Uint8Array; free: number } => {
      const { bench, user } = scene(16);
      const va = user.demand(30 * PAGE_BYTES);
      fill(user, va, 30);
      const child = user.child();
      fill(child, va + 10 * PAGE_BYTES, 15);
      bench.deviceWrite(user, va + 3 * PAGE_BYTES, 77);
      return { bytes: bench.memory.u8, free: bench.frames.freeFrames };
    };
    const [first, second] = [image(), image()];
    expect(second.free).toBe(first.free);
    expect(Buffer.compare(first.bytes, second.bytes)).toBe(0);
  });
});

describe('what stays', () => {
  it('a pinned page, and one that a fork shares; a free one goes', () => {
    const { user } = scene(64);
    const va = user.demand(3 * PAGE_BYTES);
    fill(user, va, 3);
    const frame = user.physical(va);
    const pin = user.pin(va, PAGE_BYTES).ret;
    expect(user.pageOut(va, 3 * PAGE_BYTES).ret).toBe(2);
    expect(user.physical(va)).toBe(frame);
    expectFilled(user, va, 3);
    const child = user.child();
    expect(user.pageOut(va, 3 * PAGE_BYTES).ret).toBe(0);
    child.exit();
    expect(user.pageOut(va, 3 * PAGE_BYTES).ret).toBe(2);
    expect(user.unpin(pin)).toBe(0);
    expect(user.pageOut(va, 3 * PAGE_BYTES).ret).toBe(1);
  });

  it('a pool, a queue, what was never touched, and no whole pages', () => {
    const { user } = scene(64);
    const pool = user.pool(PAGE_BYTES);
    const demand = user.demand(PAGE_BYTES);
    expect([user.pageOut(pool, PAGE_BYTES).ret, user.pageOut(demand, PAGE_BYTES).ret]).toEqual([0, 0]);
    expect(user.pageOut(2 ** 50, PAGE_BYTES).ret).toBe(0);
    for (const bytes of [0, 1, PAGE_BYTES + 1]) expect(user.pageOut(demand, bytes).ret).toBe(-errno.EINVAL);
    expect(user.pageOut(demand + 1, PAGE_BYTES).ret).toBe(-errno.EINVAL);
  });
});

describe('no room', () => {
  it('a full store: ENOMEM that names the limit and the remedy; the device is refused; bytes stay right', () => {
    const { bench, user } = scene(16, { swapPages: 4 });
    const va = user.demand(40 * PAGE_BYTES);
    let pages = 0;
    while (user.write(va + pages * PAGE_BYTES, (pages % 250) + 1) === 1) pages += 1;
    expect(pages).toBeGreaterThan(4);
    const reply = user.issue({
      call: 'writeMemory',
      address: va + 39 * PAGE_BYTES,
      source: Uint8Array.of(1),
    });
    expect(reply).toMatchObject({ ret: -errno.ENOMEM });
    expect(reply.detail).toMatch(/16 of its quota of 16 frames.*unmap memory or raise the quota/);
    expect(reply.detail).toMatch(/all 4 pages of the swap store are in use/);
    expect(user.pageFault(va + 39 * PAGE_BYTES, 'read').ret).toBe(-errno.ENOMEM);
    expect(bench.deviceWrite(user, va + 39 * PAGE_BYTES, 1).ret).toBe(-errno.EFAULT);
    user.munmap(va + (pages - 1) * PAGE_BYTES, PAGE_BYTES);
    expectFilled(user, va, pages - 1);
  });

  it('no store: nothing leaves, and what fails takes nothing', () => {
    const { user } = scene(16, { swapPages: 0 });
    const va = user.demand(40 * PAGE_BYTES);
    user.write(va, 1);
    expect(user.pageOut(va, PAGE_BYTES).ret).toBe(0);
    expect(user.read(va, 1)).toEqual(Uint8Array.of(1));
  });

  it('every ENOMEM says which limit it was', () => {
    const { user } = scene(16);
    const pool = user.issue({ call: 'mmapAnonymous', kind: 'pool', bytes: 64 * PAGE_BYTES });
    expect(pool.detail).toMatch(/quota of 16 frames, 64 more do not fit/);
    const pin = user.pin(user.demand(PAGE_BYTES), 2 ** 30);
    expect([pin.ret, pin.detail]).toEqual([-errno.ENOMEM, expect.stringMatching(/pinned 0 of at most/)]);
  });
});

describe('slots of the store', () => {
  it('come back by munmap, by exit and by being read: a small store is never used up', () => {
    const { bench, user } = scene(64, { swapPages: 3 });
    for (let round = 0; round < 10; round++) {
      const va = user.demand(3 * PAGE_BYTES);
      fill(user, va, 3);
      expect(user.pageOut(va, 3 * PAGE_BYTES).ret).toBe(3);
      if (round % 2 === 0) expectFilled(user, va, 3);
      user.munmap(va, 3 * PAGE_BYTES);
      const other = bench.user();
      const page = other.demand(3 * PAGE_BYTES);
      fill(other, page, 3);
      expect(other.pageOut(page, 3 * PAGE_BYTES).ret).toBe(3);
      other.exit();
    }
  });

  it('one that a fork shares is free when both have let go of it', () => {
    const { user } = scene(64, { swapPages: 1 });
    const [va, other] = [user.demand(PAGE_BYTES), user.demand(PAGE_BYTES)];
    fill(user, va, 1);
    user.write(other, 5);
    expect(user.pageOut(va, PAGE_BYTES).ret).toBe(1);
    const child = user.child();
    expectFilled(user, va, 1);
    child.write(other, 6);
    expect(child.pageOut(other, PAGE_BYTES).ret).toBe(0);
    child.munmap(va, PAGE_BYTES);
    expect(child.pageOut(other, PAGE_BYTES).ret).toBe(1);
  });

  it('each holds a copy of a page, whoever else holds it and whatever becomes of the page', () => {
    const store = new SwapStore(2);
    const page = new Uint8Array(PAGE_BYTES).fill(1);
    const slot = store.write(page)!;
    page.fill(2);
    store.share(slot);
    store.release(slot);
    const back = new Uint8Array(PAGE_BYTES);
    store.read(slot, back);
    expect([back[0], store.used, store.free]).toEqual([1, 1, 1]);
    store.release(slot);
    expect([store.used, store.free]).toEqual([0, 2]);
    expect(() => store.read(slot, back)).toThrow('in use');
  });
});

describe('who pays', () => {
  it('with its domain full, the process with most pages, and its bytes stay right', () => {
    const { bench, user } = scene(4096, { quotaFrames: 90 });
    const va = user.demand(60 * PAGE_BYTES);
    fill(user, va, 60);
    const other = bench.user();
    const page = other.demand(30 * PAGE_BYTES);
    fill(other, page, 30);
    expect(other.process.space.residentPages).toBe(30);
    expect(user.process.space.residentPages).toBeLessThan(60);
    expectFilled(user, va, 60);
    expectFilled(other, page, 30);
    expect(bench.host.usedFrames).toBeLessThanOrEqual(90);
  });

  it('a process at its own quota pays with its own pages, although others have more', () => {
    const { bench, user } = scene(4096);
    fill(user, user.demand(60 * PAGE_BYTES), 60);
    const small = bench.user(12);
    const va = small.demand(40 * PAGE_BYTES);
    fill(small, va, 40);
    expect(user.process.space.residentPages).toBe(60);
    expectFilled(small, va, 40);
  });

  it('never a process of another domain', () => {
    const bench = new Bench();
    const domain = new HostMemoryDomain({ frames: bench.frames, owner: 7, quotaFrames: 40 });
    // Its own quota is far: what is full is its domain.
    const guest = bench.user(1000, domain);
    const user = bench.user();
    fill(user, user.demand(60 * PAGE_BYTES), 60);
    const va = guest.demand(100 * PAGE_BYTES);
    fill(guest, va, 100);
    expect([user.process.space.residentPages, domain.usedFrames <= 40]).toEqual([60, true]);
    expectFilled(guest, va, 100);
  });

  it('a payer that ends meanwhile, or the needy one, stops nobody', () => {
    const { bench, user } = scene(4096, { quotaFrames: 90 });
    const other = bench.user();
    const page = other.demand(60 * PAGE_BYTES);
    const va = user.demand(60 * PAGE_BYTES);
    fill(user, va, 60);
    let pages = 0;
    while (bench.host.usedFrames < 90) other.write(page + pages++ * PAGE_BYTES, 1);
    bench.holdsInvalidations = true;
    const fault = other.pageFault(page + pages * PAGE_BYTES, 'write');
    expect(fault.ret).toBe(WAITING);
    const exit = user.exit();
    bench.acknowledge();
    expect([fault.ret, exit.ret]).toEqual([0, 0]);
  });
});
