/**
 * Random sessions against a model of two dozen lines: does every call answer what the model says, and is everything
 * back when all have gone, in whatever order they went (U1, U12, U13)? A second property lets the hardware and the
 * devices' acknowledgements lag behind and looks only at what must hold at any moment.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { errno } from '../../src/uapi/errno.js';
import { queueRegion, UACCE_CMD_PUT_Q, UACCE_CMD_START_Q } from '../../src/uapi/ioctl.js';
import { dusShape, QUEUE_MMIO_BYTES } from '../../src/uapi/queue-layout.js';
import { Bench, type FakePort, fakeDriver, type User, WAITING } from './bench.js';

const QUEUES = 3;
const REGION_BYTES = [QUEUE_MMIO_BYTES, dusShape(128, fakeDriver.sqDepth, fakeDriver.cqDepth).bytes] as const;

/** A queue as the model knows it. */
interface ModelQueue {
  owner: number;
  fd: number | null;
  state: 'init' | 'started' | 'zombie';
  mapped: (number | null)[];
}

/** The device, its hardware queues, and who refers to them. */
class Model {
  queues: ModelQueue[] = [];
  removed = false;

  open(): number {
    if (this.removed) return -errno.ENODEV;
    return this.queues.filter(isHeld).length >= QUEUES ? -errno.EBUSY : 0;
  }

  start(queue: ModelQueue): number {
    if (queue.state === 'zombie') return -errno.ENXIO;
    if (queue.state === 'started') return -errno.EINVAL;
    queue.state = 'started';
    return 0;
  }

  put(queue: ModelQueue): number {
    if (queue.state === 'zombie') return -errno.ENXIO;
    queue.state = 'init';
    return 0;
  }

  map(queue: ModelQueue, region: number): number {
    if (queue.state === 'zombie') return -errno.ENXIO;
    return queue.mapped[region] === null ? 0 : -errno.EEXIST;
  }

  remove(): void {
    this.removed = true;
    for (const queue of this.queues) queue.state = 'zombie';
  }
}

/** A queue holds hardware while a descriptor or a mapping refers to it, unless the device went first. */
function isHeld({ fd, mapped, state }: ModelQueue): boolean {
  return state !== 'zombie' && (fd !== null || mapped.some((va) => va !== null));
}

const step = fc.record({
  what: fc.constantFrom(
    'open',
    'start',
    'put',
    'map',
    'unmap',
    'close',
    'poll',
    'remove',
    'touch',
    'hold',
    'release',
  ),
  who: fc.nat(1),
  which: fc.nat(5),
  region: fc.constantFrom(queueRegion.MMIO, queueRegion.DUS),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function session() {
  const bench = new Bench();
  const device = bench.addDevice({ queues: QUEUES });
  return { bench, ...device, users: [bench.user(), bench.user()] as const };
}

/** One step against the model; removal only one time in a few. */
function apply({ path, name, bench, users }: ReturnType<typeof session>, model: Model, step: Step): void {
  const { what, who, which, region } = step;
  const user = users[who]!;
  const mine = model.queues.filter(({ owner, fd }) => owner === who && fd !== null);
  const queue = mine[which % Math.max(1, mine.length)];
  if (what === 'open') applyOpen(user, model, { who, path });
  else if (what === 'remove' && which === 0 && !model.removed) {
    expect(bench.removeDevice(name).ret).toBe(0);
    model.remove();
  } else if (queue !== undefined) applyToQueue(user, model, queue, { what, region });
}

function applyOpen(user: User, model: Model, { who, path }: { who: number; path: string }): void {
  const expected = model.open();
  const fd = user.open(path);
  if (expected < 0) expect(fd).toBe(expected);
  else {
    expect(fd).toBeGreaterThanOrEqual(3);
    model.queues.push({ owner: who, fd, state: 'init', mapped: [null, null] });
  }
}

function applyToQueue(
  user: User,
  model: Model,
  queue: ModelQueue,
  { what, region }: { what: string; region: number },
): void {
  const fd = queue.fd!;
  if (what === 'start') expect(user.ioctl(fd, UACCE_CMD_START_Q).ret).toBe(model.start(queue));
  else if (what === 'put') expect(user.ioctl(fd, UACCE_CMD_PUT_Q).ret).toBe(model.put(queue));
  else if (what === 'poll') expect(user.poll(fd)).toBe(0);
  else if (what === 'close') {
    expect(user.close(fd)).toBe(0);
    queue.fd = null;
  } else if (what === 'map') {
    const expected = model.map(queue, region);
    const va = user.mmap(fd, region, REGION_BYTES[region]!);
    if (expected === 0) queue.mapped[region] = va;
    expect(Math.min(va, 0)).toBe(expected);
  } else if (queue.mapped[region] !== null) applyToMapping(user, queue, { what, region });
}

function applyToMapping(
  user: User,
  queue: ModelQueue,
  { what, region }: { what: string; region: number },
): void {
  const va = queue.mapped[region]!;
  if (what === 'unmap') {
    expect(user.munmap(va, REGION_BYTES[region]!).ret).toBe(0);
    queue.mapped[region] = null;
  } else if (what === 'touch') {
    expect(user.write(va, 1)).toBe(queue.state === 'zombie' ? -errno.EFAULT : 1);
  }
}

function attached(port: FakePort): number {
  return port.bindings.size;
}

describe('sessions', () => {
  it('answer what the model says, and leave nothing behind', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), fc.boolean(), (steps, exitFirst) => {
        const world = session();
        const { bench, users, name, port } = world;
        const model = new Model();
        for (const each of steps) {
          apply(world, model, each);
          expect(attached(port)).toBe(model.queues.filter((q) => isHeld(q) && q.state === 'started').length);
        }
        if (!exitFirst && !model.removed) bench.removeDevice(name);
        for (const user of users) expect(user.exit().ret).toBe(0);
        if (exitFirst && !model.removed) bench.removeDevice(name);
        expect(attached(port)).toBe(0);
        expect(bench.host.usedFrames).toBe(0);
        expect(bench.frames.freeFrames).toBe(bench.freeAtStart);
      }),
      { numRuns: 150 },
    );
  });

  it('with hardware and acknowledgements that lag, everything ends and nothing is left', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const world = session();
        const { bench, users, name, port } = world;
        const opened: number[][] = [[], []];
        const addresses: number[][] = [[], []];
        const replies: { ret: number }[] = [];
        for (const each of steps) replies.push(...lagging(world, each, opened, addresses));
        const ends = [...users.map((user) => user.exit()), bench.removeDevice(name)];
        settle(bench, port);
        for (const { ret } of replies) expect(ret).not.toBe(WAITING);
        for (const [index, { ret }] of ends.entries()) {
          expect([0, index === 2 ? -errno.ENODEV : 0]).toContain(ret);
        }
        expect(attached(port)).toBe(0);
        expect(bench.frames.freeFrames).toBe(bench.freeAtStart);
      }),
      { numRuns: 150 },
    );
  });
});

/** One step without expectations but that nothing throws and attach and detach alternate (`FakePort` asserts it). */
function lagging(
  { bench, port, path, name, users }: ReturnType<typeof session>,
  { what, who, which, region }: Step,
  opened: number[][],
  addresses: number[][],
): { ret: number }[] {
  const user = users[who]!;
  const fd = opened[who]![which % Math.max(1, opened[who]!.length)] ?? 3;
  if (what === 'hold') {
    port.holds = true;
    bench.holdsInvalidations = true;
  } else if (what === 'release') {
    port.release();
    bench.acknowledge();
  } else if (what === 'open') opened[who]!.push(user.open(path));
  else if (what === 'start') return [user.ioctl(fd, UACCE_CMD_START_Q)];
  else if (what === 'put') return [user.ioctl(fd, UACCE_CMD_PUT_Q)];
  else if (what === 'close') return [user.issue({ call: 'close', fd })];
  else if (what === 'map') addresses[who]!.push(user.mmap(fd, region, REGION_BYTES[region]!));
  else if (what === 'unmap') return [user.munmap(addresses[who]!.pop() ?? 0, REGION_BYTES[region]!)];
  else if (what === 'remove' && which === 0) return [bench.removeDevice(name)];
  return [];
}

function settle(bench: Bench, port: FakePort): void {
  port.holds = false;
  for (let round = 0; round < 20; round++) {
    port.release();
    bench.acknowledge();
  }
}
