/**
 * Interleaved measurement: every contestant of a case is measured once per round, in one shuffled order whose
 * start moves by one each round, so that a slow minute of the machine hits all of them alike. One sample per
 * contestant and round; a figure is the median over the rounds, a ratio is the quotient of two medians.
 *
 * Each contestant proves its results before anything is timed, and is warmed up outside the measurement.
 */
import { assert } from '../../src/base/assert.js';
import type { Prng } from '../../src/base/prng.js';

/** One way of doing what a case measures. */
export interface Contestant {
  /** Stable: part of the names in the report. Unique in its case. */
  readonly name: string;
  /** Optional. Called once, before any measurement; throws when a single byte of a result is wrong. */
  verify?(): Promise<void>;
  /** Optional. Called once, after `verify`: compiles hot paths and sizes the samples. */
  warmUp?(): Promise<void>;
  /** One sample, in the unit of the case. Called once per round. */
  measure(): Promise<number>;
  /** Called once, at the end, whether or not the rest succeeded. */
  close(): Promise<void>;
}

/** The samples of each contestant by name, in the order of the rounds. */
export type Samples = ReadonlyMap<string, readonly number[]>;

/** The middle of `values`, or the mean of the two middle ones. Needs at least one value. */
export function median(values: readonly number[]): number {
  assert(values.length > 0, 'a median is taken of at least one value');
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The least of `values` that `percent` of them do not exceed (nearest rank). Needs at least one value. */
export function percentile(values: readonly number[], percent: number): number {
  assert(values.length > 0, 'a percentile is taken of at least one value');
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)];
}

/** A copy of `items` in a random order (Fisher and Yates). */
export function shuffled<T>(items: readonly T[], prng: Prng): T[] {
  const order = [...items];
  for (let last = order.length - 1; last > 0; last--) {
    const other = prng.below(last + 1);
    [order[last], order[other]] = [order[other], order[last]];
  }
  return order;
}

/** Measures all contestants for `rounds` rounds. Does not close them. */
export async function interleave(
  contestants: readonly Contestant[],
  options: { readonly rounds: number; readonly prng: Prng },
): Promise<Samples> {
  for (const contestant of contestants) await contestant.verify?.();
  for (const contestant of contestants) await contestant.warmUp?.();
  const order = shuffled(contestants, options.prng);
  const samples = new Map<string, number[]>(contestants.map(({ name }) => [name, []]));
  assert(samples.size === contestants.length, 'the names of contestants are unique');
  for (let round = 0; round < options.rounds; round++) {
    for (let turn = 0; turn < order.length; turn++) {
      const contestant = order[(round + turn) % order.length];
      samples.get(contestant.name)?.push(await contestant.measure());
    }
  }
  return samples;
}

/** Closes all, in order, even when one fails; then throws the first failure. */
export async function closeAll(contestants: readonly Contestant[]): Promise<void> {
  const outcomes: PromiseSettledResult<void>[] = [];
  for (const contestant of contestants) outcomes.push(...(await Promise.allSettled([contestant.close()])));
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
}
