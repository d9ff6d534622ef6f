/** Study: how does the cost of a decision grow with the number of domains? */
import { NS_PER_MS } from '../../src/base/units.js';
import type { PolicyModule } from '../../src/coproc/policy.js';
import { lineThrough } from './measures.js';
import { SharedCoproc, type Sharer } from './shared-coproc.js';
import { finding, type Outcome, type Study, type StudyScope } from './study.js';

const COUNTS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];
/** From here on the growth is judged: below, what is constant weighs more. */
const JUDGED_FROM = 64;
/** Decisions for each domain, about: everybody had some turns. */
const TURNS = 8;
const TURN_NS = 6 * NS_PER_MS;
/** Exponent of a power of n that log n stays below from `JUDGED_FROM` on; that of n is 1, of its root 0.5. */
const EXPONENT_MAX = 0.3;

/** One half always has work, the other comes and goes. */
function sharersOf(count: number): Sharer[] {
  return Array.from({ length: count }, (_, index) => ({
    load:
      index % 2 === 0 ? { kind: 'always' } : { kind: 'toggling', workNs: 2 * NS_PER_MS, idleNs: NS_PER_MS },
  }));
}

function visitedPerDecision(policy: PolicyModule, count: number): number {
  const coproc = new SharedCoproc({ policy, sharers: sharersOf(count) });
  const before = { visited: coproc.snapshot.visited, decisions: coproc.decisions };
  coproc.runFor(count * TURNS * TURN_NS);
  const decisions = coproc.decisions - before.decisions;
  return decisions === 0 ? 0 : (coproc.snapshot.visited - before.visited) / decisions;
}

function run({ quick, roundRobin, fair }: StudyScope): Outcome {
  const counts = quick ? COUNTS.filter((count) => count <= 256) : COUNTS;
  const policies = [roundRobin, fair];
  const visited = policies.map((policy) => counts.map((count) => visitedPerDecision(policy, count)));
  const findings = policies.flatMap(({ name }, index) => {
    const points = counts.map((count, at) => [Math.log2(count), visited[index]![at]!] as const);
    // One alone is not asked about.
    const { at0, slope } = lineThrough(points.slice(1));
    const judged = points.filter(([log]) => 2 ** log >= JUDGED_FROM && log > 0);
    const growth = lineThrough(judged.map(([log, cost]) => [log, Math.log2(Math.max(cost, 1e-9))]));
    const of = (what: string, value: number, unit: string) => ({ name: `${what}/${name}`, value, unit });
    return [
      finding({ ...of('exponent', growth.slope, '1'), atMost: EXPONENT_MAX }),
      finding(of('fit: constant', at0, 'entities')),
      finding(of('fit: each doubling', slope, 'entities')),
    ];
  });
  const title = 'Entities visited per decision';
  const columns = ['vcoprocs', ...policies.map(({ name }) => name)];
  const rows = counts.map((count, at) => [count, ...visited.map((each) => each[at]!)]);
  return { findings, tables: [{ title, columns, rows }] };
}

export const decisions: Study = {
  name: 'decisions',
  question: 'How does the cost of a decision grow with the number of domains?',
  method:
    'One half of the vcoprocs always has work, the other toggles between 2 ms of work and 1 ms of sleep; about eight ' +
    'turns each. What the policy looked at, in decisions, charges, wakes and sleeps alike, is divided by its decisions. ' +
    `No faster than log n: from ${JUDGED_FROM} vcoprocs on, the cost grows as n^${EXPONENT_MAX} at most. The fit is ` +
    'constant + doublings * log2(n).',
  run,
};
