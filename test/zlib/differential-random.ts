/**
 * Random questions to zlib for fast-check: options good and bad, what is done to a stream, and damaged input. They are
 * made of the same rows that the tables are made of.
 */
import fc from 'fast-check';
import { KiB } from '../../src/base/units.js';
import { randomBytes, sampleText } from '../lib/library-bench.js';
import { CLASSES, COMPRESSORS, type Step } from './differential-steps.js';
import { FUNCTIONS, packedFor } from './table-data.js';

/** Sizes below, at and above each threshold. */
const sizes = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 3000 }) },
  { weight: 3, arbitrary: fc.integer({ min: 3000, max: 70_000 }) },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      511,
      512,
      513,
      KiB,
      16 * KiB - 1,
      16 * KiB,
      16 * KiB + 1,
      64 * KiB - 1,
      64 * KiB,
      64 * KiB + 1,
    ),
  },
);

/** Bytes of every kind: text, noise, zeros, and these behind each other. */
const contents: fc.Arbitrary<Buffer> = fc
  .array(fc.tuple(fc.constantFrom('text', 'noise', 'zeros'), sizes, fc.nat(5)), {
    minLength: 1,
    maxLength: 3,
  })
  .map((parts) => Buffer.concat(parts.map(([kind, bytes, seed]) => contentOf(kind, bytes, seed))));

function contentOf(kind: string, bytes: number, seed: number): Buffer {
  if (kind === 'zeros') return Buffer.alloc(bytes);
  return kind === 'text' ? sampleText(bytes, seed) : randomBytes(bytes, seed);
}

/** Writes of one stream but for the last. */
const WRITES_MAX = 30;

const odd = fc.constantFrom<unknown>(Number.NaN, 1.5, '5', null, -7, 99, true, Infinity);
const mostly = (good: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
  fc.oneof({ weight: 30, arbitrary: good }, { weight: 1, arbitrary: odd });

/** Options of one call: each may be left out, and now and then one is wrong. */
const options: fc.Arbitrary<Record<string, unknown>> = fc.record(
  {
    level: mostly(fc.constantFrom(-1, 0, 1, 1, 2, 3, 4, 5, 6, 6, 7, 8, 9)),
    windowBits: mostly(fc.constantFrom(15, 15, 15, 15, 0, 8, 9, 11, 14)),
    memLevel: mostly(fc.integer({ min: 1, max: 9 })),
    strategy: mostly(fc.integer({ min: 0, max: 4 })),
    chunkSize: mostly(fc.constantFrom(64, 100, 1000, 16 * KiB, 64 * KiB)),
    maxOutputLength: mostly(fc.integer({ min: 1, max: 100_000 })),
    finishFlush: fc.constantFrom(undefined, undefined, undefined, undefined, 2, 4),
    info: fc.constantFrom(undefined, undefined, undefined, undefined, true),
  },
  { requiredKeys: [] },
);

/** Options that say how a stream passes its bytes on; a limit is not for streams. */
const streamOptions = options.map(({ maxOutputLength: _limit, info: _info, ...rest }) => rest);

/** Damage to compressed bytes: a bit flipped, the end cut off, or something behind. */
type Damage = readonly ['flip' | 'cut' | 'append' | 'repeat', number];
const damages: fc.Arbitrary<readonly Damage[]> = fc.array(
  fc.tuple(fc.constantFrom('flip', 'cut', 'append', 'repeat'), fc.nat(1e6)),
  { maxLength: 2 },
);

function damaged(bytes: Buffer, [kind, at]: Damage): Buffer {
  const place = at % (bytes.length + 1);
  if (kind === 'cut') return bytes.subarray(0, place);
  if (kind === 'append')
    return Buffer.concat([bytes, at % 3 === 0 ? Buffer.alloc(place % 2000) : randomBytes(place % 2000)]);
  if (kind === 'repeat') return Buffer.concat([bytes, bytes]);
  const changed = Buffer.from(bytes);
  if (place < bytes.length) changed[place] = changed[place]! ^ (1 << (at % 8));
  return changed;
}

/** An input of the reader of that name: packed with random parameters, then perhaps damaged. */
const inputsOf = (reader: string): fc.Arbitrary<Buffer> =>
  fc
    .tuple(contents, fc.integer({ min: -1, max: 9 }), fc.integer({ min: 9, max: 15 }), damages)
    .map(([bytes, level, windowBits, marks]) =>
      marks.reduce(damaged, packedFor(reader, bytes, { level, windowBits })),
    );

/** A call with callback: name, input, options. */
export const calls: fc.Arbitrary<readonly [string, Buffer, Record<string, unknown>]> = fc
  .constantFrom(...FUNCTIONS)
  .chain((name) => fc.tuple(fc.constant(name), inputsOf(name), options));

/** Where an input is cut into writes. */
const widths = fc.array(fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 300, max: 40_000 })), {
  minLength: 1,
  maxLength: 5,
});

/**
 * The steps between two writes. Parameters are settled: node's own threads race otherwise. They do not go to level 0,
 * where zlib cuts its blocks by the room of each call (see the tables). Nor is there a reset where docs/zlib.md names a
 * difference.
 */
const between = (className: string, compressor: boolean): fc.Arbitrary<readonly Step[]> => {
  const flush = fc.tuple(fc.constant('flush' as const), fc.constantFrom(undefined, 0, 1, 2, 3, 5));
  const always: fc.Arbitrary<readonly Step[]>[] = [
    fc.constant([]),
    fc.constant([['settle']]),
    flush.map((step): Step[] => [step]),
    flush.map((step): Step[] => [step, ['settle']]),
    fc.constant([['pause'], ['resume']]),
    ...(compressor || className === 'Unzip' ? [] : [fc.constant<Step[]>([['settle'], ['reset']])]),
  ];
  const params = fc
    .tuple(fc.constantFrom(-1, 1, 2, 3, 4, 5, 6, 7, 8, 9), fc.integer({ min: 0, max: 4 }))
    .map(([level, strategy]): Step[] => [['params', level, strategy], ['settle']]);
  return fc.oneof(...always, ...(compressor ? [params, params] : []));
};

/** How it ends. Node forgets the callback of a write that fails in a destroyed stream, so that only packing is cut short. */
const ends = (compressor: boolean): fc.Arbitrary<readonly Step[]> =>
  fc.oneof(
    { weight: 8, arbitrary: fc.constant<Step[]>([['end']]) },
    { weight: 1, arbitrary: fc.constant<Step[]>([['settle'], ['close']]) },
    { weight: 1, arbitrary: fc.constant<Step[]>(compressor ? [['destroy']] : [['settle'], ['destroy']]) },
  );

/** A stream: class, options, and what is done to it. */
export const streams: fc.Arbitrary<readonly [string, Record<string, unknown>, readonly Step[]]> = fc
  .constantFrom(...CLASSES)
  .chain((className) => {
    const compressor = (COMPRESSORS as readonly string[]).includes(className);
    const input = compressor ? contents : inputsOf(className);
    const doings = fc.array(between(className, compressor), { minLength: 1, maxLength: 6 });
    return fc
      .tuple(input, widths, doings, ends(compressor))
      .map(([bytes, cuts, steps, end]) => [...interleaved(bytes, cuts, steps), ...end])
      .chain((steps) => fc.tuple(fc.constant(className), streamOptions, fc.constant(shownShort(steps))));
  });

/** The same steps; fast-check shows them by their lengths. */
function shownShort(steps: readonly Step[]): readonly Step[] {
  const short = (value: unknown): unknown => (Buffer.isBuffer(value) ? `${value.length} bytes` : value);
  const text = JSON.stringify(steps.map((step) => step.map(short)));
  return Object.defineProperty(steps, fc.toStringMethod, { value: () => text });
}

/** Writes of the given widths over and over, each followed by the next of `steps`; the last one takes the rest. */
function interleaved(bytes: Buffer, cuts: readonly number[], steps: readonly (readonly Step[])[]): Step[] {
  const taken: Step[] = [];
  let offset = 0;
  for (let index = 0; offset < bytes.length; index++) {
    const width = index < WRITES_MAX ? cuts[index % cuts.length]! : bytes.length;
    taken.push(
      ['write', bytes.subarray(offset, offset + width)],
      ...(index < WRITES_MAX ? steps[index % steps.length]! : []),
    );
    offset += width;
  }
  return taken;
}
