/** Study: does everybody have the share that is due? */
import { limits } from '../../src/base/limits.js';
import { NS_PER_US } from '../../src/base/units.js';
import type { PolicyModule } from '../../src/coproc/policy.js';
import { jainIndex } from '../coproc/policies/shares.js';
import { shareError, worstOf } from './measures.js';
import { SharedCoproc, type Sharer } from './shared-coproc.js';
import { type Finding, finding, type Study, type StudyScope } from './study.js';

/** What a switch costs here, ns: tens of us, as a register bank takes. */
const SWITCH_NS = 50 * NS_PER_US;
const WEIGHTS = [1, 2, 4, 8];
/** Jain's index of what each had for its weight is this at least. */
const JAIN_MIN = 0.999;

interface Case {
  readonly name: string;
  readonly policy: PolicyModule;
  readonly weights: readonly number[];
}

function casesOf({ quick, roundRobin, fair }: StudyScope): Case[] {
  const counts = quick ? [2, 16] : [2, 4, 16, 64, 256];
  const equal = [roundRobin, fair].flatMap((policy) =>
    counts.map((count) => ({
      name: `${policy.name} ${count} equal`,
      policy,
      weights: new Array<number>(count).fill(1),
    })),
  );
  return [...equal, { name: `${fair.name} ${WEIGHTS.join(':')}`, policy: fair, weights: WEIGHTS }];
}

/** The slice of one weight: a slice for each of those that share, divided by weight (docs/policies.md). */
function sliceOf(weight: number, weights: readonly number[]): number {
  const sum = weights.reduce((total, each) => total + each, 0);
  return (limits.TIME_SLICE_NS * weights.length * weight) / sum;
}

function study({ name, policy, weights }: Case, windowNs: number): Finding[] {
  const isWeighted = new Set(weights).size > 1;
  const sharers = weights.map(
    (weight): Sharer => ({
      load: { kind: 'always' },
      parameters: isWeighted ? { weight: limits.WEIGHT * weight } : {},
    }),
  );
  const coproc = new SharedCoproc({ policy, sharers, switchNs: SWITCH_NS });
  coproc.runFor(windowNs);
  const used = coproc.executedNs();
  const usedNs = used.reduce((sum, ns) => sum + ns, 0);
  const sum = weights.reduce((total, each) => total + each, 0);
  const errors = used.map((ns, index) => {
    const weight = weights[index]!;
    return shareError(ns, (usedNs * weight) / sum, sliceOf(weight, weights));
  });
  const { error, bound } = worstOf(errors);
  const jain = jainIndex(used.map((ns, index) => ns / weights[index]!));
  return [
    finding({ name: `share error/${name}`, value: error * 100, unit: '%', due: 0, atMost: bound * 100 }),
    finding({ name: `Jain's index/${name}`, value: jain, unit: '1', due: 1, atLeast: JAIN_MIN }),
  ];
}

export const shares: Study = {
  name: 'shares',
  question: 'Does everybody have the share that is due?',
  method:
    'Everybody always has work; a switch costs 50 us, which nobody pays for. Due to each is the part that its weight is of ' +
    'all, of the time that was executed. The share error |share - due| / due of the domain that is closest to its bound ' +
    'is shown; the bound is 1 %, or one slice of the time due if that is more.',
  run: (scope) => ({
    findings: casesOf(scope).flatMap((each) => study(each, scope.windowNs)),
    tables: [],
  }),
};
