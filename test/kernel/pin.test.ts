/**
 * Pinned memory: does a device that cannot take page faults keep the page that the process sees, whatever the process
 * does, for as long as the pin lasts and no longer?
 */
import { describe, expect, it } from 'vitest';
import { limits } from '../../src/base/limits.js';
import { PAGE_BYTES } from '../../src/base/units.js';
import { PageTable, pte } from '../../src/hw/page-table.js';
import { tablesIn } from '../../src/kernel/memory-domain.js';
import { errno } from '../../src/uapi/errno.js';
import { Bench, type User, WAITING } from './bench.js';

function scene() {
  const bench = new Bench();
  const { path, name } = bench.addDevice();
  const user = bench.user();
  user.open(path);
  return { bench, path, name, user };
}

const byte = (user: User, va: number): number => (user.read(va, 1) as Uint8Array)[0]!;

describe('pin and unpin', () => {
  it('brings pages in, writable and unshared, and counts each pin of each page', () => {
    const { bench, user } = scene();
    const va = user.demand(3 * PAGE_BYTES);
    const [first, second] = [user.pin(va, 3 * PAGE_BYTES).ret, user.pin(va + PAGE_BYTES, PAGE_BYTES).ret];
    expect([first, second, user.process.pins.pinnedFrames]).toEqual([1, 2, 4]);
    expect(bench.frames.pins(user.physical(va + PAGE_BYTES))).toBe(2);
    expect([user.unpin(first), user.unpin(first), user.unpin(99)]).toEqual([0, -errno.EINVAL, -errno.EINVAL]);
    expect(bench.frames.pins(user.physical(va + PAGE_BYTES))).toBe(1);
  });

  it('no whole pages, no memory, no permission: an error, and nothing is pinned (S30)', () => {
    const { user } = scene();
    const va = user.demand(4 * PAGE_BYTES);
    for (const bytes of [0, 1, PAGE_BYTES + 1, 2 ** 53]) expect(user.pin(va, bytes).ret).toBe(-errno.EINVAL);
    expect(user.pin(va, 5 * PAGE_BYTES).ret).toBe(-errno.EFAULT);
    user.mprotect(va + PAGE_BYTES, PAGE_BYTES, 'read');
    expect(user.pin(va, 4 * PAGE_BYTES).ret).toBe(-errno.EFAULT);
    expect(user.process.pins.pinnedFrames).toBe(0);
    expect(user.pageOut(va, PAGE_BYTES).ret).toBe(1);
  });

  it('pins and pinned frames are bounded, those under way included; over the bound nothing leaks (V1)', () => {
    const { bench, user } = scene();
    const va = user.demand(PAGE_BYTES);
    for (let pin = 0; pin < limits.PINS_PER_PROCESS; pin++)
      expect(user.pin(va, PAGE_BYTES).ret).toBe(pin + 1);
    const refused = user.pin(va, PAGE_BYTES);
    expect([refused.ret, refused.detail]).toEqual([
      -errno.ENOMEM,
      expect.stringMatching(/4096 pins.*unpin some/),
    ]);
    for (let pin = 0; pin < limits.PINS_PER_PROCESS; pin++) user.unpin(pin + 1);
    expect(bench.frames.pins(user.physical(va))).toBe(0);

    const large = user.demand((limits.PINNED_FRAMES_PER_PROCESS + 1) * PAGE_BYTES);
    user.child();
    bench.holdsInvalidations = true;
    // Copies its first page first, so it is under way while the other asks.
    const underWay = user.pin(va, PAGE_BYTES);
    const rest = user.pin(large, limits.PINNED_FRAMES_PER_PROCESS * PAGE_BYTES);
    expect([underWay.ret, rest.ret]).toEqual([WAITING, -errno.ENOMEM]);
    bench.acknowledge();
    expect([underWay.ret > 0, user.process.pins.pinnedFrames]).toEqual([true, 1]);
  });

  it('what is pinned counts for the quota until it is unpinned, mapped or not (V1)', () => {
    const bench = new Bench({ swapPages: 0 });
    const user = bench.user(20);
    let pinned = 0;
    for (let va = user.demand(PAGE_BYTES); user.pin(va, PAGE_BYTES).ret > 0; va = user.demand(PAGE_BYTES)) {
      user.munmap(va, PAGE_BYTES);
      pinned += 1;
    }
    expect(pinned).toBeLessThan(20);
    expect(bench.host.usedFrames).toBeLessThanOrEqual(20);
    expect(user.unpin(1)).toBe(0);
    expect(user.write(user.demand(PAGE_BYTES), 1)).toBe(1);
  });

  it('a pin that runs out of memory on the way gives back what it had', () => {
    const bench = new Bench({ swapPages: 0 });
    const user = bench.user(20);
    const va = user.demand(64 * PAGE_BYTES);
    expect(user.pin(va, 64 * PAGE_BYTES).ret).toBe(-errno.ENOMEM);
    expect(user.process.pins.pinnedFrames).toBe(0);
    user.munmap(va, 64 * PAGE_BYTES);
    expect(user.pool(10 * PAGE_BYTES)).toBeGreaterThan(0);
  });

  it('the end of the process undoes its pins, those under way included', () => {
    const { bench, name, user } = scene();
    const va = user.demand(2 * PAGE_BYTES);
    user.write(va, 1);
    user.write(va + PAGE_BYTES, 1);
    user.pin(va, PAGE_BYTES);
    const child = user.child();
    bench.threads.holds = true;
    const pin = user.pin(va, 2 * PAGE_BYTES);
    const exit = user.exit();
    expect(pin.ret).toBe(WAITING);
    bench.threads.leaveAll();
    expect([pin.ret < 0, exit.ret]).toEqual([true, 0]);
    child.exit();
    bench.removeDevice(name);
    expect(bench.frames.freeFrames).toBe(bench.freeAtStart);
  });
});

describe('what a pin survives', () => {
  it('fork: parent and device keep one frame, the child never sees what the device writes (V3)', () => {
    const { bench, user } = scene();
    const va = user.demand(PAGE_BYTES);
    user.write(va, 1);
    user.pin(va, PAGE_BYTES);
    const frame = user.physical(va);
    const child = user.child();
    for (const value of [2, 3]) {
      bench.memory.u8[frame] = value;
      expect([byte(user, va), byte(child, va)]).toEqual([value, 1]);
      user.write(va, value + 10);
      expect(bench.memory.u8[frame]).toBe(value + 10);
    }
  });

  it('a pin of a page that a fork shares takes a copy first: the others keep the old frame', () => {
    const { bench, user } = scene();
    const va = user.demand(PAGE_BYTES);
    user.write(va, 1);
    const child = user.child();
    user.pin(va, PAGE_BYTES);
    bench.memory.u8[user.physical(va)] = 9;
    expect([byte(user, va), byte(child, va)]).toEqual([9, 1]);
  });

  it('munmap: the frame lives until the last unpin, and the address gets a new one (V7)', () => {
    const { bench, user } = scene();
    const va = user.demand(PAGE_BYTES);
    user.write(va, 1);
    const frame = user.physical(va);
    const pins = [user.pin(va, PAGE_BYTES).ret, user.pin(va, PAGE_BYTES).ret];
    expect(user.munmap(va, PAGE_BYTES).ret).toBe(0);
    const again = user.demand(PAGE_BYTES);
    expect(again).toBe(va);
    user.write(va, 2);
    bench.memory.u8[frame] = 3;
    expect([user.physical(va) === frame, byte(user, va)]).toEqual([false, 2]);
    const free = bench.frames.freeFrames;
    user.unpin(pins[0]!);
    expect(bench.frames.freeFrames).toBe(free);
    user.unpin(pins[1]!);
    expect(bench.frames.freeFrames).toBe(free + 1);
    expect(byte(user, va)).toBe(2);
  });

  it('the same for a pool: its frame goes back to the process, and only then (V7)', () => {
    const { bench, user } = scene();
    const pool = user.issue({ call: 'mmapAnonymous', kind: 'pool', bytes: PAGE_BYTES });
    const pin = user.pin(pool.ret, PAGE_BYTES).ret;
    user.munmap(pool.ret, PAGE_BYTES);
    const other = user.issue({ call: 'mmapAnonymous', kind: 'pool', bytes: PAGE_BYTES });
    expect(other.physicalAddress).not.toBe(pool.physicalAddress);
    bench.memory.u8[pool.physicalAddress!] = 9;
    user.unpin(pin);
    const again = user.issue({ call: 'mmapAnonymous', kind: 'pool', bytes: PAGE_BYTES });
    expect(again.physicalAddress).toBe(pool.physicalAddress);
    expect(byte(user, again.ret)).toBe(0);
  });

  it('mprotect and writing out leave the frame where it is', () => {
    const { user } = scene();
    const va = user.demand(PAGE_BYTES);
    user.write(va, 1);
    user.pin(va, PAGE_BYTES);
    const frame = user.physical(va);
    user.mprotect(va, PAGE_BYTES, 'none');
    user.pageOut(va, PAGE_BYTES);
    user.mprotect(va, PAGE_BYTES, 'readWrite');
    expect([byte(user, va), user.physical(va)]).toEqual([1, frame]);
  });
});

describe('a pin that only holds a reference, against one that pins (R111, V3)', () => {
  const IOVA = 0x10_0000_0000;

  /** What VFIO did: the frame is held and named by an IOVA table, and the process goes on as before. */
  function referenceOnly(bench: Bench, user: User, va: number): (value: number) => void {
    const frame = user.physical(va);
    bench.frames.retain(frame);
    const table = PageTable.create(bench.memory, tablesIn(bench.host))!;
    table.map({ va: IOVA, gpa: frame, flags: pte.R | pte.W | pte.U });
    return (value) => {
      bench.memory.u8[(table.find(IOVA)!.entry >>> 10) * PAGE_BYTES] = value;
    };
  }

  /** The same table over a frame that is pinned. */
  function pinned(bench: Bench, user: User, va: number): (value: number) => void {
    user.pin(va, PAGE_BYTES);
    return referenceOnly(bench, user, va);
  }

  it.each([
    { variant: 'a reference: the write of the device is lost for the parent', hold: referenceOnly, sees: 2 },
    { variant: 'a pin: the parent sees it', hold: pinned, sees: 7 },
  ])('$variant', ({ hold, sees }) => {
    const { bench, user } = scene();
    const va = user.demand(PAGE_BYTES);
    user.write(va, 1);
    const write = hold(bench, user, va);
    const child = user.child();
    // The parent touches its page: copy-on-write moves the parent, and the device stays behind.
    user.write(va, 2);
    write(7);
    expect(byte(user, va)).toBe(sees);
    expect(byte(child, va)).toBe(sees === 7 ? 1 : 7);
  });

  it('with shared virtual addressing the device follows the parent', () => {
    const { bench, user } = scene();
    const va = user.demand(PAGE_BYTES);
    bench.deviceWrite(user, va, 1);
    const child = user.child();
    user.write(va, 2);
    bench.deviceWrite(user, va, 7);
    expect([byte(user, va), byte(child, va)]).toEqual([7, 1]);
  });
});
