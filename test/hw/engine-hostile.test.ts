// What can a hostile process do with its own rings, words and descriptors? Hurt itself, and nobody else.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import copy from '../../drivers/copy/index.js';
import { COPY_BYTES_MAX, copySqe, copyStatus } from '../../drivers/copy/layout.js';
import { limits } from '../../src/base/limits.js';
import { PAGE_BYTES } from '../../src/base/units.js';
import { CQE_BYTES } from '../../src/uapi/queue-layout.js';
import { copyOutcome, copySqeOf, patternOf } from './copy-requests.js';
import {
  type MockPool,
  MockProcess,
  newMachine,
  type QueueWordName,
  type RingMock,
  viewOf,
} from './ring-mock.js';

const DEPTH = limits.QUEUE_DEPTH;

/** Two processes on one device: what one does, and what the other must not notice. */
interface Neighbours {
  readonly attacker: RingMock;
  readonly victim: RingMock;
  readonly source: MockPool;
  readonly target: MockPool;
}

async function neighbours(): Promise<Neighbours> {
  const machine = newMachine({ drivers: [copy] });
  const [bad, good] = [new MockProcess(machine), new MockProcess(machine)];
  const attacker = await bad.queue();
  const victim = await good.queue();
  const [source, target] = [await good.pool(4 * PAGE_BYTES), await good.pool(4 * PAGE_BYTES)];
  return { attacker, victim, source, target };
}

/** The victim's next request is right, byte for byte. */
function expectServed({ victim, source, target }: Neighbours, tag: number): void {
  source.view.set(patternOf(source.view.length, tag));
  target.view.fill(0);
  const { address } = source;
  const sqe = copySqeOf({ source: address, destination: target.address, bytes: source.view.length, tag });
  expect(copyOutcome(victim.execute(sqe))).toMatchObject({ status: copyStatus.DONE, tag });
  expect(Buffer.compare(target.view, source.view)).toBe(0);
  expect(victim.readStatus()).toEqual({ rx: 0, tx: 0 });
}

describe('any bytes as a descriptor (D1)', () => {
  it("leave the other process's completions and data as they were, and the queue in service", async () => {
    const pair = await neighbours();
    const own = await pair.attacker.process.pool(4 * PAGE_BYTES);
    // Addresses of both processes and lengths that matter turn up more often than in random bytes.
    const address = fc.constantFrom(
      own.address,
      pair.target.address,
      pair.source.address,
      pair.victim.dusAddress,
      0,
    );
    const raw = fc.uint8Array({ minLength: copySqe.bytes, maxLength: copySqe.bytes });
    const near = fc
      .record({
        operation: fc.constantFrom('copy', 'fill', 'compare', 'crc32c'),
        source: address,
        destination: address,
      })
      .chain((request) =>
        fc.integer({ min: 0, max: 5 * PAGE_BYTES }).map((bytes) => copySqeOf({ ...request, bytes })),
      );
    const bystander = patternOf(pair.target.view.length, 99);
    let tag = 0;
    const property = fc.property(fc.array(fc.oneof(raw, near), { minLength: 1, maxLength: 8 }), (sqes) => {
      pair.target.view.set(bystander);
      for (const sqe of sqes) pair.attacker.submit(sqe);
      pair.attacker.process.machine.runUntilIdle();
      expect(pair.attacker.completions()).toHaveLength(sqes.length);
      expect(pair.victim.published()).toBe(false);
      expect(Buffer.compare(pair.target.view, bystander)).toBe(0);
      expectServed(pair, ++tag);
    });
    fc.assert(property, { numRuns: 300, verbose: 1 });
  });

  it('a reserved bit, an unknown operation or a length beyond the limit ends with status 1', async () => {
    const { attacker } = await neighbours();
    const broken = fc.oneof(
      fc
        .integer({ min: 0, max: 511 })
        .filter((bit) => isReserved(bit))
        .map((bit) => flipped(copySqeOf({}), bit)),
      fc.integer({ min: COPY_BYTES_MAX + 1, max: 2 ** 32 - 1 }).map((bytes) => copySqeOf({ bytes })),
      fc.constantFrom(0, 5, 255).map((operation) => copySqeOf({}).fill(operation, 0, 1)),
    );
    const property = fc.property(broken, (sqe) => {
      expect(copyOutcome(attacker.execute(sqe)).status).toBe(copyStatus.MALFORMED);
    });
    fc.assert(property, { numRuns: 200 });
  });
});

function isReserved(bit: number): boolean {
  return (bit >= 16 && bit < 32) || (bit >= 40 && bit < 64) || bit >= 44 * 8;
}

function flipped(sqe: Uint8Array, bit: number): Uint8Array {
  sqe[bit >> 3]! ^= 1 << (bit & 7);
  return sqe;
}

describe('every word that user space writes (W1)', () => {
  const words: readonly QueueWordName[] = [
    'SQ_TAIL',
    'CQ_HEAD',
    'EVENT_INDEX',
    'ENGINE_ASLEEP',
    'STALLED',
    'INTERRUPT_PENDING',
  ];
  const values = [0, 1, DEPTH - 1, DEPTH, DEPTH + 1, 2 ** 15, 2 ** 16 - 1, 2 ** 31, 2 ** 32 - 1];

  it.each(words)(
    '%s may hold anything: the machine comes to rest and the neighbour is served',
    async (name) => {
      for (const [index, value] of values.entries()) {
        const pair = await neighbours();
        const { attacker } = pair;
        for (let i = 0; i < 3; i++) attacker.submit(copySqeOf({ tag: i }));
        attacker.writeWord(name, value);
        attacker.ring();
        attacker.process.machine.runUntilIdle();
        attacker.writeWord(name, value);
        attacker.ring();
        expectServed(pair, index);
      }
    },
  );

  it('a tail is believed up to the depth and not one further (X3)', async () => {
    for (const value of values) {
      const { attacker } = await neighbours();
      attacker.writeWord('SQ_TAIL', value);
      attacker.ring();
      attacker.process.machine.runUntilIdle();
      const disabled = value > DEPTH ? 1 : 0;
      expect([value, attacker.readStatus()]).toEqual([value, { rx: disabled, tx: disabled }]);
      expect(attacker.completions()).toHaveLength(disabled ? 0 : value);
    }
  });

  it('a tail beyond the depth stops that queue alone, and not the other queue of the same process', async () => {
    const { attacker } = await neighbours();
    const sibling = await attacker.process.queue();
    attacker.writeWord('SQ_TAIL', DEPTH + 1);
    attacker.ring();
    for (let tag = 0; tag < 3; tag++) expect(copyOutcome(sibling.execute(copySqeOf({ tag }))).tag).toBe(tag);
    expect(attacker.readStatus()).toEqual({ rx: 1, tx: 1 });
    // Out of service it stays, even with a tail that would be right.
    attacker.writeWord('SQ_TAIL', 0);
    attacker.submit(copySqeOf({}));
    attacker.process.machine.runUntilIdle();
    expect(attacker.completions()).toEqual([]);
  });

  it('a head beyond what was published stops the queue when the ring looks full', async () => {
    const { attacker } = await neighbours();
    attacker.writeWord('CQ_HEAD', 2 ** 31);
    for (let i = 0; i < DEPTH; i++) attacker.place(copySqeOf({ tag: i }));
    attacker.publishTail();
    attacker.process.machine.runUntilIdle();
    attacker.submit(copySqeOf({}));
    attacker.process.machine.runUntilIdle();
    expect(attacker.readStatus()).toEqual({ rx: 1, tx: 1 });
    expect(attacker.process.machine.trace().join('\n')).toContain('head beyond tail');
  });

  it('garbage all over both regions hurts nobody else', async () => {
    const pair = await neighbours();
    const property = fc.property(fc.uint8Array({ minLength: 64, maxLength: 64 }), (bytes) => {
      for (const region of [pair.attacker.mmio, pair.attacker.dus]) {
        for (let at = 0; at < region.length; at += 64) region.set(bytes, at);
      }
      pair.attacker.ring();
      pair.attacker.process.machine.runUntilIdle();
      expectServed(pair, bytes[0]!);
    });
    fc.assert(property, { numRuns: 30 });
  });
});

describe('what changes while the device works (X1)', () => {
  it('an SQE is read once: whatever is written into its slot meanwhile is not used', async () => {
    const process = new MockProcess(newMachine({ drivers: [copy] }));
    const ring = await process.queue();
    const bytes = 4 * limits.SEGMENT_INPUT_BYTES;
    const [source, target, decoy] = [
      await process.pool(bytes),
      await process.pool(bytes),
      await process.pool(bytes),
    ];
    source.view.set(patternOf(bytes));
    const property = fc.property(
      fc.uint8Array({ minLength: copySqe.bytes, maxLength: copySqe.bytes }),
      fc.constantFrom(source.address, decoy.address, 0),
      fc.integer({ min: 1, max: 3 }),
      (garbage, address, segments) => {
        target.view.fill(0);
        decoy.view.fill(0xdd);
        const slot = ring.submit(
          copySqeOf({ source: source.address, destination: target.address, bytes, tag: 5 }),
        );
        while (target.view[segments * limits.SEGMENT_INPUT_BYTES - 2] === 0) process.machine.step();
        ring.slot(slot).set(garbage);
        viewOf(ring.slot(slot)).setBigUint64(copySqe.fields.destination.spec.at, BigInt(address), true);
        process.machine.runUntilIdle();
        const [done] = ring.completions();
        expect(copyOutcome(done!.sqe)).toEqual({
          status: copyStatus.DONE,
          processed: bytes,
          result: bytes,
          tag: 5,
        });
        expect(Buffer.compare(target.view, source.view)).toBe(0);
        expect(decoy.view.every((byte) => byte === 0xdd)).toBe(true);
      },
    );
    fc.assert(property, { numRuns: 50 });
  });

  it('a slot that is written after its completion is a new request only when the tail says so', async () => {
    const { attacker } = await neighbours();
    attacker.execute(copySqeOf({ tag: 1 }));
    attacker.slot(0).set(copySqeOf({ tag: 2 }));
    attacker.slot(1).set(copySqeOf({ tag: 3 }));
    attacker.ring();
    attacker.process.machine.runUntilIdle();
    expect(attacker.completions()).toEqual([]);
  });
});

describe('what the device says it did', () => {
  it('never exceeds what was asked for, and is honest where it stopped (W6)', async () => {
    const process = new MockProcess(newMachine({ drivers: [copy] }));
    const ring = await process.queue();
    const room = 3 * limits.SEGMENT_INPUT_BYTES;
    const source = await process.pool(room);
    const target = await process.pool(room);
    const property = fc.property(
      fc.integer({ min: 0, max: 2 * room }),
      fc.integer({ min: 0, max: room - 1 }),
      (bytes, start) => {
        target.view.fill(0);
        source.view.fill(0xaa);
        const sqe = copySqeOf({ source: source.address, destination: target.address + start, bytes });
        const { status, processed } = copyOutcome(ring.execute(sqe));
        const fits = start + bytes <= room && bytes <= room;
        expect(status).toBe(fits ? copyStatus.DONE : copyStatus.ACCESS_FAILED);
        expect(processed).toBeLessThanOrEqual(bytes);
        expect(processed === bytes).toBe(fits || bytes === 0);
        const written = target.view.lastIndexOf(0xaa) + 1 - start;
        // What is stored beyond `processed` is of the segment that failed, and whole pages.
        if (written > 0) expect(written).toBeGreaterThanOrEqual(processed);
        expect(target.view.subarray(start, start + processed).every((byte) => byte === 0xaa)).toBe(true);
        expect(target.view.subarray(0, start).every((byte) => byte === 0)).toBe(true);
      },
    );
    fc.assert(property, { numRuns: 100 });
  });

  it('a completion changes its CQE and the fields of its own slot, and no other byte of the rings', async () => {
    const { attacker } = await neighbours();
    attacker.dus.fill(0x5a, 0, attacker.shape.rxStatusOffset - 8);
    attacker.dus.fill(0, attacker.shape.cqOffset, attacker.shape.cqOffset + DEPTH * CQE_BYTES);
    attacker.place(copySqeOf({ tag: 9 }));
    const before = attacker.dus.slice();
    attacker.publishTail();
    attacker.process.machine.runUntilIdle();
    const cqe = attacker.shape.cqOffset;
    const isOwn = (at: number): boolean => at < copySqe.bytes || (at >= cqe && at < cqe + CQE_BYTES);
    const changed = [...before.keys()].filter((at) => before[at] !== attacker.dus[at] && !isOwn(at));
    expect(changed).toEqual([]);
  });
});
