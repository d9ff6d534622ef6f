// Does the word CANCELLED end the requests that it names, wherever they are, and nothing else?
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { copyDevice } from '../../drivers/copy/device.js';
import copy from '../../drivers/copy/index.js';
import { copyStatus } from '../../drivers/copy/layout.js';
import { limits } from '../../src/base/limits.js';
import { KiB, MiB, PAGE_BYTES } from '../../src/base/units.js';
import type { Preemption } from '../../src/hw/device-model.js';
import type { InlineMachine } from '../../src/machine/inline/inline-machine.js';
import { CANCEL_SLOTS, queueWord } from '../../src/uapi/queue-layout.js';
import { CutBench } from '../sharing/cut-bench.js';
import { registerDriver } from '../sharing/register-device.js';
import { SharingBench } from '../sharing/sharing-bench.js';
import { copyOutcome, copySqeOf, copyWithDepths } from './copy-requests.js';
import { newMeter } from './meter-device.js';
import { MockProcess, newMachine, type RingMock } from './ring-mock.js';

const { DONE, ACCESS_FAILED } = copyStatus;
const SEGMENT = limits.SEGMENT_INPUT_BYTES;
/** Far more than any question here needs. */
const EVENTS_MAX = 50_000;

/** Sets or clears the bit of a slot, as a user side does. */
function cancel(ring: RingMock, slot: number, wanted = false): void {
  const word = (queueWord.CANCELLED >>> 2) + (slot >>> 5);
  const words = new Int32Array(ring.mmio.buffer, ring.mmio.byteOffset, ring.mmio.length >>> 2);
  if (wanted) Atomics.and(words, word, ~(1 << (slot & 31)));
  else Atomics.or(words, word, 1 << (slot & 31));
}

/** Moves the machine until something is so; an error when it never is. */
function stepUntil(machine: InlineMachine, isSo: () => boolean): void {
  for (let events = 0; !isSo(); events++) {
    if (events > EVENTS_MAX || !machine.step()) throw new Error('what is waited for never comes');
  }
}

/** Status and tag of each completion, in order. */
const outcomes = (ring: RingMock): [number, number][] =>
  ring.completions().map(({ sqe }) => {
    const { status, tag } = copyOutcome(sqe);
    return [status, tag];
  });

async function copyQueue() {
  const machine = newMachine({ drivers: [copy] });
  const process = new MockProcess(machine);
  return { machine, process, ring: await process.queue() };
}

describe('a request whose bit is set', () => {
  it('while it is in the queue ends without being begun, in its turn; those around it are served', async () => {
    const { machine, process, ring } = await copyQueue();
    const pool = await process.pool(PAGE_BYTES);
    const fill = (tag: number): number =>
      ring.place(
        copySqeOf({ operation: 'fill', destination: pool.address + tag, bytes: 1, pattern: 7, tag }),
      );
    for (let tag = 0; tag < 40; tag++) fill(tag);
    // The first and the last bit of a word, the sign bit among them, and the first of the next word.
    const unwanted = [0, 7, 31, 32, 39];
    for (const slot of unwanted) cancel(ring, slot);
    ring.publishTail();
    machine.runUntilIdle();
    const expected = Array.from({ length: 40 }, (_, tag) => [
      unwanted.includes(tag) ? ACCESS_FAILED : DONE,
      tag,
    ]);
    expect(outcomes(ring)).toEqual(expected);
    expect([...pool.view.subarray(0, 40)]).toEqual(expected.map(([status]) => (status === DONE ? 7 : 0)));
    expect(ring.readStatus()).toEqual({ rx: 0, tx: 0 });
  });

  it('while it runs ends at its next segment, and writes nothing after its completion', async () => {
    const { machine, process, ring } = await copyQueue();
    const pool = await process.pool(4 * MiB);
    ring.submit(
      copySqeOf({ operation: 'fill', destination: pool.address, bytes: 4 * MiB, pattern: 1, tag: 9 }),
    );
    stepUntil(machine, () => pool.view[2 * SEGMENT] !== 0);
    cancel(ring, 0);
    stepUntil(machine, () => ring.published());
    const written = pool.view.slice();
    expect(written.lastIndexOf(1)).toBeLessThan(4 * SEGMENT);
    machine.runUntilIdle();
    expect(Buffer.compare(pool.view, written)).toBe(0);
    expect(outcomes(ring)).toEqual([[ACCESS_FAILED, 9]]);
  });

  it('while it waits for a page ends when the answer comes; the next one in the queue is served', async () => {
    const { machine, process, ring } = await copyQueue();
    const target = await process.demand(4 * PAGE_BYTES);
    ring.place(
      copySqeOf({ operation: 'fill', destination: target, bytes: 4 * PAGE_BYTES, pattern: 7, tag: 1 }),
    );
    ring.place(copySqeOf({ tag: 2 }));
    ring.publishTail();
    stepUntil(machine, () => ring.readWord('STALLED') !== 0);
    cancel(ring, 0);
    machine.runUntilIdle();
    expect(outcomes(ring)).toEqual([
      [ACCESS_FAILED, 1],
      [DONE, 2],
    ]);
    expect(ring.readWord('STALLED')).toBe(0);
    expect((await process.read(target, 4 * PAGE_BYTES)).every((byte) => byte === 0)).toBe(true);
  });

  it('is told of by an interrupt as any other completion', async () => {
    const { machine, ring } = await copyQueue();
    cancel(ring, 0);
    ring.writeWord('EVENT_INDEX', 1);
    ring.submit(copySqeOf({ tag: 1 }));
    machine.runUntilIdle();
    expect(ring.interrupts).toBe(1);
  });

  it('is completed only when there is a slot for it in the CQ', async () => {
    const machine = newMachine({ drivers: [copyWithDepths(16, 8)] });
    const ring = await new MockProcess(machine).queue();
    for (let tag = 0; tag < 12; tag++) cancel(ring, ring.place(copySqeOf({ tag })));
    ring.publishTail();
    machine.runUntilIdle();
    expect(outcomes(ring)).toHaveLength(8);
    machine.runUntilIdle();
    expect(outcomes(ring).map(([, tag]) => tag)).toEqual([8, 9, 10, 11]);
  });
});

describe('a slot that is used again', () => {
  it('serves when its bit was cleared before, and ends every request while it was not', async () => {
    const machine = newMachine({ drivers: [copyWithDepths(8, 8)] });
    const ring = await new MockProcess(machine).queue();
    const statuses: number[] = [];
    for (let pass = 0; pass < 4; pass++) {
      // Passes 1 and 2 are not wanted; whoever forgets to clear the bit after them loses the next request.
      cancel(ring, 3, pass === 0 || pass === 3);
      for (let slot = 0; slot < 8; slot++) ring.place(copySqeOf({ tag: 8 * pass + slot }));
      ring.publishTail();
      machine.runUntilIdle();
      statuses.push(...outcomes(ring).map(([status]) => status));
    }
    const failed = statuses.flatMap((status, index) => (status === DONE ? [] : [index]));
    expect(failed).toEqual([8 + 3, 16 + 3]);
  });
});

describe('bits of slots that hold nothing', () => {
  const words = Array.from({ length: CANCEL_SLOTS / 32 }, (_, word) => word);

  it('set by a hostile process, all of them: its own requests end, a neighbour notices nothing', async () => {
    const machine = newMachine({ drivers: [copy] });
    const [bad, good] = [new MockProcess(machine), new MockProcess(machine)];
    const [attacker, victim] = [await bad.queue(), await good.queue()];
    for (const word of words) for (let bit = 0; bit < 32; bit++) cancel(attacker, 32 * word + bit);
    attacker.ring();
    machine.runUntilIdle();
    expect([attacker.published(), attacker.readStatus()]).toEqual([false, { rx: 0, tx: 0 }]);
    for (let tag = 0; tag < 1000; tag++) {
      attacker.submit(copySqeOf({ tag }));
      if (tag % 100 === 0) expect(copyOutcome(victim.execute(copySqeOf({ tag }))).status).toBe(DONE);
    }
    machine.runUntilIdle();
    expect(outcomes(attacker).every(([status]) => status === ACCESS_FAILED)).toBe(true);
    expect(copyOutcome(victim.execute(copySqeOf({ tag: 5 })))).toMatchObject({ status: DONE, tag: 5 });
  });

  it('beyond the depth of the queue, and beyond the bitmap, name nothing', async () => {
    const machine = newMachine({ drivers: [copyWithDepths(8, 8)] });
    const ring = await new MockProcess(machine).queue();
    for (let slot = 8; slot < CANCEL_SLOTS; slot++) cancel(ring, slot);
    for (let tag = 0; tag < 20; tag++)
      expect(copyOutcome(ring.execute(copySqeOf({ tag })))).toMatchObject({ status: DONE, tag });
  });
});

/** The queue of a process of its own on the metered device. */
const meterQueue = (machine: InlineMachine): Promise<RingMock> =>
  new MockProcess(machine).queue({ path: '/dev/meter-0' });

describe('what a cancelled request costs', () => {
  it('is charged: endless unwanted requests take no turn from a neighbour', async () => {
    const meter = newMeter();
    const machine = newMachine({ drivers: [meter.driver] });
    const [flood, honest] = [await meterQueue(machine), await meterQueue(machine)];
    for (let slot = 0; slot < flood.shape.sqDepth; slot++) cancel(flood, slot);
    honest.submit(copySqeOf({ bytes: MiB / 2 }));
    let ended = 0;
    stepUntil(machine, () => {
      ended += flood.completions().length;
      for (let i = flood.sqTail - flood.cqHead; i < 32; i++) flood.place(copySqeOf({ bytes: 8 * MiB }));
      flood.publishTail();
      return honest.published();
    });
    // Equal shares: for each byte of the neighbour at most one charged byte of the flood, and a turn.
    const mostBytes = MiB / 2 + 2 * limits.QUEUE_QUANTUM_BYTES;
    expect(ended * limits.REQUEST_BYTES_CHARGED_MIN).toBeLessThanOrEqual(mostBytes);
    expect(ended).toBeGreaterThan(0);
  });

  it('after half of it: what was executed stays charged, and nothing beyond', async () => {
    const meter = newMeter();
    const machine = newMachine({ drivers: [meter.driver] });
    const rings = [await meterQueue(machine), await meterQueue(machine)] as const;
    for (const ring of rings) for (let i = 0; i < 3; i++) ring.place(copySqeOf({ bytes: 4 * MiB }));
    for (const ring of rings) ring.publishTail();
    const served = (): number[] => [1, 2].map((owner) => meter.served.get(owner) ?? 0);
    stepUntil(machine, () => served()[0]! >= MiB);
    cancel(rings[0], 0);
    stepUntil(machine, () => rings[0].published());
    cancel(rings[0], 0, true);
    for (let events = 0; events < 400; events++) {
      machine.step();
      expect(Math.abs(served()[0]! - served()[1]!)).toBeLessThanOrEqual(
        limits.QUEUE_QUANTUM_BYTES + 2 * SEGMENT,
      );
    }
  });
});

describe('with contexts that take turns', () => {
  const ENDLESS = 64 * KiB;

  async function twoDomains(preemption: Preemption) {
    const bench = new SharingBench({ drivers: [registerDriver(preemption, ENDLESS)] });
    for (const name of ['one', 'two']) bench.domain(name);
    const first = await bench.queue(bench.process('one'), 'one', 'dial0');
    const second = await bench.queue(bench.process('two'), 'two', 'dial0');
    return { bench, first, second };
  }

  /** Every nanosecond of the coproc is on one account. */
  function expectBalanced(bench: SharingBench): void {
    const { totalNs, idleNs, switchNs, formerNs, vcoprocs } = bench.query('dial0').ledger;
    const used = [...vcoprocs.values()].flatMap((times) => Object.values(times));
    expect(used.reduce((sum, ns) => sum + ns, idleNs + switchNs + formerNs)).toBeCloseTo(totalNs, 3);
  }

  it.each(['park', 'resume', 'restart', 'none'] as const)(
    '"%s": a request without an end ends at any moment of a switch, and the other domain goes on',
    async (preemption) => {
      for (const wait of [0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 144]) {
        const { bench, first, second } = await twoDomains(preemption);
        first.submit(copySqeOf({ bytes: ENDLESS }));
        bench.steps(10);
        for (let i = 0; i < 20; i++) second.place(copySqeOf({ bytes: 20 * KiB }));
        second.publishTail();
        bench.steps(wait);
        cancel(first, 0);
        bench.until(() => first.published());
        first.submit(copySqeOf({ bytes: KiB }));
        bench.rest();
        const statuses = [first, second].map((ring) => outcomes(ring).map(([status]) => status));
        expect({ wait, statuses }).toEqual({ wait, statuses: [[2, 0], Array(20).fill(0)] });
        expect(bench.snapshot('one', 'dial0').failures).toBe(0);
        expectBalanced(bench);
      }
    },
  );

  it.each([
    ['left and loaded again', false, (bench: CutBench) => bench.leaveAndReturn()],
    ['left and loaded again, with pages that come late', true, (bench: CutBench) => bench.leaveAndReturn()],
    ['moved to another instance, where it can be', true, (bench: CutBench) => bench.move()],
  ])(
    '%s, at every step: what is not wanted any more ends, the others are whole',
    (_how, answersLate, leave) => {
      for (let cut = 0; ; cut++) {
        const bench = new CutBench(copyDevice, { answersLate });
        for (let step = 0; step < cut && bench.step(); step++) bench.answerLate();
        const unwanted = bench.completions;
        if (unwanted === 3) break;
        bench.memory.store32(bench.binding.mmioAddress + queueWord.CANCELLED, 1 << unwanted);
        leave(bench);
        expect(bench.toTheEnd().completions).toBe(3);
        const ended = [0, 1, 2].map((slot) => copyOutcome(bench.slot(slot)).status);
        expect({ cut, ended }).toEqual({
          cut,
          ended: [0, 1, 2].map((slot) => (slot === unwanted ? ACCESS_FAILED : DONE)),
        });
      }
    },
  );
});

describe('whatever is cancelled whenever', () => {
  const call = fc.record({
    bytes: fc.integer({ min: 0, max: 6 * SEGMENT }),
    cancelAt: fc.option(fc.nat(60)),
    cold: fc.boolean(),
  });

  async function runOnce(
    calls: readonly { bytes: number; cancelAt: number | null; cold: boolean }[],
    seed: number,
  ) {
    const machine = newMachine({ drivers: [copy], seed });
    const process = new MockProcess(machine);
    const [ring, other] = [await process.queue(), await process.queue()];
    const pool = await process.pool(6 * SEGMENT);
    const cold = await process.demand(8 * SEGMENT);
    for (const [tag, { bytes, cold: isCold }] of calls.entries()) {
      const destination = isCold ? cold : pool.address;
      ring.place(copySqeOf({ operation: 'fill', destination, bytes, pattern: 1, tag }));
      other.place(copySqeOf({ tag }));
    }
    for (const queue of [ring, other]) queue.publishTail();
    for (let step = 0; step <= 60; step++) {
      for (const [slot, { cancelAt }] of calls.entries()) if (cancelAt === step) cancel(ring, slot);
      machine.step();
    }
    machine.runUntilIdle();
    return { ring: outcomes(ring), other: outcomes(other), trace: machine.trace(), nowNs: machine.nowNs };
  }

  it('each request ends once and in order, the wanted ones well; one seed gives one run', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(call, { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 1, max: 1e6 }),
        async (calls, seed) => {
          const run = await runOnce(calls, seed);
          expect(run.ring.map(([, tag]) => tag)).toEqual(calls.map((_, tag) => tag));
          for (const [status, tag] of run.ring) if (calls[tag]!.cancelAt === null) expect(status).toBe(DONE);
          expect(run.other).toEqual(calls.map((_, tag) => [DONE, tag]));
          expect(await runOnce(calls, seed)).toEqual(run);
        },
      ),
      { numRuns: 60 },
    );
  });
});
