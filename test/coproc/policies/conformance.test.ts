// Does every policy keep the contract, whatever it aims at (R39)? And does the suite find the faults that it looks for?
import { describe, expect, it } from 'vitest';
import { fairPolicy } from '../../../src/coproc/policies/fair.js';
import { nullPolicy } from '../../../src/coproc/policies/null.js';
import { roundRobinPolicy } from '../../../src/coproc/policies/round-robin.js';
import type { PolicyModule, SchedulerPolicy } from '../../../src/coproc/policy.js';
import { policyConformance } from '../../../src/coproc/policy-conformance.js';

describe.each([nullPolicy, roundRobinPolicy, fairPolicy])('the policy $name', (module) => {
  for (const seed of [1, 2]) {
    for (const { name, check } of policyConformance(module, { seed })) it(name, check);
  }
});

/** Round robin with one of its answers spoilt. */
function spoilt(change: (policy: SchedulerPolicy) => Partial<SchedulerPolicy>): PolicyModule {
  const create = (parameters: Readonly<Record<string, number>>): SchedulerPolicy => {
    const policy = roundRobinPolicy.create(parameters);
    return new Proxy(policy, {
      get: (target, name) => {
        const other = change(target)[name as keyof SchedulerPolicy];
        const value = other ?? target[name as keyof SchedulerPolicy];
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  };
  return { ...roundRobinPolicy, name: 'spoilt', create };
}

/** Names of the checks that a policy fails, without the policy's own name, and what they say. */
function failures(module: PolicyModule): Record<string, string> {
  const failed: Record<string, string> = {};
  for (const { name, check } of policyConformance(module)) {
    try {
      check();
    } catch (error) {
      failed[name.replace(/^.*?: /, '')] = String(error);
    }
  }
  return failed;
}

describe('the conformance suite', () => {
  it('finds a policy that chooses one without work', () => {
    const added: unknown[] = [];
    const found = failures(
      spoilt((policy) => ({
        add: (vcoproc, parameters, nowNs) => {
          added.push(vcoproc);
          policy.add(vcoproc, parameters, nowNs);
        },
        schedule: () => ({ next: added.at(-1) as never, sliceNs: 1_000_000 }),
      })),
    );
    expect(Object.values(found).join()).toContain('which has no work and is not loaded');
  });

  it('finds a policy that stays idle while somebody has work', () => {
    const found = failures(spoilt(() => ({ schedule: () => ({ next: null, sliceNs: 1_000_000 }) })));
    expect(Object.keys(found)).toContain(
      'somebody runs whenever somebody has work, and nobody else is chosen',
    );
    const forEver = failures(spoilt(() => ({ schedule: () => ({ next: null, sliceNs: null }) })));
    expect(Object.values(forEver).join()).toContain('leaves the coproc idle for ever');
  });

  it.each([0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY])('finds a slice of %d ns', (sliceNs) => {
    const found = failures(
      spoilt((policy) => ({
        schedule: (nowNs, current) => ({ ...policy.schedule(nowNs, current), sliceNs }),
      })),
    );
    expect(Object.values(found).join()).toContain(`answers a slice of ${sliceNs} ns`);
  });

  it('finds a policy that asks all the time', () => {
    const found = failures(
      spoilt((policy) => ({
        schedule: (nowNs, current) => ({ ...policy.schedule(nowNs, current), sliceNs: 1 }),
      })),
    );
    expect(Object.values(found).join()).toContain('asks for a decision each 5000 ns or more often');
  });

  it('finds a policy that lets one run for ever', () => {
    const found = failures(
      spoilt((policy) => ({
        schedule: (nowNs, current) => {
          const { next } = policy.schedule(nowNs, null);
          return { next: current ?? next, sliceNs: null };
        },
      })),
    );
    expect(Object.keys(found).join()).toContain('within a bound');
  });

  it('finds a policy that remembers what was in force before it', () => {
    let calls = 0;
    const found = failures(
      spoilt((policy) => ({
        schedule: (nowNs, current) => {
          calls += 1;
          const { next, sliceNs } = policy.schedule(nowNs, current);
          return { next, sliceNs: sliceNs === null ? null : sliceNs + (calls % 1000) };
        },
      })),
    );
    expect(Object.keys(found)).toContain('the same calls have the same answers');
  });

  it('finds ticks that nobody needs', () => {
    const found = failures(
      spoilt((policy) => ({
        schedule: (nowNs, current) => {
          const { next, sliceNs } = policy.schedule(nowNs, current);
          return { next, sliceNs: sliceNs ?? 1_000_000 };
        },
      })),
    );
    expect(Object.keys(found)).toEqual(['one alone runs without ticks']);
  });

  it('finds a policy that keeps one that was removed', () => {
    const found = failures(spoilt(() => ({ remove: () => {} })));
    expect(Object.keys(found)).toContain('a vcoproc can be removed at any time, and others can come');
  });

  it('finds a default out of range', () => {
    const [slice, ...rest] = roundRobinPolicy.parameters;
    const found = failures({ ...roundRobinPolicy, parameters: [{ ...slice!, default: 1 }, ...rest] });
    expect(found['default parameters are in range, and names are given once']).toContain('sliceNs');
  });
});
