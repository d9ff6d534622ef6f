/**
 * Measures of how a policy shared a coproc: shares, Jain's index, and the most that one had in any window.
 */
import type { SchedulableVcoproc } from '../../../src/coproc/policy.js';
import type { PolicyBench } from '../../../src/coproc/policy-bench.js';

/** The part of all used time that each one had. */
export function sharesOf(bench: PolicyBench, vcoprocs: readonly SchedulableVcoproc[]): number[] {
  const used = vcoprocs.map((vcoproc) => bench.account(vcoproc).usedNs);
  const total = used.reduce((sum, ns) => sum + ns, 0);
  return used.map((ns) => ns / total);
}

/** Jain's index of fairness of `amounts`: 1 if all are equal, 1/n if one has everything. */
export function jainIndex(amounts: readonly number[]): number {
  const sum = amounts.reduce((total, amount) => total + amount, 0);
  const squares = amounts.reduce((total, amount) => total + amount * amount, 0);
  return (sum * sum) / (amounts.length * squares);
}

/** The most time that one had in any window of `windowNs`: some such window begins or ends with one of its runs. */
export function mostInWindow(bench: PolicyBench, { id }: SchedulableVcoproc, windowNs: number): number {
  const runs = bench.runs.filter((run) => run.id === id);
  const used = usedBefore(runs);
  const starts = runs.flatMap(({ fromNs, toNs }) => [fromNs, toNs - windowNs]);
  return starts.reduce((most, fromNs) => Math.max(most, used(fromNs + windowNs) - used(fromNs)), 0);
}

/** Time of `runs` between two moments. */
export function usedBetween(runs: PolicyBench['runs'], fromNs: number, toNs: number): number {
  const used = usedBefore(runs);
  return used(toNs) - used(fromNs);
}

/** Time of `runs` before a moment; `runs` are in order. */
function usedBefore(runs: PolicyBench['runs']): (ns: number) => number {
  const sums = [0];
  for (const { fromNs, toNs } of runs) sums.push(sums.at(-1)! + toNs - fromNs);
  return (ns) => {
    let [low, high] = [0, runs.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (runs[middle]!.fromNs < ns) low = middle + 1;
      else high = middle;
    }
    // `low` runs began before; the last of them may go on.
    return sums[low]! - (low === 0 ? 0 : Math.max(0, runs[low - 1]!.toNs - ns));
  };
}
