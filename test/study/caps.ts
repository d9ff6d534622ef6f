/** Study: is a cap kept in any second, not only on average? */
import { limits } from '../../src/base/limits.js';
import { NS_PER_MS, NS_PER_SECOND } from '../../src/base/units.js';
import type { PolicyModule } from '../../src/coproc/policy.js';
import type { SimLoad } from '../../src/coproc/sim-load.js';
import { mostInWindow } from './measures.js';
import { SharedCoproc, type Sharer } from './shared-coproc.js';
import { type Finding, finding, type Study } from './study.js';

const WINDOW_NS = NS_PER_SECOND;
const CAPS = [10, 25, 50, 75];
/** What a capped vcoproc that always has work gets of its cap, at least, when nobody stands in its way. */
const USED_PART_MIN = 0.95;

const always: SimLoad = { kind: 'always' };
/** Saves up while it sleeps, if it can. */
const inBursts: SimLoad = { kind: 'toggling', workNs: 300 * NS_PER_MS, idleNs: 400 * NS_PER_MS };

interface Case {
  readonly name: string;
  readonly load: SimLoad;
  readonly others: readonly Sharer[];
}

const CASES: readonly Case[] = [
  { name: 'alone', load: always, others: [] },
  { name: 'beside one', load: always, others: [{ load: always }] },
  { name: 'in bursts', load: inBursts, others: [] },
];

function study(policy: PolicyModule, cap: number, { name, load, others }: Case, windowNs: number): Finding[] {
  const coproc = new SharedCoproc({ policy, sharers: [{ load, parameters: { cap } }, ...others] });
  coproc.runFor(windowNs);
  const capNs = (WINDOW_NS * cap) / 100;
  const most = mostInWindow(coproc.stretches(0), WINDOW_NS);
  const inAny = finding({
    name: `most in 1 s/cap ${cap} % ${name}`,
    value: most / NS_PER_MS,
    unit: 'ms',
    due: capNs / NS_PER_MS,
    atMost: (capNs + limits.TIME_SLICE_NS) / NS_PER_MS,
  });
  if (name !== 'alone') return [inAny];
  const share = (coproc.executedNs()[0]! / windowNs) * 100;
  const used = { name: `share/cap ${cap} % ${name}`, value: share, unit: '%', due: cap };
  return [inAny, finding({ ...used, atLeast: cap * USED_PART_MIN })];
}

export const caps: Study = {
  name: 'caps',
  question: 'Is a cap kept in any second, not only on average?',
  method:
    'A vcoproc with a cap, alone, beside one that always has work, and with bursts of work. The most that it was charged ' +
    'in any window of 1 s, wherever the window begins, is at most its cap of it and one slice (6 ms). Alone, it has the cap: ' +
    '95 % of it at least.',
  run: ({ windowNs, quick, fair }) => ({
    findings: (quick ? [25] : CAPS).flatMap((cap) =>
      CASES.flatMap((each) => study(fair, cap, each, windowNs)),
    ),
    tables: [],
  }),
};
