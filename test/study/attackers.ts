/** Study: can one domain take from the others by the way it behaves? */
import { limits } from '../../src/base/limits.js';
import { NS_PER_MS, NS_PER_US } from '../../src/base/units.js';
import type { PolicyModule } from '../../src/coproc/policy.js';
import { shareError, worstOf } from './measures.js';
import { SharedCoproc, type Sharer } from './shared-coproc.js';
import { type Finding, finding, type Study } from './study.js';

const VICTIMS = 3;
const SWITCH_NS = 50 * NS_PER_US;
const DENY_NS = 200 * NS_PER_MS;
/** How often a flood comes, and how many interrupts at once. */
const FLOOD_NS = 100 * NS_PER_US;
const INTERRUPTS_AT_ONCE = 10;
/** A flood of a quick study is shorter by this factor. */
const QUICK_FLOOD_PART = 10;

interface Attack {
  readonly name: string;
  readonly attacker: Sharer;
  /** Work with each doorbell, ns. */
  readonly doorbellNs?: number;
  /** What it can be ahead by at the end, beyond a slice, ns: it is not repaid yet. */
  readonly aheadNs?: number;
  /** Its events are many: a quick study shows less of it. */
  readonly isFlood?: true;
  begin?(coproc: SharedCoproc): void;
  /** What else is shown of it. */
  also?(coproc: SharedCoproc): Finding[];
}

const ring = (coproc: SharedCoproc): void => coproc.vcoprocs[0]!.ringDoorbell(0, new Uint8Array());

function raise({ hardware, vcoprocs }: SharedCoproc): void {
  for (let count = 0; count < INTERRUPTS_AT_ONCE; count++) hardware.raise(vcoprocs[0]!.context, 0);
}

const ATTACKS: readonly Attack[] = [
  {
    name: 'toggles',
    attacker: { load: { kind: 'toggling', workNs: 5 * NS_PER_MS, idleNs: 1000 } },
  },
  {
    name: 'denies',
    attacker: { load: { kind: 'always' }, stop: { kind: 'denies', forNs: DENY_NS, hintNs: DENY_NS / 4 } },
    aheadNs: DENY_NS,
    also: repaid,
  },
  {
    name: 'doorbell flood',
    attacker: { load: { kind: 'given' } },
    // Less than its share in all: when it runs it is idle and busy over and over.
    doorbellNs: FLOOD_NS / 5,
    isFlood: true,
    begin: (coproc) => coproc.every(FLOOD_NS, () => ring(coproc)),
  },
  {
    name: 'interrupt flood',
    attacker: { load: { kind: 'always' } },
    isFlood: true,
    begin: (coproc) => coproc.every(FLOOD_NS, () => raise(coproc)),
    also: interrupts,
  },
];

/** What the attacker had beyond its share is no more than the denial that is not repaid yet. */
function repaid(coproc: SharedCoproc): Finding[] {
  const used = coproc.executedNs();
  const dueNs = used.reduce((sum, ns) => sum + ns, 0) / used.length;
  const { run, denied } = coproc.times(0);
  const { totalNs, idleNs, switchNs, formerNs, vcoprocs } = coproc.snapshot.ledger;
  const booked = [...vcoprocs.values()].flatMap((times) => Object.values(times));
  const sumNs = booked.reduce((sum, ns) => sum + ns, idleNs + switchNs + formerNs);
  const ms = (name: string, ns: number) => ({ name, value: ns / NS_PER_MS, unit: 'ms' });
  const owed = ms('not repaid', used[0]! - dueNs);
  return [
    finding(ms('denied time', denied)),
    finding({ ...owed, atMost: (DENY_NS + limits.TIME_SLICE_NS) / NS_PER_MS }),
    finding({ ...ms('booked otherwise than executed', Math.abs(run + denied - used[0]!)), atMost: 0 }),
    finding({ ...ms('ledger off by', Math.abs(sumNs - totalNs)), atMost: 0 }),
  ];
}

function interrupts({ vcoprocs }: SharedCoproc): Finding[] {
  const { raised, throttled } = vcoprocs[0]!.interrupts.counts;
  return [
    finding({ name: 'interrupts raised', value: raised, unit: '1' }),
    finding({ name: 'of these, told together', value: throttled, unit: '1' }),
  ];
}

function study(policy: PolicyModule, attack: Attack, windowNs: number): Finding[] {
  const { name, attacker, doorbellNs = 0, aheadNs = 0 } = attack;
  const victims = Array.from({ length: VICTIMS }, (): Sharer => ({ load: { kind: 'always' } }));
  const sharers = [attacker, ...victims];
  const coproc = new SharedCoproc({ policy, sharers, switchNs: SWITCH_NS, doorbellNs });
  attack.begin?.(coproc);
  coproc.runFor(windowNs);
  const [attackerNs, ...others] = coproc.executedNs();
  const victimsNs = others.reduce((sum, ns) => sum + ns, 0);
  const equalNs = (attackerNs! + victimsNs) / sharers.length;
  // What the attacker leaves belongs to the others; it may leave more than it has to, but not less.
  const dueNs = Math.max(equalNs, victimsNs / VICTIMS);
  const { error, bound } = worstOf(others.map((ns) => shareError(ns, dueNs, limits.TIME_SLICE_NS)));
  const gain = (attackerNs! - equalNs) / equalNs;
  const gainMost = Math.max(bound, (aheadNs + limits.TIME_SLICE_NS) / equalNs);
  const at = (what: string): string => `${what}/${policy.name} ${name}`;
  const also = attack.also?.(coproc) ?? [];
  return [
    finding({
      name: at('share error of victims'),
      value: error * 100,
      unit: '%',
      due: 0,
      atMost: bound * 100,
    }),
    finding({ name: at("attacker's gain"), value: gain * 100, unit: '%', atMost: gainMost * 100 }),
    ...also.map((each) => ({ ...each, name: at(each.name) })),
  ];
}

export const attackers: Study = {
  name: 'attackers',
  question: 'Can one domain take from the others by the way it behaves?',
  method:
    'One attacker beside three victims that always have work. It toggles between 5 ms of work and 1 us of sleep; denies ' +
    'for 200 ms each time that it is to stop; rings a doorbell each 100 us, each with 20 us of work; or has ten ' +
    'interrupts raised each 100 us. Due to each victim is an equal share of all time that was executed, denied time included, as if ' +
    'everything denied had been repaid by the end; and where the attacker leaves some of its own share, an equal part of ' +
    'what it leaves. What a denier has not repaid yet is shown, and is one denial and one slice at most. The error is ' +
    'bound as in the study of shares, and so is what the attacker has beyond an equal share, but for one denial.',
  run: ({ windowNs, quick, roundRobin, fair }) => ({
    findings: [roundRobin, fair].flatMap((policy) =>
      ATTACKS.flatMap((attack) => {
        const part = quick && attack.isFlood ? QUICK_FLOOD_PART : 1;
        return study(policy, attack, windowNs / part);
      }),
    ),
    tables: [],
  }),
};
