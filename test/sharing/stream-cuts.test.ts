// Does a stream of the compression accelerator live through every moment at which its context is left, and when its
// context is reset or asked to move, does it end with a status and never with wrong bytes?
import { Buffer } from 'node:buffer';
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { zipDevice } from '../../drivers/zip/device.js';
import { directions, zipRegisters, zipStatus } from '../../drivers/zip/layout.js';
import { KiB } from '../../src/base/units.js';
import { prose } from '../drivers/zip/codec-streams.js';
import { CutBench, DATA } from './cut-bench.js';
import { type StreamOutcome, streamOutcomeOf, streamSqeOf } from './stream-requests.js';

const { DONE, STREAM_END, ACCESS_FAILED, NO_STREAM } = zipStatus;
const TEXT = Buffer.from(prose(60 * KiB));
const COUNT = 3;
const ROOM_BYTES = 64 * KiB;
const roomAt = (index: number): number => 64 * KiB + index * ROOM_BYTES;

type Direction = keyof typeof directions;
const DIRECTIONS: readonly Direction[] = ['compress', 'decompress'];

/** A stream of three requests that are submitted at once; some pages of its memory come late. */
function streamBench(direction: Direction, answersLate = false): CutBench {
  const input = direction === 'compress' ? TEXT : deflateRawSync(TEXT);
  const chunk = Math.ceil(input.length / COUNT);
  const requests = Array.from({ length: COUNT }, (_, index) =>
    streamSqeOf({
      stream: DATA,
      begins: index === 0,
      finish: direction === 'compress' && index === COUNT - 1,
      source: DATA + index * chunk,
      bytes: Math.min(chunk, input.length - index * chunk),
      destination: DATA + roomAt(index),
      roomBytes: ROOM_BYTES,
    }),
  );
  const bench = new CutBench(zipDevice, { requests, qcType: directions[direction], answersLate });
  bench.putData(0, input);
  return bench;
}

/** Goes to the end and lets `cut` interfere after each step. Answers how many steps there were. */
function throughSteps(bench: CutBench, cut: (step: number) => void): number {
  for (let step = 1; ; step++) {
    if (!bench.step()) return step;
    if (step > 1000) throw new Error('the requests never end');
    cut(step);
    bench.answerLate();
  }
}

const outcomesOf = (bench: CutBench): StreamOutcome[] =>
  Array.from({ length: COUNT }, (_, index) => streamOutcomeOf(bench.slot(index)));

/** What requests that were done have put out, one behind the other, as text. */
function textOf(bench: CutBench, direction: Direction): Buffer {
  const parts = outcomesOf(bench).map(({ status, produced }, index) =>
    status === DONE || status === STREAM_END ? bench.data(roomAt(index), produced) : Buffer.alloc(0),
  );
  const output = Buffer.concat(parts);
  // A stream that was cut short is flushed up to there.
  if (direction === 'decompress') return output;
  return inflateRawSync(output, { finishFlush: constants.Z_SYNC_FLUSH });
}

function expectWhole(bench: CutBench, direction: Direction, cut: unknown): void {
  const last = direction === 'compress' ? DONE : STREAM_END;
  const statuses = outcomesOf(bench).map(({ status }) => status);
  expect({ cut, statuses }).toEqual({ cut, statuses: [DONE, DONE, last] });
  expect(textOf(bench, direction).equals(TEXT)).toBe(true);
}

describe.each(DIRECTIONS)('a stream that is to %s', (direction) => {
  it.each([false, true])('goes on at every cut (pages come late: %s)', (answersLate) => {
    const steps = throughSteps(streamBench(direction, answersLate), () => {});
    expect(steps).toBeGreaterThan(6);
    for (let cut = 0; cut <= steps; cut++) {
      const bench = streamBench(direction, answersLate);
      throughSteps(bench, (step) => {
        if (cut === 0 || step === cut) expect(bench.leaveAndReturn().kind).toBe('done');
      });
      expectWhole(bench, direction, cut);
    }
  });

  it.each(['loaded', 'not loaded'])('whose context is reset at any moment, %s, ends with it', (when) => {
    const steps = throughSteps(streamBench(direction), () => {});
    const seen = new Set<string>();
    for (let cut = 1; cut < steps; cut++) {
      const bench = streamBench(direction);
      let isUnderWay = false;
      throughSteps(bench, (step) => {
        if (step !== cut) return;
        isUnderWay = bench.inFlight;
        if (when === 'not loaded') expect(bench.engine.stop()).toEqual({ kind: 'done' });
        expect(bench.engine.resetContext(1)).toEqual({ kind: 'done' });
        bench.engine.start(1, []);
      });
      if (!isUnderWay) {
        // Nothing was to be dropped: the device keeps the stream.
        expectWhole(bench, direction, cut);
        continue;
      }
      const statuses = outcomesOf(bench).map(({ status }) => status);
      const failed = statuses.indexOf(ACCESS_FAILED);
      const done = Array.from({ length: failed }, () => DONE);
      const after = Array.from({ length: COUNT - failed - 1 }, () => NO_STREAM);
      expect({ cut, statuses }).toEqual({ cut, statuses: [...done, ACCESS_FAILED, ...after] });
      const text = textOf(bench, direction);
      expect(text.equals(TEXT.subarray(0, text.length))).toBe(true);
      seen.add(statuses.join());
    }
    expect(seen.size).toBeGreaterThan(1);
  });

  it('whose context is asked to move stays, and goes on as if nobody had asked', () => {
    const bench = streamBench(direction, true);
    const reasons = new Set<string>();
    throughSteps(bench, () => {
      const saved = bench.save();
      reasons.add(saved.kind === 'failed' ? saved.reason : 'saved');
      expect(bench.move()).toBe(false);
    });
    expect([...reasons].every((reason) => /cannot resume it elsewhere|cannot be saved/.test(reason))).toBe(
      true,
    );
    expectWhole(bench, direction, 'moves');
  });
});

it('an image of a context with streams is taken from nobody', () => {
  const bench = streamBench('compress');
  const idle = { sqHead: 0, cqTail: 0, cqHead: 0, reported: 0, phase: 1, error: null, inFlight: null };
  const registers = zipRegisters.map(({ reset }) => reset);
  const image = { version: 1, device: 'zip', registers, model: new Uint8Array(0), queues: [idle] };
  expect(bench.load(image)).toEqual({ kind: 'failed', reason: 'the device refuses the state of its model' });
});
