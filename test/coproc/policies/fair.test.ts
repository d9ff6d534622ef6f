// Does everybody have the share that its weight says, within caps and budgets, and who is sensitive to latency its answer in
// time (R41)? What others must not gain is in attacks.test.ts.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NS_PER_MS, NS_PER_SECOND } from '../../../src/base/units.js';
import { fairPolicy } from '../../../src/coproc/policies/fair.js';
import { completeParameters, type ParameterSpec, type Parameters } from '../../../src/coproc/policy.js';
import { PolicyBench } from '../../../src/coproc/policy-bench.js';
import { jainIndex, mostInWindow, sharesOf, usedBetween } from './shares.js';

const MS = NS_PER_MS;

function benchOf(...parameters: Parameters[]) {
  const bench = new PolicyBench(fairPolicy);
  const vcoprocs = parameters.map((each) => bench.add(each));
  return { bench, vcoprocs };
}

function complete(specs: readonly ParameterSpec[], given: Parameters): Parameters {
  return completeParameters(specs, given, '') as Parameters;
}

describe('weights', () => {
  it('1:2:4:8 give 1:2:4:8 of 100 s, within 1 % or one slice', () => {
    const weights = [256, 512, 1024, 2048];
    const { bench, vcoprocs } = benchOf(...weights.map((weight) => ({ weight })));
    bench.wake(...vcoprocs);
    bench.runFor(100 * NS_PER_SECOND);
    sharesOf(bench, vcoprocs).forEach((share, index) => {
      expect(Math.abs(share / (2 ** index / 15) - 1)).toBeLessThan(0.001);
    });
  });

  it.each([2, 3, 16, 64, 256])('that are equal give %d vcoprocs equal shares of 100 s', (count) => {
    const { bench, vcoprocs } = benchOf(...Array<Parameters>(count).fill({}));
    bench.wake(...vcoprocs);
    bench.runFor(100 * NS_PER_SECOND);
    const used = vcoprocs.map((vcoproc) => bench.account(vcoproc).usedNs);
    expect(Math.max(...used) - Math.min(...used)).toBeLessThanOrEqual(6 * MS);
    expect(jainIndex(used)).toBeGreaterThanOrEqual(0.999);
  });

  it('1 and 65,535 together: the small one has its part, and no more than a slice beyond it', () => {
    const { bench, vcoprocs } = benchOf({ weight: 1 }, { weight: 65_535 });
    bench.wake(...vcoprocs);
    bench.runFor(200 * NS_PER_SECOND);
    const [small] = sharesOf(bench, vcoprocs);
    expect(bench.account(vcoprocs[0]!).turns).toBeGreaterThan(1);
    expect(Math.abs(small! - 1 / 65_536) * 200 * NS_PER_SECOND).toBeLessThanOrEqual(MS);
  });

  it('of any sizes are kept within a slice, whatever switches cost', () => {
    const weights = fc.array(fc.integer({ min: 16, max: 4096 }), { minLength: 2, maxLength: 8 });
    const property = fc.property(weights, fc.nat(200_000), (all, switchNs) => {
      const bench = new PolicyBench(fairPolicy, { switchNs });
      const vcoprocs = all.map((weight) => bench.add({ weight }));
      bench.wake(...vcoprocs);
      bench.runFor(20 * NS_PER_SECOND);
      const sum = all.reduce((total, weight) => total + weight, 0);
      all.forEach((weight, index) => {
        const errorNs = bench.account(vcoprocs[index]!).usedNs - (weight / sum) * bench.nowNs;
        expect(Math.abs(errorNs)).toBeLessThan(25 * MS + 2 * switchNs);
      });
    });
    fc.assert(property, { numRuns: 30 });
  });

  it('take effect under load, and leave no debt behind', () => {
    const { bench, vcoprocs } = benchOf({}, {});
    bench.wake(...vcoprocs);
    bench.runFor(10 * NS_PER_SECOND);
    bench.adjust(vcoprocs[0]!, { weight: 768 });
    const before = vcoprocs.map((vcoproc) => bench.account(vcoproc).usedNs);
    bench.runFor(10 * NS_PER_SECOND);
    const used = vcoprocs.map((vcoproc, index) => bench.account(vcoproc).usedNs - before[index]!);
    expect(used[0]! / used[1]!).toBeCloseTo(3, 1);
  });

  it('are exact over a day: virtual time is counted from 0 again and nobody notices', () => {
    const { bench, vcoprocs } = benchOf({ weight: 1 }, { weight: 2 }, { weight: 3 });
    bench.configure({ latencyTargetNs: NS_PER_SECOND, minSliceNs: 100 * MS });
    bench.wake(...vcoprocs);
    bench.runFor(86_400 * NS_PER_SECOND);
    sharesOf(bench, vcoprocs).forEach((share, index) => {
      expect(Math.abs(share - (index + 1) / 6)).toBeLessThan(0.0001);
    });
  });
});

describe('virtual time', () => {
  it('counted from 0 again, after an hour of weight 1, leaves debts as they are', () => {
    const { bench, vcoprocs } = benchOf({ weight: 1 }, { weight: 1 });
    const [debtor, other] = vcoprocs;
    bench.wake(other!);
    for (let times = 0; times < 42; times++) bench.charge(other!, 100 * NS_PER_SECOND, 'run');
    bench.wake(debtor!);
    bench.charge(debtor!, 300 * NS_PER_SECOND, 'denied');
    bench.runFor(400 * NS_PER_SECOND);
    expect(Math.abs(bench.account(debtor!).usedNs - 50 * NS_PER_SECOND)).toBeLessThan(20 * MS);
  });

  it('does not go back when sleepers wake: a hundred of them are owed a target each, not a hundred targets', () => {
    const { bench, vcoprocs } = benchOf(...Array<Parameters>(101).fill({}));
    const [busy, ...sleepers] = vcoprocs;
    bench.wake(busy!);
    bench.runFor(10 * NS_PER_SECOND);
    bench.wake(...sleepers);
    bench.runFor(10 * NS_PER_SECOND);
    expect(bench.account(busy!).worstWaitNs).toBeLessThanOrEqual(2 * 100 * 6 * MS);
  });

  it('that is equal lets the lowest id run, in whatever order they woke', () => {
    const { bench, vcoprocs } = benchOf({}, {}, {});
    bench.wake(vcoprocs[2]!, vcoprocs[0]!, vcoprocs[1]!);
    bench.runFor(18 * MS);
    expect(bench.runs.map(({ id }) => id)).toEqual([1, 2, 3]);
  });
});

describe('caps', () => {
  it.each([1, 10, 25, 50, 99])('of %d %% hold in every window of 1 s, alone on the coproc', (cap) => {
    const { bench, vcoprocs } = benchOf({ cap });
    bench.wake(...vcoprocs);
    bench.runFor(20 * NS_PER_SECOND);
    const most = mostInWindow(bench, vcoprocs[0]!, NS_PER_SECOND);
    expect(most).toBeLessThanOrEqual((cap / 100) * NS_PER_SECOND + 6 * MS);
    const used = bench.account(vcoprocs[0]!).usedNs;
    expect(Math.abs(used - (cap / 100) * bench.nowNs)).toBeLessThanOrEqual(6 * MS);
  });

  it('hold in every window, beside others and through sleeps', () => {
    const load = fc.record({
      cap: fc.integer({ min: 1, max: 99 }),
      busyNs: fc.integer({ min: 100_000, max: 50 * MS }),
      idleNs: fc.integer({ min: 1, max: 50 * MS }),
      others: fc.nat(3),
      capWindowNs: fc.integer({ min: MS, max: 1000 * MS }),
    });
    const property = fc.property(load, ({ cap, busyNs, idleNs, others, capWindowNs }) => {
      const bench = new PolicyBench(fairPolicy, { parameters: { capWindowNs } });
      const capped = bench.add({ cap }, { busyNs, idleNs });
      bench.wake(capped, ...Array.from({ length: others }, () => bench.add()));
      bench.runFor(2 * NS_PER_SECOND);
      for (const windowNs of [capWindowNs, 100 * MS]) {
        const most = mostInWindow(bench, capped, windowNs);
        expect(most).toBeLessThanOrEqual((cap / 100) * windowNs + 6 * MS);
      }
    });
    fc.assert(property, { numRuns: 60 });
  });

  it('leave the rest to the others, and the coproc idle if there are none', () => {
    const { bench, vcoprocs } = benchOf({ cap: 20 }, {});
    bench.wake(...vcoprocs);
    bench.runFor(10 * NS_PER_SECOND);
    const shares = sharesOf(bench, vcoprocs);
    expect(shares[0]).toBeCloseTo(0.2, 2);
    expect(shares[1]).toBeCloseTo(0.8, 2);
    bench.sleep(vcoprocs[1]!);
    bench.runFor(2 * NS_PER_SECOND);
    expect(bench.ticks).toBe(true);
  });

  it('of 100 % and of none let one alone run without ticks', () => {
    for (const cap of [0, 100]) {
      const { bench, vcoprocs } = benchOf({ cap });
      bench.wake(...vcoprocs);
      expect(bench.ticks).toBe(false);
      bench.runFor(NS_PER_SECOND);
      expect(bench.account(vcoprocs[0]!).usedNs).toBe(NS_PER_SECOND);
    }
  });

  it('count denied time: who denied beyond its cap waits for as long as that takes', () => {
    const { bench, vcoprocs } = benchOf({ cap: 50 });
    bench.wake(...vcoprocs);
    bench.charge(vcoprocs[0]!, 100 * MS, 'denied');
    bench.runFor(180 * MS);
    expect(bench.account(vcoprocs[0]!).usedNs).toBe(0);
    bench.runFor(100 * MS);
    expect(bench.account(vcoprocs[0]!).usedNs).toBeGreaterThan(0);
  });

  it('of all vcoprocs at once leave the coproc idle with a tick at which somebody is ready', () => {
    const { bench, vcoprocs } = benchOf({ cap: 10 }, { cap: 10 }, { cap: 10 });
    bench.wake(...vcoprocs);
    bench.runFor(30 * NS_PER_SECOND);
    for (const vcoproc of vcoprocs) {
      expect(Math.abs(bench.account(vcoproc).usedNs - 3 * NS_PER_SECOND)).toBeLessThanOrEqual(6 * MS);
    }
  });
});

describe('budgets', () => {
  const server = { budgetNs: 4 * MS, periodNs: 10 * MS };

  it('are had in each period, beside any number of others, and never exceeded', () => {
    const { bench, vcoprocs } = benchOf(server, {}, {}, { weight: 65_535 });
    bench.wake(...vcoprocs);
    bench.runFor(NS_PER_SECOND);
    const runs = bench.runs.filter(({ id }) => id === 1);
    for (let startNs = 0; startNs < NS_PER_SECOND; startNs += 10 * MS) {
      expect(usedBetween(runs, startNs, startNs + 10 * MS)).toBe(4 * MS);
    }
  });

  it('that fill the coproc are all had: earliest end of period first', () => {
    const { bench, vcoprocs } = benchOf(
      server,
      { budgetNs: 6 * MS, periodNs: 20 * MS },
      { budgetNs: 9 * MS, periodNs: 30 * MS },
      {},
    );
    bench.wake(...vcoprocs);
    bench.runFor(6 * NS_PER_SECOND);
    const shares = sharesOf(bench, vcoprocs);
    [0.4, 0.3, 0.3, 0].forEach((share, index) => {
      expect(Math.abs(shares[index]! - share)).toBeLessThan(0.002);
    });
  });

  it('that nobody could use for a while count by their present period, not by one that is over', () => {
    const policy = fairPolicy.create(complete(fairPolicy.parameters, {}));
    const vcoprocs = [10 * MS, 25 * MS].map((periodNs, index) => {
      const vcoproc = { id: index + 1, domainId: 1 };
      policy.add(vcoproc, complete(fairPolicy.vcoprocParameters, { budgetNs: MS, periodNs }), 0);
      policy.wake(vcoproc, 0);
      return vcoproc;
    });
    expect(policy.schedule(12 * MS, null).next).toBe(vcoprocs[0]);
    expect(policy.schedule(22 * MS, null).next).toBe(vcoprocs[1]);
  });

  it('are not saved up in sleep, and not exceeded in any period by one that toggles', () => {
    const bench = new PolicyBench(fairPolicy);
    const toggler = bench.add(server, { busyNs: 3 * MS, idleNs: 7.3 * MS });
    bench.wake(toggler, bench.add());
    bench.runFor(5 * NS_PER_SECOND);
    const runs = bench.runs.filter(({ id }) => id === toggler.id);
    for (let startNs = 0; startNs < bench.nowNs; startNs += 10 * MS) {
      expect(usedBetween(runs, startNs, startNs + 10 * MS)).toBeLessThanOrEqual(4 * MS);
    }
  });

  it('that a denial has overdrawn are paid back from the next ones', () => {
    const { bench, vcoprocs } = benchOf(server, {});
    bench.wake(...vcoprocs);
    bench.charge(vcoprocs[0]!, 24 * MS, 'denied');
    // 20 ms are owed, and paid with the five periods after this one.
    bench.runFor(60 * MS);
    expect(bench.account(vcoprocs[0]!).usedNs).toBe(0);
    bench.runFor(10 * MS);
    expect(bench.account(vcoprocs[0]!).usedNs).toBe(4 * MS);
  });

  it('can be taken away: then it has its fair share, and owes nothing', () => {
    const { bench, vcoprocs } = benchOf({ budgetNs: 8 * MS, periodNs: 10 * MS }, {});
    bench.wake(...vcoprocs);
    bench.runFor(10 * NS_PER_SECOND);
    bench.adjust(vcoprocs[0]!, {});
    const before = bench.account(vcoprocs[0]!).usedNs;
    bench.runFor(NS_PER_SECOND);
    expect(Math.abs(bench.account(vcoprocs[0]!).usedNs - before - NS_PER_SECOND / 2)).toBeLessThan(13 * MS);
  });

  it('change with the next period', () => {
    const { bench, vcoprocs } = benchOf(server);
    bench.wake(...vcoprocs);
    bench.adjust(vcoprocs[0]!, { budgetNs: MS, periodNs: 10 * MS });
    bench.runFor(10 * MS);
    expect(bench.account(vcoprocs[0]!).usedNs).toBe(4 * MS);
    bench.runFor(10 * MS);
    expect(bench.account(vcoprocs[0]!).usedNs).toBe(5 * MS);
  });
});

describe('the admission test', () => {
  const none = { budgetNs: 0, periodNs: 0 };
  const third = { budgetNs: MS, periodNs: 3 * MS };

  it.each([
    [[], none, null],
    [[third, third], third, null],
    [[third, third, third], none, null],
    [[], { budgetNs: 10 * MS, periodNs: 10 * MS }, null],
    [[third, third, third], third, 'budgets take 100 % of the coproc, and 33.3 % more do not fit'],
    [[], { budgetNs: 0, periodNs: MS }, 'budgetNs and periodNs are given together'],
    [[], { budgetNs: MS, periodNs: 0 }, 'budgetNs and periodNs are given together'],
    [[], { budgetNs: 2 * MS, periodNs: MS }, 'budgetNs is at most periodNs 1000000, not 2000000'],
    [[], { budgetNs: 9999, periodNs: MS }, 'budgetNs is at least 10000, not 9999'],
  ])('to %j admits %j: %s', (existing, candidate, answer) => {
    expect(fairPolicy.admit(existing, candidate)).toBe(answer);
  });
});

describe('latency', () => {
  /** The longest wait of one that works for 0.1 ms, and wakes just after a slice of one of three that always work began. */
  function worstWait(latencyClass: number): number {
    const bench = new PolicyBench(fairPolicy);
    const others = [bench.add(), bench.add(), bench.add()];
    const vcoproc = bench.add({ latencyClass }, { busyNs: 100_000, idleNs: 12.1 * MS });
    bench.wake(...others);
    bench.runFor(NS_PER_SECOND);
    bench.wake(vcoproc);
    bench.runFor(10 * NS_PER_SECOND);
    return bench.account(vcoproc).worstWaitNs;
  }

  it('class 1 runs within the least run of another; class 0 waits for a slice', () => {
    expect(worstWait(1)).toBeLessThanOrEqual(500_000);
    expect(worstWait(0)).toBeGreaterThan(5 * MS);
    expect(worstWait(0)).toBeLessThanOrEqual(6 * MS);
  });

  it('class 1 has no larger share, whether it works on or toggles', () => {
    for (const load of [{}, { busyNs: MS, idleNs: 1000 }, { busyNs: 600_000, idleNs: 600_000 }]) {
      const bench = new PolicyBench(fairPolicy);
      const vcoprocs = [bench.add({ latencyClass: 1 }, load), bench.add(), bench.add()];
      bench.wake(...vcoprocs);
      bench.runFor(20 * NS_PER_SECOND);
      expect(sharesOf(bench, vcoprocs)[0]).toBeLessThan(0.335);
    }
  });

  it('class 1 has shorter slices', () => {
    const { bench, vcoprocs } = benchOf({ latencyClass: 1 }, { latencyClass: 1 });
    bench.wake(...vcoprocs);
    bench.runFor(150 * MS);
    expect(bench.runs.slice(1, -1).every(({ fromNs, toNs }) => toNs - fromNs === 1.5 * MS)).toBe(true);
  });

  it('one with a budget runs within the least run of another', () => {
    const bench = new PolicyBench(fairPolicy);
    const server = bench.add({ budgetNs: MS, periodNs: 10 * MS }, { busyNs: 500_000, idleNs: 10.1 * MS });
    bench.wake(bench.add(), bench.add(), server);
    bench.runFor(10 * NS_PER_SECOND);
    expect(bench.account(server).worstWaitNs).toBeLessThanOrEqual(500_000);
  });
});

describe('cost', () => {
  /** Entities looked at for each decision, with some that toggle and some that are capped. */
  function visitedPerDecision(count: number): number {
    const bench = new PolicyBench(fairPolicy);
    const vcoprocs = Array.from({ length: count }, (_, index) =>
      bench.add({ cap: index % 5 === 4 ? 50 : 0 }, index % 3 === 2 ? { busyNs: MS, idleNs: 7 * MS } : {}),
    );
    bench.wake(...vcoprocs);
    const [visited, decisions] = [bench.visited, bench.decisions];
    bench.runFor(4 * NS_PER_SECOND);
    return (bench.visited - visited) / Math.max(1, bench.decisions - decisions);
  }

  it('entities visited for each decision grow with the logarithm of their number, from 1 to 1,024', () => {
    for (const count of [1, 4, 16, 64, 256, 1024]) {
      expect(visitedPerDecision(count)).toBeLessThanOrEqual(4 + 6 * Math.log2(count + 1));
    }
  });
});
