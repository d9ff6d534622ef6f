/**
 * Figures of the machine alone, without a contestant: the median of some samples, held against a bound of its own.
 */
import { median } from './harness.js';
import { meets, type Row, type Target } from './report.js';

/** Calls between two looks at the clock, which costs as much as many of them. */
const CALLS_PER_LOOK = 65_536;

/** Bound of a figure from above. */
export function valueAtMost(limit: number): Target {
  return { on: 'value', relation: '<=', limit };
}

/** Bound of a figure from below. */
export function valueAtLeast(limit: number): Target {
  return { on: 'value', relation: '>=', limit };
}

/** The row of a figure that is compared with nothing but its bound. */
export function figureRow(options: {
  readonly name: string;
  readonly unit: string;
  readonly samples: readonly number[];
  readonly target: Target;
  readonly note: string;
}): Row {
  const { name, unit, samples, target, note } = options;
  const value = median(samples);
  const met = meets(target, value);
  return { name, value, unit, baseline: null, ratio: null, target, met, status: 'measured', note };
}

/**
 * CPU time of one call of `act` in ns: about `sampleMs` of it are spent in calls. Time of the processor and not of the clock,
 * so that somebody else's load is not taken for ours. What `act` answers is summed up, so that no call can be left out.
 */
export function nsPerCall(
  act: (index: number) => number,
  { sampleMs }: { readonly sampleMs: number },
): number {
  const start = process.cpuUsage();
  let [sum, calls, elapsedUs] = [0, 0, 0];
  while (elapsedUs < sampleMs * 1000) {
    for (let index = 0; index < CALLS_PER_LOOK; index++) sum += act(index);
    calls += CALLS_PER_LOOK;
    const { user, system } = process.cpuUsage(start);
    elapsedUs = user + system;
  }
  if (!Number.isFinite(sum)) throw new Error('a call has answered no number');
  return (elapsedUs * 1000) / calls;
}
