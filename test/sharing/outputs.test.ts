// Does everybody get what he would get alone, whoever else is there, comes or goes?
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { limits } from '../../src/base/limits.js';
import { prngStream } from '../../src/base/prng.js';
import { MiB, NS_PER_MS } from '../../src/base/units.js';
import { parametersOf, SharingBench } from './sharing-bench.js';
import { INPUT_BYTES_MAX, Solo, type Work, Worker } from './work.js';

const NAMES = ['web', 'batch', 'mail', 'backup'] as const;
type Name = (typeof NAMES)[number];

let solo: Solo;
beforeAll(async () => {
  solo = await Solo.start();
});

/** A machine with domains that come and go, and what each of their workers was given. */
class Story {
  readonly bench: SharingBench;
  readonly workers = new Map<Name, Worker>();
  /** Submitted since the domain began: what its accelerators must have counted. */
  readonly submitted = new Map<Name, { copy0: number; zip0: number }>();
  done = 0;

  constructor(bench: SharingBench) {
    this.bench = bench;
  }

  async begin(name: Name): Promise<void> {
    this.bench.domain(name);
    this.workers.set(name, await Worker.start(this.bench, name));
    this.submitted.set(name, { copy0: 0, zip0: 0 });
  }

  end(name: Name): void {
    this.workers.get(name)!.collect();
    this.#check(name);
    this.workers.delete(name);
    this.bench.end(name);
  }

  submit(name: Name, work: Work): void {
    const worker = this.workers.get(name);
    if (worker?.submit(work) === true) this.submitted.get(name)![work.on] += 1;
  }

  /** Everything was done, once, and as if nobody else had been there. */
  finish(): void {
    this.bench.rest();
    for (const [name, worker] of this.workers) {
      worker.collect();
      expect([worker.launched.copy0, worker.launched.zip0]).toEqual([[], []]);
      this.#check(name);
      const counted = (['copy0', 'zip0'] as const).map((on) => this.bench.read(name, on, 0x08));
      const { copy0, zip0 } = this.submitted.get(name)!;
      expect(counted).toEqual([copy0, zip0]);
    }
  }

  #check(name: Name): void {
    for (const { work, outcome } of this.workers.get(name)!.outcomes.splice(0)) {
      expect({ work, outcome }).toEqual({ work, outcome: solo.outcome(work) });
      this.done += 1;
    }
  }
}

/** Frames that nobody has, and who is known to the framework. */
function remains(bench: SharingBench) {
  const { machine } = bench;
  const used = machine.domains.host.memory.usedFrames;
  return { used, vcoprocs: ['copy0', 'zip0'].map((id) => bench.query(id).vcoprocs.length) };
}

const sizes = fc.oneof(fc.integer({ min: 0, max: 3000 }), fc.integer({ min: 0, max: INPUT_BYTES_MAX }));
const range = sizes.chain((bytes) =>
  fc.record({ bytes: fc.constant(bytes), at: fc.integer({ min: 0, max: INPUT_BYTES_MAX - bytes }) }),
);
const operations = fc.constantFrom('copy', 'fill', 'crc32c', 'compare');
const work: fc.Arbitrary<Work> = fc.oneof(
  fc
    .tuple(operations, range)
    .map(([operation, { at, bytes }]) => ({ on: 'copy0' as const, operation, at, bytes })),
  fc
    .tuple(fc.constantFrom('raw', 'gzip', 'zlib'), range)
    .map(([kind, { at, bytes }]) => ({ on: 'zip0' as const, kind, at, bytes })),
);
const name = fc.constantFrom(...NAMES);
type Step =
  | { readonly kind: 'submit'; readonly name: Name; readonly work: Work }
  | { readonly kind: 'steps'; readonly amount: number }
  | { readonly kind: 'slice'; readonly amount: number }
  | { readonly kind: 'collect'; readonly name: Name }
  | { readonly kind: 'replace'; readonly name: Name };
const step: fc.Arbitrary<Step> = fc.oneof<fc.WeightedArbitrary<Step>[]>(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('submit' as const), name, work }) },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('steps' as const), amount: fc.integer({ min: 1, max: 60 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('slice' as const),
      amount: fc.integer({ min: 100_000, max: 2 * NS_PER_MS }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('collect' as const), name }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('replace' as const), name }) },
);

async function take(story: Story, taken: Step): Promise<void> {
  const { bench, workers } = story;
  if (taken.kind === 'submit') story.submit(taken.name, taken.work);
  else if (taken.kind === 'steps') bench.steps(taken.amount);
  else if (taken.kind === 'collect') workers.get(taken.name)?.collect();
  else if (taken.kind === 'replace') {
    if (workers.has(taken.name)) story.end(taken.name);
    else await story.begin(taken.name);
  } else {
    for (const id of ['copy0', 'zip0'])
      bench.machine.framework
        .setPolicyParameters(id, parametersOf(bench.query(id).policy, taken.amount))
        ._unsafeUnwrap();
  }
}

describe('domains that share a copy and a compression accelerator (R1, R42, R48, R53)', () => {
  it.each(['round-robin', 'fair'])(
    'each get what they would get alone, once, while others come and go, under %s; all memory comes back',
    async (policy) => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
          const bench = new SharingBench({ policy });
          const before = remains(bench);
          const story = new Story(bench);
          await story.begin('web');
          await story.begin('batch');
          for (const each of steps) await take(story, each);
          story.finish();
          for (const each of [...story.workers.keys()]) story.end(each);
          bench.rest();
          expect(remains(bench)).toEqual(before);
          // All that was carved out can be carved out again, in one piece.
          bench.domain('large', [], 40 * MiB);
        }),
        { numRuns: 60 },
      );
    },
    120_000,
  );

  it('switch many times in a long run, which is the same twice under one seed (R2, R3, R45)', async () => {
    const run = async (seed: number) => {
      const bench = new SharingBench({ seed });
      const story = new Story(bench);
      for (const each of NAMES) await story.begin(each);
      const draw = prngStream(seed, 'work');
      for (let round = 0; round < 800; round++) {
        const bytes = draw.below(INPUT_BYTES_MAX);
        const at = draw.below(INPUT_BYTES_MAX - bytes);
        const request: Work =
          draw.below(2) === 0
            ? { on: 'copy0', operation: (['copy', 'fill', 'crc32c'] as const)[draw.below(3)]!, at, bytes }
            : { on: 'zip0', kind: 'raw', at, bytes: bytes >>> 2 };
        story.submit(NAMES[draw.below(4)]!, request);
        bench.steps(draw.below(40));
        story.workers.get(NAMES[draw.below(4)]!)!.collect();
      }
      story.finish();
      const switches = ['copy0', 'zip0'].map((id) => bench.query(id).switches.entered);
      return {
        trace: bench.machine.trace(),
        events: bench.machine.events,
        nowNs: bench.machine.nowNs,
        switches,
        done: story.done,
      };
    };
    const [first, second, other] = [await run(5), await run(5), await run(6)];
    expect(second).toEqual(first);
    expect(other.trace).not.toEqual(first.trace);
    expect(first.trace.length).toBe(limits.TRACE_TAIL);
    expect(Math.min(...first.switches)).toBeGreaterThan(200);
    expect(first.done).toBeGreaterThan(400);
  }, 120_000);
});
