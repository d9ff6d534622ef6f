// How does one engine share itself between the queues of a context?
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { limits } from '../../src/base/limits.js';
import { copySqeOf } from './copy-requests.js';
import { newMeter } from './meter-device.js';
import { MockProcess, newMachine, type RingMock } from './ring-mock.js';

const MiB = 2 ** 20;
/** One turn, and the segment in which it ends. */
const TURN_BYTES = limits.QUEUE_QUANTUM_BYTES + limits.SEGMENT_INPUT_BYTES;

async function meteredQueues(count: number): Promise<{ rings: RingMock[]; served: () => number[] }> {
  const meter = newMeter();
  const process = new MockProcess(newMachine({ drivers: [meter.driver] }));
  const rings: RingMock[] = [];
  for (let i = 0; i < count; i++) rings.push(await process.queue({ path: '/dev/meter-0' }));
  // Owner keys are given in the order in which queues are opened.
  const served = () => rings.map((_, index) => meter.served.get(index + 1) ?? 0);
  return { rings, served };
}

function fillWith(ring: RingMock, sizes: readonly number[], totalBytes: number): void {
  let placed = 0;
  for (let i = 0; placed < totalBytes && i < limits.QUEUE_DEPTH; i++) {
    const bytes = sizes[i % sizes.length]!;
    ring.place(copySqeOf({ bytes }));
    placed += bytes;
  }
  ring.publishTail();
}

describe('queues that always have work', () => {
  it('are served equal bytes within one turn at every moment, whatever the sizes of their requests', async () => {
    const size = fc.oneof(fc.integer({ min: 4096, max: 40_000 }), fc.integer({ min: 40_000, max: 2 * MiB }));
    const sizes = fc.array(size, { minLength: 1, maxLength: 5 });
    const property = fc.asyncProperty(fc.array(sizes, { minLength: 2, maxLength: 4 }), async (all) => {
      const { rings, served } = await meteredQueues(all.length);
      for (const [index, ring] of rings.entries()) fillWith(ring, all[index]!, 4 * MiB);
      const { machine } = rings[0]!.process;
      while (Math.max(...served()) < 4 * MiB) {
        expect(machine.step()).toBe(true);
        const now = served();
        expect(Math.max(...now) - Math.min(...now)).toBeLessThanOrEqual(TURN_BYTES);
      }
    });
    await fc.assert(property, { numRuns: 30 });
  });

  it('a small request waits for one turn of a neighbour, not for its 8 MiB', async () => {
    const { rings, served } = await meteredQueues(2);
    const [large, small] = rings as [RingMock, RingMock];
    const { machine } = large.process;
    for (let i = 0; i < 4; i++) large.place(copySqeOf({ bytes: 8 * MiB }));
    large.publishTail();
    while (served()[0]! < MiB) machine.step();
    const before = served()[0]!;
    small.submit(copySqeOf({ bytes: 512 }));
    while (!small.published()) machine.step();
    expect(served()[0]! - before).toBeLessThanOrEqual(TURN_BYTES);
  });

  it('segments are short from when a neighbour is served until it has been away for a while', async () => {
    const { rings, served } = await meteredQueues(2);
    const [large, small] = rings as [RingMock, RingMock];
    const { machine } = large.process;
    fillWith(large, [8 * MiB], 32 * MiB);
    const nextSegment = (): number => {
      const before = served()[0]!;
      while (served()[0] === before) machine.step();
      return served()[0]! - before;
    };
    for (let i = 0; i < 100; i++) expect(nextSegment()).toBe(limits.SEGMENT_INPUT_BYTES);
    small.submit(copySqeOf({ bytes: 512 }));
    while (!small.published()) machine.step();
    const after = Array.from({ length: limits.SEGMENTS_UNTIL_ALONE + 10 }, nextSegment);
    expect(after[0]).toBe(limits.SEGMENT_SHARED_BYTES);
    const shorts = after.filter((bytes) => bytes === limits.SEGMENT_SHARED_BYTES).length;
    expect(shorts).toBeGreaterThan(limits.SEGMENTS_UNTIL_ALONE / 2);
    expect(after.lastIndexOf(limits.SEGMENT_SHARED_BYTES)).toBe(shorts - 1);
    expect(after.at(-1)).toBe(limits.SEGMENT_INPUT_BYTES);
  });

  it('a queue that slept has saved up no more than one turn', async () => {
    const { rings, served } = await meteredQueues(2);
    const [busy, late] = rings as [RingMock, RingMock];
    const { machine } = busy.process;
    fillWith(busy, [MiB], 16 * MiB);
    while (served()[0]! < 8 * MiB) machine.step();
    fillWith(late, [MiB], 4 * MiB);
    const before = served()[0]!;
    while (served()[1]! < 2 * MiB) {
      machine.step();
      expect(Math.abs(served()[0]! - before - served()[1]!)).toBeLessThanOrEqual(2 * TURN_BYTES);
    }
  });
});
