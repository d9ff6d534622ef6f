// What can a device that breaks the rules of the ring do to a program? It may lose its own queue; nothing else.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { copyDevice } from '../../drivers/copy/device.js';
import copy from '../../drivers/copy/index.js';
import { copySqe } from '../../drivers/copy/layout.js';
import type { Dma, SqeRequest } from '../../src/driver-api.js';
import type { MachineDriver } from '../../src/entry/sim.js';
import { engineAsleep } from '../../src/uapi/queue-layout.js';
import { type Completion, HandRing, RecordedFlight } from './hand-ring.js';
import { openMachine } from './library-bench.js';

const LIES: readonly [string, Completion][] = [
  ['names the slot of no request', { slot: 5 }],
  ['names a slot beyond the ring', { slot: 8 }],
  ['names the largest slot that can be written', { slot: 0xffff }],
  ['carries the tag of another request', { tag: 1 }],
  ['carries a tag that was never given', { tag: 2 ** 40 }],
  ['claims more output than there was room', { processed: 9 }],
  ['claims 4 GiB', { processed: 0xffff_ffff }],
];

describe('a completion that', () => {
  test.each(LIES)('%s costs the device this queue, and each request is told once', (_what, lie) => {
    const ring = new HandRing();
    const flights = ring.submit(3);
    ring.publish(lie).interrupt();
    expect(ring.lost).toEqual([ring.ctx]);
    expect(ring.ctx.lostReason).toMatch(/^a completion/);
    for (const { ends } of flights) expect(ends).toEqual([`lost: ${ring.ctx.lostReason}`]);
    expect([ring.ctx.inFlight, ring.ctx.room, ring.ctx.backlogNs]).toEqual([0, 0, 0]);
    ring.publish().interrupt().lose('again');
    expect(flights.map(({ ends }) => ends.length)).toEqual([1, 1, 1]);
    expect(ring.lost.length).toBe(1);
  });

  test('completes a request for the second time ends the queue; the first time counted', () => {
    const ring = new HandRing();
    const flights = ring.submit(2);
    ring.publish().interrupt();
    ring.publish({ slot: 0, tag: 0 }).interrupt();
    expect(flights.map(({ ends }) => ends)).toEqual([
      ['ok 8'],
      ['lost: a completion names slot 0, which has no request'],
    ]);
  });

  test('follows good ones in the same look: those before it are taken', () => {
    const ring = new HandRing();
    const flights = ring.submit(4);
    ring.publish().publish().publish({ tag: 77 }).interrupt();
    expect(flights.map(({ ends }) => ends[0]!.slice(0, 4))).toEqual(['ok 8', 'ok 8', 'lost', 'lost']);
  });

  test('has the phase of the pass before is not there yet', () => {
    const ring = new HandRing();
    const [flight] = ring.submit(1);
    ring.publish({ phase: 0 }).interrupt();
    expect([flight!.ends, ring.ctx.lostReason]).toEqual([[], null]);
  });

  test('is followed by a phase that was flipped ahead in every other entry: no request is told twice', () => {
    const ring = new HandRing();
    const flights = ring.submit(7);
    for (let i = 0; i < 8; i++) ring.publish({ slot: i % 2, tag: i % 2 });
    ring.interrupt();
    expect(flights.map(({ ends }) => ends.length)).toEqual([1, 1, 1, 1, 1, 1, 1]);
    expect(ring.ctx.lostReason).toContain('has no request');
  });
});

test('whatever a device writes, each request ends at most once and the counts never go below zero', () => {
  const completion = fc.record(
    {
      slot: fc.integer({ min: 0, max: 9 }),
      tag: fc.integer({ min: 0, max: 20 }),
      processed: fc.integer({ min: 0, max: 10 }),
      phase: fc.constantFrom(0 as const, 1 as const),
    },
    { requiredKeys: [] },
  );
  const step = fc.oneof(
    fc.record({ submit: fc.integer({ min: 1, max: 3 }) }),
    fc.record({ publish: fc.oneof({ weight: 4, arbitrary: fc.constant({}) }, completion) }),
    fc.constant('interrupt' as const),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const ring = new HandRing(4);
      const flights: RecordedFlight[] = [];
      for (const action of steps) {
        if (action === 'interrupt') ring.interrupt();
        else if ('publish' in action) ring.publish(action.publish);
        else for (let i = 0; i < action.submit && ring.ctx.room > 0; i++) flights.push(...ring.submit(1));
        const open = flights.filter(({ ends }) => ends.length === 0).length;
        expect(ring.ctx.inFlight).toBe(open);
        expect(flights.every(({ ends }) => ends.length <= 1)).toBe(true);
      }
      ring.lose('the end');
      expect(flights.every(({ ends }) => ends.length === 1)).toBe(true);
    }),
    { numRuns: 500 },
  );
});

/** The end of the caller's turn, when what it left for the end is done. */
const turn = (): Promise<void> => new Promise((resolve) => queueMicrotask(resolve));

describe('the ring', () => {
  test('goes on through many passes, and never holds more than depth - 1 requests', async () => {
    const ring = new HandRing(4);
    for (let pass = 0; pass < 50; pass++) {
      const flights = ring.submit(3);
      expect(ring.ctx.room).toBe(0);
      expect(() => ring.ctx.submit(new RecordedFlight())).toThrow(/free slot/);
      ring.publish().publish().publish().interrupt();
      expect(flights.map(({ ends }) => ends)).toEqual([['ok 8'], ['ok 8'], ['ok 8']]);
      await turn();
      expect([ring.word('SQ_TAIL'), ring.word('CQ_HEAD')]).toEqual([3 * (pass + 1), 3 * (pass + 1)]);
    }
  });

  test('wakes an engine that is asleep, once for each doorbell, and one without a free completion slot', async () => {
    const ring = new HandRing();
    ring.submit(1);
    expect(ring.wakes).toBe(0);
    ring.setWord('ENGINE_ASLEEP', engineAsleep.NO_REQUESTS);
    ring.submit(1);
    await turn();
    expect(ring.wakes).toBe(1);
    ring.setWord('ENGINE_ASLEEP', engineAsleep.NO_COMPLETION_SLOT);
    ring.publish().interrupt();
    expect(ring.wakes).toBe(2);
  });

  test('a completion out of order ends the ctx, and every request is told', () => {
    const ring = new HandRing(4);
    const flights = ring.submit(3);
    ring.publish({ slot: 2 }).interrupt();
    expect(flights.map(({ ends }) => ends.length)).toEqual([1, 1, 1]);
    expect(ring.ctx.room).toBe(0);
  });

  test('tells of the first of a burst at once, then at every sixteenth request, and when the caller pauses', async () => {
    const ring = new HandRing(64);
    const told = (): number => ring.word('SQ_TAIL');
    for (const known of [1, 2, 3, 4]) {
      ring.submit(1);
      expect(told()).toBe(known);
    }
    ring.submit(15);
    expect(told()).toBe(4);
    ring.submit(1);
    expect(told()).toBe(20);
    ring.submit(3);
    await turn();
    expect(told()).toBe(23);
  });

  test('what was completed before the engine went away still counts', () => {
    const ring = new HandRing();
    const flights = ring.submit(2);
    ring.publish().lose('its engine thread ended');
    expect(flights.map(({ ends }) => ends)).toEqual([['ok 8'], ['lost: its engine thread ended']]);
  });
});

/** The copy accelerator, with results that were tampered with. */
function liar(tamper: (view: DataView) => void): MachineDriver {
  const create = () => {
    const honest = copyDevice.create({ interrupt: () => {} });
    return Object.assign(Object.create(honest) as typeof honest, {
      *execute(request: SqeRequest, dma: Dma) {
        yield* honest.execute(request, dma);
        tamper(request.sqe);
      },
      requestBytes: (request: SqeRequest) => honest.requestBytes(request),
      costNs: () => 100,
      reset: () => honest.reset(),
      queueStopped: () => {},
    });
  };
  return {
    ...copy,
    name: 'liar',
    device: { ...copyDevice, name: 'liar', create },
    kernelDriver: { ...copy.kernelDriver, deviceName: 'a_liar' },
  };
}

describe('a device in the machine that lies', () => {
  const { processed, tag } = copySqe.fields;
  test.each([
    ['about the length', (view: DataView) => processed.write(view, 0, processed.read(view, 0) + 1)],
    ['about the tag', (view: DataView) => tag.write(view, 0, tag.read(view, 0) + 1)],
  ])('%s loses its requests; the honest one beside it serves on', async (_what, tamper) => {
    const { pool } = await openMachine({
      drivers: [liar(tamper), copy],
      instances: [
        { id: 'liar0', driver: 'liar' },
        { id: 'copy0', driver: 'copy' },
      ],
    });
    const session = pool.session({ op: 'copy', route: 'device', onDeviceLoss: 'fail' })._unsafeUnwrap();
    const results = await Promise.all(Array.from({ length: 200 }, (_, i) => session.run(`request ${i}`)));
    const lost = results.filter((result) => result.isErr());
    expect(lost.length).toBeGreaterThan(0);
    for (const result of lost) {
      expect(result._unsafeUnwrapErr()).toMatchObject({
        kind: 'DeviceLost',
        code: 'ERR_WD_DEVICE_LOST',
        device: 'a_liar-0',
        retryable: true,
      });
    }
    for (const [i, result] of results.entries()) {
      if (result.isErr()) continue;
      expect(result.value.data.toString()).toBe(`request ${i}`);
      expect(result.value.via.device).toBe('wd_copy-0');
    }
    for (let i = 0; i < 50; i++) expect((await session.run('later')).isOk()).toBe(true);
    await pool.close();
  });

  test('alone: every request is told, new ones too, and the pool still closes', async () => {
    const { pool } = await openMachine({ drivers: [liar((view) => tag.write(view, 0, 2 ** 31))] });
    const session = pool.session({ op: 'copy', route: 'device' })._unsafeUnwrap();
    for (const result of await Promise.all([session.run('one'), session.run('two')]))
      expect(result._unsafeUnwrapErr().kind).toBe('DeviceLost');
    expect((await session.run('three'))._unsafeUnwrapErr().kind).toBe('DeviceLost');
    expect((await pool.close()).isOk()).toBe(true);
  });
});
