/**
 * Thirty thousand small compressions started at once. Each sample is a fresh process, as memory that was once
 * touched is not given back; the baseline takes gigabytes and many seconds.
 */
import { type BenchCase, type BenchContext, contest, ifSubject } from '../case.js';
import { freshProcess } from '../fresh-process.js';
import type { Contestant } from '../harness.js';
import { atLeast, compare, SUBJECT, type Target } from '../report.js';
import type { BurstAnswer } from './burst-child.js';

const CHILD = new URL('./burst-child.js', import.meta.url);
const REQUESTS = 30_000;
/** One sample of the baseline takes over ten seconds. */
const MOST_ROUNDS = 3;
const memoryBound: Target = { on: 'value', relation: '<=', limit: 120 };

function burstOf(context: BenchContext, name: string, growthMiB: Map<string, number[]>): Contestant {
  const rateOf = ({ requestsPerSecond }: BurstAnswer): number => requestsPerSecond;
  return freshProcess(context, { name, child: CHILD, amount: REQUESTS, rateOf, growthMiB });
}

/** The burst case. */
export const burstCase: BenchCase = {
  group: 'burst-30k',
  title: '30,000 deflates of 1 KiB, level 1, started at once: time and growth of memory',
  limitedBy:
    'Codec time of both engines; memory, by the requests that a pool holds at once and the Promise of each call.',
  rows: async (context) => {
    const growthMiB = new Map<string, number[]>();
    const samples = await contest(context, {
      rounds: Math.min(MOST_ROUNDS, context.rounds),
      openers: [
        ...ifSubject(context, () => burstOf(context, SUBJECT, growthMiB)),
        () => burstOf(context, 'zlib-async', growthMiB),
        () => burstOf(context, 'piscina', growthMiB),
      ],
    });
    const faster = [{ baseline: 'zlib-async', target: atLeast(5) }, { baseline: 'piscina' }];
    const bounded = [{ baseline: 'zlib-async', target: memoryBound }, { baseline: 'piscina' }];
    return [
      ...compare({ group: 'burst-30k', unit: 'requests/s', samples, comparisons: faster }),
      ...compare({ group: 'burst-30k-rss', unit: 'MiB', samples: growthMiB, comparisons: bounded }),
    ];
  },
};
