// Is a request that is left in the middle continued as its device says it can, and never to anybody else's harm?
import { describe, expect, it } from 'vitest';
import { copyStatus } from '../../drivers/copy/layout.js';
import { limits } from '../../src/base/limits.js';
import { KiB, MiB, NS_PER_MS } from '../../src/base/units.js';
import { copyOutcome, copySqeOf } from '../hw/copy-requests.js';
import { CutBench } from './cut-bench.js';
import { cutDevice } from './cut-devices.js';
import { registerDriver } from './register-device.js';
import { SharingBench } from './sharing-bench.js';

/** Without a page that comes late, and without bytes that are read after they were written: it can begin anew. */
const PLAIN = [copySqeOf({ source: 0x80_0000, destination: 0x80_0000 + 200 * KiB, bytes: 10_000, tag: 1 })];
const LONG = [copySqeOf({ operation: 'crc32c', source: 0x80_0000, bytes: 80 * KiB, tag: 1 })];

/** Cuts after each of `cuts` steps, and goes on to the end. */
function cutAt(bench: CutBench, cuts: (step: number) => boolean) {
  const answers: string[] = [];
  for (let step = 1; bench.step(); step++) {
    if (step > 1000) throw new Error('the requests never end');
    if (cuts(step)) answers.push(bench.leaveAndReturn().kind);
    bench.answerLate();
  }
  return { answers, remains: bench.remains() };
}

function steps(bench: CutBench): number {
  let count = 0;
  for (; bench.step(); count++) bench.answerLate();
  return count;
}

describe('a request that is left in the middle', () => {
  it.each([false, true])(
    '"resume": goes on where it was at every cut, a page that is awaited or just came included (late answers: %s)',
    (answersLate) => {
      const { description, executions } = cutDevice('resume');
      const uncut = new CutBench(description, { answersLate });
      const expected = uncut.toTheEnd();
      const count = steps(new CutBench(description, { answersLate }));
      expect(count).toBeGreaterThan(12);
      for (let cut = 1; cut <= count; cut++) {
        const before = executions();
        const { remains, answers } = cutAt(
          new CutBench(description, { answersLate }),
          (step) => step === cut,
        );
        expect({ cut, answers, remains }).toEqual({ cut, answers: ['done'], remains: expected });
        expect(executions() - before).toBeLessThanOrEqual(4);
      }
      const everywhere = cutAt(new CutBench(description, { answersLate }), () => true);
      expect(everywhere.remains).toEqual(expected);
    },
  );

  it('"park": keeps its generator at every cut', () => {
    const { description, executions } = cutDevice('park');
    const expected = new CutBench(description).toTheEnd();
    const before = executions();
    const { remains, answers } = cutAt(new CutBench(description), () => true);
    expect(remains).toEqual(expected);
    expect(new Set(answers)).toEqual(new Set(['done']));
    expect(executions() - before).toBe(3);
  });

  it('"restart": is executed twice at most, and the second time to the end', () => {
    const { description, executions } = cutDevice('restart');
    const expected = new CutBench(description, { requests: LONG }).toTheEnd();
    const count = steps(new CutBench(description, { requests: LONG }));
    for (let cut = 1; cut <= count; cut++) {
      const before = executions();
      const { remains, answers } = cutAt(
        new CutBench(description, { requests: LONG }),
        (step) => step >= cut,
      );
      // REQUESTS counts what was executed.
      expect({ ...remains, registers: [] }).toEqual({ ...expected, registers: [] });
      expect(executions() - before).toBe(2);
      expect([answers[0], ...new Set(answers.slice(1))]).toEqual(['done', 'retryIn']);
    }
  });

  it('"none": is not left before its end', () => {
    const { description, executions } = cutDevice('none');
    const expected = new CutBench(description, { requests: LONG }).toTheEnd();
    const before = executions();
    const { remains, answers } = cutAt(new CutBench(description, { requests: LONG }), () => true);
    expect(remains).toEqual(expected);
    expect(executions() - before).toBe(1);
    expect(new Set(answers)).toEqual(new Set(['retryIn']));
    expect(cutAt(new CutBench(description, { requests: PLAIN }), () => true).remains.completions).toBe(1);
  });
});

describe('a context that is reset', () => {
  it.each(['resume', 'park', 'restart'] as const)(
    '"%s": fails a request that was left in the middle, and executes the next ones',
    (preemption) => {
      const bench = new CutBench(cutDevice(preemption).description, { requests: [...LONG, ...PLAIN] });
      while (bench.engine.stop().kind !== 'done' || !bench.inFlight) {
        bench.engine.start(1, []);
        bench.step();
      }
      expect(bench.engine.resetContext(1)).toEqual({ kind: 'done' });
      bench.engine.start(1, []);
      expect(bench.toTheEnd().completions).toBe(2);
      expect([0, 1].map((slot) => copyOutcome(bench.slot(slot)).status)).toEqual([
        copyStatus.ACCESS_FAILED,
        copyStatus.DONE,
      ]);
    },
  );
});

/** A request of so many bytes never ends. */
const ENDLESS = 7 * MiB;

/** Two domains with a request each: a long one, and a short one that wants to be served meanwhile. */
async function twoDomains(preemption: 'none' | 'park' | 'restart' | 'resume', longBytes: number) {
  const bench = new SharingBench({ drivers: [registerDriver(preemption)] });
  for (const name of ['long', 'short']) bench.domain(name);
  const long = await bench.queue(bench.process('long'), 'long', 'dial0');
  const short = await bench.queue(bench.process('short'), 'short', 'dial0');
  long.submit(copySqeOf({ bytes: longBytes, pattern: 1 }));
  bench.advance(500_000);
  for (const pattern of [2, 3]) {
    short.submit(copySqeOf({ bytes: 1000, pattern }));
    bench.until(() => short.published());
    short.completions();
    bench.advance(500_000);
  }
  return { bench, long, short };
}

describe('on a whole machine', () => {
  it.each(['none', 'park', 'restart', 'resume'] as const)(
    '"%s": who denies is charged for it, and every nanosecond is somebody\'s',
    async (preemption) => {
      const { bench, long, short } = await twoDomains(preemption, 8 * MiB);
      bench.rest();
      expect([long.completions().length, short.readWord('CQ_HEAD')]).toEqual([1, 2]);
      const { ledger, vcoprocs } = bench.query('dial0');
      const used = vcoprocs.flatMap(({ times }) => Object.values(times));
      expect(ledger.idleNs + ledger.switchNs + used.reduce((a, b) => a + b, 0)).toBe(ledger.totalNs);
      const [ofLong, ofShort] = ['long', 'short'].map((name) => bench.snapshot(name, 'dial0').times);
      expect(ofShort!.denied).toBe(0);
      if (preemption === 'park' || preemption === 'resume') expect(ofLong!.denied).toBe(0);
      else expect(ofLong!.denied).toBeGreaterThan(4 * NS_PER_MS);
    },
  );

  it('one that denies for too long is dropped: its requests fail with the status of the device, all others go on', async () => {
    const bench = new SharingBench({ drivers: [registerDriver('none', ENDLESS)] });
    for (const name of ['long', 'short']) bench.domain(name);
    const [long, short] = [
      await bench.queue(bench.process('long'), 'long', 'dial0'),
      await bench.queue(bench.process('short'), 'short', 'dial0'),
    ];
    long.submit(copySqeOf({ bytes: ENDLESS, pattern: 1, tag: 5 }));
    long.submit(copySqeOf({ bytes: 100, pattern: 1, tag: 6 }));
    bench.advance(NS_PER_MS);
    short.submit(copySqeOf({ bytes: 1000, pattern: 2 }));
    const startNs = bench.machine.nowNs;
    bench.until(() => short.published());
    expect(bench.machine.nowNs - startNs).toBeLessThan(
      limits.DRAIN_DEADLINE_NS + 2 * limits.SWITCH_RETRY_NS_MAX,
    );
    bench.rest();
    expect(long.completions().map(({ sqe }) => [copyOutcome(sqe).tag, copyOutcome(sqe).status])).toEqual([
      [5, copyStatus.ACCESS_FAILED],
      [6, copyStatus.DONE],
    ]);
    expect(bench.snapshot('long', 'dial0')).toMatchObject({
      failures: 1,
      lastFailure: expect.stringContaining('denied'),
    });
    expect(bench.snapshot('short', 'dial0')).toMatchObject({ failures: 0 });
  });
});
