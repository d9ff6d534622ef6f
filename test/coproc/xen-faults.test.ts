// Twelve faults of an earlier implementation of the Xen RFC "shared coprocessor": none of them is ours.
// F3, F4, F7, F11 are in interrupt-latch, framework and registers.test.ts, too, where their subjects are.
import { describe, expect, it } from 'vitest';
import { limits } from '../../src/base/limits.js';
import { NS_PER_MS, NS_PER_SECOND } from '../../src/base/units.js';
import { fairPolicy } from '../../src/coproc/policies/fair.js';
import { roundRobinPolicy } from '../../src/coproc/policies/round-robin.js';
import type { SimContextOptions } from '../../src/coproc/sim-context.js';
import { VirtualClock } from '../../src/hw/clock.js';
import { CoprocBench } from './bench.js';

const MS = NS_PER_MS;
const SLICE = limits.TIME_SLICE_NS;
const ALWAYS: SimContextOptions = { load: { kind: 'always' } };

function bench(...contexts: SimContextOptions[]) {
  const coproc = new CoprocBench({ contexts });
  return { coproc, vcoprocs: coproc.start(contexts.length) };
}

it.each(['stop', 'save'] as const)(
  'F1: a %s that fails is not taken for done: nobody else is loaded over it',
  (step) => {
    const { coproc, vcoprocs } = bench(ALWAYS, ALWAYS);
    coproc.faults.set(`${step} 0`, step === 'stop' ? { kind: 'failed', reason: 'test' } : { kind: 'silent' });
    coproc.runFor(SLICE + 1);
    const steps = coproc.log.slice(coproc.log.indexOf('stop'));
    if (step === 'save') expect(steps).toEqual(['stop', 'save 0']);
    else expect(steps.slice(0, 2)).toEqual(['stop', 'resetContext 0']);
    coproc.runFor(20 * NS_PER_SECOND, () => coproc.checkInvariants());
    expect(vcoprocs[0]!.failures).toBeGreaterThan(0);
  },
);

it('F2: a wake that comes while it is asked to sleep is not lost', () => {
  const { coproc, vcoprocs } = bench(
    { load: { kind: 'given' }, stop: { kind: 'denies', forNs: MS, hintNs: MS } },
    ALWAYS,
  );
  const [first] = vcoprocs;
  coproc.hardware.give(0, 20 * MS);
  coproc.runFor(2 * SLICE + 500_000);
  expect(first!.state).toBe('ASKED_TO_SLEEP');
  first!.sleep();
  first!.wake();
  coproc.runFor(SLICE - MS);
  expect(first!.state).toBe('WAITING');
  coproc.runFor(60 * MS);
  expect(coproc.hardware.executedNs(0)).toBe(20 * MS);
});

it('F2: a wake that comes while its context is being stopped is not lost', () => {
  const contexts: SimContextOptions[] = [{ load: { kind: 'given' } }, ALWAYS];
  const coproc = new CoprocBench({ contexts, costs: { stop: MS, save: MS } });
  const [first] = coproc.start(2);
  coproc.hardware.give(0, 5 * MS);
  // It ends on its own, and gets more work in every moment of its being stopped.
  for (let ns = 0; ns < 3 * MS; ns += 250_000) {
    while (coproc.scheduler.current !== first || coproc.scheduler.phase !== 'leaving') {
      if (coproc.hardware.workNs(0) === 0 && first!.state === 'SLEEPING') coproc.hardware.give(0, 5 * MS);
      if (!coproc.clock.step()) break;
    }
    coproc.runFor(ns);
    coproc.hardware.give(0, MS);
    coproc.runFor(6 * SLICE, () => coproc.checkInvariants());
    expect([coproc.hardware.workNs(0), first!.state]).toEqual([0, 'SLEEPING']);
    coproc.hardware.give(0, 5 * MS);
  }
});

it('F3: the interrupt of a domain that was just switched out reaches it, and not the one that runs', () => {
  const { coproc, vcoprocs } = bench(ALWAYS, ALWAYS);
  coproc.runFor(SLICE + 1);
  coproc.hardware.raise(0, 3);
  expect(vcoprocs.map((each) => coproc.told(each))).toEqual([['device'], []]);
});

it('F5: failures are counted for each context and each device: one that fails brings no other to its limit', () => {
  const clock = new VirtualClock();
  const [broken, whole] = ['sim0', 'sim1'].map(
    (instance) => new CoprocBench({ clock, instance, contexts: [ALWAYS, ALWAYS, ALWAYS] }),
  );
  const others = whole!.start(3);
  const [first, second] = broken!.start(3);
  broken!.faults.set('start 0', { kind: 'failed', reason: 'test' });
  clock.alarm(0, () => {});
  broken!.runFor(NS_PER_SECOND);
  expect([first!.state, second!.failures, second!.state === 'ISOLATED']).toEqual(['ISOLATED', 0, false]);
  broken!.faults.set('start 1', { kind: 'failed', reason: 'test' });
  broken!.runFor(SLICE * 3 + 1);
  expect([second!.failures, others.map(({ failures }) => failures)]).toEqual([
    limits.CONTEXT_FAILURES_MAX,
    [0, 0, 0],
  ]);
  // Once is not too often, for the next.
  whole!.faults.set('start 0', { kind: 'failed', reason: 'test' });
  while (others[0]!.failures === 0) clock.step();
  whole!.faults.clear();
  whole!.runFor(NS_PER_SECOND);
  expect(whole!.hardware.executedNs(0)).toBeGreaterThan(300 * MS);
});

it('F6: detaching is answered with a number, whatever state the context and the device are in', () => {
  const { coproc, vcoprocs } = bench(ALWAYS, ALWAYS);
  const answers: unknown[] = [];
  const detach = (): void => {
    for (const vcoproc of vcoprocs) vcoproc.detachQueue(vcoproc.id, (result) => answers.push(result));
  };
  detach();
  detach();
  coproc.hardware.crash('test');
  detach();
  coproc.hardware.lose('test');
  detach();
  expect(answers).toEqual(new Array(8).fill(0));
});

it('F7: interrupts of context numbers around the last one find their owner, or nobody', () => {
  const { coproc, vcoprocs } = bench(ALWAYS, ALWAYS);
  for (const context of [-1, 2, 3, limits.CONTEXTS_PER_INSTANCE]) {
    coproc.hardware.raise(context, 1);
  }
  expect(vcoprocs.map((each) => coproc.told(each))).toEqual([[], []]);
  for (const context of [0, 1]) coproc.hardware.raise(context, 1);
  expect(vcoprocs.map((each) => coproc.told(each))).toEqual([['device'], ['device']]);
});

it('F8: when a stop is granted after denials, nobody asks any more, and the alarm for it is off', () => {
  const { coproc, vcoprocs } = bench(
    { ...ALWAYS, stop: { kind: 'denies', forNs: 3 * MS, hintNs: MS } },
    ALWAYS,
  );
  coproc.runFor(SLICE + 3 * MS + 1);
  expect(coproc.scheduler.current).toBe(vcoprocs[1]);
  const [stops, ticks, asked] = [
    coproc.log.filter((line) => line === 'stop').length,
    coproc.counts.ticks,
    coproc.clock.dispatched,
  ];
  expect(stops).toBe(4);
  coproc.runFor(SLICE - 2);
  expect(coproc.log.filter((line) => line === 'stop')).toHaveLength(stops);
  expect([coproc.counts.ticks, coproc.clock.dispatched]).toEqual([ticks, asked + 1]);
});

it('F8: a step that is answered in time is not held against the device later', () => {
  const coproc = new CoprocBench({ contexts: [ALWAYS, ALWAYS], costs: { stop: MS, save: MS, start: MS } });
  const vcoprocs = coproc.start(2);
  coproc.runFor(3 * limits.STEP_TIMEOUT_NS);
  expect(coproc.log.filter((line) => line.startsWith('reset'))).toEqual([]);
  expect(vcoprocs.map(({ failures }) => failures)).toEqual([0, 0]);
});

describe.each([roundRobinPolicy, fairPolicy])('under $name', (policy) => {
  function sharesOf(...contexts: SimContextOptions[]): number[] {
    const coproc = new CoprocBench({ policy, contexts });
    const vcoprocs = coproc.start(contexts.length);
    coproc.runFor(60 * NS_PER_SECOND);
    return vcoprocs.map((vcoproc) => coproc.used(vcoproc) / (60 * NS_PER_SECOND));
  }

  it('F9: one that denies 200 ms each time has half of the time, not two thirds', () => {
    const stop = { kind: 'denies', forNs: 200 * MS, hintNs: 10 * MS } as const;
    for (const share of sharesOf({ ...ALWAYS, stop }, ALWAYS))
      expect(Math.abs(share - 0.5)).toBeLessThan(0.01);
  });

  it('F10: one that toggles between sleep and work has no more than its part, and nobody starves', () => {
    const toggling: SimContextOptions = { load: { kind: 'toggling', workNs: 5 * MS, idleNs: 1000 } };
    const [toggler, ...others] = sharesOf(toggling, ALWAYS, ALWAYS);
    expect(toggler!).toBeLessThan(0.34);
    for (const share of others) expect(share).toBeGreaterThan(0.32);
  });

  it('F12: one that has no work any more has no turns: the others have all of the time', () => {
    const coproc = new CoprocBench({ policy, contexts: [{ load: { kind: 'given' } }, ALWAYS, ALWAYS] });
    const vcoprocs = coproc.start(3);
    coproc.hardware.give(0, 9 * MS);
    coproc.runFor(60 * NS_PER_SECOND);
    const used = vcoprocs.map((vcoproc) => coproc.used(vcoproc));
    expect([used[0], used[1]! + used[2]!]).toEqual([9 * MS, 60 * NS_PER_SECOND - 9 * MS]);
    expect(Math.abs(used[1]! - used[2]!)).toBeLessThan(20 * MS);
  });
});
