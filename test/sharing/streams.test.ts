// Do streams of the compression accelerator go on while domains take turns on it, and when a context or the whole device
// is reset, does each go on or end with a status, and never with wrong bytes?
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import copy from '../../drivers/copy/index.js';
import zip from '../../drivers/zip/index.js';
import { zipSqe, zipStatus } from '../../drivers/zip/layout.js';
import { NS_PER_MS } from '../../src/base/units.js';
import type { DeviceDescription } from '../../src/hw/device-model.js';
import type { MachineDriver } from '../../src/machine/machine-driver.js';
import { UACCE_CMD_PUT_Q, UACCE_CMD_START_Q } from '../../src/uapi/ioctl.js';
import { SharingBench } from './sharing-bench.js';
import { streamSqeOf } from './stream-requests.js';
import { DIRECTIONS, type Direction, type Stream, StreamWorker, TURN_BYTES_MAX } from './stream-work.js';

const { ACCESS_FAILED, NO_STREAM } = zipStatus;
const NAMES = ['web', 'batch', 'mail'] as const;
type Name = (typeof NAMES)[number];
const STREAMS = 2;
const WHOLE = { bytes: TURN_BYTES_MAX, roomBytes: TURN_BYTES_MAX };

type Step =
  | {
      readonly kind: 'request';
      readonly name: Name;
      readonly direction: Direction;
      readonly index: number;
      readonly bytes: number;
      readonly roomBytes: number;
    }
  | { readonly kind: 'stubborn'; readonly name: Name; readonly direction: Direction }
  | { readonly kind: 'pass'; readonly events: number };

const length = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: TURN_BYTES_MAX }));
const name = fc.constantFrom(...NAMES);
const direction = fc.constantFrom(...DIRECTIONS);
const request: fc.Arbitrary<Step> = fc.record({
  kind: fc.constant('request' as const),
  name,
  direction,
  index: fc.nat(STREAMS - 1),
  bytes: length,
  // A sync flush alone takes some bytes: less could be asked for again and again.
  roomBytes: length.map((bytes) => bytes + 16),
});
const pass: fc.Arbitrary<Step> = fc.record({
  kind: fc.constant('pass' as const),
  events: fc.integer({ min: 1, max: 30 }),
});
const stubborn: fc.Arbitrary<Step> = fc.record({ kind: fc.constant('stubborn' as const), name, direction });

/** A request of this tag, on a device that cannot be left in the middle of one, never ends. */
const STUBBORN_TAG = 0xdead;

/** The accelerator as it would be if it denied to be left, with a request that never ends. */
function stubbornZip(): MachineDriver {
  const { device } = zip as MachineDriver;
  const create: DeviceDescription['create'] = (signals) => {
    const model = device.create(signals);
    const execute = model.execute.bind(model);
    model.execute = function* (asked, dma) {
      if (zipSqe.fields.tag.read(asked.sqe, 0) === STUBBORN_TAG) for (;;) yield 10 * NS_PER_MS;
      yield* execute(asked, dma);
    };
    return model;
  };
  return { ...zip, device: { ...device, preemption: 'none', create } };
}

/** A machine on which three domains have streams in both directions. */
class Story {
  readonly bench: SharingBench;
  readonly workers = new Map<Name, StreamWorker>();

  private constructor(bench: SharingBench) {
    this.bench = bench;
  }

  static async begin(policy: string, driver: MachineDriver = zip): Promise<Story> {
    const story = new Story(new SharingBench({ drivers: [driver, copy], policy }));
    for (const each of NAMES) {
      story.bench.domain(each, ['zip0']);
      story.workers.set(each, await StreamWorker.start(story.bench, each, STREAMS));
    }
    return story;
  }

  take(step: Step): void {
    if (step.kind === 'pass') {
      this.bench.steps(step.events);
      for (const worker of this.workers.values()) worker.collect();
    } else if (step.kind === 'request') {
      const worker = this.workers.get(step.name)!;
      worker.submit(worker.streams[step.direction][step.index]!, step);
    } else this.#beStubborn(step.name, step.direction);
  }

  /** Goes on with every stream of everybody until each is over. */
  finish(): void {
    const workers = [...this.workers.values()];
    while (workers.some(({ isOver }) => !isOver)) {
      for (const worker of workers) worker.submitAll(WHOLE);
      this.bench.until(() => workers.some(({ hasAnswer }) => hasAnswer));
      for (const worker of workers) worker.collect();
    }
  }

  get streams(): readonly Stream[] {
    return [...this.workers.values()].flatMap(({ all }) => all);
  }

  #beStubborn(of: Name, on: Direction): void {
    const nothing = { stream: 0, begins: true, finish: true, source: 0, bytes: 0 };
    const sqe = streamSqeOf({ ...nothing, destination: 0, roomBytes: 0, tag: STUBBORN_TAG });
    this.workers.get(of)!.submitOther(on, sqe, STUBBORN_TAG);
  }
}

/** It is whole, or it failed as it may, and what it put out before is right. */
function expectRightOrFailed(stream: Stream): void {
  const { failedWith, afterFailure, text, outputText } = stream;
  if (failedWith === null) {
    expect(outputText.equals(text)).toBe(true);
    return;
  }
  expect([ACCESS_FAILED, NO_STREAM]).toContain(failedWith);
  expect(afterFailure).toBe(NO_STREAM);
  expect(outputText.equals(text.subarray(0, outputText.length))).toBe(true);
}

describe('streams of several domains', () => {
  it.each(['round-robin', 'fair'])(
    'come out as they went in, however requests and switches meet, under %s (R1, R5)',
    async (policy) => {
      let switches = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(fc.oneof(request, request, pass), { maxLength: 80 }), async (steps) => {
          const story = await Story.begin(policy);
          for (const step of steps) story.take(step);
          story.finish();
          for (const stream of story.streams) {
            expect(stream.failedWith).toBeNull();
            expect(stream.outputText.equals(stream.text)).toBe(true);
          }
          switches += story.bench.query('zip0').switches.left;
        }),
        { numRuns: 20 },
      );
      expect(switches).toBeGreaterThan(200);
    },
  );

  it('end with a status when their context is reset, and those of others go on (R26, R48)', async () => {
    const seen = new Set<number | null>();
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(request, request, pass), { minLength: 5, maxLength: 60 }),
        stubborn,
        fc.array(fc.oneof(request, pass), { maxLength: 30 }),
        async (before, reset, after) => {
          const story = await Story.begin('round-robin', stubbornZip());
          for (const step of [...before, reset, ...after]) story.take(step);
          story.finish();
          expect(story.bench.query('zip0').switches.contextResets).toBe(1);
          for (const [of, { all }] of story.workers) {
            for (const stream of all) {
              if (reset.kind === 'stubborn' && of !== reset.name) expect(stream.failedWith).toBeNull();
              expectRightOrFailed(stream);
              seen.add(stream.failedWith);
            }
          }
        },
      ),
      { numRuns: 20 },
    );
    expect(seen).toContain(NO_STREAM);
    expect(seen).toContain(null);
  });
});

describe('a device that is reset', () => {
  it('knows no stream any more; a queue that is started again is told so, and can begin new ones (R49)', async () => {
    const story = await Story.begin('round-robin');
    const { bench, workers } = story;
    const web = workers.get('web')!;
    for (const stream of web.all) web.submit(stream, WHOLE);
    bench.rest();
    web.collect();
    const [batch, mail] = [workers.get('batch')!, workers.get('mail')!];
    for (const worker of [batch, mail]) worker.submit(worker.streams.compress[0]!, WHOLE);
    bench.until(() => bench.snapshot('batch', 'zip0').busy && bench.snapshot('mail', 'zip0').busy);
    bench.machine.hang('zip0')._unsafeUnwrap();
    bench.until(() => bench.query('zip0').switches.deviceResets === 1);
    for (const on of DIRECTIONS) {
      const ring = web.queues[on];
      for (const command of [UACCE_CMD_PUT_Q, UACCE_CMD_START_Q])
        await web.process.call({ call: 'ioctl', fd: ring.fd, command });
      [ring.sqTail, ring.cqHead] = [0, 0];
    }
    const finish = (worker: StreamWorker): void => {
      while (!worker.isOver) {
        worker.submitAll(WHOLE);
        bench.until(() => worker.hasAnswer);
        worker.collect();
      }
    };
    finish(web);
    for (const stream of web.all) {
      expect([stream.failedWith, stream.afterFailure]).toEqual([NO_STREAM, NO_STREAM]);
      expectRightOrFailed(stream);
    }
    const fresh = await StreamWorker.start(bench, 'mail', STREAMS);
    finish(fresh);
    for (const stream of fresh.all) expect(stream.outputText.equals(stream.text)).toBe(true);
  });
});
