/** A gigabyte through a gzip stream of `warpdrive/zlib`: as fast as node:zlib's, and without keeping it in memory. */
import { type BenchCase, type BenchContext, contest, ifSubject } from '../case.js';
import { freshProcess } from '../fresh-process.js';
import type { Contestant } from '../harness.js';
import { atLeast, compare, SUBJECT, type Target } from '../report.js';
import type { StreamAnswer } from './stream-child.js';

const CHILD = new URL('./stream-child.js', import.meta.url);
const PLAIN_BYTES = 1024 ** 3;
/** One sample takes a quarter of a minute. */
const MOST_ROUNDS = 3;
const GROUP = 'stream-1g';
const BASELINE = 'node-zlib';
const memoryBound: Target = { on: 'value', relation: '<=', limit: 64 };

function streamOf(context: BenchContext, name: string, growthMiB: Map<string, number[]>): Contestant {
  const rateOf = ({ megabytesPerSecond }: StreamAnswer): number => megabytesPerSecond;
  return freshProcess(context, { name, child: CHILD, amount: PLAIN_BYTES, rateOf, growthMiB });
}

/** The stream case. */
export const streamCase: BenchCase = {
  group: GROUP,
  title:
    '1 GiB of source text through createGzip() of warpdrive/zlib, level 6: throughput and growth of memory',
  limitedBy:
    'Codec time: a stream has one state and so one engine; memory, by what the stream holds before it asks its source to wait.',
  rows: async (context) => {
    const growthMiB = new Map<string, number[]>();
    const samples = await contest(context, {
      rounds: Math.min(MOST_ROUNDS, context.rounds),
      openers: [
        ...ifSubject(context, () => streamOf(context, SUBJECT, growthMiB)),
        () => streamOf(context, BASELINE, growthMiB),
      ],
    });
    const asFast = [{ baseline: BASELINE, target: atLeast(0.9) }];
    const bounded = [{ baseline: BASELINE, target: memoryBound }];
    return [
      ...compare({ group: GROUP, unit: 'MB/s', samples, comparisons: asFast }),
      ...compare({ group: `${GROUP}-rss`, unit: 'MiB', samples: growthMiB, comparisons: bounded }),
    ];
  },
};
