// Can a consumer sleep for ever beside a completion? Interleavings of consumer and engine, step by step.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import copy from '../../drivers/copy/index.js';
import { limits } from '../../src/base/limits.js';
import { PAGE_BYTES } from '../../src/base/units.js';
import { copyOutcome, copySqeOf, copyWithDepths } from './copy-requests.js';
import { MockProcess, newMachine, type RingMock } from './ring-mock.js';

/**
 * A consumer by the rules of docs/memory-model.md, one access to shared memory between two yields: submits what is
 * asked for, arms, looks once more, sleeps until it is interrupted.
 */
class Consumer {
  readonly ring: RingMock;
  readonly tags: number[] = [];
  /** Requests that are to be submitted, oldest first. */
  readonly wanted: Uint8Array[] = [];
  asleep = false;
  #interrupted = false;
  #submitted = 0;

  constructor(ring: RingMock) {
    this.ring = ring;
    ring.process.platform.onInterrupt(ring.fd, () => {
      this.#interrupted = true;
      this.asleep = false;
    });
  }

  get inFlight(): number {
    return this.#submitted - this.tags.length;
  }

  *life(): Generator<void, never, void> {
    for (;;) {
      while (this.wanted.length > 0 && this.inFlight < this.ring.shape.sqDepth) yield* this.#submit();
      yield* this.#reap();
      if (this.inFlight > 0 && (yield* this.#arm())) continue;
      if (!this.#interrupted && (this.wanted.length === 0 || this.inFlight > 0)) this.asleep = true;
      yield;
      if (this.asleep) continue;
      this.#interrupted = false;
      this.ring.writeWord('INTERRUPT_PENDING', 0);
      yield;
    }
  }

  *#submit(): Generator<void, void, void> {
    this.ring.place(this.wanted.shift()!);
    this.#submitted += 1;
    yield;
    this.ring.writeWord('SQ_TAIL', this.ring.sqTail);
    yield;
    if (this.ring.readWord('ENGINE_ASLEEP') !== 0) this.ring.ring();
    yield;
  }

  *#reap(): Generator<void, void, void> {
    while (this.ring.published()) {
      yield;
      for (const { sqe } of this.ring.completions()) this.tags.push(copyOutcome(sqe).tag);
      yield;
    }
  }

  /** True when there is something to look at already. */
  *#arm(): Generator<void, boolean, void> {
    const ahead = Math.min(Math.ceil(this.inFlight / 2), limits.COALESCE_MAX);
    this.ring.writeWord('EVENT_INDEX', this.ring.cqHead + ahead);
    yield;
    const stalled = this.ring.readWord('STALLED') !== 0;
    yield;
    return this.ring.published(ahead - 1) || (stalled && this.ring.published());
  }
}

/** While it sleeps, a consumer does nothing: its turn is the machine's. */
function advance(consumer: Consumer, life: Generator<void, never, void>, steps: number): void {
  for (let i = 0; i < steps && !consumer.asleep; i++) life.next();
}

async function consumerOf(sqDepth: number, cqDepth: number): Promise<Consumer> {
  const process = new MockProcess(newMachine({ drivers: [copyWithDepths(sqDepth, cqDepth)] }));
  return new Consumer(await process.queue());
}

describe('no interrupt is lost', () => {
  it('whatever the interleaving, the consumer ends with every completion in hand, in order', async () => {
    const turn = fc.record({
      submit: fc.nat(6),
      consumer: fc.nat(12),
      machine: fc.nat(6),
    });
    const depth = fc.constantFrom(2, 4, 16, 64);
    const property = fc.asyncProperty(
      depth,
      depth,
      fc.array(turn, { maxLength: 60 }),
      async (sq, cq, turns) => {
        const consumer = await consumerOf(sq, cq);
        const { process } = consumer.ring;
        const cold = await process.demand(64 * PAGE_BYTES);
        const life = consumer.life();
        let sent = 0;
        const request = (tag: number): Uint8Array => {
          // Each fifth one waits for a page: then what is finished has to be told of early.
          if (tag % 5 !== 4) return copySqeOf({ tag });
          return copySqeOf({ operation: 'fill', destination: cold + (tag % 64) * PAGE_BYTES, bytes: 1, tag });
        };
        for (const { submit, consumer: own, machine } of turns) {
          for (let i = 0; i < submit; i++) consumer.wanted.push(request(sent++));
          // New work wakes the application, not the queue's consumer: it submits, and then sleeps again.
          if (submit > 0) consumer.asleep = false;
          advance(consumer, life, own);
          for (let i = 0; i < machine; i++) process.machine.step();
        }
        // Nothing more is asked for. From here on only interrupts wake the consumer.
        for (let rounds = 0; rounds < 20_000 && consumer.tags.length < sent; rounds++) {
          advance(consumer, life, 50);
          if (!process.machine.step() && consumer.asleep) break;
        }
        expect(consumer.tags).toEqual(Array.from({ length: sent }, (_, tag) => tag));
      },
    );
    await fc.assert(property, { numRuns: 150 });
  });

  it('one interrupt covers a burst: there are fewer interrupts than completions', async () => {
    const ring = await new MockProcess(newMachine({ drivers: [copy] })).queue();
    ring.writeWord('EVENT_INDEX', 16);
    for (let tag = 0; tag < 64; tag++) ring.place(copySqeOf({ tag }));
    ring.publishTail();
    ring.process.machine.runUntilIdle();
    expect(ring.interrupts).toBe(1);
    expect(ring.completions()).toHaveLength(64);
  });

  it('an event index that was passed already does not interrupt: that is the consumer who looks once more', async () => {
    const ring = await new MockProcess(newMachine({ drivers: [copy] })).queue();
    ring.execute(copySqeOf({ tag: 1 }));
    const before = ring.interrupts;
    ring.writeWord('EVENT_INDEX', 1);
    ring.ring();
    ring.process.machine.runUntilIdle();
    expect(ring.interrupts).toBe(before);
  });
});
