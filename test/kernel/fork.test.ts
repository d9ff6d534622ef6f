/**
 * fork: does each side keep its own bytes from the answer on, do devices and queues stay with the parent, and does
 * nothing leak when it fails or one of the two ends?
 */
import { describe, expect, it } from 'vitest';
import { limits } from '../../src/base/limits.js';
import { PAGE_BYTES } from '../../src/base/units.js';
import { errno } from '../../src/uapi/errno.js';
import { queueRegion, UACCE_CMD_START_Q } from '../../src/uapi/ioctl.js';
import { Bench, type BenchOptions, type User, WAITING } from './bench.js';

/** A process with a queue on device 0 and a page whose first byte is 7, cached by the device for writing. */
function scene(options: BenchOptions = {}) {
  const bench = new Bench(options);
  const { path, name, port } = bench.addDevice();
  const user = bench.user();
  const fd = user.open(path);
  const va = user.demand(PAGE_BYTES);
  bench.deviceWrite(user, va, 7);
  return { bench, path, name, port, user, fd, va };
}

const byte = (user: User, va: number): number => {
  const read = user.read(va, 1);
  return typeof read === 'number' ? read : read[0]!;
};

describe('memory after a fork', () => {
  it('both have the bytes of before, neither sees what the other writes (R111)', () => {
    const { bench, user, va } = scene();
    const child = user.child();
    expect([byte(user, va), byte(child, va)]).toEqual([7, 7]);
    user.write(va, 1);
    expect([byte(user, va), byte(child, va)]).toEqual([1, 7]);
    child.write(va, 2);
    bench.deviceWrite(user, va, 3);
    expect([byte(user, va), byte(child, va)]).toEqual([3, 2]);
  });

  it('a page that nobody writes to is one frame; the first write copies it, the last holder keeps it', () => {
    const { bench, user, va } = scene();
    const child = user.child();
    byte(child, va);
    const free = bench.frames.freeFrames;
    child.write(va, 1);
    expect(bench.frames.freeFrames).toBe(free - 1);
    user.write(va, 2);
    expect(bench.frames.freeFrames).toBe(free - 1);
    expect([byte(user, va), byte(child, va)]).toEqual([2, 1]);
  });

  it('the device of the parent writes into the page of the parent, whatever it had cached', () => {
    const { bench, user, va } = scene();
    const child = user.child();
    expect(bench.deviceWrite(user, va, 9).ret).toBe(0);
    expect([byte(user, va), byte(child, va)]).toEqual([9, 7]);
  });

  it('is answered only when the device can no longer write into what the child has', () => {
    const { bench, user, va } = scene();
    bench.holdsInvalidations = true;
    const fork = user.fork();
    expect(fork.ret).toBe(WAITING);
    // Before the answer there is no child: what the device writes then belongs to both.
    expect(bench.deviceWrite(user, va, 8).ret).toBe(0);
    const write = user.issue({ call: 'writeMemory', address: va, source: Uint8Array.of(1) });
    expect(write.ret).toBe(WAITING);
    bench.acknowledge();
    expect([fork.ret, write.ret]).toEqual([0, 1]);
    bench.deviceWrite(user, va, 2);
    expect([byte(user, va), byte(fork.user!, va)]).toEqual([2, 8]);
  });

  it('a thread inside an access is waited for like a device', () => {
    const { bench, user } = scene();
    bench.threads.holds = true;
    const fork = user.fork();
    expect(fork.ret).toBe(WAITING);
    bench.threads.leaveAll();
    expect(fork.ret).toBe(0);
  });

  it('two forks at once, and a fork of a fork, are strangers to each other', () => {
    const { bench, user, va } = scene();
    bench.holdsInvalidations = true;
    const [first, second] = [user.fork(), user.fork()];
    bench.acknowledge();
    const all = [user, first.user!, second.user!, first.user!.child(), second.user!.child().child()];
    for (const [index, each] of all.entries()) each.write(va, 100 + index);
    expect(all.map((each) => byte(each, va))).toEqual([100, 101, 102, 103, 104]);
    for (const each of all) expect(each.exit().ret).toBe(0);
  });

  it('a pool stays where it is, for the parent and its devices; the child has a copy', () => {
    const { bench, user } = scene();
    const reply = user.issue({ call: 'mmapAnonymous', kind: 'pool', bytes: 3 * PAGE_BYTES });
    const pool = reply.ret;
    user.write(pool, 5);
    const child = user.child();
    bench.deviceWrite(user, pool, 6);
    child.write(pool + PAGE_BYTES, 4);
    expect(user.physical(pool)).toBe(reply.physicalAddress);
    expect([byte(user, pool), byte(child, pool)]).toEqual([6, 5]);
    expect([byte(user, pool + PAGE_BYTES), byte(child, pool + PAGE_BYTES)]).toEqual([0, 4]);
    const { pools } = child.process.space;
    expect(pools.map(({ va, bytes }) => [va, bytes])).toEqual([[pool, 3 * PAGE_BYTES]]);
    expect(pools[0]!.physicalAddress).not.toBe(reply.physicalAddress);
  });

  it('a pinned page stays with the parent, also when the parent writes first (V3)', () => {
    const { bench, user, va } = scene();
    const frame = user.physical(va);
    expect(user.pin(va, PAGE_BYTES).ret).toBe(1);
    const child = user.child();
    user.write(va, 1);
    bench.memory.u8[frame] = 2;
    expect([user.physical(va), byte(user, va), byte(child, va)]).toEqual([frame, 2, 7]);
    expect(child.unpin(1)).toBe(-errno.EINVAL);
  });

  it('a page in the swap store is read back by each for itself', () => {
    const { user, va } = scene();
    expect(user.pageOut(va, PAGE_BYTES).ret).toBe(1);
    const child = user.child();
    child.write(va, 1);
    expect([byte(user, va), byte(child, va)]).toEqual([7, 1]);
    user.write(va, 2);
    expect([byte(user, va), byte(child, va)]).toEqual([2, 1]);
  });

  it('waits for pages that are being written out or copied, and gives the child whole ones', () => {
    const { bench, user, va } = scene();
    bench.holdsInvalidations = true;
    const out = user.pageOut(va, PAGE_BYTES);
    const fork = user.fork();
    expect(bench.deviceWrite(user, va, 8).ret).toBe(0);
    expect(fork.ret).toBe(WAITING);
    bench.acknowledge();
    expect([out.ret, fork.ret, byte(fork.user!, va)]).toEqual([1, 0, 8]);

    bench.holdsInvalidations = true;
    const write = user.issue({ call: 'writeMemory', address: va, source: Uint8Array.of(1) });
    const again = user.fork();
    bench.acknowledge();
    expect([write.ret, again.ret, byte(again.user!, va), byte(fork.user!, va)]).toEqual([1, 0, 1, 8]);
  });

  it('a page that the child may not write stays unwritten, shared or not', () => {
    const { user, va } = scene();
    user.mprotect(va, PAGE_BYTES, 'read');
    const child = user.child();
    expect(child.write(va, 1)).toBe(-errno.EFAULT);
    child.mprotect(va, PAGE_BYTES, 'readWrite');
    expect(child.write(va, 1)).toBe(1);
    expect([byte(user, va), user.write(va, 2)]).toEqual([7, -errno.EFAULT]);
  });

  it('memory that only one of them maps or unmaps afterwards is the affair of that one', () => {
    const { user, va } = scene();
    const child = user.child();
    user.munmap(va, PAGE_BYTES);
    const own = child.demand(PAGE_BYTES);
    expect([byte(child, va), byte(user, va)]).toEqual([7, -errno.EFAULT]);
    expect([byte(child, own), byte(user, own)]).toEqual([0, -errno.EFAULT]);
  });
});

describe('queues and files after a fork', () => {
  it('the child has no queue region and cannot get one; poll and close work (U9)', () => {
    const { port, user, fd } = scene();
    const region = user.mmap(fd, queueRegion.MMIO, 2 * PAGE_BYTES);
    user.write(region, 0x11);
    user.ioctl(fd, UACCE_CMD_START_Q);
    const child = user.child();
    expect([byte(child, region), child.write(region, 0x22)]).toEqual([-errno.EFAULT, -errno.EFAULT]);
    expect(child.mmap(fd, queueRegion.MMIO, 2 * PAGE_BYTES)).toBe(-errno.EPERM);
    expect(child.mmap(fd, queueRegion.DUS, PAGE_BYTES)).toBe(-errno.EPERM);
    // What the child maps where the parent has its queue is memory like any other.
    expect(child.demand(4 * PAGE_BYTES)).toBeGreaterThan(0);
    expect([child.poll(fd), child.close(fd), child.poll(fd)]).toEqual([0, 0, -errno.EBADF]);
    expect([byte(user, region), port.bindings.size]).toEqual([0x11, 1]);
  });

  it('a queue of the child works in the memory of the child', () => {
    const { bench, user, path, va } = scene();
    const child = user.child();
    expect(child.open(path)).toBeGreaterThan(0);
    expect(child.pasid()).not.toBe(user.pasid());
    bench.deviceWrite(child, va, 1);
    bench.deviceWrite(user, va, 2);
    expect([byte(user, va), byte(child, va)]).toEqual([2, 1]);
  });

  it('the queue lives on while the child holds the file, and the parent is there', () => {
    const { bench, user, name, fd } = scene();
    const instances = (each: User): string | number =>
      each.cat(`/sys/class/uacce/${name}/available_instances`);
    const child = user.child();
    user.close(fd);
    expect(instances(child)).toBe('3\n');
    child.close(fd);
    expect(instances(child)).toBe('4\n');
    expect(bench.iommu.cachesFrame(0)).toEqual([]);
  });

  it('the end of the parent ends its queue, although the child holds the file (U7)', () => {
    const { user, name, port, fd } = scene();
    user.ioctl(fd, UACCE_CMD_START_Q);
    const child = user.child();
    expect(user.exit().ret).toBe(0);
    expect(port.bindings.size).toBe(0);
    expect(child.cat(`/sys/class/uacce/${name}/available_instances`)).toBe('4\n');
    expect([child.ioctl(fd, UACCE_CMD_START_Q).ret, child.poll(fd)]).toEqual([-errno.ENXIO, 0]);
    expect(child.close(fd)).toBe(0);
  });

  it('the end of the child leaves the queue of the parent alone', () => {
    const { bench, user, port, fd, va } = scene();
    user.ioctl(fd, UACCE_CMD_START_Q);
    user.child().exit();
    expect(port.bindings.size).toBe(1);
    expect(bench.deviceRead(user, va).ret).toBe(7);
  });
});

describe('a fork that fails, and ends', () => {
  it('no room for a copy: ENOMEM, nothing is leaked, and the parent goes on', () => {
    const { bench, user, va } = scene({ quotaFrames: 64 });
    const pool = user.pool(30 * PAGE_BYTES);
    user.write(pool, 1);
    const free = bench.frames.freeFrames;
    expect(user.fork().ret).toBe(-errno.ENOMEM);
    expect(bench.frames.freeFrames).toBe(free);
    expect([user.write(va, 2), bench.deviceWrite(user, va, 3).ret, byte(user, va)]).toEqual([1, 0, 3]);
    user.munmap(pool, 30 * PAGE_BYTES);
    expect(user.fork().ret).toBe(0);
  });

  it('no room for the root of its tables: ENOMEM; no number left: EAGAIN', () => {
    const bench = new Bench({ quotaFrames: 2 });
    const [user, other] = [bench.user(), bench.user()];
    expect(user.fork().ret).toBe(-errno.ENOMEM);
    other.exit();
    expect(user.fork().ret).toBe(0);

    const full = new Bench();
    const first = full.user();
    for (let count = 1; count < limits.PROCESSES_MAX; count++) full.user();
    expect(first.fork().ret).toBe(-errno.EAGAIN);
  });

  it('a process at its quota can fork, and both go on writing', () => {
    const bench = new Bench();
    const user = bench.user(16);
    const va = user.demand(40 * PAGE_BYTES);
    let pages = 0;
    while (user.process.frames.hasQuota(1)) user.write(va + pages * PAGE_BYTES, ++pages);
    // Whatever it has in memory is shared from now on, and there is no frame for a copy.
    const child = user.child();
    for (const [each, added] of [
      [user, 100],
      [child, 200],
    ] as const) {
      for (let page = 0; page < 40; page++) expect(each.write(va + page * PAGE_BYTES + 1, added)).toBe(1);
    }
    for (let page = 0; page < pages; page++) {
      expect(user.read(va + page * PAGE_BYTES, 2)).toEqual(Uint8Array.of(page + 1, 100));
      expect(child.read(va + page * PAGE_BYTES, 2)).toEqual(Uint8Array.of(page + 1, 200));
    }
    for (const each of [user, child]) each.exit();
    expect(bench.frames.freeFrames).toBe(bench.freeAtStart);
  });

  it('the parent ends while the fork waits: the child is there, or was never', () => {
    const { bench, user, va } = scene();
    bench.holdsInvalidations = true;
    const fork = user.fork();
    const exit = user.exit();
    bench.acknowledge();
    expect([fork.ret, exit.ret]).toEqual([0, 0]);
    expect(byte(fork.user!, va)).toBe(7);

    bench.threads.holds = true;
    const out = fork.user!.pageOut(va, PAGE_BYTES);
    const second = fork.user!.fork();
    fork.user!.exit();
    bench.threads.leaveAll();
    expect([out.ret, second.ret]).toEqual([1, -errno.ESRCH]);
  });

  it('after the end of the parent the child owns what was shared, and all memory comes back', () => {
    const { bench, name, user, va } = scene();
    const child = user.child();
    user.exit();
    const free = bench.frames.freeFrames;
    expect([child.write(va, 1), byte(child, va)]).toEqual([1, 1]);
    // The frame was not copied: two tables, and the page that was there.
    expect(bench.frames.freeFrames).toBe(free - 2);
    expect(user.fork().ret).toBe(-errno.ESRCH);
    child.exit();
    bench.removeDevice(name);
    expect(bench.frames.freeFrames).toBe(bench.freeAtStart);
  });
});
