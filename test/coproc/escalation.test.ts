// What happens to a device or a context that will not do as it is asked, and what do its neighbours notice?
import { describe, expect, it } from 'vitest';
import { limits } from '../../src/base/limits.js';
import { NS_PER_MS, NS_PER_SECOND } from '../../src/base/units.js';
import type { SimContextOptions, SimStop } from '../../src/coproc/sim-context.js';
import type { Vcoproc } from '../../src/coproc/vcoproc.js';
import type { QueueBinding } from '../../src/hw/coproc-port.js';
import { CoprocBench } from './bench.js';

const MS = NS_PER_MS;
const SLICE = limits.TIME_SLICE_NS;
const CONTROL = { name: 'CONTROL', at: 0, width: 32, access: 'RW', reset: 0, doc: 'for software' } as const;

/** One with its own way to stop, and two neighbours that always have work. */
function withNeighbours(stop: SimStop) {
  const contexts: SimContextOptions[] = [{ load: { kind: 'always' }, stop }];
  for (let count = 0; count < 2; count++) contexts.push({ load: { kind: 'always' } });
  const bench = new CoprocBench({ contexts });
  const [guilty, ...neighbours] = bench.start(3) as [Vcoproc, Vcoproc, Vcoproc];
  // A kernel opens its queues again when the device was reset.
  for (const vcoproc of [guilty, ...neighbours]) {
    const heard = bench.heard.get(vcoproc.id)!;
    vcoproc.onIrq((irq) => {
      heard.push(irq);
      if (irq.kind === 'reset') bench.attach(vcoproc);
    });
  }
  return { bench, guilty, neighbours };
}

/** The steps of a log from the first escalation on, without what belongs to ordinary switches. */
function escalation(log: readonly string[]): string[] {
  return log.filter((line) => line.startsWith('reset'));
}

describe('the ladder', () => {
  it('R26: ask, until the drain deadline; then the requests of that context are dropped, and nothing else', () => {
    const { bench, guilty, neighbours } = withNeighbours({ kind: 'never', hintNs: 50 * MS });
    bench.runFor(SLICE + limits.DRAIN_DEADLINE_NS - 1);
    expect([escalation(bench.log), guilty.state]).toEqual([[], 'ASKED_TO_SLEEP']);
    bench.runFor(1);
    expect(escalation(bench.log)).toEqual(['resetContext 0']);
    expect([guilty.failures, guilty.lastFailure]).toEqual([
      1,
      `it denied to stop for ${limits.DRAIN_DEADLINE_NS} ns`,
    ]);
    expect([guilty.state, bench.scheduler.current]).toEqual(['WAITING', neighbours[0]]);
    expect(bench.scheduler.statistics.snapshot()).toMatchObject({ contextResets: 1, deviceResets: 0 });
    expect(neighbours.map((each) => bench.told(each))).toEqual([[], []]);
  });

  it('after a reset it is stopped, saved and its memory left like any other', () => {
    const { bench } = withNeighbours({ kind: 'never', hintNs: 50 * MS });
    bench.runFor(SLICE + limits.DRAIN_DEADLINE_NS + 1);
    const from = bench.log.indexOf('resetContext 0');
    expect(bench.log.slice(from, from + 6)).toEqual([
      'resetContext 0',
      'stop',
      'save 0',
      'leave 0',
      'enter 1',
      'start 1',
    ]);
  });

  it('R49: a context that fails CONTEXT_FAILURES_MAX times is out of service, alone; its owner is told why', () => {
    const { bench, guilty, neighbours } = withNeighbours({ kind: 'never', hintNs: 50 * MS });
    bench.runFor(30 * NS_PER_SECOND, () => bench.checkInvariants());
    expect([guilty.state, guilty.failures]).toEqual(['ISOLATED', limits.CONTEXT_FAILURES_MAX]);
    expect(bench.heard.get(guilty.id)).toEqual([{ kind: 'lost', reason: guilty.lastFailure }]);
    expect(bench.scheduler.isolated).toBe(false);
    const before = neighbours.map((each) => bench.used(each));
    bench.runFor(2 * NS_PER_SECOND);
    for (const share of bench.sharesSince(before, neighbours, 2 * NS_PER_SECOND)) {
      expect(Math.abs(share - 0.5)).toBeLessThan(0.01);
    }
  });

  it('R49: until then its denials are its own loss: the neighbours have their shares of the time', () => {
    const { bench, neighbours } = withNeighbours({ kind: 'denies', forNs: 400 * MS, hintNs: 50 * MS });
    bench.runFor(60 * NS_PER_SECOND);
    for (const share of bench.sharesSince([0, 0], neighbours, 60 * NS_PER_SECOND)) {
      expect(Math.abs(share - 1 / 3)).toBeLessThan(0.01);
    }
  });

  it('a context that cannot be reset has the device reset; everybody is told, and goes on', () => {
    const { bench, guilty, neighbours } = withNeighbours({ kind: 'never', hintNs: 50 * MS });
    bench.faults.set('resetContext', { kind: 'failed', reason: 'test' });
    bench.runFor(SLICE + limits.DRAIN_DEADLINE_NS + 1);
    expect(escalation(bench.log)).toEqual(['resetContext 0', 'resetDevice']);
    expect([guilty, ...neighbours].map((each) => bench.told(each))).toEqual([
      ['reset'],
      ['reset'],
      ['reset'],
    ]);
    const before = neighbours.map((each) => bench.used(each));
    bench.runFor(SLICE);
    expect(Math.max(...bench.sharesSince(before, neighbours, SLICE))).toBeGreaterThan(0);
    bench.checkInvariants();
  });

  it('a device that has hung is reset after STEP_TIMEOUT_NS; an answer that comes later changes nothing', () => {
    for (const stop of [
      { kind: 'silent' },
      { kind: 'late', afterNs: limits.STEP_TIMEOUT_NS + MS },
    ] as const) {
      const { bench, guilty } = withNeighbours(stop);
      bench.faults.set('resetContext', { kind: 'silent' });
      bench.runFor(SLICE + limits.STEP_TIMEOUT_NS - 1);
      expect(escalation(bench.log)).toEqual([]);
      bench.runFor(1);
      expect(escalation(bench.log)).toEqual(['resetContext 0']);
      bench.runFor(limits.STEP_TIMEOUT_NS, () => bench.checkInvariants());
      expect(escalation(bench.log)).toEqual(['resetContext 0', 'resetDevice']);
      expect(guilty.lastFailure).toBe(`a step was not answered within ${limits.STEP_TIMEOUT_NS} ns`);
    }
  });

  it.each(['save', 'start'] as const)('a %s that is never answered escalates too', (step) => {
    const { bench, guilty } = withNeighbours({ kind: 'atOnce' });
    bench.runFor(MS);
    bench.faults.set(`${step} 0`, { kind: 'silent' });
    bench.runFor(12 * NS_PER_SECOND, () => bench.checkInvariants());
    expect(guilty.failures).toBeGreaterThan(0);
    expect(escalation(bench.log).slice(0, step === 'save' ? 2 : 1)).toEqual(
      step === 'save' ? ['resetContext 0', 'resetDevice'] : ['resetContext 0'],
    );
  });

  it('R49: one context that has the device reset over and over goes alone; the device gets another chance', () => {
    const { bench, guilty, neighbours } = withNeighbours({ kind: 'silent' });
    bench.faults.set('resetContext', { kind: 'failed', reason: 'test' });
    bench.runFor(30 * NS_PER_SECOND, () => bench.checkInvariants());
    expect([guilty.state, bench.scheduler.isolated]).toEqual(['ISOLATED', false]);
    const before = neighbours.map((each) => bench.used(each));
    bench.runFor(2 * NS_PER_SECOND);
    for (const share of bench.sharesSince(before, neighbours, 2 * NS_PER_SECOND)) {
      expect(Math.abs(share - 0.5)).toBeLessThan(0.01);
    }
  });

  it('a device that fails with one and another is out of service after DEVICE_FAILURES_MAX, and all are told once', () => {
    const { bench, guilty, neighbours } = withNeighbours({ kind: 'atOnce' });
    bench.faults.set('stop', { kind: 'failed', reason: 'broken' });
    bench.faults.set('resetContext', { kind: 'failed', reason: 'broken' });
    bench.runFor(NS_PER_SECOND, () => bench.checkInvariants());
    // The last one is alone: nobody asks the device to stop.
    expect([bench.scheduler.isolated, bench.scheduler.current?.state]).toEqual([false, 'RUNNING']);
    const [late] = bench.start(1);
    bench.hardware.give(late!.context, MS);
    bench.runFor(NS_PER_SECOND, () => bench.checkInvariants());
    expect(bench.scheduler.isolated).toBe(true);
    const { deviceResets } = bench.scheduler.statistics.snapshot();
    expect(deviceResets).toBeLessThanOrEqual(limits.DEVICE_FAILURES_MAX * limits.CONTEXT_FAILURES_MAX);
    for (const vcoproc of [guilty, ...neighbours, late!]) {
      expect(bench.told(vcoproc).filter((kind) => kind === 'lost')).toEqual(['lost']);
    }
  });

  it('R37: a device that cannot be reset is out of service at once, and reaches no memory', () => {
    for (const fault of [{ kind: 'failed', reason: 'test' }, { kind: 'silent' }] as const) {
      const { bench, guilty, neighbours } = withNeighbours({ kind: 'silent' });
      bench.faults.set('resetContext', { kind: 'failed', reason: 'test' });
      bench.faults.set('resetDevice', fault);
      bench.runFor(20 * NS_PER_SECOND, () => bench.checkInvariants());
      expect([bench.scheduler.isolated, bench.memory.context, bench.scheduler.current]).toEqual([
        true,
        null,
        null,
      ]);
      expect([guilty, ...neighbours].map((each) => bench.told(each))).toEqual([['lost'], ['lost'], ['lost']]);
    }
  });

  it('a context that cannot start is reset, and after CONTEXT_FAILURES_MAX attempts out of service; others run on', () => {
    for (const fault of [
      { kind: 'failed', reason: 'test' },
      { kind: 'retryIn', ns: MS },
    ] as const) {
      const { bench, guilty, neighbours } = withNeighbours({ kind: 'atOnce' });
      bench.runFor(2 * SLICE);
      bench.faults.set('start 0', fault);
      bench.runFor(NS_PER_SECOND, () => bench.checkInvariants());
      expect([guilty.state, bench.scheduler.isolated]).toEqual(['ISOLATED', false]);
      expect(neighbours.map((each) => bench.told(each))).toEqual([[], []]);
    }
  });

  it('R16, R48: a context for which the device has no room costs its owner its vcoproc, and nobody else anything', () => {
    const { bench, neighbours } = withNeighbours({ kind: 'atOnce' });
    const late = bench.add();
    bench.faults.set(`create ${late.context}`, { kind: 'failed', reason: 'test' });
    expect(bench.attach(late)).toBeLessThan(0);
    expect([late.exists, late.failures, late.state]).toEqual([false, 0, 'SLEEPING']);
    late.writeRegister(0, 32, 1, () => {});
    bench.runFor(NS_PER_SECOND, () => bench.checkInvariants());
    expect(escalation(bench.log)).toEqual([]);
    let gone = 0;
    bench.scheduler.remove(late, () => gone++);
    expect([gone, bench.log.filter((line) => line.startsWith('destroy'))]).toEqual([1, []]);
    expect(neighbours.map((each) => bench.told(each))).toEqual([[], []]);
  });
});

describe('the watchdog', () => {
  /** One that works alone, in its own way, beside one that has had nothing to do so far. */
  function withIdleNeighbour(options: SimContextOptions) {
    const bench = new CoprocBench({ contexts: [options, { load: { kind: 'given' } }], registers: [CONTROL] });
    const [busy, idle] = bench.start(2) as [Vcoproc, Vcoproc];
    return { bench, busy, idle };
  }

  it('R48, R49: a device that hangs while nobody else has work is got out of there all the same', () => {
    const { bench, busy, idle } = withIdleNeighbour({ load: { kind: 'always' }, stop: { kind: 'silent' } });
    bench.faults.set('resetContext', { kind: 'silent' });
    bench.runFor(limits.WATCHDOG_NS + limits.STEP_TIMEOUT_NS - 1);
    expect(escalation(bench.log)).toEqual([]);
    bench.runFor(limits.STEP_TIMEOUT_NS + MS, () => bench.checkInvariants());
    expect(escalation(bench.log)).toEqual(['resetContext 0', 'resetDevice']);
    expect([busy.failures, idle.failures]).toEqual([1, 0]);
    expect(busy.lastFailure).toBe(`a step was not answered within ${limits.STEP_TIMEOUT_NS} ns`);
  });

  it('leaves one that works alone where it is: no tick, no switch, no time of it lost', () => {
    const { bench, busy } = withIdleNeighbour({ load: { kind: 'always' } });
    bench.runFor(MS);
    const before = bench.times(busy).run;
    const { entered } = bench.scheduler.statistics.snapshot();
    bench.runFor(20 * limits.WATCHDOG_NS, () => bench.checkInvariants());
    expect(bench.times(busy).run - before).toBe(20 * limits.WATCHDOG_NS);
    expect([bench.counts.ticks, busy.failures, busy.state]).toEqual([0, 0, 'RUNNING']);
    expect(bench.scheduler.statistics.snapshot().entered).toBe(entered);
    expect(escalation(bench.log)).toEqual([]);
    expect(bench.log.filter((line) => line.startsWith('stop'))).toHaveLength(20);
  });

  it('is content with a denial, and takes its question back', () => {
    const stop = { kind: 'denies', forNs: 60 * NS_PER_SECOND, hintNs: MS } as const;
    const { bench, busy } = withIdleNeighbour({ load: { kind: 'always' }, stop });
    bench.runFor(20 * NS_PER_SECOND, () => bench.checkInvariants());
    expect([escalation(bench.log), busy.failures, bench.times(busy).denied]).toEqual([[], 0, 0]);
  });

  it('R27: has accesses to registers wait while it asks, and keeps their order', () => {
    const { bench, busy } = withIdleNeighbour({ load: { kind: 'always' } });
    bench.faults.set('stop 0', { kind: 'late', ns: 100 });
    bench.runFor(limits.WATCHDOG_NS + 50);
    expect(busy.state).toBe('ASKED_TO_SLEEP');
    const values: number[] = [];
    busy.writeRegister(CONTROL.at, 32, 5, () => {});
    busy.readRegister(CONTROL.at, 32, (value) => values.push(value));
    expect(values).toEqual([]);
    bench.runFor(100);
    expect([values, busy.state]).toEqual([[5], 'RUNNING']);
  });

  it('has no alarm while nobody has work, and none on a device of one owner: the clock comes to rest', () => {
    const { bench, busy } = withIdleNeighbour({ load: { kind: 'given' } });
    bench.hardware.give(busy.context, MS);
    let events = 0;
    while (bench.clock.step()) events += 1;
    expect(events).toBeLessThan(10);
    const alone = new CoprocBench({ contexts: [{ load: { kind: 'always' } }] });
    alone.start(1);
    while (alone.clock.step()) events += 1;
    expect(events).toBeLessThan(10);
  });
});

describe('a device that resets itself', () => {
  const costs = { stop: 50_000, save: 50_000, start: 50_000 };
  const moments = [
    ['settled', MS],
    ['entering', 20_000],
    ['stopping', SLICE + 70_000],
    ['saving', SLICE + 120_000],
    ['leaving the memory', SLICE + 170_000],
    ['entering the memory', SLICE + 220_000],
    ['starting the next', SLICE + 270_000],
  ] as const;

  it.each(moments)(
    'while %s: everybody is told once, nobody is blamed, and all run again',
    (_moment, atNs) => {
      const contexts: SimContextOptions[] = [{ load: { kind: 'always' } }, { load: { kind: 'always' } }];
      const bench = new CoprocBench({ contexts, costs, memoryCosts: { enterNs: 50_000, leaveNs: 50_000 } });
      const vcoprocs = bench.start(2);
      bench.runFor(atNs);
      bench.hardware.crash('test');
      bench.checkInvariants();
      expect(vcoprocs.map((each) => bench.told(each))).toEqual([['reset'], ['reset']]);
      for (const vcoproc of vcoprocs) bench.attach(vcoproc);
      const before = vcoprocs.map((each) => bench.used(each));
      bench.runFor(10 * SLICE, () => bench.checkInvariants());
      for (const share of bench.sharesSince(before, vcoprocs, 10 * SLICE)) expect(share).toBeGreaterThan(0.3);
      expect(vcoprocs.map(({ failures }) => failures)).toEqual([0, 0]);
      expect(escalation(bench.log)).toEqual([]);
    },
  );

  it.each(moments)(
    'for good, while %s: all are out of service and told once, and no memory is reached',
    (_moment, atNs) => {
      const contexts: SimContextOptions[] = [{ load: { kind: 'always' } }, { load: { kind: 'always' } }];
      const bench = new CoprocBench({ contexts, costs, memoryCosts: { enterNs: 50_000, leaveNs: 50_000 } });
      const vcoprocs = bench.start(2);
      bench.runFor(atNs);
      bench.hardware.lose('test');
      bench.runFor(MS, () => bench.checkInvariants());
      expect(vcoprocs.map((each) => bench.told(each))).toEqual([['lost'], ['lost']]);
      expect([bench.scheduler.isolated, bench.scheduler.current, bench.memory.context]).toEqual([
        true,
        null,
        null,
      ]);
      expect(bench.attach(vcoprocs[0]!)).toBeLessThan(0);
      let gone = 0;
      for (const vcoproc of vcoprocs) bench.scheduler.remove(vcoproc, () => gone++);
      expect([gone, bench.scheduler.vcoprocs]).toEqual([2, []]);
    },
  );

  it('twice in a row, the second time while the memory of the first is left', () => {
    const contexts: SimContextOptions[] = [{ load: { kind: 'always' } }, { load: { kind: 'always' } }];
    const bench = new CoprocBench({ contexts, memoryCosts: { enterNs: 50_000, leaveNs: 50_000 } });
    const vcoprocs = bench.start(2);
    bench.runFor(MS);
    for (let times = 0; times < 2; times++) {
      bench.hardware.crash('test');
      for (const vcoproc of vcoprocs) bench.attach(vcoproc);
      bench.runFor(20_000, () => bench.checkInvariants());
    }
    bench.runFor(10 * SLICE, () => bench.checkInvariants());
    for (const vcoproc of vcoprocs) expect(bench.used(vcoproc)).toBeGreaterThan(3 * SLICE);
  });

  it('R48: while one is being escalated: that is over, too', () => {
    const { bench, guilty, neighbours } = withNeighbours({ kind: 'silent' });
    bench.faults.set('resetContext', { kind: 'silent' });
    bench.runFor(SLICE + limits.STEP_TIMEOUT_NS + MS);
    expect(escalation(bench.log)).toEqual(['resetContext 0']);
    bench.hardware.crash('test');
    bench.runFor(SLICE, () => bench.checkInvariants());
    expect(escalation(bench.log)).toEqual(['resetContext 0']);
    expect([guilty, ...neighbours].map((each) => bench.told(each))).toEqual([
      ['reset'],
      ['reset'],
      ['reset'],
    ]);
  });

  it('one that goes to sleep while its memory is left sleeps, and is not thought to wait', () => {
    const bench = new CoprocBench({
      contexts: [{ load: { kind: 'always' } }],
      memoryCosts: { leaveNs: 50_000 },
    });
    const [vcoproc] = bench.start(1);
    bench.runFor(MS);
    bench.hardware.crash('test');
    vcoproc!.sleep();
    bench.runFor(MS, () => bench.checkInvariants());
    expect([vcoproc!.state, bench.scheduler.current]).toEqual(['SLEEPING', null]);
  });

  it('while a context is being created: the failure of that one is not taken for that of the next', () => {
    const bench = new CoprocBench();
    const vcoproc = bench.add();
    bench.faults.set('create', { kind: 'late', ns: MS });
    const results: number[] = [];
    const attach = (): void =>
      vcoproc.attachQueue({ queueNumber: 1 } as QueueBinding, (result) => results.push(result));
    vcoproc.onIrq(attach);
    attach();
    bench.hardware.crash('test');
    bench.runFor(2 * MS);
    expect([results.includes(0), vcoproc.exists, bench.hardware.contexts]).toEqual([true, true, [0]]);
  });
});

describe('a device that is being reset', () => {
  /** The first of two denies, and its context cannot be reset: the device is, which takes a while. */
  function resetting() {
    const contexts: SimContextOptions[] = [
      { load: { kind: 'always' }, stop: { kind: 'never', hintNs: 50 * MS } },
      { load: { kind: 'always' } },
    ];
    const registers = [{ name: 'A', at: 0, width: 32, access: 'RW', reset: 7, doc: '' }] as const;
    const bench = new CoprocBench({ contexts, registers, memoryCosts: { leaveNs: MS } });
    const [guilty, neighbour] = bench.start(2) as [Vcoproc, Vcoproc];
    bench.faults.set('resetContext', { kind: 'failed', reason: 'test' });
    bench.faults.set('resetDevice', { kind: 'late', ns: MS });
    bench.runFor(SLICE + limits.DRAIN_DEADLINE_NS + 1);
    expect(escalation(bench.log).at(-1)).toBe('resetDevice');
    return { bench, guilty, neighbour };
  }

  it('takes a queue when it has been reset, after its owner was told that all queues are gone', () => {
    for (const passNs of [0, MS + MS / 2]) {
      const { bench, neighbour } = resetting();
      bench.runFor(passNs);
      const order: string[] = [];
      neighbour.onIrq(({ kind }) => order.push(kind));
      neighbour.attachQueue({ queueNumber: 9 } as QueueBinding, (result) => order.push(String(result)));
      expect(order).toEqual([]);
      bench.runFor(3 * MS);
      expect(order).toEqual(['reset', '0']);
    }
  });

  it('is not reached by accesses to the registers of what was loaded: they meet the state after power-on', () => {
    const { bench, guilty } = resetting();
    const before = bench.log.length;
    const answers: number[] = [];
    guilty.writeRegister(0, 32, 5, (result) => answers.push(result));
    guilty.readRegister(0, 32, (value) => answers.push(value));
    expect([answers, bench.log.length]).toEqual([[], before]);
    bench.runFor(3 * MS);
    expect(answers).toEqual([0, 5]);
  });
});

it('a context that the device would not destroy is given to nobody before the device was reset', () => {
  const bench = new CoprocBench();
  const [first] = bench.start(2);
  bench.faults.set('destroy', { kind: 'failed', reason: 'test' });
  bench.scheduler.remove(first!, () => {});
  bench.faults.clear();
  expect(bench.start(1)[0]!.context).toBe(2);
  bench.hardware.crash('test');
  expect(bench.start(1)[0]!.context).toBe(0);
});
