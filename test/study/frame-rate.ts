/** Study: for which number of domains, switch cost and denial bound does no frame miss? (R98, R99) */
import { limits } from '../../src/base/limits.js';
import { NS_PER_MS, NS_PER_US } from '../../src/base/units.js';
import {
  type Discipline,
  FRAME_NS,
  type FrameCase,
  firstMissed,
  HALF_FRAME_NS,
  RENDER_NS,
} from './frames.js';
import { type Finding, finding, type Outcome, type Study, type StudyScope, type Table } from './study.js';

const DENIALS_NS = [0, 0.5, 1, 2, 3, 4, 5, 6, 8].map((ms) => ms * NS_PER_MS);
const COSTS_NS = [0, 100, 250, 500, 1000, 2000].map((us) => us * NS_PER_US);
/** A budget for each burst, and a tenth to spare. */
const BUDGET = { budgetNs: RENDER_NS + RENDER_NS / 10, periodNs: HALF_FRAME_NS };
/** How exactly the greatest switch cost is searched for, ns. */
const SEARCH_NS = 10 * NS_PER_US;

interface Named extends Discipline {
  readonly name: string;
  /** Whether it has to keep what arithmetic promises. */
  readonly isBound: boolean;
}

function disciplinesOf({ roundRobin, fair }: StudyScope): Named[] {
  return [
    { name: 'budget', policy: fair, parameters: {}, render: BUDGET, isBound: true },
    { name: 'latency class', policy: fair, parameters: {}, render: { latencyClass: 1 }, isBound: false },
    {
      name: 'turns of 1 ms',
      policy: roundRobin,
      parameters: { sliceNs: NS_PER_MS },
      render: {},
      isBound: false,
    },
  ];
}

/**
 * The longest that a burst can take when all come at once: the other is being switched to, runs for the least time and
 * denies; then everybody is switched to and renders.
 */
function longestNs(domains: number, switchNs: number, denyNs: number): number {
  return switchNs + limits.MIN_RUN_NS + denyNs + domains * (switchNs + RENDER_NS);
}

interface Cell {
  readonly domains: number;
  readonly switchNs: number;
  /** Longest denial of the list with which no frame is missed; null = none. */
  readonly denyNs: number | null;
  /** The first missed frame with the next longer one; null = there is none. */
  readonly missed: number | null;
  /** Denials which arithmetic allows, and a frame was missed. */
  readonly broken: number;
}

function measure(discipline: Named, of: Omit<FrameCase, 'discipline' | 'denyNs'>): Cell {
  const { domains, switchNs } = of;
  let [longest, missed]: [number | null, number | null] = [null, null];
  let broken = 0;
  for (const denyNs of DENIALS_NS) {
    const isAllowed = longestNs(domains, switchNs, denyNs) <= HALF_FRAME_NS;
    if (missed !== null && !isAllowed) break;
    const first = firstMissed({ discipline, ...of, denyNs });
    if (first !== null && isAllowed) broken += 1;
    if (missed === null && first === null) longest = denyNs;
    missed ??= first;
  }
  return { domains, switchNs, denyNs: longest, missed, broken };
}

function textOf({ denyNs, missed }: Cell): string {
  const most = denyNs === null ? 'none' : `${denyNs / NS_PER_MS} ms`;
  return missed === null ? most : `${most} (${missed})`;
}

function tableOf({ name }: Named, cells: readonly Cell[], counts: readonly number[]): Table {
  const costs = [...new Set(cells.map(({ switchNs }) => switchNs))];
  return {
    title: `${name}: longest denial without a missed frame (first frame missed with the next longer one)`,
    columns: ['domains', ...costs.map((ns) => `switch ${ns / NS_PER_US} us`)],
    rows: counts.map((count) => [count, ...cells.filter(({ domains }) => domains === count).map(textOf)]),
  };
}

/** The greatest switch cost without a missed frame and without denials, ns; -1 = none. */
function greatestCost(discipline: Named, domains: number, frames: number): number {
  const misses = (switchNs: number): boolean =>
    firstMissed({ discipline, domains, switchNs, denyNs: 0, frames }) !== null;
  if (misses(0)) return -1;
  let [good, bad] = [0, HALF_FRAME_NS];
  while (bad - good > SEARCH_NS) {
    const middle = Math.floor((good + bad) / 2);
    if (misses(middle)) bad = middle;
    else good = middle;
  }
  return good;
}

/** The table of the example: how long each domain has in a frame, and what a switch may cost. */
function budgets(disciplines: readonly Named[], counts: readonly number[], frames: number): Table {
  return {
    title: 'Time for each domain in a frame, and the greatest switch cost without a missed frame, ms',
    columns: ['domains', 'frame / domains', 'by arithmetic', ...disciplines.map(({ name }) => name)],
    rows: counts.map((count) => {
      const byArithmetic = (HALF_FRAME_NS - longestNs(count, 0, 0)) / (count + 1);
      const costs = disciplines.map((each) => greatestCost(each, count, frames));
      const inMs = [FRAME_NS / count, byArithmetic, ...costs].map((ns) => (ns < 0 ? 'none' : ns / NS_PER_MS));
      return [count, ...inMs];
    }),
  };
}

function run(scope: StudyScope): Outcome {
  const counts = scope.quick ? [2, 3] : [1, 2, 3, 4, 5, 6];
  const costs = scope.quick ? COSTS_NS.filter((_, index) => index % 3 === 0) : COSTS_NS;
  const frames = scope.quick ? 30 : 120;
  const findings: Finding[] = [];
  const disciplines = disciplinesOf(scope);
  const tables = disciplines.map((discipline) => {
    const cells = counts.flatMap((domains) =>
      costs.map((switchNs) => measure(discipline, { domains, switchNs, frames })),
    );
    const value = cells.reduce((sum, { broken }) => sum + broken, 0);
    const name = `cases missed though arithmetic allows them/${discipline.name}`;
    findings.push(finding({ name, value, unit: '1', ...(discipline.isBound ? { due: 0, atMost: 0 } : {}) }));
    return tableOf(discipline, cells, counts);
  });
  return { findings, tables: [budgets(disciplines, counts, frames), ...tables] };
}

export const frameRate: Study = {
  name: 'frames',
  question: 'For which number of domains, switch cost and denial bound does no frame miss? (R98, R99)',
  method:
    'Domains render at 60 Hz, all at the same moment: 1 ms at the beginning of a frame and 1 ms in its middle. Beside ' +
    'them one domain always has other work, and denies to stop each time for the time shown. A frame is missed when a ' +
    'burst of it is not over at its end. Tried with a budget of 1.1 ms in each half frame, with latency class 1, and with ' +
    'turns of 1 ms. By arithmetic the longest burst takes (domains + 1) * switch + 0.5 ms (minRunNs) + denial + domains * 1 ms; where ' +
    'that is half a frame at most, a domain with a budget misses nothing.',
  run,
};
