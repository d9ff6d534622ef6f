// Does the core run whom the policy names, and never lose one that has work?
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nullPolicy } from '../../src/coproc/policies/null.js';
import { definePolicy, type SchedulerPolicy } from '../../src/coproc/policy.js';
import { Scheduler } from '../../src/coproc/scheduler.js';
import { Vcoproc, vcoprocState } from '../../src/coproc/vcoproc.js';
import { VirtualClock } from '../../src/hw/clock.js';
import { NotedHardware, ScriptedPolicy } from './bench.js';

const { SLEEPING, WAITING, RUNNING } = vcoprocState;

function newCore(policy = new ScriptedPolicy(), count = 2) {
  const hardware = new NotedHardware();
  const clock = new VirtualClock();
  const counts = { wakeups: 0, ticks: 0 };
  const counters = { wakeup: () => counts.wakeups++, tick: () => counts.ticks++ };
  const scheduler = new Scheduler({ hardware, clock, counters, policy: policy.module });
  const vcoprocs = Array.from(
    { length: count },
    (_, index) => new Vcoproc(index + 1, index, { hardware, owner: scheduler }),
  );
  for (const vcoproc of vcoprocs) scheduler.add(vcoproc);
  return { hardware, clock, counts, scheduler, vcoprocs, policy };
}

describe('the scheduler core', () => {
  it('keeps states, policy and hardware in step, through any sequence of wakes, sleeps and slices', () => {
    const step = fc.record({ act: fc.constantFrom('wake', 'sleep', 'slice'), which: fc.nat(2) });
    const property = fc.property(fc.array(step, { maxLength: 60 }), fc.boolean(), (steps, keepsLoaded) => {
      const policy = new ScriptedPolicy();
      policy.sliceNs = 10;
      policy.keepsLoaded = keepsLoaded;
      const { scheduler, vcoprocs, hardware, clock } = newCore(policy, 3);
      const hasWork = new Set<Vcoproc>();
      for (const { act, which } of steps) {
        const vcoproc = vcoprocs[which]!;
        if (act === 'wake') {
          vcoproc.wake();
          hasWork.add(vcoproc);
        } else if (act === 'sleep') {
          vcoproc.sleep();
          hasWork.delete(vcoproc);
        } else {
          clock.step();
        }
        expect([...policy.awake].sort()).toEqual([...hasWork].sort());
        for (const each of vcoprocs) {
          const loaded = each === scheduler.current;
          expect(each.state).toBe(loaded ? RUNNING : hasWork.has(each) ? WAITING : SLEEPING);
        }
        if (hasWork.size > 0) expect(hasWork.has(scheduler.current!)).toBe(true);
        // Starts and stops alternate: no context is started over another.
        expect(hardware.log.every((line, index) => line === (index % 2 === 0 ? 'start' : 'stop'))).toBe(true);
        expect(hardware.log.length % 2).toBe(scheduler.current === null ? 0 : 1);
      }
    });
    fc.assert(property, { numRuns: 300 });
  });

  it('one that slept but stayed loaded, was switched out, and wakes: it is scheduled', () => {
    const policy = new ScriptedPolicy();
    policy.keepsLoaded = true;
    const { vcoprocs } = newCore(policy);
    const [a, b] = vcoprocs as [Vcoproc, Vcoproc];
    a.wake();
    a.sleep();
    expect(a.state).toBe(RUNNING);
    b.wake();
    expect([a.state, b.state]).toEqual([SLEEPING, RUNNING]);
    a.wake();
    expect(a.state).toBe(WAITING);
    b.sleep();
    expect([a.state, b.state]).toEqual([RUNNING, SLEEPING]);
  });

  it('a switch stops the old context before it starts the new one', () => {
    const { vcoprocs, policy, hardware } = newCore();
    const [a, b] = vcoprocs as [Vcoproc, Vcoproc];
    a.wake();
    policy.answers.push({ next: b, sliceNs: null });
    b.wake();
    expect(hardware.log).toEqual(['start', 'stop', 'start']);
    expect([a.state, b.state]).toEqual([WAITING, RUNNING]);
  });

  it('without a slice there are no ticks; with one, a tick at its end and not after a change', () => {
    const { vcoprocs, policy, clock, counts } = newCore();
    vcoprocs[0]!.wake();
    expect(clock.step()).toBe(false);
    vcoprocs[0]!.sleep();
    policy.sliceNs = 100;
    vcoprocs[0]!.wake();
    expect([clock.step(), clock.nowNs(), counts.ticks]).toEqual([true, 100, 1]);
    policy.sliceNs = null;
    vcoprocs[1]!.wake();
    expect([clock.step(), counts.ticks]).toEqual([false, 1]);
  });

  it('counts a wakeup for one that was not running, and none for one that is', () => {
    const policy = new ScriptedPolicy();
    policy.keepsLoaded = true;
    const { vcoprocs, counts } = newCore(policy);
    for (let times = 0; times < 3; times++) vcoprocs[0]!.wake();
    vcoprocs[0]!.sleep();
    vcoprocs[0]!.wake();
    expect(counts.wakeups).toBe(1);
  });

  it('hands a queue error to the loaded context, and the loss of the instance to everyone', () => {
    const { scheduler, vcoprocs } = newCore();
    const heard: string[] = [];
    for (const vcoproc of vcoprocs) vcoproc.onIrq(({ kind }) => heard.push(`${vcoproc.id} ${kind}`));
    scheduler.deliver({ kind: 'queueError', queueNumber: 0, reason: 'tail beyond depth' });
    vcoprocs[1]!.wake();
    scheduler.deliver({ kind: 'queueError', queueNumber: 0, reason: 'tail beyond depth' });
    scheduler.deliver({ kind: 'lost', reason: 'exit' });
    expect(heard).toEqual(['2 queueError', '1 lost', '2 lost']);
  });
});

describe('a vcoproc', () => {
  it('goes from state to state as docs/lifecycle.md draws it, and nowhere else', () => {
    const paths = { SLEEPING: [], WAITING: [WAITING], RUNNING: [WAITING, RUNNING] } as const;
    const allowed = new Set([
      'SLEEPING WAITING',
      'WAITING RUNNING',
      'WAITING SLEEPING',
      'RUNNING WAITING',
      'RUNNING SLEEPING',
    ]);
    for (const [from, path] of Object.entries(paths)) {
      for (const to of [SLEEPING, WAITING, RUNNING]) {
        const owner = { wake: () => {}, sleep: () => {} };
        const vcoproc = new Vcoproc(1, 0, { hardware: new NotedHardware(), owner });
        for (const state of path) vcoproc.enter(state);
        const enter = (): void => vcoproc.enter(to);
        if (allowed.has(`${from} ${to}`)) enter();
        else expect(enter).toThrow(`goes from ${from} to ${to}`);
      }
    }
  });
});

describe('the null policy', () => {
  const one = { id: 1, domainId: 0 };

  it('runs its only vcoproc from the first wake on, without slices, and leaves it loaded while it sleeps', () => {
    const policy: SchedulerPolicy = nullPolicy.create();
    policy.add(one);
    expect(policy.schedule(0, null)).toEqual({ next: null, sliceNs: null });
    policy.wake(one, 0);
    expect(policy.schedule(0, null)).toEqual({ next: one, sliceNs: null });
    policy.sleep(one, 0);
    expect(policy.schedule(0, one)).toEqual({ next: one, sliceNs: null });
  });

  it('refuses a second vcoproc until the first is gone', () => {
    const policy: SchedulerPolicy = nullPolicy.create();
    policy.add(one);
    expect(() => policy.add({ id: 2, domainId: 1 })).toThrow('serves one vcoproc');
    policy.remove(one);
    policy.add({ id: 2, domainId: 1 });
    expect(policy.schedule(0, null).next).toBeNull();
  });

  it('one object serves one coproc: two do not know of each other', () => {
    const policies: SchedulerPolicy[] = [nullPolicy.create(), nullPolicy.create()];
    for (const policy of policies) policy.add(one);
    policies[0]!.wake(one, 0);
    expect(policies.map((policy) => policy.schedule(0, null).next)).toEqual([one, null]);
  });
});

describe('definePolicy', () => {
  it.each([null, {}, { name: '', create: () => {} }, { name: 'x' }, { name: 5, create: () => {} }])(
    'refuses %j',
    (module) => {
      expect(() => definePolicy(module as never)).toThrow('definePolicy');
    },
  );
});
