// Does the null policy run its only vcoproc, without slices, and refuse a second one?
import { expect, it } from 'vitest';
import { nullPolicy } from '../../../src/coproc/policies/null.js';
import { PolicyBench } from '../../../src/coproc/policy-bench.js';

it('runs its only vcoproc from the first wake on, without slices, and leaves it loaded while it sleeps', () => {
  const bench = new PolicyBench(nullPolicy);
  const only = bench.add();
  expect(bench.current).toBeNull();
  bench.wake(only);
  expect([bench.current, bench.ticks]).toEqual([only, false]);
  bench.sleep(only);
  expect([bench.current, bench.ticks]).toEqual([only, false]);
});

it('refuses a second vcoproc until the first is gone', () => {
  const bench = new PolicyBench(nullPolicy);
  const only = bench.add();
  expect(() => bench.add()).toThrow('serves one vcoproc');
  expect(nullPolicy.vcoprocsMax).toBe(1);
  const other = new PolicyBench(nullPolicy);
  other.remove(other.add());
  other.wake(other.add());
  expect([other.current?.id, only.id]).toEqual([2, 1]);
});
