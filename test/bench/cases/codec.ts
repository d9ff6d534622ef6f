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
import { subjectCodec } from '../subject.js';

const DEPTH = 32;

interface CodecCase {
  readonly group: string;
  readonly title: string;
  readonly operation: Operation;
  readonly plainBytes: number;
  /** Different inputs that take turns. */
  readonly count: number;
  readonly comparisons: readonly Comparison[];
}

/** All contestants of a codec case; their samples are MB/s of uncompressed bytes. */
function openers(context: BenchContext, prepared: CodecInputs): Opener[] {
  const { operation, inputs, plainBytes, check } = prepared;
  const base = { sampleMs: context.sampleMs, count: inputs.length, check };
  const megabytes = (perSecond: number): number => (perSecond * plainBytes) / 1e6;
  const queued = <T>(codec: AsyncCodec<T>) =>
    throughputOf(requesterOf(codec, inputs), { ...base, depth: DEPTH, figure: megabytes });
  const direct = (codec: SyncCodec, threads = 1) =>
    throughputOfCalls(callsOf(codec, inputs), { ...base, figure: (rate) => threads * megabytes(rate) });
  return [
    ...ifSubject(context, async () => queued(await subjectCodec(operation))),
    () => queued(zlibAsync(operation)),
    () => queued(piscinaCodec(operation, 'piscina')),
    () => queued(piscinaCodec(operation, 'piscina-8')),
    () => direct({ ...reusedHandle(operation), name: 'two-core-ideal' }, 2),
    () => direct(zlibSync(operation)),
    () => direct(fflateSync(operation)),
  ];
}

function codecCase(options: CodecCase): BenchCase {
  const { group, title, operation, comparisons } = options;
  const rows: BenchCase['rows'] = async (context) => {
    const samples = await contest(context, { openers: openers(context, textInputs(options)) });
    return compare({ group, unit: 'MB/s', samples, comparisons, note: reusedHandle(operation).note });
  };
  return { group, title, rows };
}

const deflate: Operation = { direction: 'deflate', level: 1 };

/** The small-buffer cases. */
export const codecCases: readonly BenchCase[] = [
  codecCase({
    group: 'deflate-4k',
    title: 'deflate of 4 KiB, level 1, 32 in flight, two engines',
    operation: deflate,
    plainBytes: 4096,
    count: 64,
    comparisons: [
      { baseline: 'zlib-async', target: atLeast(2) },
      { baseline: 'piscina' },
      { baseline: 'piscina-8', target: atLeast(1.6) },
      { baseline: 'two-core-ideal', target: atLeast(0.83) },
      { baseline: 'zlib-sync' },
      { baseline: 'fflate-sync' },
    ],
  }),
  codecCase({
    group: 'deflate-64k',
    title: 'deflate of 64 KiB, level 1, 32 in flight, two engines',
    operation: deflate,
    plainBytes: 65536,
    count: 16,
    comparisons: [
      { baseline: 'zlib-async', target: atLeast(1.15) },
      { baseline: 'piscina' },
      { baseline: 'piscina-8' },
      { baseline: 'two-core-ideal', target: atLeast(0.93) },
      { baseline: 'zlib-sync' },
      { baseline: 'fflate-sync' },
    ],
  }),
  codecCase({
    group: 'inflate-4k',
    title: 'inflate to 4 KiB, 32 in flight, two engines',
    operation: { direction: 'inflate', level: 6 },
    plainBytes: 4096,
    count: 64,
    comparisons: [
      { baseline: 'zlib-async', target: atLeast(2.2) },
      { baseline: 'piscina' },
      { baseline: 'piscina-8', target: atLeast(2.5) },
      { baseline: 'two-core-ideal' },
      { baseline: 'zlib-sync' },
      { baseline: 'fflate-sync' },
    ],
  }),
];
