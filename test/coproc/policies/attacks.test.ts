// Can a domain have more than its share by denying, by toggling between work and sleep, or by doing nothing? F9, F10 and F12
// are faults of an earlier implementation, each with its own numbers.
import { describe, expect, it } from 'vitest';
import { NS_PER_MS, NS_PER_SECOND } from '../../../src/base/units.js';
import { fairPolicy } from '../../../src/coproc/policies/fair.js';
import { roundRobinPolicy } from '../../../src/coproc/policies/round-robin.js';
import { type BenchLoad, PolicyBench } from '../../../src/coproc/policy-bench.js';
import { sharesOf } from './shares.js';

const MS = NS_PER_MS;

describe.each([roundRobinPolicy, fairPolicy])('under $name', (policy) => {
  function sharesUnder(...loads: BenchLoad[]): number[] {
    const bench = new PolicyBench(policy);
    const vcoprocs = loads.map((load) => bench.add({}, load));
    bench.wake(...vcoprocs);
    bench.runFor(100 * NS_PER_SECOND);
    return sharesOf(bench, vcoprocs);
  }

  it('F9: denied time is charged: one that denies 200 ms each time has half of the time, not two thirds', () => {
    const [denier, other] = sharesUnder({ denyNs: 200 * MS }, {});
    expect(Math.abs(denier! - 0.5)).toBeLessThan(0.01);
    expect(Math.abs(other! - 0.5)).toBeLessThan(0.01);
  });

  it('F9: a denier gains nothing over one that denies less, nor over many', () => {
    const shares = sharesUnder({ denyNs: 200 * MS }, { denyNs: 10 * MS }, {}, {});
    for (const share of shares) expect(Math.abs(share - 0.25)).toBeLessThan(0.01);
  });

  it('F9: the victim of a denial may sleep for a moment and keeps its claim', () => {
    const bench = new PolicyBench(policy);
    const [denier, victim] = [bench.add(), bench.add({}, { busyNs: 10 * MS, idleNs: 100_000 })];
    bench.wake(denier, victim);
    bench.runFor(12 * MS);
    bench.charge(denier, 200 * MS, 'denied');
    const before = bench.account(victim).usedNs;
    bench.runFor(200 * MS);
    expect(bench.account(victim).usedNs - before).toBeGreaterThan(180 * MS);
  });

  it('F9: a denier that sleeps after each denial does not shed its debt', () => {
    const [denier, ...others] = sharesUnder({ denyNs: 200 * MS, busyNs: 206 * MS, idleNs: 1000 }, {}, {});
    expect(denier).toBeLessThan(0.34);
    for (const share of others) expect(share).toBeGreaterThan(0.32);
  });

  it.each([
    [MS, 10_000],
    [5.9 * MS, 1],
    [6 * MS, 1],
    [7 * MS, 1000],
    [100_000, 100_000],
  ])(
    'F10: one that toggles, %d ns of work and %d ns of sleep, has no more than its share',
    (busyNs, idleNs) => {
      const [toggler, other] = sharesUnder({ busyNs, idleNs }, {});
      expect(toggler).toBeLessThan(0.505);
      expect(other).toBeGreaterThan(0.495);
    },
  );

  it('F10: three togglers do not starve a fourth that works on', () => {
    const toggler = { busyNs: 2 * MS, idleNs: 1000 };
    expect(sharesUnder(toggler, toggler, toggler, {})[3]).toBeGreaterThan(0.24);
  });

  it('F12: an idle domain keeps no turns: one that is busy beside three idle ones has everything', () => {
    const bench = new PolicyBench(policy);
    const [busy, ...idle] = [bench.add(), bench.add(), bench.add(), bench.add()];
    bench.wake(busy!, ...idle);
    bench.runFor(100 * MS);
    for (const vcoproc of idle) bench.sleep(vcoproc);
    const before = bench.account(busy!).usedNs;
    bench.runFor(NS_PER_SECOND);
    expect(bench.account(busy!).usedNs - before).toBe(NS_PER_SECOND);
    expect(bench.ticks).toBe(false);
  });

  it('F12: turns that come free are shared by those with work', () => {
    const shares = sharesUnder({ busyNs: MS, idleNs: 99 * MS }, {}, {});
    expect(shares[0]).toBeLessThan(0.011);
    expect(Math.abs(shares[1]! - shares[2]!)).toBeLessThan(0.01);
  });

  it('one that was alone for hours owes nothing for it to one that comes', () => {
    const bench = new PolicyBench(policy);
    const [old, young] = [bench.add(), bench.add()];
    bench.wake(old);
    bench.runFor(5 * 3600 * NS_PER_SECOND);
    bench.wake(young);
    const before = bench.account(old).usedNs;
    bench.runFor(10 * NS_PER_SECOND);
    expect(bench.account(young).usedNs).toBeLessThan(5 * NS_PER_SECOND + 20 * MS);
    expect(bench.account(old).usedNs - before).toBeGreaterThan(5 * NS_PER_SECOND - 20 * MS);
  });

  it('a wake takes nothing from one that has just been loaded', () => {
    const bench = new PolicyBench(policy);
    const [first, second] = [bench.add(), bench.add()];
    bench.wake(first);
    bench.runFor(1000);
    bench.wake(second);
    bench.runFor(499_000);
    expect(bench.account(second).usedNs).toBe(0);
    expect(bench.current).toBe(first);
  });

  it('switches are paid for by those who are switched in: shares stay equal', () => {
    const bench = new PolicyBench(policy, { switchNs: MS });
    const vcoprocs = [bench.add(), bench.add({}, { busyNs: 2 * MS, idleNs: 1000 })];
    bench.wake(...vcoprocs);
    bench.runFor(20 * NS_PER_SECOND);
    expect(sharesOf(bench, vcoprocs)[1]).toBeLessThan(0.505);
  });
});
