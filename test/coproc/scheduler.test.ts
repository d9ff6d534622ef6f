// Does the core run whom the policy names, charge every nanosecond, and never lose one that has work, whatever happens?
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { limits } from '../../src/base/limits.js';
import { NS_PER_MS, NS_PER_SECOND, NS_PER_US } from '../../src/base/units.js';
import { fairPolicy } from '../../src/coproc/policies/fair.js';
import { nullPolicy } from '../../src/coproc/policies/null.js';
import { roundRobinPolicy } from '../../src/coproc/policies/round-robin.js';
import type { SimContextOptions, SimStop } from '../../src/coproc/sim-context.js';
import { snapshotOf } from '../../src/coproc/snapshot.js';
import { VirtualClock } from '../../src/hw/clock.js';
import { CoprocBench, ScriptedPolicy } from './bench.js';

const MS = NS_PER_MS;
const US = NS_PER_US;
const ALWAYS: SimContextOptions = { load: { kind: 'always' } };

/** Two that always have work, the first with its own way to stop. */
function pair(
  stop: SimStop = { kind: 'atOnce' },
  options: ConstructorParameters<typeof CoprocBench>[0] = {},
) {
  const bench = new CoprocBench({ contexts: [{ ...ALWAYS, stop }, ALWAYS], ...options });
  const [first, second] = bench.start(2);
  return { bench, first: first!, second: second! };
}

describe('a switch', () => {
  it('R2, R37, R45: stops, saves, leaves the memory; enters the other, restores and starts', () => {
    const { bench } = pair();
    bench.log.length = 0;
    bench.runFor(limits.TIME_SLICE_NS);
    expect(bench.log).toEqual(['stop', 'save 0', 'leave 0', 'enter 1', 'start 1']);
  });

  it('R37: keeps that order when every step takes its time, and nobody executes in between', () => {
    const { bench } = pair(undefined, {
      costs: { stop: 10 * US, save: 10 * US, restore: 10 * US, start: 10 * US },
      memoryCosts: { enterNs: 30 * US, leaveNs: 20 * US },
    });
    bench.runFor(30 * MS, () => bench.checkInvariants());
    const steps = bench.log.filter((line) => !line.startsWith('create')).join(', ');
    expect(steps).toMatch(
      /^enter 0, start 0(, stop, save 0, leave 0, enter 1, start 1, stop, save 1, leave 1, enter 0, start 0)+/,
    );
  });

  it('R25: a context that denies is asked, and nothing else is done to it before its deadline', () => {
    const { bench } = pair({ kind: 'denies', forNs: 400 * MS, hintNs: 10 * MS });
    bench.runFor(limits.TIME_SLICE_NS + 390 * MS);
    expect(new Set(bench.log)).toEqual(new Set(['create 0', 'create 1', 'enter 0', 'start 0', 'stop']));
  });

  it('R40: it is the policy that chooses: the core runs whom it names, for as long as it says', () => {
    const policy = new ScriptedPolicy();
    const { bench, first, second } = pair(undefined, { policy: policy.module });
    for (const [next, sliceNs] of [
      [second, 3],
      [first, 1000],
      [second, 20],
      [null, 5],
    ] as const) {
      policy.answers.push({ next, sliceNs });
    }
    bench.scheduler.configure({});
    bench.runFor(1029);
    expect([bench.times(first).run, bench.times(second).run]).toEqual([1001, 23]);
    expect(bench.scheduler.ledger().idleNs).toBe(5);
  });

  it('an answer that names nobody with work counts as nobody', () => {
    const policy = new ScriptedPolicy();
    const bench = new CoprocBench({ policy: policy.module, contexts: [ALWAYS] });
    const [first, idle] = bench.start(2);
    policy.answers.push({ next: idle!, sliceNs: 10 }, { next: { id: 99, domainId: 99 }, sliceNs: 10 });
    bench.scheduler.configure({});
    expect(bench.scheduler.current).toBeNull();
    bench.runFor(21);
    expect(bench.scheduler.current).toBe(first);
  });

  it('without a slice there are no ticks; with one, a tick at its end and none after a change', () => {
    const policy = new ScriptedPolicy();
    const bench = new CoprocBench({ policy: policy.module, contexts: [ALWAYS] });
    bench.start(1);
    bench.runFor(MS);
    expect(bench.counts.ticks).toBe(0);
    policy.sliceNs = 100;
    bench.scheduler.configure({});
    bench.runFor(100);
    expect(bench.counts.ticks).toBe(1);
    policy.sliceNs = null;
    bench.scheduler.configure({});
    bench.runFor(MS);
    expect(bench.counts.ticks).toBe(1);
  });

  it('one slice at a time: what changes while a context is being loaded replaces the slice that was chosen with it', () => {
    const policy = new ScriptedPolicy();
    const bench = new CoprocBench({ policy: policy.module, contexts: [ALWAYS], costs: { start: 10 } });
    policy.sliceNs = 100;
    const [first] = bench.start(2);
    expect(bench.scheduler.phase).toBe('entering');
    policy.sliceNs = null;
    bench.scheduler.configure({});
    bench.runFor(1000);
    expect([bench.scheduler.current, bench.counts.ticks]).toEqual([first, 0]);
  });

  it('R3: what it costs is in the statistics, both halves', () => {
    const { bench } = pair(undefined, {
      costs: { save: 3 * US, start: 5 * US },
      memoryCosts: { enterNs: 1000 },
    });
    bench.runFor(limits.TIME_SLICE_NS + 16 * US);
    const { entered, left, totalNs } = bench.scheduler.statistics.snapshot();
    expect([entered, left, totalNs]).toEqual([2, 1, 2 * 6 * US + 3 * US]);
  });

  it.each([
    ['system', [0, 0]],
    ['from', [14, 0]],
    ['to', [6, 14]],
  ] as const)('R95: a switch is charged to %s', (switchPayer, paid) => {
    const costs = { save: 8 * US, start: 6 * US };
    const { bench, first, second } = pair(undefined, { costs, switchPayer });
    bench.runFor(limits.TIME_SLICE_NS + 25 * US);
    expect([first, second].map((each) => bench.times(each).switch / US)).toEqual(paid);
  });
});

describe('work', () => {
  it('R15: a vcoproc that was never used is never loaded; its first use makes it runnable', () => {
    const { bench } = pair();
    const third = bench.add();
    bench.runFor(100 * MS);
    expect(bench.log.some((line) => line.endsWith(' 2'))).toBe(false);
    bench.attach(third);
    bench.hardware.give(third.context, MS);
    bench.runFor(2 * limits.TIME_SLICE_NS + MS);
    expect(bench.times(third).run).toBe(MS);
  });

  it('alone it stays loaded without work, costs no wakeups, and is there when a second comes and goes', () => {
    const bench = new CoprocBench({ contexts: [ALWAYS, ALWAYS] });
    const [first] = bench.start(1);
    for (let times = 0; times < 5; times++) {
      first!.sleep();
      first!.wake();
    }
    expect([first!.state, bench.counts.wakeups, bench.log.length]).toEqual(['RUNNING', 1, 3]);
    const [second] = bench.start(1);
    bench.runFor(20 * MS);
    bench.scheduler.remove(second!, () => {});
    bench.runFor(20 * MS);
    expect([first!.state, bench.scheduler.current]).toEqual(['RUNNING', first]);
    expect(bench.times(first!).run).toBeGreaterThan(25 * MS);
  });

  it('what was known of one alone is not taken for true when a second comes: it may be idle by then', () => {
    const bench = new CoprocBench();
    const [first] = bench.start(1);
    const other = bench.add();
    bench.hardware.give(first!.context, MS);
    expect(first!.busy).toBe(true);
    bench.scheduler.remove(other, () => {});
    bench.runFor(2 * MS);
    bench.add();
    expect([first!.busy, first!.state]).toEqual([false, 'RUNNING']);
  });

  it('R22: an instance that hangs changes nothing for another: same steps, same times', () => {
    const run = (stop: SimStop): unknown => {
      const clock = new VirtualClock();
      const stalled = new CoprocBench({ clock, instance: 'sim0', contexts: [{ ...ALWAYS, stop }, ALWAYS] });
      const other = new CoprocBench({ clock, instance: 'sim1', contexts: [ALWAYS, ALWAYS] });
      stalled.start(2);
      other.start(2);
      other.runFor(NS_PER_SECOND);
      return [other.log, other.scheduler.ledger()];
    };
    expect(run({ kind: 'silent' })).toEqual(run({ kind: 'atOnce' }));
  });

  it('R24: a vcoproc stays on its instance', () => {
    const { bench, first } = pair();
    bench.runFor(50 * MS);
    expect([first.instance, first.deviceId]).toEqual(['sim0', 0]);
    expect(Object.getOwnPropertyDescriptor(Object.getPrototypeOf(first), 'instance')?.set).toBeUndefined();
  });
});

describe('denials', () => {
  it('R26: one that denies runs on, is asked at its hint and not before, and pays for the time', () => {
    const { bench, first, second } = pair({ kind: 'denies', forNs: 20 * MS, hintNs: 5 * MS });
    bench.runFor(limits.TIME_SLICE_NS + 19 * MS);
    expect([bench.hardware.executing, first.state]).toEqual([0, 'ASKED_TO_SLEEP']);
    expect(bench.log.filter((line) => line === 'stop')).toHaveLength(4);
    bench.runFor(MS);
    expect([bench.times(first).denied, bench.scheduler.current]).toEqual([20 * MS, second]);
    expect(bench.scheduler.statistics.snapshot().denials).toBe(4);
  });

  it('R26: what others do while it denies does not have it asked more often', () => {
    const { bench } = pair({ kind: 'denies', forNs: 20 * MS, hintNs: 5 * MS });
    const third = bench.start(1)[0]!;
    bench.runFor(limits.TIME_SLICE_NS);
    for (let times = 0; times < 190; times++) {
      if (bench.hardware.workNs(third.context) === 0) bench.hardware.give(third.context, MS);
      bench.scheduler.configure({ sliceNs: limits.TIME_SLICE_NS, minRunNs: limits.MIN_RUN_NS });
      bench.runFor(100 * US);
    }
    expect(bench.log.filter((line) => line === 'stop')).toHaveLength(4);
  });

  it('R26: one that has no work any more is asked at once, whatever it had said', () => {
    const contexts: SimContextOptions[] = [
      { load: { kind: 'given' }, stop: { kind: 'never', hintNs: 90 * MS } },
      ALWAYS,
    ];
    const bench = new CoprocBench({ contexts });
    const [first, second] = bench.start(2);
    bench.hardware.give(first!.context, 40 * MS);
    bench.runFor(limits.TIME_SLICE_NS + 40 * MS);
    bench.runFor(1);
    expect([first!.state, bench.scheduler.current]).toEqual(['SLEEPING', second]);
    expect(bench.hardware.executedNs(1)).toBe(limits.TIME_SLICE_NS + 1);
  });

  it('R26: a policy that changes its mind has the stop taken back, and time is run time again', () => {
    const policy = new ScriptedPolicy();
    const { bench, first, second } = pair(
      { kind: 'denies', forNs: 20 * MS, hintNs: 5 * MS },
      { policy: policy.module },
    );
    policy.answers.push({ next: second, sliceNs: null });
    bench.scheduler.configure({});
    expect(first.state).toBe('ASKED_TO_SLEEP');
    bench.runFor(5 * MS);
    expect([first.state, bench.log.at(-1)]).toEqual(['RUNNING', 'start 0']);
    bench.runFor(5 * MS);
    expect(bench.times(first)).toMatchObject({ run: 5 * MS, denied: 5 * MS });
  });

  it('hints out of bounds are kept within them, and garbage is a small one', () => {
    for (const [ns, waitNs] of [
      [1, limits.SWITCH_RETRY_NS_MIN],
      [1e18, limits.SWITCH_RETRY_NS_MAX],
      [Number.NaN, limits.SWITCH_RETRY_NS_MIN],
      [-5, limits.SWITCH_RETRY_NS_MIN],
      [20_000.5, 20_001],
    ] as const) {
      const { bench } = pair();
      bench.faults.set('stop', { kind: 'retryIn', ns });
      bench.runFor(limits.TIME_SLICE_NS);
      const before = bench.log.length;
      bench.runFor(waitNs - 1);
      expect(bench.log).toHaveLength(before);
      bench.runFor(1);
      expect(bench.log).toHaveLength(before + 1);
    }
  });

  it('R43: one that cooperates is told once that others wait; one that does not hears nothing', () => {
    for (const cooperates of [true, false]) {
      const { bench, first, second } = pair({ kind: 'denies', forNs: 20 * MS, hintNs: 5 * MS });
      first.parameters = { cooperates: cooperates ? 1 : 0 };
      second.parameters = { cooperates: 1 };
      bench.runFor(limits.TIME_SLICE_NS + 10 * MS);
      expect(bench.told(first)).toEqual(cooperates ? ['pleaseYield'] : []);
      bench.runFor(15 * MS);
      expect([bench.scheduler.current, bench.told(first)]).toEqual([
        second,
        cooperates ? ['pleaseYield', 'yieldOver'] : [],
      ]);
      expect(bench.told(second)).toEqual([]);
    }
  });

  it('R43: is over for one that may stay after all, and for one that is got out by force', () => {
    const policy = new ScriptedPolicy();
    const stays = pair({ kind: 'denies', forNs: 20 * MS, hintNs: 5 * MS }, { policy: policy.module });
    stays.first.parameters = { cooperates: 1 };
    policy.answers.push({ next: stays.second, sliceNs: null });
    stays.bench.scheduler.configure({});
    expect(stays.bench.told(stays.first)).toEqual(['pleaseYield']);
    stays.bench.runFor(5 * MS);
    expect([stays.first.state, stays.bench.told(stays.first)]).toEqual([
      'RUNNING',
      ['pleaseYield', 'yieldOver'],
    ]);

    const forced = pair({ kind: 'never', hintNs: 90 * MS });
    forced.first.parameters = { cooperates: 1 };
    forced.bench.runFor(limits.TIME_SLICE_NS + limits.DRAIN_DEADLINE_NS + 100 * MS);
    expect(forced.bench.told(forced.first).slice(0, 2)).toEqual(['pleaseYield', 'yieldOver']);
    expect(forced.first.failures).toBe(1);
  });
});

describe('changes under load', () => {
  it('R17: another policy takes over: nobody stops for it, nobody is lost, nothing is done twice', () => {
    const bench = new CoprocBench({ costs: { save: 10 * US, start: 10 * US } });
    const vcoprocs = bench.start(4);
    for (const { context } of vcoprocs) bench.hardware.give(context, 40 * MS);
    const policies = [fairPolicy, roundRobinPolicy, nullPolicy, new ScriptedPolicy().module];
    for (let times = 0; times < 24; times++) {
      bench.runFor(1_700_000 + 13 * times);
      const { current, phase } = bench.scheduler;
      const policy = times % 4 === 2 ? policies[3]! : policies[times % 2]!;
      const complete = (specs: typeof policy.parameters) =>
        Object.fromEntries(specs.map((spec) => [spec.name, spec.default]));
      bench.scheduler.changePolicy(policy, complete(policy.parameters), () =>
        complete(policy.vcoprocParameters),
      );
      if (phase === 'settled' && current !== null) expect(current.state).not.toBe('SLEEPING');
      bench.checkInvariants();
    }
    bench.runFor(NS_PER_SECOND);
    const executed = vcoprocs.map(({ context }) => bench.hardware.executedNs(context));
    expect(executed).toEqual([40 * MS, 40 * MS, 40 * MS, 40 * MS]);
    expect(vcoprocs.map((each) => bench.used(each))).toEqual(executed);
  });
});

describe('removal', () => {
  const phases = [
    ['asleep', {}, 0],
    ['settled', {}, MS],
    ['being stopped', { stop: 50 * US }, limits.TIME_SLICE_NS + 20 * US],
    ['being saved', { save: 50 * US }, limits.TIME_SLICE_NS + 20 * US],
    ['being started', { start: 50 * US }, 20 * US],
  ] as const;

  it.each(phases)(
    'R64: while it is %s: gone once, its memory left, the other runs on',
    (_phase, costs, atNs) => {
      const { bench, first, second } = pair(undefined, {
        costs,
        memoryCosts: { enterNs: 7 * US, leaveNs: 7 * US },
      });
      bench.runFor(atNs);
      let gone = 0;
      bench.scheduler.remove(first, () => gone++);
      expect(() => bench.scheduler.remove(first, () => {})).toThrow('removed once');
      bench.runFor(10 * MS, () => bench.checkInvariants());
      expect([gone, bench.scheduler.current, bench.hardware.contexts]).toEqual([1, second, [1]]);
      bench.hardware.raise(0, 1);
      expect(bench.told(first)).toEqual([]);
      expect(second.state).toBe('RUNNING');
    },
  );

  it('R64: of one that denies for ever: it is escalated, and the other runs on', () => {
    const { bench, first, second } = pair({ kind: 'never', hintNs: MS });
    bench.runFor(MS);
    let gone = 0;
    bench.scheduler.remove(first, () => gone++);
    bench.runFor(NS_PER_SECOND, () => bench.checkInvariants());
    expect([gone, bench.scheduler.current, bench.hardware.contexts]).toEqual([1, second, [1]]);
    expect(bench.told(second)).toEqual([]);
  });

  it('R64: of one that the policy has just chosen: somebody else runs', () => {
    const { bench, first, second } = pair(undefined, { costs: { stop: 50 * US, start: 50 * US } });
    bench.runFor(limits.TIME_SLICE_NS + 60 * US);
    expect(bench.scheduler.phase).toBe('leaving');
    bench.scheduler.remove(second, () => {});
    bench.runFor(MS, () => bench.checkInvariants());
    expect(bench.scheduler.current).toBe(first);
  });

  it('R64: is over as soon as the next is loaded, although its slice never ends', () => {
    const policy = new ScriptedPolicy();
    const { bench, first, second } = pair(undefined, { policy: policy.module, costs: { stop: 50 * US } });
    bench.runFor(MS);
    let gone = 0;
    bench.scheduler.remove(first, () => gone++);
    bench.runFor(MS);
    expect([gone, bench.scheduler.current]).toEqual([1, second]);
  });

  it('R64: of all of them at once, in the middle of a switch, leaves nothing on the hardware', () => {
    const { bench, first, second } = pair(undefined, { costs: { stop: 50 * US, start: 50 * US } });
    bench.runFor(limits.TIME_SLICE_NS + 60 * US);
    let gone = 0;
    for (const vcoproc of [first, second]) bench.scheduler.remove(vcoproc, () => gone++);
    bench.runFor(MS, () => bench.checkInvariants());
    expect([gone, bench.hardware.contexts, bench.memory.context]).toEqual([2, [], null]);
    expect(bench.scheduler.vcoprocs).toEqual([]);
  });

  it('a vcoproc that the hardware never heard of is gone at once, and the hardware is not asked', () => {
    const bench = new CoprocBench();
    let gone = 0;
    bench.scheduler.remove(bench.add(), () => gone++);
    expect([gone, bench.log]).toEqual([1, []]);
  });

  it('R64: answers every access that waited, and takes no queue any more', () => {
    const registers = [{ name: 'BELL', at: 0, width: 32, access: 'doorbell', reset: 0, doc: '' }] as const;
    const bench = new CoprocBench({ contexts: [ALWAYS, ALWAYS], registers });
    const [, second] = bench.start(2);
    const results: number[] = [];
    for (let count = 0; count <= limits.STACKED_WRITES; count++) {
      second!.writeRegister(0, 32, 1, (result) => results.push(result));
    }
    second!.readRegister(0, 32, (value) => results.push(value));
    bench.scheduler.remove(second!, () => {});
    expect(results.slice(limits.STACKED_WRITES)).toEqual([-5, 0]);
    expect(bench.attach(second!)).toBe(-5);
  });

  it('R64: no interrupt of a context that is being destroyed reaches the domain that it was of', () => {
    const { bench, first, second } = pair();
    bench.faults.set('destroy', { kind: 'late', ns: MS });
    let gone = 0;
    bench.scheduler.remove(first, () => gone++);
    bench.hardware.raise(first.context, 1);
    bench.runFor(2 * MS);
    expect([gone, bench.told(first), bench.told(second)]).toEqual([1, [], []]);
  });

  it('is over in bounded time although the device does not answer', () => {
    const { bench, first } = pair();
    bench.faults.set('destroy', { kind: 'silent' });
    let gone = 0;
    bench.scheduler.remove(first, () => gone++);
    bench.runFor(limits.STEP_TIMEOUT_NS);
    expect(gone).toBe(1);
  });

  it('F7: contexts are numbered from 0, below the limit, and used again: more vcoprocs may come and go than there are', () => {
    const bench = new CoprocBench();
    const all = bench.start(limits.CONTEXTS_PER_INSTANCE);
    expect(Math.max(...all.map(({ context }) => context))).toBe(limits.CONTEXTS_PER_INSTANCE - 1);
    expect(() => bench.add()).toThrow('a context for each');
    const one = new CoprocBench();
    for (let times = 0; times < 3 * limits.CONTEXTS_PER_INSTANCE; times++) {
      const [vcoproc] = one.start(1);
      expect(vcoproc!.context).toBe(0);
      one.scheduler.remove(vcoproc!, () => {});
    }
    expect(one.hardware.contexts).toEqual([]);
  });
});

it('R48: a domain that comes and goes at any moment costs its neighbour nothing but the turns that it has', () => {
  const costs = { stop: 20 * US, save: 20 * US, start: 20 * US };
  const moments = fc.array(fc.nat(12 * MS), { minLength: 1, maxLength: 12 });
  const property = fc.property(moments, fc.boolean(), (pauses, isRough) => {
    const bench = new CoprocBench({ contexts: [ALWAYS, ALWAYS], costs });
    const [steady] = bench.start(1);
    let gone = 0;
    for (const ns of pauses) {
      const [passing] = bench.start(1);
      if (isRough) bench.hardware.raise(passing!.context, 0);
      bench.runFor(ns, () => bench.checkInvariants());
      const before = bench.used(steady!);
      bench.scheduler.remove(passing!, () => gone++);
      bench.runFor(MS);
      expect(bench.used(steady!) - before).toBeGreaterThanOrEqual(MS - 120 * US);
    }
    expect([gone, bench.hardware.contexts, bench.told(steady!)]).toEqual([pauses.length, [0], []]);
  });
  fc.assert(property, { numRuns: 100 });
});

describe('queries', () => {
  it('R21: at every event of a run with every kind of trouble, a snapshot is complete and adds up', () => {
    const contexts: SimContextOptions[] = [
      { load: { kind: 'always' }, stop: { kind: 'denies', forNs: 3 * MS, hintNs: MS } },
      { load: { kind: 'bursty', gapNs: 3 * MS, workNs: 2 * MS }, stop: { kind: 'never', hintNs: 10 * MS } },
      { load: { kind: 'toggling', workNs: MS, idleNs: MS } },
    ];
    const bench = new CoprocBench({ contexts, costs: { save: 10 * US, start: 10 * US } });
    const vcoprocs = bench.start(3);
    bench.runFor(700 * MS, () => bench.checkInvariants());
    bench.scheduler.remove(vcoprocs[1]!, () => {});
    const inTheMiddle = snapshotOf('sim0', bench.scheduler, {});
    expect(inTheMiddle.vcoprocs).toHaveLength(vcoprocs[1] === bench.scheduler.current ? 3 : 2);
    bench.runFor(700 * MS, () => bench.checkInvariants());
    expect(fc.stringify(snapshotOf('sim0', bench.scheduler, {}))).toBe(
      fc.stringify(snapshotOf('sim0', bench.scheduler, {})),
    );
  });
});
