/**
 * Thirty thousand small compressions started at once. Each sample is a fresh process, as memory that was once
 * touched is not given back; the baseline takes gigabytes and many seconds.
 */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type BenchCase, contest, ifSubject } from '../case.js';
import type { Contestant } from '../harness.js';
import { atLeast, compare, SUBJECT, type Target } from '../report.js';
import type { BurstAnswer } from './burst-child.js';

const child = fileURLToPath(new URL('./burst-child.js', import.meta.url));
/** One sample of the baseline takes over ten seconds. */
const MOST_ROUNDS = 3;
const memoryBound: Target = { on: 'value', relation: '<=', limit: 120 };

/** One burst in a process of its own; rejects when that ends without an answer. */
function burst(name: string): Promise<BurstAnswer> {
  return new Promise((resolve, reject) => {
    const burstProcess = fork(child, [name], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    let complaint = '';
    burstProcess.stderr?.setEncoding('utf8').on('data', (text: string) => {
      complaint += text;
    });
    burstProcess.once('message', (answer) => resolve(answer as BurstAnswer));
    burstProcess.once('error', reject);
    burstProcess.once('close', (code, signal) => {
      reject(new Error(`the burst of ${name} ended with ${signal ?? code} and no answer: ${complaint}`));
    });
  });
}

function burstOf(name: string, growthMiB: Map<string, number[]>): Contestant {
  const growths: number[] = [];
  growthMiB.set(name, growths);
  const measure = async (): Promise<number> => {
    const answer = await burst(name);
    growths.push(answer.growthMiB);
    return answer.requestsPerSecond;
  };
  return { name, measure, close: async () => {} };
}

/** The burst case. */
export const burstCase: BenchCase = {
  group: 'burst-30k',
  title: '30,000 deflates of 1 KiB, level 1, started at once: time and growth of memory',
  rows: async (context) => {
    const growthMiB = new Map<string, number[]>();
    const samples = await contest(context, {
      rounds: Math.min(MOST_ROUNDS, context.rounds),
      openers: [
        ...ifSubject(context, () => burstOf(SUBJECT, growthMiB)),
        () => burstOf('zlib-async', growthMiB),
        () => burstOf('piscina', growthMiB),
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
