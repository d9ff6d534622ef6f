/**
 * The family "SVA, PASID, page tables, translation caches": for each row the invariant that the bug of its row broke,
 * asked of the kernel on a real IOMMU. Most are asked at length elsewhere; here each stands on its own.
 */
import fc from 'fast-check';
import { describe, expect } from 'vitest';
import { limits } from '../../src/base/limits.js';
import { MEGAPAGE_BYTES, MiB, PAGE_BYTES } from '../../src/base/units.js';
import { VirtualClock } from '../../src/hw/clock.js';
import { ALL_INSTANCE_WORDS } from '../../src/hw/instance-words.js';
import { Iommu } from '../../src/hw/iommu/iommu.js';
import {
  NO_PASID,
  newTranslationRequest,
  newTranslationResult,
  RequestType,
} from '../../src/hw/iommu/translation.js';
import { entryTarget, PageTable } from '../../src/hw/page-table.js';
import { SharedPasids } from '../../src/kernel/pasid.js';
import { Sva } from '../../src/kernel/sva.js';
import { DeviceWires } from '../../src/machine/device-wires.js';
import { errno } from '../../src/uapi/errno.js';
import { UACCE_CMD_START_Q } from '../../src/uapi/ioctl.js';
import { Bench, type User, WAITING } from '../kernel/bench.js';
import { hazardFamily, SHARED_ADDRESS_ROWS } from './rows.js';

const { hazard, complete } = hazardFamily(SHARED_ADDRESS_ROWS, {});

const INVALID = 1;

/** A process with a queue on each of `devices` devices, and a page that all of them have cached for writing. */
function scene(devices = 1, pasids = new SharedPasids()) {
  const bench = new Bench({ pasids });
  const parts = Array.from({ length: devices }, (_, deviceId) => bench.addDevice({}, deviceId));
  const user = bench.user();
  const fds = parts.map(({ path }) => user.open(path));
  const va = user.demand(PAGE_BYTES);
  for (let deviceId = 0; deviceId < devices; deviceId++) bench.deviceWrite(user, va, 7, deviceId);
  return { bench, parts, path: parts[0]!.path, name: parts[0]!.name, user, fds, fd: fds[0]!, va };
}

/** A scene in which a write of the process waits: its page must be copied, and the device has not acknowledged. */
function waitingFault() {
  const all = scene();
  const { bench, user, va } = all;
  user.child();
  bench.deviceRead(user, va);
  bench.holdsInvalidations = true;
  return { ...all, write: bench.deviceWrite(user, va, 9) };
}

describe('SVA, PASIDs, page tables, translation caches', () => {
  hazard('S1', 'when a frame is free, does any cache, of the IOMMU or of a device, still name it?', () => {
    const { bench, name, user, va } = scene();
    const page = user.physical(va);
    expect([bench.iommu.cachesFrame(page / PAGE_BYTES), bench.device().caches(page)]).toEqual([
      ['IOTLB'],
      true,
    ]);
    const { root } = user.process.space;
    expect(bench.iommu.cachesFrame(root / PAGE_BYTES)).not.toEqual([]);
    const named = new Map<number, string[]>();
    const freed = bench.frames.onFreed;
    // The bench throws by itself; here is seen that it was asked, about pages and about tables.
    bench.frames.onFreed = (address) => {
      named.set(address, bench.iommu.cachesFrame(address / PAGE_BYTES));
      freed(address);
    };
    user.munmap(va, PAGE_BYTES);
    user.exit();
    bench.removeDevice(name);
    expect([named.get(page), named.get(root)]).toEqual([[], []]);
    expect([...named.values()].every((caches) => caches.length === 0)).toBe(true);
  });

  hazard('S3', 'is the last unbind one step, after which nothing of the address space is looked at?', () => {
    const { bench, path, user, fd, va } = scene();
    const second = user.open(path);
    user.close(second);
    expect(bench.deviceRead(user, va).ret).toBe(7);
    const pasid = user.pasid();
    bench.holdsInvalidations = true;
    const close = user.issue({ call: 'close', fd });
    // First the rings are forgotten, then the binding goes.
    bench.acknowledgeHeld();
    expect([close.ret, user.process.space.pasidOn(0)]).toEqual([WAITING, -1]);
    bench.requestPage({ pasid, va, prgi: 3 });
    bench.acknowledge();
    expect([close.ret, bench.responses.at(-1)?.code]).toEqual([0, INVALID]);
    expect(bench.ask(0, pasid, va).r).toBe(false);
  });

  hazard('S4', 'whoever ends first, does what is left of a queue work without its address space?', () => {
    const ends = ['parent', 'child', 'close', 'device'] as const;
    fc.assert(
      fc.property(fc.shuffledSubarray([...ends], { minLength: 4 }), (order) => {
        const { bench, name, user, fd, va } = scene();
        user.ioctl(fd, UACCE_CMD_START_Q);
        const child = user.child();
        for (const end of order) {
          if (end === 'parent') expect(user.exit().ret).toBe(0);
          else if (end === 'child') expect(child.exit().ret).toBe(0);
          else if (end === 'device') expect(bench.removeDevice(name).ret).toBe(0);
          else child.close(fd);
          if (!child.process.ending) child.poll(fd);
          // A binding that is there has its address space.
          if (!user.process.ending && user.process.space.pasidOn(0) > 0)
            expect(user.physical(va)).toBeGreaterThan(0);
        }
        expect(bench.frames.freeFrames).toBe(bench.freeAtStart);
      }),
    );
  });

  hazard('S6', 'is each PASID within its bounds, and exhaustion an error and never a number?', () => {
    const pasids = new SharedPasids(3);
    const { bench, path, user } = scene(1, pasids);
    const others = [1, 2, 3].map(() => bench.user());
    const opened = others.map((other) => other.open(path));
    expect(opened).toEqual([3, 3, -errno.ENOSPC]);
    const used = [user, others[0]!, others[1]!].map((each) => each.pasid());
    expect([...used].sort()).toEqual([1, 2, 3]);
    expect(() => new SharedPasids(limits.PASID_MAX + 1)).toThrow('20 bits');
    expect(() => new SharedPasids(0)).toThrow('0 is never handed out');
  });

  hazard('S7', 'after unmap, does a translation fault on every device, in every kind of domain?', () => {
    const bench = new Bench();
    const guest = bench.guest(2 * MiB);
    for (const [domain, first] of [
      [bench.host, 0],
      [guest, 2],
    ] as const) {
      const deviceIds = [first, first + 1];
      const paths = deviceIds.map((deviceId) => bench.addDevice({}, deviceId, domain).path);
      const user = bench.user(undefined, domain);
      for (const path of paths) expect(user.open(path)).toBeGreaterThan(0);
      for (const va of [user.pool(2 * PAGE_BYTES), user.demand(2 * PAGE_BYTES)]) {
        for (const deviceId of deviceIds)
          expect(bench.deviceWrite(user, va + PAGE_BYTES, 1, deviceId).ret).toBe(0);
        expect(user.munmap(va, 2 * PAGE_BYTES).ret).toBe(0);
        for (const deviceId of deviceIds) {
          expect(bench.ask(deviceId, user.pasid(deviceId), va + PAGE_BYTES).r).toBe(false);
          expect(bench.deviceRead(user, va + PAGE_BYTES, deviceId).ret).toBe(-errno.EFAULT);
        }
      }
    }
  });

  hazard('S9', 'is a request of a PASID that has ended ever answered with memory of its next owner?', () => {
    const { bench, path, user, fd } = scene(1, new SharedPasids(1));
    bench.requestPage({ pasid: 1, va: user.demand(PAGE_BYTES), prgi: 5, last: false });
    bench.holdsInterrupts = true;
    bench.requestPage({ pasid: 1, va: user.demand(PAGE_BYTES), prgi: 6 });
    bench.holdsInterrupts = false;
    user.close(fd);
    expect(bench.responses.at(-1)).toMatchObject({ prgi: 6 });
    const next = bench.user();
    next.open(path);
    const va = next.demand(2 * PAGE_BYTES);
    expect(next.pasid()).toBe(1);
    const before = bench.responses.length;
    // A group of the same index begins empty: one member, one page, one answer.
    bench.requestPage({ pasid: 1, va, prgi: 5 });
    expect(bench.responses.slice(before)).toMatchObject([{ prgi: 5, code: 0 }]);
    expect(bench.ask(0, 1, va + PAGE_BYTES).r).toBe(false);
  });

  hazard(
    'S10',
    'are page requests drained exactly once for each binding that ends, also when the process ended first?',
    () => {
      const { bench, user, va } = scene();
      const [invalidated, drained]: [string[], string[]] = [[], []];
      const iommu = Object.assign(Object.create(bench.driver) as typeof bench.driver, {
        invalidateProcess: ({ device }: { device: { pasid: number } }, done: () => void) => {
          invalidated.push(`${device.pasid}`);
          done();
        },
        drainPageRequests: () => {},
      });
      const sva = new Sva({ iommu, pasids: new SharedPasids() });
      sva.drainFaults = (deviceId, pasid, done) => {
        drained.push(`${deviceId}/${pasid}`);
        done();
      };
      const directory = bench.driver.createProcessDirectory(9, user.process.frames)!;
      const { space } = bench.user().process;
      for (let bind = 0; bind < 3; bind++) sva.bind(space, directory);
      // What the process's end does first: no fault is resolved any more.
      space.quiesce();
      let ended = 0;
      for (let unbind = 0; unbind < 3; unbind++) sva.unbind(space, 9, () => ended++);
      expect([ended, invalidated, drained]).toEqual([3, ['1'], ['9/1']]);

      bench.holdsInterrupts = true;
      bench.requestPage({ pasid: user.pasid(), va, prgi: 4 });
      bench.holdsInterrupts = false;
      user.exit();
      expect(bench.responses.filter(({ prgi }) => prgi === 4)).toHaveLength(1);
    },
  );

  hazard(
    'S12',
    'a device goes while a fault of it is handled: does the fault end, once, before the device is gone?',
    () => {
      const { bench, name, write } = waitingFault();
      const removed = bench.removeDevice(name);
      expect([write.ret, removed.ret]).toEqual([WAITING, WAITING]);
      bench.acknowledge();
      expect(removed.ret).toBe(0);
      // Once: the bench fails a second answer.
      expect([write.ret === WAITING, bench.device().waiting]).toEqual([false, 0]);
    },
  );

  hazard('S13', 'is a group that times out while its handler answers, answered twice?', () => {
    const { bench, write } = waitingFault();
    const before = bench.responses.length;
    bench.advance(limits.PAGE_REQUEST_TIMEOUT_NS);
    bench.acknowledge();
    expect(bench.responses.slice(before)).toHaveLength(1);
    expect(write.ret).toBe(-errno.EFAULT);
  });

  hazard('S16', 'can anything be looked up before it is complete?', () => {
    const { bench, user } = scene();
    const path = '/dev/slow-1';
    let finish: (ret: number) => void = () => {};
    const slow = {
      deviceName: 'slow',
      probe: (_port: unknown, done: (ret: number) => void) => (finish = done),
    };
    bench.addDevice(slow as object, 1);
    const names = (): readonly string[] =>
      user
        .issue({ call: 'readdir', path: '/sys/class/uacce' })
        .names!.filter((name) => name.startsWith('slow'));
    expect([user.open(path), names()]).toEqual([-errno.ENOENT, []]);
    finish(0);
    const [name] = names();
    expect([names().length, user.open(`/dev/${name}`) > 0]).toEqual([1, true]);

    bench.holdsInvalidations = true;
    const fork = user.fork();
    expect([fork.ret, fork.user]).toEqual([WAITING, null]);
    bench.acknowledge();
    expect(fork.ret).toBe(0);
  });

  hazard(
    'S18',
    'does an invalidation to a device that is absent end at once, and is one that hangs reported in time?',
    () => {
      const clock = new VirtualClock();
      const [completed, reported]: [number[], number[]] = [[], []];
      const words = new Int32Array(ALL_INSTANCE_WORDS);
      const unresponsive = (deviceId: number): void => void reported.push(deviceId);
      const wires = new DeviceWires(words, () => {}, { clock, timeoutNs: 1000, unresponsive });
      wires.completed = (id) => completed.push(id);
      const invalidate = (id: number, rid: number): void => {
        const message = {
          type: 'invalidationRequest',
          id,
          rid,
          dsv: false,
          dseg: 0,
          pasid: NO_PASID,
        } as const;
        wires.send({ ...message, payloadHigh: 0, payloadLow: 0 });
      };
      invalidate(1, 0);
      wires.connect(0);
      invalidate(2, 0);
      invalidate(3, 1);
      expect(completed).toEqual([1, 3]);
      while (clock.step());
      expect([clock.nowNs() >= 1000, reported, completed]).toEqual([true, [0], [1, 3]]);
      // Whoever is told resets it: only then is what it owed complete, and nobody reuses a frame before.
      wires.disconnect(0);
      expect(completed).toEqual([1, 3, 2]);
    },
  );

  hazard('S19', 'does every waiter end, wherever in the queue the invalidation is that comes last?', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 24 }), fc.infiniteStream(fc.nat()), (count, choices) => {
        const { bench, user } = scene(2);
        bench.holdsInvalidations = true;
        const vas = Array.from({ length: count }, () => user.demand(PAGE_BYTES));
        const waiters = vas.map((va) => user.munmap(va, PAGE_BYTES));
        while (bench.heldInvalidations.length > 0) {
          const index = choices.next().value! % bench.heldInvalidations.length;
          bench.iommu.invalidationCompleted(bench.heldInvalidations.splice(index, 1)[0]!.id);
        }
        expect(waiters.every(({ ret }) => ret === 0)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  hazard(
    'S21',
    'is a request that arrives between the last look and the acknowledgement handled all the same?',
    () => {
      for (let when = 1; when <= 40; when++) {
        const { bench, user } = scene();
        const va = user.demand(2 * PAGE_BYTES);
        const { iommu } = bench;
        const plain = { read: iommu.readRegister.bind(iommu), write: iommu.writeRegister.bind(iommu) };
        let accesses = 0;
        const late = (): void => {
          accesses += 1;
          if (accesses === when) bench.requestPage({ pasid: user.pasid(), va: va + PAGE_BYTES, prgi: 8 });
        };
        iommu.readRegister = (offset) => {
          late();
          return plain.read(offset);
        };
        iommu.writeRegister = (offset, value) => {
          late();
          plain.write(offset, value);
        };
        bench.requestPage({ pasid: user.pasid(), va, prgi: 7 });
        const answered = bench.responses.map(({ prgi }) => prgi).filter((prgi) => prgi >= 7);
        expect(answered.toSorted()).toEqual(accesses >= when ? [7, 8] : [7]);
      }
    },
  );

  hazard(
    'S22',
    'after an overflow, does a group begin empty that has the index of one that lost members?',
    () => {
      const { bench, user } = scene();
      const va = user.demand(4 * PAGE_BYTES);
      const pasid = user.pasid();
      bench.requestPage({ pasid, va: 0x5000, prgi: 3, last: false });
      bench.holdsInterrupts = true;
      for (let request = 0; request < limits.IOMMU_QUEUE_ENTRIES; request++)
        bench.requestPage({ pasid, va, prgi: 9 });
      bench.interrupt();
      const before = bench.responses.length;
      bench.requestPage({ pasid, va: va + PAGE_BYTES, prgi: 3 });
      // The refused member of the lost group is not in its result.
      expect(bench.responses.slice(before)).toMatchObject([{ prgi: 3, code: 0 }]);
    },
  );

  hazard('S24', 'is the cost of an invalidation bounded, whatever its range, with the same outcome?', () => {
    const { bench, user } = scene();
    for (const pages of [1, limits.INVALIDATION_PAGES_MAX, limits.INVALIDATION_PAGES_MAX + 1, 5000]) {
      const va = user.demand(pages * PAGE_BYTES);
      for (const page of [0, pages - 1])
        expect(bench.deviceWrite(user, va + page * PAGE_BYTES, 1).ret).toBe(0);
      bench.holdsInvalidations = true;
      const unmap = user.munmap(va, pages * PAGE_BYTES);
      expect(bench.heldInvalidations.length).toBeLessThanOrEqual(
        2 * Math.log2(limits.INVALIDATION_PAGES_MAX),
      );
      bench.acknowledge();
      expect(unmap.ret).toBe(0);
      for (const page of [0, pages - 1])
        expect(bench.deviceRead(user, va + page * PAGE_BYTES).ret).toBe(-errno.EFAULT);
    }
  });

  hazard('S27', 'does a walk at any moment of a change see the old leaf, the new one or none?', () => {
    const { bench, user } = scene();
    const va = user.pool(2 * MEGAPAGE_BYTES);
    const frame = user.physical(va);
    const [first, last] = [va + 3 * PAGE_BYTES, va + 2 * MEGAPAGE_BYTES - PAGE_BYTES];
    const seen = new Set<number>();
    const walk = uncachedWalk(bench, user);
    const leave = watchStores(bench, () => {
      for (const at of [va, first, last]) {
        const physical = walk(at);
        seen.add(physical < 0 ? -1 : physical - (at - va));
      }
    });
    user.mprotect(first, PAGE_BYTES, 'read');
    user.mprotect(first, 2 * PAGE_BYTES, 'readWrite');
    // None of these leaves was taken away, so not even "none" may be seen.
    expect([...seen]).toEqual([frame]);
    user.mprotect(last, PAGE_BYTES, 'none');
    user.munmap(va, 2 * MEGAPAGE_BYTES);
    leave();
    expect([...seen].sort((a, b) => a - b)).toEqual([-1, frame]);
  });

  hazard(
    'S30',
    'are a length of zero, no whole pages and a range that wraps around errors without effect?',
    () => {
      const { bench, user, va } = scene();
      const before = { free: bench.frames.freeFrames, mappings: user.process.space.mappingCount };
      const lengths = [
        0,
        -PAGE_BYTES,
        1,
        PAGE_BYTES - 1,
        1.5,
        2 ** 53 - 1,
        2 ** 53,
        Number.NaN,
        Number.POSITIVE_INFINITY,
      ];
      const ranges: [number, number][] = lengths.map((bytes) => [va, bytes]);
      ranges.push([va + 1, PAGE_BYTES], [2 ** 53 - PAGE_BYTES, 2 * PAGE_BYTES], [-PAGE_BYTES, PAGE_BYTES]);
      for (const [address, bytes] of ranges) {
        for (const call of ['munmap', 'pageOut', 'pin'] as const) {
          expect(user.issue({ call, address, bytes }).ret).toBe(-errno.EINVAL);
        }
        expect(user.issue({ call: 'mprotect', address, bytes, protection: 'none' }).ret).toBe(-errno.EINVAL);
        if (address === va) expect(user.demand(bytes)).toBe(-errno.EINVAL);
        if (address === va) expect(user.pool(bytes)).toBe(-errno.EINVAL);
      }
      for (const bytes of [0, -1, 1.5, Number.NaN]) expect(user.read(va, bytes)).toBe(-errno.EINVAL);
      expect(user.read(2 ** 53 - 1, 2)).toBeLessThan(0);
      expect({ free: bench.frames.freeFrames, mappings: user.process.space.mappingCount }).toEqual(before);
      expect(bench.deviceRead(user, va).ret).toBe(7);
    },
  );

  hazard('S31', 'when a frame is free, does any leaf of any process still lead to it?', () => {
    const { bench, user, va } = scene();
    const child = user.child();
    const users = [user, child, bench.user()];
    const vas = users.map((each) => (each === users[2] ? each.demand(4 * PAGE_BYTES) : va));
    let freed = 0;
    const told = bench.frames.onFreed;
    bench.frames.onFreed = (address) => {
      freed += 1;
      for (const [index, each] of users.entries()) {
        for (let page = 0; page < 4; page++)
          expect(leafOf(bench, each, vas[index]! + page * PAGE_BYTES)).not.toBe(address);
      }
      told(address);
    };
    users[2]!.fill(vas[2]!, 4 * PAGE_BYTES, 1);
    expect(leafOf(bench, users[2]!, vas[2]!)).toBeGreaterThan(0);
    user.write(va, 1);
    child.munmap(va, PAGE_BYTES);
    user.pageOut(va, PAGE_BYTES);
    users[2]!.pageOut(vas[2]!, 2 * PAGE_BYTES);
    users[2]!.munmap(vas[2]! + 2 * PAGE_BYTES, 2 * PAGE_BYTES);
    expect(freed).toBe(6);
  });

  complete();
});

/** What a device that asks now is granted by the tables alone: a physical address, or -1. */
function uncachedWalk({ memory, registers }: Bench, user: User): (va: number) => number {
  const nothing = (): void => {};
  const wires = { sendMessage: nothing, interrupt: nothing, lockHolder: 2 };
  const iommu = new Iommu({ memory, registers, cacheEntries: 0, ...wires });
  const request = newTranslationRequest();
  const result = newTranslationResult();
  return (va) => {
    Object.assign(request, { type: RequestType.ats, deviceId: 0, pasid: user.pasid() });
    Object.assign(request, { iovaHigh: Math.floor(va / 2 ** 32), iovaLow: va >>> 0 });
    iommu.translate(request, result);
    return result.status === 0 && result.r ? result.ppn * PAGE_BYTES + (va % result.rangeBytes) : -1;
  };
}

/** Calls `look` before and after each store to memory and each exchange in it. Answers what ends that. */
function watchStores({ memory }: Bench, look: () => void): () => void {
  const plain = { store: memory.store32, exchange: memory.compareExchange32 };
  let looking = false;
  const around = <T>(act: () => T): T => {
    if (looking) return act();
    looking = true;
    look();
    const result = act();
    look();
    looking = false;
    return result;
  };
  memory.store32 = (address, value) => around(() => plain.store.call(memory, address, value));
  memory.compareExchange32 = (address, expected, next) =>
    around(() => plain.exchange.call(memory, address, expected, next));
  return () => Object.assign(memory, { store32: plain.store, compareExchange32: plain.exchange });
}

/** The frame that the table of a process names for `va`, or -1: a walk without caches that marks nothing. */
function leafOf({ memory }: Bench, { process }: User, va: number): number {
  const { frames, space } = process;
  const leaf = new PageTable(memory, frames, space.root).find(va);
  return leaf === null ? -1 : frames.toPhysical(entryTarget(leaf.entry));
}
