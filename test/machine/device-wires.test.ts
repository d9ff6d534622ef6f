// Does every request on the wires end, in time or with the device, and never a moment before the device let go?
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../src/hw/clock.js';
import { ALL_INSTANCE_WORDS, INSTANCE_WORDS, instanceWord } from '../../src/hw/instance-words.js';
import { type IommuMessage, NO_PASID } from '../../src/hw/iommu/translation.js';
import { DeviceWires } from '../../src/machine/device-wires.js';

const TIMEOUT_NS = 1000;

function messageOf(parts: Partial<IommuMessage> & Pick<IommuMessage, 'type'>): IommuMessage {
  return { id: 0, rid: 0, dsv: false, dseg: 0, pasid: NO_PASID, payloadHigh: 0, payloadLow: 0, ...parts };
}

class WiresBench {
  readonly clock = new VirtualClock();
  readonly words = new Int32Array(new SharedArrayBuffer(ALL_INSTANCE_WORDS * 4));
  readonly completed: number[] = [];
  readonly reported: number[] = [];
  readonly woken: number[] = [];
  readonly wires = new DeviceWires(this.words, (deviceId) => this.woken.push(deviceId), {
    clock: this.clock,
    timeoutNs: TIMEOUT_NS,
    unresponsive: (deviceId) => this.reported.push(deviceId),
  });

  constructor(...connected: number[]) {
    this.wires.completed = (id) => this.completed.push(id);
    for (const deviceId of connected) this.wires.connect(deviceId);
  }

  invalidate(id: number, rid: number): void {
    this.wires.send(messageOf({ type: 'invalidationRequest', id, rid }));
  }

  drain(id: number): void {
    this.wires.send(messageOf({ type: 'drainRequest', id, rid: -1 }));
  }

  /** The device acknowledges all that was asked of it so far, and the kernel side looks. */
  acknowledge(deviceId: number): void {
    const block = deviceId * INSTANCE_WORDS;
    this.words[block + instanceWord.INVALIDATIONS_ACKNOWLEDGED] =
      this.words[block + instanceWord.INVALIDATIONS_REQUESTED]!;
    this.wires.collect();
  }

  /** Lets time pass. */
  pass(ns: number): void {
    let over = false;
    this.clock.alarm(ns, () => {
      over = true;
    });
    while (!over) this.clock.step();
  }

  response(deviceId: number, index: number): number {
    return this.words[deviceId * INSTANCE_WORDS + instanceWord.PAGE_RESPONSES + index]!;
  }
}

describe('an invalidation', () => {
  it('of a device that is not there is complete at once, and counted', () => {
    const bench = new WiresBench();
    bench.invalidate(1, 3);
    expect(bench.completed).toEqual([1]);
    expect(bench.words[3 * INSTANCE_WORDS + instanceWord.INVALIDATIONS_REQUESTED]).toBe(1);
    expect(bench.clock.step()).toBe(false);
  });

  it('completes when the device acknowledges; then no alarm is left, and no time has passed', () => {
    const bench = new WiresBench(0);
    bench.invalidate(1, 0);
    expect([bench.completed, bench.woken]).toEqual([[], [0]]);
    bench.acknowledge(0);
    expect(bench.completed).toEqual([1]);
    expect(bench.clock.step()).toBe(false);
    expect([bench.clock.nowNs(), bench.reported]).toEqual([0, []]);
  });

  it('that is not acknowledged is reported once, after the bound, and goes on waiting (S18)', () => {
    const bench = new WiresBench(0);
    bench.invalidate(1, 0);
    bench.pass(TIMEOUT_NS - 1);
    expect(bench.reported).toEqual([]);
    bench.invalidate(2, 0);
    bench.pass(1);
    expect(bench.reported).toEqual([0]);
    bench.pass(10 * TIMEOUT_NS);
    expect([bench.reported, bench.completed]).toEqual([[0], []]);
    bench.wires.disconnect(0);
    expect(bench.completed).toEqual([1, 2]);
  });

  it('of a healthy device is not held up by one that hangs (S18)', () => {
    const bench = new WiresBench(0, 1);
    bench.invalidate(1, 0);
    bench.invalidate(2, 1);
    bench.acknowledge(1);
    expect(bench.completed).toEqual([2]);
    bench.pass(5 * TIMEOUT_NS);
    bench.invalidate(3, 1);
    bench.acknowledge(1);
    expect([bench.completed, bench.reported]).toEqual([[2, 3], [0]]);
  });

  it('that was acknowledged while nobody looked is not held against the device', () => {
    const bench = new WiresBench(0);
    bench.invalidate(1, 0);
    bench.words[instanceWord.INVALIDATIONS_ACKNOWLEDGED] = 1;
    bench.pass(2 * TIMEOUT_NS);
    expect([bench.completed, bench.reported]).toEqual([[1], []]);
  });

  it('is held against a device again after it was reset or woke up', () => {
    const bench = new WiresBench(0);
    for (const id of [1, 2]) {
      bench.invalidate(id, 0);
      bench.pass(TIMEOUT_NS);
      bench.acknowledge(0);
    }
    expect([bench.completed, bench.reported]).toEqual([
      [1, 2],
      [0, 0],
    ]);
  });

  it('sent from inside a completion is not lost', () => {
    const bench = new WiresBench(0, 1);
    bench.wires.completed = (id) => {
      bench.completed.push(id);
      if (id === 1) bench.invalidate(7, 1);
    };
    bench.invalidate(1, 0);
    bench.acknowledge(0);
    bench.acknowledge(1);
    expect(bench.completed).toEqual([1, 7]);
  });
});

describe('a drain', () => {
  it('asks every device that is powered on, and completes once, when the last has answered', () => {
    const bench = new WiresBench(0, 2, 5);
    bench.drain(9);
    expect(bench.woken).toEqual([0, 2, 5]);
    bench.acknowledge(5);
    bench.acknowledge(0);
    expect(bench.completed).toEqual([]);
    bench.acknowledge(2);
    expect(bench.completed).toEqual([9]);
  });

  it('completes at once when no device is powered on', () => {
    const bench = new WiresBench();
    bench.drain(9);
    expect(bench.completed).toEqual([9]);
  });

  it('counts a device that goes away as done, and reports one that hangs', () => {
    const bench = new WiresBench(0, 2);
    bench.drain(9);
    bench.acknowledge(0);
    bench.pass(TIMEOUT_NS);
    expect([bench.completed, bench.reported]).toEqual([[], [2]]);
    bench.wires.disconnect(2);
    expect(bench.completed).toEqual([9]);
  });
});

describe('a response', () => {
  it.each([
    ['page request group', messageOf({ type: 'pageGroupResponse', rid: 2, payloadHigh: (15 << 12) | 0x1ff })],
    [
      'stalled access',
      messageOf({ type: 'stallResponse', rid: 2, payloadHigh: 15 << 12, payloadLow: 0x1ff }),
    ],
  ])('to a %s is stored as code + 1 under its index, and wakes the engine', (_what, message) => {
    const bench = new WiresBench(2);
    bench.wires.send(message);
    expect(bench.response(2, 0x1ff)).toBe(16);
    expect(bench.response(2, 0)).toBe(0);
    expect(bench.woken).toEqual([2]);
  });

  it('of code 0 differs from none', () => {
    const bench = new WiresBench(2);
    bench.wires.send(messageOf({ type: 'stallResponse', rid: 2, payloadLow: 3 }));
    expect(bench.response(2, 3)).toBe(1);
  });
});

describe('through any sequence of requests, acknowledgements, ends and time', () => {
  const DEVICES = 3;
  const step = fc.oneof(
    fc.record({ act: fc.constantFrom('invalidate', 'acknowledge', 'lose', 'power') }),
    fc.record({ act: fc.constant('drain' as const) }),
    fc.record({ act: fc.constant('pass' as const) }),
  );
  const steps = fc.array(
    fc.tuple(
      step.map(({ act }) => act),
      fc.nat(DEVICES - 1),
      fc.nat(TIMEOUT_NS),
    ),
    {
      maxLength: 60,
    },
  );

  it('each request completes exactly once, when nobody holds it any more, and hangs are reported in time', () => {
    fc.assert(
      fc.property(steps, (sequence) => {
        const bench = new WiresBench(0, 1);
        const alive = new Set([0, 1]);
        /** Per device: ids that it has not acknowledged, and since when. */
        const owed = Array.from({ length: DEVICES }, () => new Map<number, number>());
        const expected = new Set<number>();
        let nextId = 1;
        const settle = (): void => {
          for (let id = 1; id < nextId; id++) if (!owed.some((of) => of.has(id))) expected.add(id);
        };
        const ask = (devices: readonly number[]): void => {
          for (const device of devices) if (alive.has(device)) owed[device]!.set(nextId, bench.clock.nowNs());
          nextId += 1;
        };
        for (const [act, device, ns] of sequence) {
          const reportedBefore = bench.reported.length;
          if (act === 'invalidate') {
            ask([device]);
            bench.invalidate(nextId - 1, device);
          } else if (act === 'drain') {
            ask([...alive]);
            bench.drain(nextId - 1);
          } else if (act === 'acknowledge' && alive.has(device)) {
            owed[device]!.clear();
            bench.acknowledge(device);
          } else if (act === 'lose') {
            owed[device]!.clear();
            alive.delete(device);
            bench.wires.disconnect(device);
          } else if (act === 'power') {
            alive.add(device);
            bench.wires.connect(device);
          } else if (act === 'pass') {
            bench.pass(ns);
          }
          settle();
          expect([...bench.completed].sort((a, b) => a - b)).toEqual([...expected].sort((a, b) => a - b));
          for (const late of bench.reported.slice(reportedBefore)) {
            const [oldest] = owed[late]!.values();
            expect(bench.clock.nowNs() - oldest!).toBeGreaterThanOrEqual(TIMEOUT_NS);
          }
        }
        // Whoever still owes something hangs: each is reported, and nothing else keeps the clock busy.
        while (bench.clock.step());
        for (const [device, of] of owed.entries()) if (of.size > 0) expect(bench.reported).toContain(device);
        for (let device = 0; device < DEVICES; device++) bench.wires.disconnect(device);
        expect(bench.completed.length).toBe(nextId - 1);
      }),
    );
  });
});
