/**
 * Sixty-four small requests in one call of `batch`, against a call for each, at once and one after the other: time, and CPU
 * of the calling thread.
 */
import { zlibAsync } from '../baselines/zlib.js';
import { type BenchCase, type BenchContext, contest, ifSubject, partOf } from '../case.js';
import { type CodecInputs, type GroupCodec, inGroups, oneByOne, textInputs } from '../codec.js';
import { ownBuffer } from '../corpus.js';
import type { Contestant } from '../harness.js';
import { atLeast, compare } from '../report.js';
import { subjectBatch, subjectCodec } from '../subject.js';
import { threadCpu } from '../thread-cpu.js';

const REQUESTS = 64;
/** Over half a second, see thread-cpu.ts. */
const SAMPLE_MS = 600;
const GROUP = 'batch-64x1k';
const operation = { direction: 'deflate', level: 1 } as const;
/** Our own pool, with a call for each input, all at once. */
const SINGLE_CALLS = 'wd-single-calls';
/** Likewise, one after the other. */
const AWAITED_CALLS = 'wd-awaited-calls';

/** What the contestants share. */
interface Shared {
  readonly context: BenchContext;
  readonly prepared: CodecInputs;
  /** Microseconds of CPU of the calling thread for each request, by the contestant's name. */
  readonly cpuUs: Map<string, number[]>;
}

/** Requests per second when one group of them follows the other. */
function measured(codec: GroupCodec, { context, prepared, cpuUs }: Shared): Contestant {
  const cpu = threadCpu();
  const inputs = prepared.inputs.map(ownBuffer);
  const cpuSamples: number[] = [];
  cpuUs.set(codec.name, cpuSamples);
  const sample = async (): Promise<{ perSecond: number; cpuUs: number }> => {
    const sampleMs = partOf(context, SAMPLE_MS);
    const [startUs, startMs] = [cpu.usedUs(), performance.now()];
    let [requests, elapsedMs] = [0, 0];
    while (elapsedMs < sampleMs) {
      requests += (await codec.transformAll(inputs)).length;
      elapsedMs = performance.now() - startMs;
    }
    return { perSecond: (requests * 1000) / elapsedMs, cpuUs: (cpu.usedUs() - startUs) / requests };
  };
  return {
    name: codec.name,
    verify: async () => {
      for (const [index, output] of (await codec.transformAll(inputs)).entries())
        prepared.check(index, output);
    },
    warmUp: async () => {
      await sample();
    },
    measure: async () => {
      const taken = await sample();
      cpuSamples.push(taken.cpuUs);
      return taken.perSecond;
    },
    close: () => codec.close(),
  };
}

/** The batch case. */
export const batchCase: BenchCase = {
  group: GROUP,
  title: '64 deflates of 1 KiB, level 1, in one call of `batch` and in a call for each',
  limitedBy:
    'Codec time of both engines, which is the same for both; one call saves a part of what the calling thread does for each request.',
  rows: async (context) => {
    const prepared = textInputs({ operation, count: REQUESTS, plainBytes: 1024 });
    const shared = { context, prepared, cpuUs: new Map<string, number[]>() };
    const singles = async (): Promise<GroupCodec> =>
      inGroups({ ...(await subjectCodec(operation)), name: SINGLE_CALLS });
    const awaited = async (): Promise<GroupCodec> =>
      oneByOne({ ...(await subjectCodec(operation)), name: AWAITED_CALLS });
    const samples = await contest(context, {
      openers: [
        ...ifSubject(context, async () => measured(await subjectBatch(operation), shared)),
        ...ifSubject(context, async () => measured(await singles(), shared)),
        ...ifSubject(context, async () => measured(await awaited(), shared)),
        () => measured(inGroups(zlibAsync(operation)), shared),
      ],
    });
    const ours = context.subject ? [SINGLE_CALLS, AWAITED_CALLS] : [];
    const single = ours.map((baseline) => ({ baseline, target: atLeast(1.5) }));
    const comparisons = [...single, { baseline: 'zlib-async' }];
    const untargeted = comparisons.map(({ baseline }) => ({ baseline }));
    const note = `CPU time from ${threadCpu().source}`;
    return [
      ...compare({ group: GROUP, unit: 'requests/s', samples, comparisons }),
      ...compare({
        group: `${GROUP}-cpu`,
        unit: 'us/request',
        samples: shared.cpuUs,
        comparisons: untargeted,
        note,
      }),
    ];
  },
};
