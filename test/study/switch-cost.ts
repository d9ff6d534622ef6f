/** Study: what do switches cost, and do the statistics show it? (R3) */
import { NS_PER_MS, NS_PER_US } from '../../src/base/units.js';
import type { PolicyModule } from '../../src/coproc/policy.js';
import { quantileNs, reversals } from './measures.js';
import { SharedCoproc, type Sharer } from './shared-coproc.js';
import { type Finding, finding, type Outcome, type Study, type StudyScope } from './study.js';

const COSTS_NS = [10, 50, 200, 500, 1000, 2000].map((us) => us * NS_PER_US);
const SLICES_NS = [1, 2, 6, 20, 60, 200].map((ms) => ms * NS_PER_MS);
/** How far the share may be from what arithmetic says: the first and the last turn are cut off somewhere. */
const ERROR_PART = 0.01;

interface Cost {
  readonly costNs: number;
  readonly sliceNs: number;
  /** Part of all time in switches. */
  readonly part: number;
  /** Error of a share, if half of all time is due to each. */
  readonly error: number;
  /** Median of entering, by the framework's histogram: an upper bound. */
  readonly medianNs: number;
}

function measure(policy: PolicyModule, costNs: number, sliceNs: number, windowNs: number): Cost {
  const sharers: Sharer[] = [{ load: { kind: 'always' } }, { load: { kind: 'always' } }];
  // Whole rounds, so that turns of 200 ms are not cut off.
  const roundNs = 2 * (sliceNs + costNs);
  const ns = Math.max(1, Math.floor(windowNs / roundNs)) * roundNs;
  const coproc = new SharedCoproc({ policy, sharers, parameters: { sliceNs }, switchNs: costNs });
  coproc.runFor(ns);
  const { ledger, switches } = coproc.snapshot;
  const [first, second] = coproc.executedNs();
  const error = 1 - Math.min(first!, second!) / (ns / 2);
  const medianNs = quantileNs(switches.enterHistogram, 0.5);
  return { costNs, sliceNs, part: ledger.switchNs / ledger.totalNs, error, medianNs };
}

/** Against cost and slice: how often a list of results goes the wrong way. */
function monotone(costs: readonly Cost[]): Finding[] {
  const count = (lists: readonly (readonly Cost[])[], figureOf: (cost: Cost) => number, way: 'up' | 'down') =>
    lists.reduce((sum, list) => sum + reversals(list.map(figureOf), way), 0);
  const bySlice = SLICES_NS.map((ns) => costs.filter(({ sliceNs }) => sliceNs === ns));
  const byCost = COSTS_NS.map((ns) => costs.filter(({ costNs }) => costNs === ns));
  const none = (what: string, value: number): Finding =>
    finding({ name: `reversals/${what}`, value, unit: '1', due: 0, atMost: 0 });
  return [
    none(
      'time in switches against cost',
      count(bySlice, ({ part }) => part, 'up'),
    ),
    none(
      'time in switches against slice',
      count(byCost, ({ part }) => part, 'down'),
    ),
    none(
      'share error against cost',
      count(bySlice, ({ error }) => error, 'up'),
    ),
    none(
      'share error against slice',
      count(byCost, ({ error }) => error, 'down'),
    ),
    none(
      'median in the statistics against cost',
      count(bySlice, ({ medianNs }) => medianNs, 'up'),
    ),
  ];
}

function run({ windowNs, roundRobin }: StudyScope): Outcome {
  const costs = SLICES_NS.flatMap((sliceNs) =>
    COSTS_NS.map((costNs) => measure(roundRobin, costNs, sliceNs, windowNs / 5)),
  );
  const worst = Math.max(
    ...costs.map(({ part, costNs, sliceNs }) => Math.abs((part * (sliceNs + costNs)) / costNs - 1)),
  );
  const columns = ['slice, ms', ...COSTS_NS.map((ns) => `${ns / NS_PER_US} us`)];
  const rows = SLICES_NS.map((ns) => [
    ns / NS_PER_MS,
    ...costs.filter(({ sliceNs }) => sliceNs === ns).map(({ part }) => part * 100),
  ]);
  const off = { name: 'off by/time in switches', value: worst * 100, unit: '%', due: 0 };
  return {
    findings: [...monotone(costs), finding({ ...off, atMost: ERROR_PART * 100 })],
    tables: [{ title: 'Time in switches, % of all, by slice and cost of a switch', columns, rows }],
  };
}

export const switchCost: Study = {
  name: 'switch-cost',
  question: 'What do switches cost, and do the statistics show it? (R3)',
  method:
    'Two domains that always have work take turns under round-robin, for each slice and each cost of a whole switch. Due is ' +
    'cost / (slice + cost) of all time, within 1 %. Time in switches, the error of the shares (if half of all time is ' +
    'due) and the median in the statistics of the framework grow with the cost; the first two fall as the slice grows.',
  run,
};
