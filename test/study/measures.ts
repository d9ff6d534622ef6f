/**
 * Measures of how a coprocessor was shared: the error of a share, the most that one had in any window, the quantiles of
 * a histogram, the growth of a cost.
 */
import { assert } from '../../src/base/assert.js';

/** A stretch of time that one vcoproc was charged for, ns. */
export interface Stretch {
  readonly fromNs: number;
  readonly toNs: number;
}

/** The part of the time due below which no share can be kept exactly: 1 %. */
const ERROR_PART = 0.01;

/** How far one of those that share is from what is due to it. */
export interface ShareError {
  /** |share - due| / due. */
  readonly error: number;
  /** What it may be: 1 %, or one slice of the time due if that is more. */
  readonly bound: number;
}

/** The error of one that used `usedNs` where `dueNs` was due. */
export function shareError(usedNs: number, dueNs: number, sliceNs: number): ShareError {
  assert(dueNs > 0, 'something is due to one that shares');
  return { error: Math.abs(usedNs - dueNs) / dueNs, bound: Math.max(ERROR_PART, sliceNs / dueNs) };
}

/** The error that is closest to its bound, or furthest beyond it. */
export function worstOf(errors: readonly ShareError[]): ShareError {
  return errors.reduce((worst, each) => (each.error / each.bound > worst.error / worst.bound ? each : worst));
}

/**
 * The most time of `stretches`, which are in order, in any window. Some such window begins with one of them: one that
 * begins in a gap loses nothing when it is moved to the end of the gap, nor one that begins within a stretch when it is
 * moved to the beginning of that.
 */
export function mostInWindow(stretches: readonly Stretch[], windowNs: number): number {
  const usedBefore = usedBeforeOf(stretches);
  let most = 0;
  for (const { fromNs } of stretches) {
    most = Math.max(most, usedBefore(fromNs + windowNs) - usedBefore(fromNs));
  }
  return most;
}

function usedBeforeOf(stretches: readonly Stretch[]): (ns: number) => number {
  const sums = [0];
  for (const { fromNs, toNs } of stretches) sums.push(sums.at(-1)! + toNs - fromNs);
  return (ns) => {
    let [low, high] = [0, stretches.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (stretches[middle]!.fromNs < ns) low = middle + 1;
      else high = middle;
    }
    // `low` stretches began before; the last of them may go on.
    return sums[low]! - (low === 0 ? 0 : Math.max(0, stretches[low - 1]!.toNs - ns));
  };
}

/** Upper bound of the bucket in which the `part` quantile of a histogram in powers of two lies; 0 when it is empty. */
export function quantileNs(histogram: readonly number[], part: number): number {
  const total = histogram.reduce((sum, count) => sum + count, 0);
  let seen = 0;
  for (const [bucket, count] of histogram.entries()) {
    seen += count;
    if (count > 0 && seen >= part * total) return 2 ** bucket;
  }
  return 0;
}

/** Least squares: the line through points (x, y). */
export function lineThrough(points: readonly (readonly [number, number])[]): { at0: number; slope: number } {
  const count = points.length;
  const [sumX, sumY] = points.reduce(([x, y], point) => [x + point[0], y + point[1]], [0, 0]);
  const [meanX, meanY] = [sumX / count, sumY / count];
  let [covariance, variance] = [0, 0];
  for (const [x, y] of points) {
    covariance += (x - meanX) * (y - meanY);
    variance += (x - meanX) ** 2;
  }
  const slope = covariance / variance;
  return { at0: meanY - slope * meanX, slope };
}

/** How often a list goes against its direction: 0 = monotone. */
export function reversals(values: readonly number[], direction: 'up' | 'down'): number {
  const wrong = (before: number, after: number): boolean =>
    direction === 'up' ? after < before : after > before;
  return values.filter((value, index) => index > 0 && wrong(values[index - 1]!, value)).length;
}
