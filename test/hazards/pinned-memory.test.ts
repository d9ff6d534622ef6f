/**
 * The family "Pinned and mediated memory": for each row the invariant that the bug of its row broke.
 */
import fc from 'fast-check';
import { describe, expect } from 'vitest';
import { limits } from '../../src/base/limits.js';
import { PAGE_BYTES } from '../../src/base/units.js';
import { errno } from '../../src/uapi/errno.js';
import { Bench, type User, WAITING } from '../kernel/bench.js';
import { hazardFamily, PINNED_MEMORY_ROWS } from './rows.js';

const { hazard, complete } = hazardFamily(PINNED_MEMORY_ROWS, {});

function scene() {
  const bench = new Bench();
  const { path, name } = bench.addDevice();
  const user = bench.user();
  const fd = user.open(path);
  return { bench, path, name, user, fd };
}

const byte = (user: User, va: number): number => (user.read(va, 1) as Uint8Array)[0]!;

describe('pinned and mediated memory', () => {
  hazard(
    'V1',
    'are mappings, pins, queues and waiting faults of a process bounded, without a leak at the bound?',
    () => {
      const { bench, path, user } = scene();
      const opened = Array.from({ length: 8 }, () => user.open(path));
      expect(opened.filter((fd) => fd === -errno.EBUSY)).toHaveLength(5);

      const pages = 2 * limits.MAPPINGS_PER_PROCESS + 3;
      const va = user.demand(pages * PAGE_BYTES);
      let holes = 0;
      // Holes make mappings, too: each second page is taken out of one.
      while (user.munmap(va + (2 * holes + 1) * PAGE_BYTES, PAGE_BYTES).ret === 0) holes += 1;
      expect(user.process.space.mappingCount).toBe(limits.MAPPINGS_PER_PROCESS);
      expect(user.demand(PAGE_BYTES)).toBe(-errno.ENOMEM);
      expect(user.munmap(va, PAGE_BYTES).ret).toBe(0);

      const at = va + 2 * PAGE_BYTES;
      while (user.pin(at, PAGE_BYTES).ret > 0);
      expect(bench.frames.pins(user.physical(at))).toBe(limits.PINS_PER_PROCESS);
      const before = bench.responses.length;
      for (let group = 0; group <= limits.PAGE_REQUESTS_PER_PASID; group++) {
        bench.requestPage({ pasid: user.pasid(), va: at, prgi: group, last: false });
      }
      bench.requestPage({ pasid: user.pasid(), va: at, prgi: 500 });
      expect(bench.responses.slice(before).map(({ code }) => code)).toEqual([1]);
      user.exit();
      expect(user.process.frames.usedFrames).toBe(0);
    },
  );

  hazard(
    'V3',
    'after a fork, do parent and device name one frame, and does the child never see what the device writes?',
    () => {
      const access = fc.constantFrom('parent', 'child', 'device', 'fork');
      fc.assert(
        fc.property(fc.array(access, { maxLength: 12 }), (accesses) => {
          const { bench, user } = scene();
          const va = user.demand(PAGE_BYTES);
          user.pin(va, PAGE_BYTES);
          const frame = user.physical(va);
          const child = user.child();
          let [ofParent, ofChild] = [0, 0];
          for (const [index, who] of accesses.entries()) {
            const value = index + 1;
            if (who === 'fork') user.child();
            else if (who === 'child') child.write(va, value);
            else if (who === 'parent') user.write(va, value);
            else bench.memory.u8[frame] = value;
            if (who === 'child') ofChild = value;
            else if (who !== 'fork') ofParent = value;
            expect([byte(user, va), byte(child, va), user.physical(va)]).toEqual([ofParent, ofChild, frame]);
          }
        }),
        { numRuns: 40 },
      );
    },
  );

  hazard('V4', 'does a look-up beside the last put find a live object or none?', () => {
    const { bench, path, name, user, fd } = scene();
    const va = user.demand(PAGE_BYTES);
    const pasid = user.pasid();
    bench.deviceWrite(user, va, 1);
    bench.holdsInvalidations = true;
    const close = user.issue({ call: 'close', fd });
    // On its way out: the file names nothing, and the hardware queue is nobody else's yet.
    expect([user.poll(fd), user.ioctl(fd, 0).ret]).toEqual([-errno.EBADF, -errno.EBADF]);
    expect(user.cat(`/sys/class/uacce/${name}/available_instances`)).toBe('3\n');
    bench.acknowledgeHeld();
    const again = user.open(path);
    expect(user.pasid()).toBe(pasid);
    bench.acknowledge();
    expect([close.ret, bench.deviceRead(user, va).ret, user.close(again)]).toEqual([0, 1, 0]);
    const removed = bench.removeDevice(name);
    expect([user.open(path), removed.ret]).toEqual([-errno.ENODEV, 0]);
  });

  hazard(
    'V7',
    'under a pin, is the frame kept until the last unpin, and does its address get another one?',
    () => {
      const step = fc.constantFrom('pin', 'unpin', 'munmap', 'touch');
      fc.assert(
        fc.property(fc.array(step, { maxLength: 20 }), fc.boolean(), (steps, isPool) => {
          const { bench, user } = scene();
          const map = (): number => (isPool ? user.pool(PAGE_BYTES) : user.demand(PAGE_BYTES));
          const pins = new Map<number, number>();
          let va = map();
          for (const each of steps) {
            if (each === 'munmap') {
              user.munmap(va, PAGE_BYTES);
              va = map();
            }
            user.write(va, 1);
            const frame = user.physical(va);
            if (each === 'pin') pins.set(user.pin(va, PAGE_BYTES).ret, frame);
            if (each === 'munmap') expect([...pins.values()]).not.toContain(frame);
            if (each === 'unpin' && pins.size > 0) {
              const [pin] = pins.keys();
              expect(user.unpin(pin!)).toBe(0);
              pins.delete(pin!);
            }
            const expected = new Map<number, number>();
            for (const pinned of pins.values()) expected.set(pinned, (expected.get(pinned) ?? 0) + 1);
            for (const [pinned, times] of expected) expect(bench.frames.pins(pinned)).toBe(times);
          }
          expect(user.process.pins.pinnedFrames).toBe(pins.size);
          user.exit();
          expect(user.process.frames.usedFrames).toBe(0);
        }),
        { numRuns: 40 },
      );
    },
  );

  hazard('V7', 'is a pin that is under way ended by the munmap of its page, without one left behind?', () => {
    const { bench, user } = scene();
    const va = user.demand(PAGE_BYTES);
    bench.deviceWrite(user, va, 1);
    user.child();
    bench.deviceRead(user, va);
    bench.holdsInvalidations = true;
    const pin = user.pin(va, PAGE_BYTES);
    const unmap = user.munmap(va, PAGE_BYTES);
    expect([pin.ret, unmap.ret]).toEqual([WAITING, WAITING]);
    bench.acknowledge();
    expect([pin.ret, unmap.ret, user.process.pins.pinnedFrames]).toEqual([-errno.EFAULT, 0, 0]);
    expect(user.unpin(1)).toBe(-errno.EINVAL);
  });

  complete();
});
