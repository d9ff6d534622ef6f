/**
 * A contestant whose samples are processes of their own: how fast each was, and by how much its memory grew, which is
 * kept beside the samples.
 */
import { type BenchContext, partOf } from './case.js';
import { forked } from './forked.js';
import type { Contestant } from './harness.js';

/** What a process has to do, and where the growths go. `amount` is its work in a whole run. */
export interface FreshProcess<Answer> {
  readonly name: string;
  readonly child: URL;
  readonly amount: number;
  readonly rateOf: (answer: Answer) => number;
  /** Growth of memory of each sample, MiB, by the contestant's name. */
  readonly growthMiB: Map<string, number[]>;
}

export function freshProcess<Answer extends { readonly growthMiB: number }>(
  context: BenchContext,
  { name, child, amount, rateOf, growthMiB }: FreshProcess<Answer>,
): Contestant {
  const growths: number[] = [];
  growthMiB.set(name, growths);
  const measure = async (): Promise<number> => {
    const answer = await forked<Answer>(child, [name, String(partOf(context, amount))]);
    growths.push(answer.growthMiB);
    return rateOf(answer);
  };
  return { name, measure, close: async () => {} };
}
