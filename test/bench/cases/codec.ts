/** Deflate and inflate of small buffers, 32 in flight, two engines, against everything that does the same. */
import { fflateSync } from '../baselines/fflate.js';
import { piscinaCodec } from '../baselines/piscina.js';
import { reusedHandle } from '../baselines/reused-handle.js';
import { zlibAsync, zlibSync } from '../baselines/zlib.js';
import { type BenchCase, type BenchContext, contest, ifSubject, type Opener } from '../case.js';
import {
  type AsyncCodec,
  type CodecInputs,
  callsOf,
  type Operation,
  requesterOf,
  type SyncCodec,
  textInputs,
} from '../codec.js';
import { throughputOf, throughputOfCalls } from '../load.js';
import { atLeast, type Comparison, compare } from '../report.js';
import { subjectCodec, subjectInflateInto } from '../subject.js';

const DEPTH = 32;
/** What every one of these cases runs into. */
const MAIN_THREAD =
  'CPU of the main thread, which shares two cores with two engines: copies in and out, a Promise and a part of an interrupt for each request.';

interface CodecCase {
  readonly group: string;
  readonly title: string;
  readonly limitedBy: string;
  readonly operation: Operation;
  readonly plainBytes: number;
  /** Different inputs that take turns. */
  readonly count: number;
  readonly comparisons: readonly Comparison[];
  /** Whether the outputs of the subject go into memory of its pool; of inflate only. Default false. */
  readonly into?: boolean;
}

/** All contestants of a codec case; their samples are MB/s of uncompressed bytes. */
function openers(context: BenchContext, prepared: CodecInputs, into: boolean): Opener[] {
  const { operation, inputs, plainBytes, check } = prepared;
  const base = { sampleMs: context.sampleMs, count: inputs.length, check };
  const megabytes = (perSecond: number): number => (perSecond * plainBytes) / 1e6;
  const queued = <T>(codec: AsyncCodec<T>) =>
    throughputOf(requesterOf(codec, inputs), { ...base, depth: DEPTH, figure: megabytes });
  const direct = (codec: SyncCodec, threads = 1) =>
    throughputOfCalls(callsOf(codec, inputs), { ...base, figure: (rate) => threads * megabytes(rate) });
  const ours = into
    ? async () => queued(await subjectInflateInto(plainBytes))
    : async () => queued(await subjectCodec(operation));
  return [
    ...ifSubject(context, ours),
    () => queued(zlibAsync(operation)),
    () => queued(piscinaCodec(operation, 'piscina')),
    () => queued(piscinaCodec(operation, 'piscina-8')),
    () => direct({ ...reusedHandle(operation), name: 'two-core-ideal' }, 2),
    () => direct(zlibSync(operation)),
    () => direct(fflateSync(operation)),
  ];
}

function codecCase(options: CodecCase): BenchCase {
  const { group, title, limitedBy, operation, comparisons, into = false } = options;
  const rows: BenchCase['rows'] = async (context) => {
    const samples = await contest(context, { openers: openers(context, textInputs(options), into) });
    return compare({ group, unit: 'MB/s', samples, comparisons, note: reusedHandle(operation).note });
  };
  return { group, title, limitedBy, rows };
}

/** Deflate at level 1 of one size, with what is to be reached against the three that matter. */
function deflateCase(options: {
  readonly kiB: number;
  readonly count: number;
  readonly zlibAsync: number;
  readonly piscina8: number;
  readonly ideal: number;
}): BenchCase {
  const { kiB, count } = options;
  return codecCase({
    group: `deflate-${kiB}k`,
    title: `deflate of ${kiB} KiB, level 1, 32 in flight, two engines`,
    limitedBy: MAIN_THREAD,
    operation: { direction: 'deflate', level: 1 },
    plainBytes: kiB * 1024,
    count,
    comparisons: [
      { baseline: 'zlib-async', target: atLeast(options.zlibAsync) },
      { baseline: 'piscina' },
      { baseline: 'piscina-8', target: atLeast(options.piscina8) },
      { baseline: 'two-core-ideal', target: atLeast(options.ideal) },
      { baseline: 'zlib-sync' },
      { baseline: 'fflate-sync' },
    ],
  });
}

const inflateOf4KiB = {
  operation: { direction: 'inflate', level: 6 },
  plainBytes: 4096,
  count: 64,
  limitedBy: `${MAIN_THREAD} Inflate takes the engines so little time that this weighs most.`,
} as const;

/** The small-buffer cases. */
export const codecCases: readonly BenchCase[] = [
  deflateCase({ kiB: 1, count: 64, zlibAsync: 3, piscina8: 2, ideal: 0.78 }),
  deflateCase({ kiB: 4, count: 64, zlibAsync: 2, piscina8: 1.6, ideal: 0.83 }),
  deflateCase({ kiB: 64, count: 16, zlibAsync: 1.15, piscina8: 1.1, ideal: 0.93 }),
  codecCase({
    ...inflateOf4KiB,
    group: 'inflate-4k',
    title: 'inflate to 4 KiB, 32 in flight, two engines',
    comparisons: [
      { baseline: 'zlib-async', target: atLeast(2.2) },
      { baseline: 'piscina' },
      { baseline: 'piscina-8', target: atLeast(2.5) },
      { baseline: 'two-core-ideal', target: atLeast(0.58) },
      { baseline: 'zlib-sync' },
      { baseline: 'fflate-sync' },
    ],
  }),
  codecCase({
    ...inflateOf4KiB,
    group: 'inflate-into-4k',
    title: 'inflate to 4 KiB into memory of the pool (`into`), 32 in flight, two engines',
    into: true,
    comparisons: [
      { baseline: 'zlib-async' },
      { baseline: 'piscina-8' },
      { baseline: 'two-core-ideal', target: atLeast(0.68) },
    ],
  }),
];
