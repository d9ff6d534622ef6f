// What does an engine do when its rings are taken away, when it is stopped, and when a queue ends in the middle?
import { describe, expect, it } from 'vitest';
import { copyDevice } from '../../drivers/copy/device.js';
import { copySqe, copyStatus } from '../../drivers/copy/layout.js';
import { PAGE_BYTES } from '../../src/base/units.js';
import type { ContextIrq } from '../../src/hw/context-hardware.js';
import { Engine, IDLE } from '../../src/hw/engine.js';
import { queueContextLayout, queueContextState } from '../../src/hw/queue-context.js';
import { CQE_BYTES, dusShape, queueWord } from '../../src/uapi/queue-layout.js';
import { copyOutcome, copySqeOf } from './copy-requests.js';
import { PortBench } from './port-bench.js';

const DEPTH = 64;
const SHAPE = dusShape(copySqe.bytes, DEPTH, DEPTH);
const PAGES = SHAPE.bytes / PAGE_BYTES;
const PASID = 5;

interface BareQueue {
  readonly number: number;
  readonly ringAddress: number;
  /** Frames of the DUS region: SQ, CQ, status words. */
  readonly frames: readonly number[];
  readonly mmioAddress: number;
  readonly contextAddress: number;
}

const CONTEXT = 1;

/** An engine with queues whose rings the test maps itself, in the ring address space. */
class EngineBench extends PortBench {
  readonly irqs: ContextIrq[] = [];
  readonly interrupted: number[] = [];
  readonly engine = new Engine({
    description: copyDevice,
    port: this.port,
    interrupt: ({ queueNumber }) => this.interrupted.push(queueNumber),
    raise: (irq) => this.irqs.push(irq),
    trace: null,
  });

  constructor() {
    super();
    this.powerOn();
  }

  /** A context that is loaded, as an engine has when it serves one domain. */
  powerOn(): void {
    this.engine.createContext(CONTEXT);
    this.engine.start(CONTEXT, []);
  }

  attach(number: number): BareQueue {
    const ringAddress = (number + 1) * 0x10_0000;
    const frames = Array.from({ length: PAGES }, (_, page) => this.map(-1, ringAddress + page * PAGE_BYTES));
    const queue = { number, ringAddress, frames, mmioAddress: this.frame(), contextAddress: this.frame() };
    this.engine.attach(CONTEXT, {
      ...queue,
      queueNumber: number,
      pasid: PASID,
      qcType: 0,
      epoch: number + 1,
      sqDepth: DEPTH,
      cqDepth: DEPTH,
      waiter: 0,
      process: 1,
      weight: 1,
    });
    return queue;
  }

  submit(queue: BareQueue, sqe: Uint8Array, tail = 1): void {
    this.memory.view(queue.frames[0]! + (tail - 1) * copySqe.bytes, copySqe.bytes).set(sqe);
    this.memory.store32(queue.mmioAddress + queueWord.SQ_TAIL, tail);
  }

  settle(): void {
    for (let steps = 0; steps < 1000; steps++) {
      const cost = this.engine.step();
      this.service();
      if (cost === IDLE && this.engine.step() === IDLE) return;
    }
    throw new Error('the engine never rests');
  }

  /** CQEs published, read from the frames themselves. */
  cqes(queue: BareQueue): number {
    const at = queue.frames[SHAPE.cqOffset / PAGE_BYTES]!;
    let count = 0;
    while ((this.memory.data.getUint16(at + count * CQE_BYTES + 14, true) & 1) === 1) count += 1;
    return count;
  }

  state(queue: BareQueue): number {
    return queueContextLayout.fields.state.read(this.memory.data, queue.contextAddress);
  }
}

describe('a ring that cannot be reached (D4)', () => {
  const ring = { SQ: 0, CQ: SHAPE.cqOffset / PAGE_BYTES } as const;

  it.each(['SQ', 'CQ'] as const)('%s unmapped: that queue is in error, the other is served', (part) => {
    const bench = new EngineBench();
    bench.table(PASID);
    const [bad, good] = [bench.attach(0), bench.attach(1)];
    bench.unmap(-1, bad.ringAddress + ring[part] * PAGE_BYTES, () => {});
    bench.service();
    for (const queue of [bad, good]) bench.submit(queue, copySqeOf({ tag: 7 }));
    bench.settle();
    expect(bench.irqs).toEqual([
      { kind: 'queueError', context: CONTEXT, queueNumber: 0, reason: 'ring not reachable' },
    ]);
    expect(bench.interrupted).toContain(0);
    expect([bench.cqes(bad), bench.cqes(good)]).toEqual([0, 1]);
    expect([bench.state(bad), bench.state(good)]).toEqual([
      queueContextState.ERROR,
      queueContextState.SERVED,
    ]);
    // The status words are on a page that is still mapped.
    const status = bench.memory.load32(bad.frames[PAGES - 1]! + PAGE_BYTES - 4);
    expect(status).toBe(1);
  });

  it.each(['SQ', 'CQ'] as const)(
    '%s read-only: no completion, and not a byte of the page changes',
    (part) => {
      const bench = new EngineBench();
      bench.table(PASID);
      const queue = bench.attach(0);
      const page = ring[part];
      bench.map(-1, queue.ringAddress + page * PAGE_BYTES, 'r', queue.frames[page]!);
      bench.submit(queue, copySqeOf({ tag: 7 }));
      const before = bench.memory.view(queue.frames[page]!, PAGE_BYTES).slice();
      bench.settle();
      expect(bench.irqs).toMatchObject([{ reason: 'ring not reachable' }]);
      expect(Buffer.compare(bench.memory.view(queue.frames[page]!, PAGE_BYTES), before)).toBe(0);
      expect(bench.cqes(queue)).toBe(0);
    },
  );
});

describe('stop and start', () => {
  it('a stopped engine takes nothing, and goes on where it was', () => {
    const bench = new EngineBench();
    bench.table(PASID);
    const queue = bench.attach(0);
    bench.engine.stop();
    bench.submit(queue, copySqeOf({ tag: 1 }));
    bench.settle();
    expect(bench.cqes(queue)).toBe(0);
    bench.engine.start(CONTEXT, []);
    bench.settle();
    expect(bench.cqes(queue)).toBe(1);
  });

  it('what is finished when it stops is told of, whatever the consumer has armed for', () => {
    const bench = new EngineBench();
    bench.table(PASID);
    const queue = bench.attach(0);
    bench.memory.store32(queue.mmioAddress + queueWord.EVENT_INDEX, 2);
    bench.submit(queue, copySqeOf({ tag: 1 }));
    bench.settle();
    expect(bench.interrupted).toEqual([]);
    bench.engine.stop();
    expect(bench.interrupted).toEqual([0]);
    expect(bench.memory.load32(queue.mmioAddress + queueWord.STALLED)).toBe(1);
    bench.engine.start(CONTEXT, []);
    expect(bench.memory.load32(queue.mmioAddress + queueWord.STALLED)).toBe(0);
  });

  it('invalidations are acknowledged while it is stopped', () => {
    const bench = new EngineBench();
    bench.map(PASID, 0x9000);
    bench.engine.stop();
    let done = false;
    bench.unmap(PASID, 0x9000, () => {
      done = true;
    });
    bench.settle();
    bench.service();
    expect(done).toBe(true);
  });
});

describe('detach and reset', () => {
  it('a queue detached in the middle of a request never writes again, and its neighbour keeps its turn', () => {
    const bench = new EngineBench();
    bench.table(PASID);
    bench.answer = () => null;
    const queues = [0, 1, 2].map((number) => bench.attach(number));
    const waiting = copySqeOf({ operation: 'fill', destination: 0x5000, bytes: 8, pattern: 1 });
    for (const queue of queues) bench.submit(queue, queue.number === 1 ? waiting : copySqeOf({}));
    bench.settle();
    expect(bench.engine.detach(1)).toBe(true);
    expect(bench.engine.detach(1)).toBe(false);
    const frame = bench.map(PASID, 0x5000);
    bench.respond(bench.requests[0]!, 0);
    for (const queue of [queues[0]!, queues[2]!]) bench.submit(queue, copySqeOf({}), 2);
    bench.settle();
    expect(queues.map((queue) => bench.cqes(queue))).toEqual([2, 0, 2]);
    expect(bench.memory.load32(frame)).toBe(0);
    expect(bench.state(queues[1]!)).toBe(queueContextState.DETACHED);
  });

  it('a reset device has no queues, and its registers are as after power-on', () => {
    const bench = new EngineBench();
    bench.table(PASID);
    const queue = bench.attach(0);
    bench.submit(queue, copySqeOf({}));
    bench.settle();
    expect(bench.engine.readRegister(8)).toBe(1);
    bench.engine.reset();
    bench.powerOn();
    bench.submit(queue, copySqeOf({}), 2);
    bench.settle();
    expect(bench.cqes(queue)).toBe(1);
    expect([0, 4, 8].map((at) => bench.engine.readRegister(at))).toEqual([0x434f5059, 1, 0]);
  });

  it('the last of many queues detached while it had the turn leaves an engine that serves the rest', () => {
    const bench = new EngineBench();
    bench.table(PASID);
    const [first, last] = [bench.attach(0), bench.attach(1)];
    bench.submit(last, copySqeOf({}));
    bench.settle();
    bench.engine.detach(1);
    bench.submit(first, copySqeOf({}));
    bench.settle();
    expect(copyOutcome(bench.memory.view(first.frames[0]!, copySqe.bytes)).status).toBe(copyStatus.DONE);
    bench.engine.detach(0);
    expect(bench.engine.step()).toBe(IDLE);
  });
});
