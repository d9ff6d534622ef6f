// Does a context that is saved and loaded elsewhere go on as if nothing had happened, and is anything else refused?
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ContextImage } from '../../src/hw/engine-image.js';
import type { QueueImage, RequestImage } from '../../src/hw/queue-image.js';
import { CutBench } from './cut-bench.js';
import { cutDevice } from './cut-devices.js';

const { description } = cutDevice('resume');

/** Goes to the end and moves as soon as it can after the steps that `cuts` names: what is left, and how often it moved. */
function moving(bench: CutBench, cuts: (step: number) => boolean) {
  let isDue = false;
  let moves = 0;
  for (let step = 1; bench.step(); step++) {
    if (step > 1000) throw new Error('the requests never end');
    isDue ||= cuts(step);
    if (isDue && bench.move()) {
      moves += 1;
      isDue = false;
    }
    bench.answerLate();
  }
  return { moves, remains: bench.remains() };
}

/** An image that was taken in the middle of a request. */
function anImage(): ContextImage {
  const bench = new CutBench(description);
  for (;;) {
    bench.step();
    const saved = bench.save();
    if (saved.kind === 'saved' && saved.image.queues[0]!.inFlight !== null) return saved.image;
  }
}

function refusal(image: unknown): string | null {
  const bench = new CutBench(description);
  const answer = bench.load(image);
  if (answer.kind === 'done') return null;
  // Nothing is left of the attempt: the same number can be used.
  expect(bench.load(anImage()).kind).toBe('done');
  return answer.kind === 'failed' ? answer.reason : 'asked for another try';
}

describe('a context that moves to another instance (R33, V6)', () => {
  it.each([false, true])(
    'leaves the same rings, memory and registers at every cut (late answers: %s)',
    (answersLate) => {
      const expected = new CutBench(description, { answersLate }).toTheEnd();
      let moves = 0;
      for (let cut = 1, isOver = false; !isOver; cut++) {
        const moved = moving(new CutBench(description, { answersLate }), (step) => step === cut);
        expect({ cut, remains: moved.remains }).toEqual({ cut, remains: expected });
        moves += moved.moves;
        isOver = moved.moves === 0;
      }
      expect(moves).toBeGreaterThan(10);
    },
  );

  it('back and forth, whenever it can', () => {
    const expected = new CutBench(description).toTheEnd();
    const { moves, remains } = moving(new CutBench(description), () => true);
    expect(remains).toEqual(expected);
    expect(moves).toBeGreaterThan(10);
  });

  it('has the same image after it was loaded: load(save(x)) is x', () => {
    const bench = new CutBench(description);
    let images = 0;
    while (bench.step()) {
      const saved = bench.save();
      if (saved.kind === 'failed') continue;
      images += 1;
      const other = new CutBench(description);
      expect(other.load(structuredClone(saved.image))).toEqual({ kind: 'done' });
      expect(other.spare.saveContext(1)).toEqual(saved);
    }
    expect(images).toBeGreaterThan(10);
  });

  it('holds nothing but plain data, and no address of the machine', () => {
    const image = anImage();
    expect(structuredClone(image)).toEqual(image);
    expect(Object.keys(image).sort()).toEqual(['device', 'model', 'queues', 'registers', 'version']);
  });
});

describe('a context that cannot move', () => {
  it.each(['none', 'park', 'restart'] as const)(
    '"%s": while a request is in flight; otherwise it can',
    (preemption) => {
      const bench = new CutBench(cutDevice(preemption).description);
      expect(bench.step()).toBe(true);
      bench.engine.stop();
      const answer = bench.engine.saveContext(1);
      expect(answer).toMatchObject({ kind: 'failed', reason: expect.stringMatching(/in flight|is loaded/) });
      bench.engine.start(1, []);
      bench.toTheEnd();
      expect(bench.save().kind).toBe('saved');
    },
  );

  it('is loaded, or unknown, or of a model that keeps its state to itself', () => {
    const bench = new CutBench(description);
    expect(bench.engine.saveContext(1)).toMatchObject({ reason: 'context 1 is loaded; stop it first' });
    expect(bench.engine.saveContext(7)).toMatchObject({ reason: 'the device has no context 7' });
    const silent = new CutBench(cutDevice('resume', true).description);
    expect(silent.save()).toMatchObject({ reason: expect.stringContaining('cannot be saved') });
  });

  it('stays where it is when its number is taken elsewhere', () => {
    const bench = new CutBench(description);
    bench.spare.createContext(1);
    expect(bench.load(anImage())).toMatchObject({
      kind: 'failed',
      reason: expect.stringContaining('no room'),
    });
  });
});

describe('what is no image', () => {
  const queue = (change: (queue: QueueImage) => object) => (image: ContextImage) => ({
    ...image,
    queues: image.queues.map((each) => ({ ...each, ...change(each) })),
  });
  const request = (change: (request: RequestImage) => object) =>
    queue((each) => ({ inFlight: { ...each.inFlight!, ...change(each.inFlight!) } }));
  const mistakes: Record<string, (image: ContextImage) => unknown> = {
    nothing: () => null,
    'a number': () => 7,
    'another version': (image) => ({ ...image, version: 2 }),
    'another device': (image) => ({ ...image, device: 'zip' }),
    'a register too few': (image) => ({ ...image, registers: image.registers.slice(1) }),
    'a register that is too large': (image) => ({ ...image, registers: [2 ** 32, 1, 1] }),
    'no model': (image) => ({ ...image, model: [] }),
    'another model': (image) => ({ ...image, model: new Uint8Array(8) }),
    'a longer model': (image) => ({ ...image, model: new Uint8Array(9) }),
    'a queue too many': (image) => ({ ...image, queues: [...image.queues, ...image.queues] }),
    'no queues': (image) => ({ ...image, queues: {} }),
    'a queue that is none': (image) => ({ ...image, queues: [3] }),
    'a tail that is no count': queue(() => ({ cqTail: -1 })),
    'a head without its tail': queue(({ sqHead }) => ({ sqHead: sqHead + 1 })),
    'a consumer that is ahead': queue(({ cqTail }) => ({ cqHead: cqTail + 1 })),
    'a wrong phase': queue(({ phase }) => ({ phase: 1 - phase })),
    'an unknown error': queue(() => ({ error: 'tired' })),
    'an error in the middle of a request': queue(() => ({ error: 'head beyond tail' })),
    'a short SQE': request(({ sqe }) => ({ sqe: sqe.subarray(4) })),
    'progress without end': request(({ progress }) => ({ progress: new Uint8Array(progress.length + 1) })),
    'a negative debt': request(() => ({ owedBytes: -1 })),
    'progress beyond the request': request(({ progress }) => {
      const beyond = progress.slice();
      beyond.set([0xff, 0xff, 0xff, 0x7f], 4);
      return { progress: beyond };
    }),
  };

  it.each(Object.keys(mistakes))('%s: is refused with a reason, and leaves nothing', (name) => {
    expect(refusal(mistakes[name]!(structuredClone(anImage())))).toEqual(expect.any(String));
  });

  it('whatever it is: is refused or goes on to some end, and never throws', () => {
    const image = anImage();
    const junk = fc.oneof(fc.anything({ withTypedArray: true }), fc.constant(image.model), fc.nat());
    const path = fc.constantFrom(
      'version',
      'device',
      'registers',
      'model',
      'queues',
      'sqHead',
      'cqTail',
      'cqHead',
      'reported',
      'phase',
      'error',
      'inFlight',
      'sqe',
      'progress',
      'owedBytes',
    );
    const bytes = fc.uint8Array({ minLength: 64, maxLength: 64 });
    fc.assert(
      fc.property(path, fc.oneof(junk, bytes), (name, value) => {
        const inRequest = name === 'sqe' || name === 'progress' || name === 'owedBytes';
        const changed =
          name in image
            ? { ...image, [name]: value }
            : inRequest
              ? request(() => ({ [name]: value }))(image)
              : queue(() => ({ [name]: value }))(image);
        const bench = new CutBench(description);
        if (bench.load(changed).kind !== 'done') return;
        [bench.engine, bench.spare] = [bench.spare, bench.engine];
        bench.engine.start(1, []);
        for (let steps = 0; steps < 30; steps++) {
          bench.engine.step();
          bench.service();
        }
      }),
      { numRuns: 150 },
    );
  });
});
