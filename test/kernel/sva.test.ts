/**
 * PASIDs and IO page faults: does a number ever name the wrong address space, and is every page request answered
 * once?
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { limits } from '../../src/base/limits.js';
import { PAGE_BYTES } from '../../src/base/units.js';
import { IdPool } from '../../src/kernel/id-pool.js';
import type { MemoryDomain } from '../../src/kernel/memory-domain.js';
import { type PasidAllocator, SharedPasids } from '../../src/kernel/pasid.js';
import { errno } from '../../src/uapi/errno.js';
import { Bench, FakePort, fakeDriver, User, WAITING } from './bench.js';

const SUCCESS = 0;
const INVALID = 1;
const FAILURE = 15;

describe('PASIDs', () => {
  it('numbers of a pool are in range and never held twice; exhaustion is null (S6)', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.array(fc.nat(9)), (size, steps) => {
        const pool = new IdPool(1, size);
        const held: number[] = [];
        for (const step of steps) {
          if (step > 4 && held.length > 0) pool.give(held.splice(step % held.length, 1)[0]!);
          else {
            const id = pool.take();
            expect(id === null).toBe(held.length === size);
            if (id !== null) {
              expect(id >= 1 && id <= size && !held.includes(id)).toBe(true);
              held.push(id);
            }
          }
          expect(pool.free).toBe(size - held.length);
        }
      }),
    );
  });

  it('exhaustion is ENOSPC at open, takes nothing, and ends when a process does (S6, Q10)', () => {
    const bench = new Bench({ pasids: new SharedPasids(1) });
    const { path, name } = bench.addDevice();
    const [user, other] = [bench.user(), bench.user()];
    expect(user.open(path)).toBe(3);
    const free = bench.frames.freeFrames + other.process.frames.quarantinedFrames;
    expect(other.open(path)).toBe(-errno.ENOSPC);
    expect(other.cat(`/sys/class/uacce/${name}/available_instances`)).toBe('3\n');
    expect(bench.frames.freeFrames + other.process.frames.quarantinedFrames).toBe(free);
    user.exit();
    expect(other.open(path)).toBe(3);
  });

  it('a PASID is used again only after unbind, invalidation and drain; the epoch counts (S9)', () => {
    const pasids = new SharedPasids(1);
    const bench = new Bench({ pasids });
    const { path } = bench.addDevice();
    const [user, other] = [bench.user(), bench.user()];
    const fd = user.open(path);
    expect(pasids.epoch(1)).toBe(1);
    bench.holdsInvalidations = true;
    const close = user.issue({ call: 'close', fd });
    // Rings first, then the binding: whatever is still to be acknowledged, the number is not free.
    let rounds = 0;
    while (close.ret === WAITING) {
      expect(other.open(path)).toBe(-errno.ENOSPC);
      bench.acknowledgeHeld();
      rounds += 1;
    }
    expect([rounds, close.ret]).toEqual([2, 0]);
    bench.acknowledge();
    expect(other.open(path)).toBe(3);
    expect(pasids.epoch(1)).toBe(2);
  });

  it('the same number on two devices may name two address spaces, without cross talk (R129)', () => {
    const always7: PasidAllocator = { take: () => 7, give: () => {} };
    const bench = new Bench({ pasids: always7 });
    const paths = [0, 1].map((deviceId) => bench.addDevice({}, deviceId).path);
    const users = [bench.user(), bench.user()];
    const pages = users.map((user, index) => {
      user.open(paths[index]!);
      const va = user.pool(PAGE_BYTES);
      user.write(va, index + 1);
      return va;
    });
    expect(pages[0]).toBe(pages[1]);
    const seen = [0, 1].map((device) => bench.memory.u8[bench.ask(device, 7, pages[0]!).physical]);
    expect(seen).toEqual([1, 2]);
    users[0]!.munmap(pages[0]!, PAGE_BYTES);
    expect([bench.ask(0, 7, pages[0]!).r, bench.ask(1, 7, pages[0]!).r]).toEqual([false, true]);
  });

  it('closing and opening at once gives the same process the same PASID, and the device still reaches it', () => {
    const bench = new Bench();
    const { path } = bench.addDevice();
    const user = bench.user();
    const va = user.pool(PAGE_BYTES);
    const fd = user.open(path);
    bench.holdsInvalidations = true;
    user.issue({ call: 'close', fd });
    const again = user.open(path);
    bench.acknowledge();
    expect(bench.ask(0, 1, va).r).toBe(true);
    user.close(again);
    expect(bench.ask(0, 1, va).r).toBe(false);
  });
});

describe('IO page faults', () => {
  function bound() {
    const bench = new Bench();
    const { path } = bench.addDevice();
    const user = bench.user();
    const fd = user.open(path);
    return { bench, user, fd, codes: () => bench.responses.map(({ prgi, code }) => [prgi, code]) };
  }

  it('a fault on an untouched page is resolved, zeroed, and counted (R109, C6)', () => {
    const { bench, user, codes } = bound();
    const va = user.demand(PAGE_BYTES);
    expect(bench.ask(0, 1, va).r).toBe(false);
    bench.requestPage({ pasid: 1, va, prgi: 5 });
    expect(codes()).toEqual([[5, SUCCESS]]);
    const { physical } = bench.ask(0, 1, va);
    expect(bench.memory.view(physical, PAGE_BYTES)).toEqual(new Uint8Array(PAGE_BYTES));
    expect(bench.counts.pageRequests).toBe(1);
  });

  it('an address that is not mapped, a page without memory, an unknown PASID: code 1', () => {
    const { bench, user, codes } = bound();
    bench.requestPage({ pasid: 1, va: 0x5000, prgi: 1 });
    bench.requestPage({ pasid: 99, va: user.demand(PAGE_BYTES), prgi: 2 });
    bench.requestPage({ pasid: -1, va: 0x5000, prgi: 3 });
    bench.requestPage({ pasid: 1, va: 2 ** 63, prgi: 4 });
    expect(codes()).toEqual([
      [1, INVALID],
      [2, INVALID],
      [3, INVALID],
      [4, INVALID],
    ]);
  });

  it('a process that is ending: code 15', () => {
    const { bench, user, codes } = bound();
    const va = user.demand(PAGE_BYTES);
    user.process.space.quiesce();
    bench.requestPage({ pasid: 1, va });
    expect(codes()).toEqual([[0, FAILURE]]);
  });

  it('a group is answered once, with its last member, by its worst result (S13)', () => {
    const { bench, user, codes } = bound();
    const va = user.demand(2 * PAGE_BYTES);
    bench.requestPage({ pasid: 1, va, prgi: 3, last: false });
    bench.requestPage({ pasid: 1, va: 0x5000, prgi: 3, last: false });
    expect(codes()).toEqual([]);
    bench.requestPage({ pasid: 1, va: va + PAGE_BYTES, prgi: 3 });
    bench.requestPage({ pasid: 1, va, prgi: 3 });
    expect(codes()).toEqual([
      [3, INVALID],
      [3, SUCCESS],
    ]);
  });

  it('a stop marker asks for nothing and is not answered', () => {
    const { bench, codes } = bound();
    const stop = { rid: 0, dsv: false, dseg: 0, pasid: 1, privileged: false, execute: false };
    bench.iommu.pageRequest({ ...stop, payloadHigh: 0, payloadLow: 4 });
    expect(codes()).toEqual([]);
  });

  it('requests that wait for the end of their groups are bounded for each PASID', () => {
    const { bench, user, codes } = bound();
    const pages = limits.PAGE_REQUESTS_PER_PASID + 10;
    const va = user.demand(2 * pages * PAGE_BYTES);
    for (let page = 0; page < pages; page++) {
      bench.requestPage({ pasid: 1, va: va + page * PAGE_BYTES, prgi: 1, last: false });
    }
    bench.requestPage({ pasid: 1, va, prgi: 2 });
    bench.requestPage({ pasid: 1, va, prgi: 1 });
    bench.requestPage({ pasid: 1, va, prgi: 2 });
    expect(codes()).toEqual([
      [2, INVALID],
      [1, INVALID],
      [2, SUCCESS],
    ]);
    expect(bench.ask(0, 1, va + (pages - 1) * PAGE_BYTES).r).toBe(false);
  });

  it('an incomplete group dies with its PASID: the next owner of the number starts empty (S9, S22)', () => {
    const { bench, user, fd, codes } = bound();
    bench.requestPage({ pasid: 1, va: 0x5000, prgi: 3, last: false });
    user.close(fd);
    const other = bench.user();
    other.open('/dev/fake-0');
    bench.requestPage({ pasid: 1, va: other.demand(PAGE_BYTES), prgi: 3 });
    expect(codes()).toEqual([[3, SUCCESS]]);
  });

  it('whatever devices ask, each last member gets one answer and no process reaches beyond its mappings', () => {
    const request = fc.record({
      pasid: fc.integer({ min: 0, max: 3 }),
      page: fc.integer({ min: -2, max: 5 }),
      prgi: fc.nat(2),
      last: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(request, { maxLength: 80 }), (requests) => {
        const { bench, user } = bound();
        const va = user.demand(4 * PAGE_BYTES);
        for (const { pasid, page, prgi, last } of requests) {
          bench.requestPage({ pasid, va: va + page * PAGE_BYTES, prgi, last });
        }
        expect(bench.responses.length).toBe(requests.filter(({ last }) => last).length);
        for (const page of [-2, -1, 4, 5]) expect(bench.ask(0, 1, va + page * PAGE_BYTES).r).toBe(false);
      }),
      { numRuns: 60 },
    );
  });
});

describe('domains', () => {
  /** A domain with a second stage of its own, whose guest-physical addresses happen to be physical. */
  function guestOf({ host }: Bench): MemoryDomain {
    return {
      secondStage: { root: 0x4000, gscid: 5 },
      quotaFrames: host.quotaFrames,
      get usedFrames() {
        return host.usedFrames;
      },
      alloc: (frames, options) => host.alloc(frames, options),
      free: (gpa, frames) => host.free(gpa, frames),
      share: (gpa) => host.share(gpa),
      holders: (gpa) => host.holders(gpa),
      pin: (gpa) => host.pin(gpa),
      unpin: (gpa) => host.unpin(gpa),
      pins: (gpa) => host.pins(gpa),
      toPa: (gpa) => gpa,
    };
  }

  it('a process sees the devices of its own domain and no others; contexts are left to who gave the directory', () => {
    const bench = new Bench();
    const guest = guestOf(bench);
    const host = bench.addDevice();
    const [request, port] = [{ driver: fakeDriver, domain: guest }, new FakePort(1)];
    const directory = bench.driver.createProcessDirectory(1, {
      allocateTable: () => guest.alloc(1),
      freeTable: (gpa) => guest.free(gpa, 1),
      toPhysical: (gpa) => gpa,
    })!;
    let name: string | number = '';
    bench.kernel.addDevice({ ...request, port, directory }, (answer) => {
      name = answer;
    });
    const inGuest = new User(bench, bench.kernel.createProcess({ memory: guest, waiter: 0 })!);
    const inHost = bench.user();
    expect([inGuest.open(`/dev/${name}`), inGuest.open(host.path)]).toEqual([3, -errno.ENOENT]);
    expect([inHost.open(`/dev/${name}`), inHost.open(host.path)]).toEqual([-errno.ENOENT, 3]);
    expect(inGuest.issue({ call: 'readdir', path: '/sys/class/uacce' }).names).toEqual([name]);
    expect(directory.isSet(1)).toBe(true);
    // Nobody installed a device context: the device reaches nothing yet.
    expect(bench.ask(1, 1, inGuest.pool(PAGE_BYTES)).r).toBe(false);
    for (const user of [inGuest, inHost]) user.exit();
    for (const each of [host.name, name]) bench.removeDevice(String(each));
    directory.destroy();
    expect(bench.frames.freeFrames).toBe(bench.freeAtStart);
  });
});
