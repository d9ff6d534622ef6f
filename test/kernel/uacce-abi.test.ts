/**
 * The uacce interface, sentence by sentence: does a program written for Linux find what it expects?
 */
import { describe, expect, it } from 'vitest';
import { errno } from '../../src/uapi/errno.js';
import {
  UACCE_CMD_PUT_Q as PUT,
  queueRegion,
  UACCE_CMD_QM_SET_QP_CTX as SET_CTX,
  UACCE_CMD_QM_SET_QP_INFO as SET_INFO,
  UACCE_CMD_START_Q as START,
  uacceQueueState,
} from '../../src/uapi/ioctl.js';
import { dusShape, QUEUE_MMIO_BYTES } from '../../src/uapi/queue-layout.js';
import { pollEvent } from '../../src/uapi/syscall.js';
import { Bench, fakeDriver, type User, WAITING } from './bench.js';

const { MMIO, DUS } = queueRegion;
const shape = dusShape(128, fakeDriver.sqDepth, fakeDriver.cqDepth);
const HOUR_NS = 3600 * 1e9;

function opened(driver = {}) {
  const bench = new Bench();
  const device = bench.addDevice(driver);
  const user = bench.user();
  return { bench, ...device, user, fd: user.open(device.path) };
}

function context(id: number, qcType: number): Uint8Array {
  return new Uint8Array(Uint16Array.of(id, qcType).buffer);
}

/** The two status words of a mapped DUS region, transmit and receive. */
function statusWords(user: User, dus: number): number[] {
  const words = user.read(dus + shape.bytes - 8, 8);
  return typeof words === 'number' ? [words] : [...new Uint32Array(words.buffer)];
}

describe('ioctls on a queue', () => {
  it('have the numbers that existing programs were compiled with', () => {
    expect([START, PUT, SET_CTX, SET_INFO]).toEqual([0x5700, 0x5701, 0xc004480a, 0xc010480b]);
  });

  it('START_Q: INIT -> STARTED, EINVAL from any other state', () => {
    const { user, fd, port } = opened();
    expect(user.ioctl(fd, START).ret).toBe(0);
    expect(user.ioctl(fd, START).ret).toBe(-errno.EINVAL);
    expect(port.log).toEqual(['attach 0', 'wake']);
  });

  it('START_Q tells the hardware PASID, direction, rings and depths', () => {
    const { user, fd, port } = opened();
    user.ioctl(fd, SET_CTX, context(0, 1));
    user.ioctl(fd, START);
    const binding = port.bindings.get(0)!;
    expect(binding).toMatchObject({
      queueNumber: 0,
      pasid: 1,
      qcType: 1,
      sqDepth: 16,
      cqDepth: 16,
      epoch: 1,
    });
    expect(binding.ringAddress % 4096).toBe(0);
  });

  it('START_Q passes on why the hardware refused, and the queue stays in INIT', () => {
    const { user, fd, port } = opened();
    port.attachResult = -errno.EIO;
    expect(user.ioctl(fd, START).ret).toBe(-errno.EIO);
    port.attachResult = 0;
    expect(user.ioctl(fd, START).ret).toBe(0);
  });

  it('PUT_Q: STARTED -> INIT; the hardware queue is kept until the last close (U1)', () => {
    const { user, fd, port, path } = opened({ queues: 1 });
    user.ioctl(fd, START);
    expect(user.ioctl(fd, PUT).ret).toBe(0);
    expect(port.log).toEqual(['attach 0', 'wake', 'detach 0', 'sleep']);
    expect(user.open(path)).toBe(-errno.EBUSY);
    expect(user.ioctl(fd, START).ret).toBe(0);
    expect(user.close(fd)).toBe(0);
    expect(user.open(path)).toBeGreaterThanOrEqual(0);
  });

  it('PUT_Q leaves empty rings: a queue that starts again finds nothing of its past', () => {
    const { bench, user, fd, port } = opened();
    const mmio = user.mmap(fd, MMIO, QUEUE_MMIO_BYTES);
    user.ioctl(fd, START);
    user.write(mmio, 7);
    bench.complete(port.bindings.get(0)!, 3);
    user.ioctl(fd, PUT);
    expect(user.read(mmio, 1)).toEqual(Uint8Array.of(0));
    expect(user.poll(fd)).toBe(0);
  });

  it('QM_SET_QP_CTX: in qc_type 0 or 1, else EINVAL; out the hardware queue number', () => {
    const { user, fd, path } = opened();
    const second = user.open(path);
    expect(user.ioctl(fd, SET_CTX, context(9, 1))).toMatchObject({ ret: 0, bytes: context(0, 1) });
    expect(user.ioctl(second, SET_CTX, context(9, 0))).toMatchObject({ ret: 0, bytes: context(1, 0) });
    expect(user.ioctl(fd, SET_CTX, context(0, 2)).ret).toBe(-errno.EINVAL);
    expect(user.ioctl(fd, SET_CTX, context(0, 65_535)).ret).toBe(-errno.EINVAL);
  });

  it('QM_SET_QP_INFO: entry size and depths; every byte of the answer is written (W7)', () => {
    const { user, fd } = opened();
    const reply = user.ioctl(fd, SET_INFO, new Uint8Array(16).fill(0xff));
    const view = new DataView(reply.bytes!.buffer);
    expect([view.getUint32(0, true), view.getUint16(4, true), view.getUint16(6, true)]).toEqual([
      128, 16, 16,
    ]);
    expect(view.getBigUint64(8, true)).toBe(0n);
  });

  it('an argument that is missing or too short is a bad address', () => {
    const { user, fd } = opened();
    expect(user.ioctl(fd, SET_CTX).ret).toBe(-errno.EFAULT);
    expect(user.ioctl(fd, SET_CTX, new Uint8Array(3)).ret).toBe(-errno.EFAULT);
    expect(user.ioctl(fd, SET_INFO, new Uint8Array(15)).ret).toBe(-errno.EFAULT);
  });

  it("an unknown command goes to the driver's own ioctl, else EINVAL", () => {
    const plain = opened();
    expect(plain.user.ioctl(plain.fd, 0x1234).ret).toBe(-errno.EINVAL);
    const own = opened({
      ioctl: ({ command }: { command: number }) => (command === 0x1234 ? 5 : -errno.EINVAL),
    });
    expect(own.user.ioctl(own.fd, 0x1234).ret).toBe(5);
    expect(own.user.ioctl(own.fd, 0x1235).ret).toBe(-errno.EINVAL);
  });
});

describe('queue states', () => {
  it('have the numbers of the driver', () => {
    expect(uacceQueueState).toEqual({ ZOMBIE: 0, INIT: 1, STARTED: 2 });
  });

  it('open fails with EBUSY when no hardware queue is free, and succeeds after a close', () => {
    const { user, fd, path } = opened({ queues: 2 });
    expect(user.open(path)).toBeGreaterThan(fd);
    expect(user.open(path)).toBe(-errno.EBUSY);
    user.close(fd);
    expect(user.open(path)).toBe(fd);
  });

  it('close stops a started queue before it puts it', () => {
    const { user, fd, port } = opened();
    user.ioctl(fd, START);
    port.holds = true;
    expect(user.close(fd)).toBe(WAITING);
    port.release();
    expect(port.log).toEqual(['attach 0', 'wake', 'detach 0', 'sleep']);
  });

  it('a hardware queue is free only when every table that names it is cleared in every cache (U13)', () => {
    const { bench, user, fd, path } = opened({ queues: 1 });
    const other = bench.user();
    bench.holdsInvalidations = true;
    const close = user.issue({ call: 'close', fd });
    while (close.ret === WAITING) {
      expect(other.open(path)).toBe(-errno.EBUSY);
      bench.acknowledgeHeld();
    }
    expect(other.open(path)).toBeGreaterThanOrEqual(0);
  });

  it('a zombie answers ENXIO to ioctl and mmap, and poll reports nothing', () => {
    const { bench, user, fd, name, port } = opened();
    user.ioctl(fd, START);
    bench.complete(port.bindings.get(0)!);
    bench.removeDevice(name);
    for (const command of [START, PUT, SET_CTX, SET_INFO, 0x1234]) {
      expect(user.ioctl(fd, command, new Uint8Array(16)).ret).toBe(-errno.ENXIO);
    }
    expect(user.mmap(fd, DUS, shape.bytes)).toBe(-errno.ENXIO);
    expect(user.poll(fd)).toBe(0);
  });

  it('a closed descriptor is EBADF for every call', () => {
    const { user, fd } = opened();
    user.close(fd);
    expect([
      user.close(fd),
      user.poll(fd),
      user.ioctl(fd, START).ret,
      user.mmap(fd, DUS, shape.bytes),
    ]).toEqual(Array(4).fill(-errno.EBADF));
  });

  it('calls on one queue take turns: the second START waits for the first and loses', () => {
    const { user, fd, port } = opened();
    port.holds = true;
    const first = user.ioctl(fd, START);
    const second = user.ioctl(fd, START);
    expect([first.ret, second.ret]).toEqual([WAITING, WAITING]);
    port.release();
    expect([first.ret, second.ret]).toEqual([0, -errno.EINVAL]);
  });

  it('callers that wait for a turn are bounded', () => {
    const { user, fd, port } = opened();
    port.holds = true;
    const replies = Array.from({ length: 40 }, () => user.ioctl(fd, START));
    expect(replies.filter(({ ret }) => ret === -errno.EAGAIN).length).toBe(40 - 17);
  });
});

describe('mmap of a queue', () => {
  it('takes the region type as page offset; anything but MMIO and DUS is EINVAL', () => {
    const { user, fd } = opened();
    expect(user.mmap(fd, MMIO, QUEUE_MMIO_BYTES)).toBeGreaterThan(0);
    expect(user.mmap(fd, DUS, shape.bytes)).toBeGreaterThan(0);
    expect(user.mmap(fd, 2, 4096)).toBe(-errno.EINVAL);
    expect(user.issue({ call: 'mmap', fd, offset: 100, bytes: 4096 }).ret).toBe(-errno.EINVAL);
  });

  it('EEXIST for a region that is mapped; after munmap it may be mapped again', () => {
    const { user, fd } = opened();
    const va = user.mmap(fd, DUS, shape.bytes);
    expect(user.mmap(fd, DUS, shape.bytes)).toBe(-errno.EEXIST);
    expect(user.munmap(va, shape.bytes).ret).toBe(0);
    expect(user.mmap(fd, DUS, shape.bytes)).toBeGreaterThan(0);
  });

  it('DUS is mapped at exactly its size, MMIO at no more than its own', () => {
    const { user, fd } = opened();
    for (const bytes of [0, 4096, shape.bytes - 4096, shape.bytes + 4096, shape.bytes - 1]) {
      expect(user.mmap(fd, DUS, bytes)).toBe(-errno.EINVAL);
    }
    expect(user.mmap(fd, MMIO, QUEUE_MMIO_BYTES + 4096)).toBe(-errno.EINVAL);
    expect(user.mmap(fd, MMIO, 0)).toBe(-errno.EINVAL);
    expect(user.mmap(fd, MMIO, 4096)).toBeGreaterThan(0);
  });

  it('cannot be moved (EPERM) or grown (EFAULT) (U3)', () => {
    const { user, fd } = opened();
    const address = user.mmap(fd, DUS, shape.bytes);
    const remap = (newBytes: number) =>
      user.issue({ call: 'mremap', address, bytes: shape.bytes, newBytes }).ret;
    expect([remap(shape.bytes), remap(4096), remap(shape.bytes + 4096)]).toEqual([
      -errno.EPERM,
      -errno.EPERM,
      -errno.EFAULT,
    ]);
  });

  it('shows zeros at first, and the memory that the hardware is told of (X4)', () => {
    const { bench, user, fd, port } = opened();
    const dus = user.mmap(fd, DUS, shape.bytes);
    expect(user.read(dus, shape.bytes)).toEqual(new Uint8Array(shape.bytes));
    user.ioctl(fd, START);
    user.write(dus, 0xab);
    const { physical } = bench.ask(0, -1, port.bindings.get(0)!.ringAddress);
    expect(bench.memory.u8[physical]).toBe(0xab);
  });

  it('keeps the queue alive after its descriptor is closed: put comes with the last munmap (U1, I1)', () => {
    const { user, fd, port, path } = opened({ queues: 1 });
    const dus = user.mmap(fd, DUS, shape.bytes);
    user.ioctl(fd, START);
    expect(user.close(fd)).toBe(0);
    expect(port.bindings.size).toBe(1);
    expect(user.open(path)).toBe(-errno.EBUSY);
    user.munmap(dus, shape.bytes);
    expect(port.bindings.size).toBe(0);
    expect(user.open(path)).toBe(fd);
  });
});

describe('sysfs', () => {
  it('lists the attributes of a device, and device/numa_node can be read', () => {
    const { user, name } = opened();
    const at = `/sys/class/uacce/${name}`;
    const { names } = user.issue({ call: 'readdir', path: at });
    expect([...names!].sort()).toEqual(
      [
        'algorithms',
        'api',
        'available_instances',
        'device',
        'flags',
        'isolate',
        'isolate_strategy',
        'region_dus_size',
        'region_mmio_size',
      ].sort(),
    );
    expect(user.cat(`${at}/api`)).toBe('hisi_qm_v3\n');
    expect(user.cat(`${at}/flags`)).toBe('1\n');
    expect(user.cat(`${at}/algorithms`)).toBe('zlib\ngzip\n');
    expect(user.cat(`${at}/region_mmio_size`)).toBe(`${QUEUE_MMIO_BYTES}\n`);
    expect(user.cat(`${at}/region_dus_size`)).toBe(`${shape.bytes}\n`);
    expect(user.cat(`${at}/device/numa_node`)).toBe('0\n');
  });

  it('available_instances counts free hardware queues', () => {
    const { user, name, fd } = opened();
    const free = () => user.cat(`/sys/class/uacce/${name}/available_instances`);
    expect(free()).toBe('3\n');
    user.close(fd);
    expect(free()).toBe('4\n');
  });

  it('flags bit 0 is clear for a device without SVA, whose queues have no PASID', () => {
    const { user, name, fd, port } = opened({ sva: false });
    expect(user.cat(`/sys/class/uacce/${name}/flags`)).toBe('0\n');
    user.ioctl(fd, START);
    expect(port.bindings.get(0)!.pasid).toBe(-1);
  });

  it('device ids are unique over all kinds of devices, removed ones included', () => {
    const bench = new Bench();
    expect(bench.addDevice({ deviceName: 'hisi_zip' }).name).toBe('hisi_zip-0');
    expect(bench.addDevice({ deviceName: 'hisi_sec2' }, 1).name).toBe('hisi_sec2-1');
    bench.removeDevice('hisi_zip-0');
    expect(bench.addDevice({ deviceName: 'hisi_zip' }, 2).name).toBe('hisi_zip-2');
    const names = bench.user().issue({ call: 'readdir', path: '/sys/class/uacce' }).names;
    expect(names).toEqual(['hisi_sec2-1', 'hisi_zip-2']);
  });

  it('every attribute answers a value or a defined error, whatever the driver left out (U4)', () => {
    const { user, name } = opened({ isolation: undefined });
    const at = `/sys/class/uacce/${name}`;
    expect(user.cat(`${at}/isolate`)).toBe(-errno.ENOENT);
    expect(user.cat(`${at}/isolate_strategy`)).toBe(-errno.ENOENT);
    expect(user.echo(`${at}/isolate_strategy`, '1')).toBe(-errno.ENOENT);
    expect(user.echo(`${at}/api`, 'x')).toBe(-errno.EACCES);
    expect(user.cat(at)).toBe(-errno.EISDIR);
    expect(user.echo(at, 'x')).toBe(-errno.EISDIR);
    expect(user.issue({ call: 'readdir', path: `${at}/api` }).ret).toBe(-errno.ENOTDIR);
    expect(user.cat(`${at}/api/deeper`)).toBe(-errno.ENOENT);
    expect(user.open(`${at}/api`)).toBe(-errno.EINVAL);
    expect(user.open('/dev')).toBe(-errno.EISDIR);
    expect(user.open('/dev/none')).toBe(-errno.ENOENT);
    expect(user.cat('relative')).toBe(-errno.ENOENT);
  });
});

describe('SVA', () => {
  it('the same process has the same PASID for all its queues on a device; another process another (C5)', () => {
    const { bench, user, fd, path, port } = opened();
    const other = bench.user();
    const fds: [User, number][] = [
      [user, fd],
      [user, user.open(path)],
      [other, other.open(path)],
    ];
    for (const [owner, each] of fds) owner.ioctl(each, START);
    expect([0, 1, 2].map((queue) => port.bindings.get(queue)!.pasid)).toEqual([1, 1, 2]);
  });

  it('the device reads what the process wrote at the same address (R108)', () => {
    const { bench, user, fd, port } = opened();
    user.ioctl(fd, START);
    const { pasid } = port.bindings.get(0)!;
    const va = user.pool(8192);
    user.write(va + 5000, 42);
    expect(bench.memory.u8[bench.ask(0, pasid, va + 5000).physical]).toBe(42);
  });

  it('without a binding the PASID reaches nothing: after the last close the device is refused (S7)', () => {
    const { bench, user, fd } = opened();
    const va = user.pool(4096);
    expect(bench.ask(0, 1, va).r).toBe(true);
    user.close(fd);
    expect(bench.ask(0, 1, va).r).toBe(false);
  });

  it('when a process ends its faults fail first, then its queues stop, then memory goes (U7, U10)', () => {
    const { bench, user, fd, port } = opened();
    user.mmap(fd, DUS, shape.bytes);
    const va = user.demand(4096);
    user.ioctl(fd, START);
    port.holds = true;
    const exit = user.exit();
    bench.requestPage({ pasid: 1, va });
    expect(bench.responses).toEqual([{ deviceId: 0, pasid: 1, prgi: 0, code: 15 }]);
    expect(exit.ret).toBe(WAITING);
    expect(bench.ask(0, -1, port.bindings.get(0)!.ringAddress).r).toBe(true);
    port.release();
    expect(exit.ret).toBe(0);
    expect(user.open('/dev/fake-0')).toBe(-errno.ESRCH);
    expect(user.exit().ret).toBe(-errno.ESRCH);
  });
});

describe('isolation', () => {
  const isolate = (user: User) => user.cat('/sys/class/uacce/fake-0/isolate');
  const strategy = '/sys/class/uacce/fake-0/isolate_strategy';

  it('comes when earlier errors of the last hour reach the threshold; open then fails (Q12)', () => {
    const { bench, user, name, path } = opened({ isolation: { threshold: 2 } });
    for (const expected of ['0\n', '0\n', '1\n']) {
      bench.resetDevice(name);
      expect(isolate(user)).toBe(expected);
    }
    expect(user.open(path)).toBe(-errno.ENODEV);
  });

  it('does not count errors older than an hour', () => {
    const { bench, user, name } = opened({ isolation: { threshold: 1 } });
    bench.resetDevice(name);
    bench.clock.alarm(HOUR_NS + 1, () => {});
    bench.clock.step();
    bench.resetDevice(name);
    expect(isolate(user)).toBe('0\n');
  });

  it('is off with threshold 0, except that a failed reset isolates at once', () => {
    let result = 0;
    const { bench, user, name } = opened({ reset: (_: unknown, done: (r: number) => void) => done(result) });
    for (let error = 0; error < 10; error++) bench.resetDevice(name);
    expect(isolate(user)).toBe('0\n');
    result = -errno.EIO;
    expect(bench.resetDevice(name).ret).toBe(-errno.EIO);
    expect(isolate(user)).toBe('1\n');
  });

  it('isolate_strategy holds a threshold of at most 65535, else EINVAL', () => {
    const { user } = opened();
    expect(user.echo(strategy, '65535\n')).toBe(6);
    expect(user.cat(strategy)).toBe('65535\n');
    for (const text of ['65536', '-1', 'three', '', '1.5', ' 1'])
      expect(user.echo(strategy, text)).toBe(-errno.EINVAL);
  });

  it('writing it forgets the errors counted so far, and is refused while isolated', () => {
    const { bench, user, name } = opened({ isolation: { threshold: 1 } });
    bench.resetDevice(name);
    user.echo(strategy, '1');
    bench.resetDevice(name);
    expect(isolate(user)).toBe('0\n');
    bench.resetDevice(name);
    expect(isolate(user)).toBe('1\n');
    expect(user.echo(strategy, '5')).toBe(-errno.EPERM);
  });

  it('an error reported again during the reset starts no second one (Q3)', () => {
    let finish: (result: number) => void = () => {};
    const { bench, name } = opened({
      reset: (_: unknown, done: (r: number) => void) => {
        finish = done;
      },
    });
    const first = bench.resetDevice(name);
    expect(bench.resetDevice(name).ret).toBe(-errno.EBUSY);
    finish(0);
    expect(first.ret).toBe(0);
  });
});

describe('poll', () => {
  it('is ready once per batch of completions', () => {
    const { bench, user, fd, port } = opened();
    user.ioctl(fd, START);
    expect(user.poll(fd)).toBe(0);
    bench.complete(port.bindings.get(0)!, 3);
    expect([user.poll(fd), user.poll(fd)]).toEqual([pollEvent.IN, 0]);
    bench.complete(port.bindings.get(0)!);
    expect(user.poll(fd)).toBe(pollEvent.IN);
  });
});

describe('removal and reset', () => {
  it('removal stops queues, unmaps regions; later open is ENODEV, close works and all is freed (U6)', () => {
    const { bench, user, fd, name, path, port } = opened();
    const dus = user.mmap(fd, DUS, shape.bytes);
    user.ioctl(fd, START);
    expect(bench.removeDevice(name).ret).toBe(0);
    expect(port.bindings.size).toBe(0);
    expect(user.read(dus, 1)).toBe(-errno.EFAULT);
    expect(user.open(path)).toBe(-errno.ENODEV);
    expect(user.cat(`/sys/class/uacce/${name}/api`)).toBe(-errno.ENOENT);
    expect(bench.removeDevice(name).ret).toBe(-errno.ENODEV);
    expect(user.munmap(dus, shape.bytes).ret).toBe(0);
    expect(user.close(fd)).toBe(0);
    user.exit();
    expect(bench.frames.freeFrames).toBe(bench.freeAtStart);
  });

  it('removal waits for the hardware: nothing is freed while it may still write', () => {
    const { bench, user, fd, name, port } = opened();
    user.ioctl(fd, START);
    port.holds = true;
    const removal = bench.removeDevice(name);
    const free = bench.frames.freeFrames;
    expect(removal.ret).toBe(WAITING);
    port.release();
    expect(removal.ret).toBe(0);
    expect(bench.frames.freeFrames).toBeGreaterThan(free);
  });

  it('reset writes 1 into the last two words of DUS, and poll shows the error', () => {
    const { bench, user, fd, name } = opened();
    const dus = user.mmap(fd, DUS, shape.bytes);
    user.ioctl(fd, START);
    expect(statusWords(user, dus)).toEqual([0, 0]);
    bench.resetDevice(name);
    expect(statusWords(user, dus)).toEqual([1, 1]);
    expect(user.poll(fd)).toBe(pollEvent.ERR);
  });

  it('a queue that broke a rule of the ring is dead, alone, until it is put', () => {
    const { user, fd, path, port } = opened();
    const [dus, second] = [user.mmap(fd, DUS, shape.bytes), user.open(path)];
    const otherDus = user.mmap(second, DUS, shape.bytes);
    user.ioctl(fd, START);
    port.irq({ kind: 'queueError', queueNumber: 0, reason: 'tail beyond depth' });
    expect(statusWords(user, dus)).toEqual([1, 1]);
    expect(statusWords(user, otherDus)).toEqual([0, 0]);
    expect(user.ioctl(fd, START).ret).toBe(-errno.EINVAL);
    expect(user.ioctl(fd, PUT).ret).toBe(0);
    expect(statusWords(user, dus)).toEqual([0, 0]);
    expect(user.ioctl(fd, START).ret).toBe(0);
  });

  it('a lost instance disables all its queues and opens no more, until it is reset', () => {
    const { bench, user, fd, path, name, port } = opened();
    const dus = user.mmap(fd, DUS, shape.bytes);
    port.irq({ kind: 'lost', reason: 'engine thread ended' });
    expect(statusWords(user, dus)).toEqual([1, 1]);
    expect(user.open(path)).toBe(-errno.ENODEV);
    bench.resetDevice(name);
    expect(user.open(path)).toBeGreaterThan(fd);
  });

  it('a device whose probe fails never appears (S16)', () => {
    const bench = new Bench();
    const refused = bench.addDevice({ probe: (_, done) => done(-errno.ENODEV) });
    expect(refused.name).toBe(String(-errno.ENODEV));
    expect(bench.user().issue({ call: 'readdir', path: '/dev' }).names).toEqual([]);
  });
});
