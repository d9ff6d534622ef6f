/** Study: deadlines of one domain beside the batch work of another (R54, R55). */
import { NS_PER_MS, NS_PER_SECOND, NS_PER_US } from '../../src/base/units.js';
import type { PolicyModule } from '../../src/coproc/policy.js';
import { SharedCoproc } from './shared-coproc.js';
import { type Finding, finding, type Study } from './study.js';

interface UseCase {
  readonly name: string;
  readonly periodNs: number;
  readonly workNs: number;
  /** The batch work has parts of this length which cannot be left. */
  readonly partNs: number;
  readonly switchNs: number;
}

const USE_CASES: readonly UseCase[] = [
  {
    name: 'R54 rendering and network',
    periodNs: Math.floor(NS_PER_SECOND / 60),
    workNs: 5 * NS_PER_MS,
    partNs: 500 * NS_PER_US,
    switchNs: 100 * NS_PER_US,
  },
  {
    // Each has a firmware of its own, which a switch loads.
    name: 'R55 decoding and images',
    periodNs: NS_PER_SECOND / 25,
    workNs: 12 * NS_PER_MS,
    partNs: 2 * NS_PER_MS,
    switchNs: NS_PER_MS,
  },
];

function study(policy: PolicyModule, useCase: UseCase, windowNs: number): Finding[] {
  const { name, periodNs, workNs, partNs, switchNs } = useCase;
  let [inTime, worstNs] = [0, 0];
  const coproc = new SharedCoproc({
    policy,
    switchNs,
    sharers: [
      { load: { kind: 'periodic', periodNs, workNs }, parameters: { latencyClass: 1 } },
      { load: { kind: 'always' }, stop: { kind: 'afterPart', partNs } },
    ],
    finished: (sharer, arrivedNs, finishedNs) => {
      if (sharer !== 0) return;
      worstNs = Math.max(worstNs, finishedNs - arrivedNs);
      if (finishedNs - arrivedNs <= periodNs) inTime += 1;
    },
  });
  const deadlines = Math.floor(windowNs / periodNs);
  coproc.runFor(deadlines * periodNs);
  const [periodicNs, batchNs] = coproc.executedNs();
  const { totalNs, switchNs: inSwitchesNs } = coproc.snapshot.ledger;
  const restNs = totalNs - periodicNs! - inSwitchesNs;
  const at = (what: string): string => `${what}/${name}`;
  const missed = { name: at('deadlines missed'), value: deadlines - inTime, unit: '1', due: 0 };
  const rest = { name: at('batch has of the rest'), value: (batchNs! / restNs) * 100, unit: '%', due: 100 };
  return [
    finding({ ...missed, atMost: 0 }),
    finding({ name: at('deadlines'), value: deadlines, unit: '1' }),
    finding({
      name: at('longest response'),
      value: worstNs / NS_PER_MS,
      unit: 'ms',
      atMost: periodNs / NS_PER_MS,
    }),
    finding({ ...rest, atLeast: 99.9 }),
    finding({ name: at('time in switches'), value: (inSwitchesNs / totalNs) * 100, unit: '%' }),
  ];
}

export const useCases: Study = {
  name: 'use-cases',
  question: 'Does a domain with deadlines keep them beside the batch work of another? (R54, R55)',
  method:
    'Under fair, a domain of latency class 1 has periodic work that is due at the end of its period; another always has ' +
    'work, in parts that cannot be left. R54: 5 ms at 60 Hz beside parts of 0.5 ms, a switch costs 0.1 ms. R55: 12 ms at ' +
    '25 Hz beside parts of 2 ms, a switch loads a firmware and costs 1 ms. No deadline is missed, and the batch work has ' +
    'all of the time that is left.',
  run: ({ windowNs, fair }) => ({
    findings: USE_CASES.flatMap((each) => study(fair, each, windowNs)),
    tables: [],
  }),
};
