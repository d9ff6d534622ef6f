// Does a request reach the device and come back, at every edge of the rings and of memory?
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import copy from '../../drivers/copy/index.js';
import { COPY_BYTES_MAX, copyStatus } from '../../drivers/copy/layout.js';
import { limits } from '../../src/base/limits.js';
import { PAGE_BYTES } from '../../src/base/units.js';
import { engineAsleep } from '../../src/uapi/queue-layout.js';
import { copyOutcome, copySqeOf, copyWithDepths, patternOf } from './copy-requests.js';
import { MockProcess, newMachine, type RingMock } from './ring-mock.js';

const nothing = (tag: number): Uint8Array => copySqeOf({ tag });
const tagsOf = (ring: RingMock): number[] => ring.completions().map(({ sqe }) => copyOutcome(sqe).tag);

async function smallQueue(sqDepth: number, cqDepth = sqDepth): Promise<RingMock> {
  const machine = newMachine({ drivers: [copyWithDepths(sqDepth, cqDepth)] });
  return new MockProcess(machine).queue();
}

describe('rings', () => {
  it('an empty ring completes nothing and stays fine, however often its doorbell is rung', async () => {
    const ring = await smallQueue(4);
    for (let times = 0; times < 10; times++) {
      ring.ring();
      ring.process.machine.runUntilIdle();
    }
    expect(ring.completions()).toEqual([]);
    expect(ring.readStatus()).toEqual({ rx: 0, tx: 0 });
    expect(ring.readWord('ENGINE_ASLEEP')).toBe(engineAsleep.NO_REQUESTS);
  });

  it('a full ring, every slot of it, completes in order', async () => {
    const ring = await smallQueue(8);
    for (let tag = 0; tag < 8; tag++) ring.place(nothing(tag));
    ring.publishTail();
    ring.process.machine.runUntilIdle();
    expect(tagsOf(ring)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  it('one past full stops the queue and says why in the status words (X3)', async () => {
    const ring = await smallQueue(8);
    for (let tag = 0; tag < 9; tag++) ring.place(nothing(tag));
    ring.publishTail();
    ring.process.machine.runUntilIdle();
    expect(ring.completions()).toEqual([]);
    expect(ring.readStatus()).toEqual({ rx: 1, tx: 1 });
    expect(ring.process.machine.trace().join('\n')).toContain('tail beyond depth');
  });

  it('thousands of requests wrap both rings many times, whatever their depths and bursts', async () => {
    const depths = fc.integer({ min: 1, max: 6 }).map((log) => 2 ** log);
    const property = fc.asyncProperty(
      depths,
      depths,
      fc.array(fc.integer({ min: 1, max: 64 }), { minLength: 20, maxLength: 60 }),
      async (sqDepth, cqDepth, bursts) => {
        const ring = await smallQueue(sqDepth, cqDepth);
        const seen: number[] = [];
        let sent = 0;
        for (const burst of bursts) {
          const room = sqDepth - (sent - seen.length);
          for (let i = 0; i < Math.min(burst, room); i++) ring.place(nothing(sent++));
          ring.publishTail();
          ring.process.machine.runUntilIdle();
          seen.push(...tagsOf(ring));
        }
        while (seen.length < sent) {
          ring.process.machine.runUntilIdle();
          seen.push(...tagsOf(ring));
        }
        expect(seen).toEqual(Array.from({ length: sent }, (_, tag) => tag));
        expect(ring.readStatus()).toEqual({ rx: 0, tx: 0 });
      },
    );
    await fc.assert(property, { numRuns: 20 });
  });

  it('every pass over a ring of real depth has its phase', async () => {
    const ring = await smallQueue(limits.QUEUE_DEPTH);
    let next = 0;
    for (let pass = 0; pass < 5; pass++) {
      for (let i = 0; i < limits.QUEUE_DEPTH; i++) ring.place(nothing(next++));
      ring.publishTail();
      ring.process.machine.runUntilIdle();
      const got = ring.completions();
      expect(got.map(({ slot }) => slot)).toEqual(
        Array.from({ length: limits.QUEUE_DEPTH }, (_, slot) => slot),
      );
      expect(got.every(({ queueNumber }) => queueNumber === ring.number)).toBe(true);
      expect(ring.published()).toBe(false);
    }
  });

  it('a full CQ makes the engine wait; nothing is lost, and it goes on as room is made (I9)', async () => {
    const ring = await smallQueue(16, 4);
    for (let tag = 0; tag < 16; tag++) ring.place(nothing(tag));
    ring.publishTail();
    const seen: number[] = [];
    for (let round = 0; round < 4; round++) {
      ring.process.machine.runUntilIdle();
      expect(ring.published(3)).toBe(true);
      const expected = round < 3 ? engineAsleep.NO_COMPLETION_SLOT : engineAsleep.NO_REQUESTS;
      expect(ring.readWord('ENGINE_ASLEEP')).toBe(expected);
      seen.push(...tagsOf(ring));
    }
    expect(seen).toEqual(Array.from({ length: 16 }, (_, tag) => tag));
  });

  it('a queue stopped and started once more begins with empty rings and phase 1', async () => {
    const ring = await smallQueue(4);
    for (let tag = 0; tag < 3; tag++) ring.execute(nothing(tag));
    const { fd, process } = ring;
    await process.call({ call: 'ioctl', fd, command: 0x5701 });
    await process.call({ call: 'ioctl', fd, command: 0x5700 });
    ring.sqTail = 0;
    ring.cqHead = 0;
    expect(ring.published()).toBe(false);
    for (let tag = 0; tag < 9; tag++) expect(copyOutcome(ring.execute(nothing(tag))).tag).toBe(tag);
  });
});

describe('requests', () => {
  it('lengths and offsets around a page and a segment give exactly the bytes asked for', async () => {
    const process = new MockProcess(newMachine({ drivers: [copy] }));
    const ring = await process.queue();
    const room = 3 * limits.SEGMENT_INPUT_BYTES;
    const [source, target] = [await process.pool(room), await process.pool(room)];
    source.view.set(patternOf(room));
    const edge = [0, 1, PAGE_BYTES - 1, PAGE_BYTES, PAGE_BYTES + 1, limits.SEGMENT_INPUT_BYTES + 1];
    for (const bytes of [...edge, 2 * limits.SEGMENT_INPUT_BYTES]) {
      for (const [from, to] of [
        [0, 0],
        [1, 3],
        [PAGE_BYTES - 1, 1],
        [7, PAGE_BYTES - 1],
      ] as const) {
        target.view.fill(0xee);
        const sqe = copySqeOf({
          source: source.address + from,
          destination: target.address + to,
          bytes,
          tag: bytes,
        });
        expect(copyOutcome(ring.execute(sqe))).toMatchObject({
          status: copyStatus.DONE,
          processed: bytes,
          tag: bytes,
        });
        const expected = new Uint8Array(room).fill(0xee);
        expected.set(source.view.subarray(from, from + bytes), to);
        expect(Buffer.compare(target.view, expected)).toBe(0);
      }
    }
  });

  it('the longest request is done, one byte more is malformed and touches nothing', async () => {
    const machine = newMachine({ drivers: [copy], memoryBytes: 2 ** 26 });
    const process = new MockProcess(machine);
    const ring = await process.queue();
    const pool = await process.pool(COPY_BYTES_MAX + PAGE_BYTES);
    const fill = (bytes: number) =>
      copySqeOf({ operation: 'fill', destination: pool.address, bytes, pattern: 7 });
    expect(copyOutcome(ring.execute(fill(COPY_BYTES_MAX + 1)))).toMatchObject({
      status: copyStatus.MALFORMED,
    });
    expect(pool.view.every((byte) => byte === 0)).toBe(true);
    expect(copyOutcome(ring.execute(fill(COPY_BYTES_MAX))).processed).toBe(COPY_BYTES_MAX);
    expect([pool.view[COPY_BYTES_MAX - 1], pool.view[COPY_BYTES_MAX]]).toEqual([7, 0]);
  });

  it('a buffer over frames that are not neighbours gives the same bytes as a contiguous one (I4)', async () => {
    const process = new MockProcess(newMachine({ drivers: [copy] }));
    const ring = await process.queue();
    const bytes = 12 * PAGE_BYTES;
    const [source, target] = [await process.demand(bytes), await process.demand(bytes)];
    // Touched from the end and in turn, so that neighbours in the one lie apart in memory.
    for (let page = 11; page >= 0; page--) {
      await process.write(source + page * PAGE_BYTES, patternOf(PAGE_BYTES, page));
      await process.write(target + page * PAGE_BYTES, Uint8Array.of(1));
    }
    const sqe = copySqeOf({ source: source + 5, destination: target + 9, bytes: bytes - 9 });
    expect(copyOutcome(ring.execute(sqe)).status).toBe(copyStatus.DONE);
    const [got, wanted] = [
      await process.read(target + 9, bytes - 9),
      await process.read(source + 5, bytes - 9),
    ];
    expect(Buffer.compare(got, wanted)).toBe(0);
  });
});
