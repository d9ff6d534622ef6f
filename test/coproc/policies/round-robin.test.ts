// Do turns go round, and is what was used too much paid back? Shares that others cannot gain are in attacks.test.ts.
import { describe, expect, it } from 'vitest';
import { NS_PER_MS, NS_PER_SECOND } from '../../../src/base/units.js';
import { roundRobinPolicy } from '../../../src/coproc/policies/round-robin.js';
import { PolicyBench } from '../../../src/coproc/policy-bench.js';
import { jainIndex, sharesOf } from './shares.js';

const MS = NS_PER_MS;

function benchOf(count: number, parameters = {}) {
  const bench = new PolicyBench(roundRobinPolicy, { parameters });
  const vcoprocs = Array.from({ length: count }, () => bench.add());
  return { bench, vcoprocs };
}

describe('turns', () => {
  it('go round in the order of wakes, a slice each', () => {
    const { bench, vcoprocs } = benchOf(3);
    bench.wake(vcoprocs[2]!, vcoprocs[0]!, vcoprocs[1]!);
    bench.runFor(24 * MS);
    expect(bench.runs).toEqual([
      { id: 3, fromNs: 0, toNs: 6 * MS },
      { id: 1, fromNs: 6 * MS, toNs: 12 * MS },
      { id: 2, fromNs: 12 * MS, toNs: 18 * MS },
      { id: 3, fromNs: 18 * MS, toNs: 24 * MS },
    ]);
  });

  it('a waker goes to the tail', () => {
    const { bench, vcoprocs } = benchOf(3);
    bench.wake(vcoprocs[0]!, vcoprocs[1]!);
    bench.runFor(MS);
    bench.wake(vcoprocs[2]!);
    bench.runFor(17 * MS);
    expect(bench.runs.map(({ id }) => id)).toEqual([1, 1, 2, 3]);
  });

  it('take the length that was set last', () => {
    const { bench, vcoprocs } = benchOf(2, { sliceNs: MS });
    bench.wake(...vcoprocs);
    bench.runFor(2 * MS);
    bench.configure({ sliceNs: 10 * MS });
    bench.runFor(20 * MS);
    expect(bench.decisions).toBeLessThan(8);
    expect(sharesOf(bench, vcoprocs)).toEqual([0.5, 0.5]);
  });

  it.each([2, 16, 256])('are equal for %d vcoprocs over 100 s', (count) => {
    const { bench, vcoprocs } = benchOf(count);
    bench.wake(...vcoprocs);
    bench.runFor(100 * NS_PER_SECOND);
    const used = vcoprocs.map((vcoproc) => bench.account(vcoproc).usedNs);
    expect(Math.max(...used) - Math.min(...used)).toBeLessThanOrEqual(6 * MS);
    expect(jainIndex(used)).toBeGreaterThanOrEqual(0.999);
  });
});

describe('debts', () => {
  it('shorten the next turn', () => {
    const { bench, vcoprocs } = benchOf(2);
    const [first] = vcoprocs;
    bench.wake(...vcoprocs);
    bench.runFor(6 * MS);
    bench.charge(first!, 2 * MS, 'emulation');
    bench.runFor(11 * MS);
    expect(bench.runs.filter(({ id }) => id === 1).at(-1)).toEqual({
      id: 1,
      fromNs: 12 * MS,
      toNs: 16 * MS,
    });
  });

  it('of more than a slice skip turns', () => {
    const { bench, vcoprocs } = benchOf(2);
    const [first, second] = vcoprocs;
    bench.wake(...vcoprocs);
    bench.runFor(6 * MS);
    bench.charge(first!, 60 * MS, 'denied');
    bench.runFor(60 * MS);
    expect([bench.account(first!).usedNs, bench.account(second!).usedNs]).toEqual([6 * MS, 60 * MS]);
    bench.runFor(60 * MS);
    expect(bench.account(first!).usedNs).toBeGreaterThan(30 * MS);
  });

  it('of an hour each are settled in a few looks, not in a million turns', () => {
    const { bench, vcoprocs } = benchOf(100, { sliceNs: 100_000 });
    bench.wake(...vcoprocs);
    for (const vcoproc of vcoprocs) bench.charge(vcoproc, Number.MAX_SAFE_INTEGER, 'denied');
    const before = bench.visited;
    bench.runFor(MS);
    expect(bench.visited - before).toBeLessThan(2000);
  });

  it('are kept while nobody gains by forgiving them', () => {
    const { bench, vcoprocs } = benchOf(2);
    const [first, second] = vcoprocs;
    bench.wake(...vcoprocs);
    bench.runFor(MS);
    bench.charge(first!, 100 * MS, 'denied');
    bench.sleep(second!);
    bench.runFor(NS_PER_SECOND);
    bench.wake(second!);
    bench.runFor(90 * MS);
    expect(bench.account(second!).usedNs).toBeGreaterThan(88 * MS);
  });

  it('that leave nearly nothing of a turn leave the least time to run, at the cost of the next', () => {
    const { bench, vcoprocs } = benchOf(2, { minRunNs: MS });
    const [first] = vcoprocs;
    bench.wake(...vcoprocs);
    bench.runFor(6 * MS);
    bench.charge(first!, 6 * MS - 1, 'denied');
    bench.runFor(10 * MS);
    const [, turn] = bench.runs.filter(({ id }) => id === first!.id);
    expect(turn).toEqual({ id: 1, fromNs: 12 * MS, toNs: 13 * MS });
    expect(bench.dump(first!).balanceNs).toBe(1 - MS);
  });
});
