// Does the study of real threads run, and is it found out there when shares are not kept? How long anything takes is for the
// study to say, not for a test.
import { expect, it } from 'vitest';
import { fairPolicy } from '../../src/coproc/policies/fair.js';
import { roundRobinPolicy } from '../../src/coproc/policies/round-robin.js';
import type { Outcome } from './study.js';
import { outcomeOf, threaded } from './threaded.js';

type Details = Parameters<typeof outcomeOf>[0];

/** What the framework would say when the domains had used so many ns, after so many switches of 1000 to 2000 ns. */
function details(usedNs: readonly number[], switches: number): Details {
  const vcoprocs = usedNs.map((run) => ({ times: { run, denied: 0, switch: 0, emulation: 0 } }));
  const histogram = Array.from({ length: 48 }, (_, bucket) => (bucket === 11 ? switches : 0));
  const [leaveHistogram, enterHistogram] = [histogram, histogram];
  const totalNs = 3000 * switches;
  return {
    vcoprocs,
    switches: { entered: switches, totalNs, leaveHistogram, enterHistogram },
  } as unknown as Details;
}

const findingOf = ({ findings }: Outcome, name: string) => findings.find((each) => each.name === name);

it('shares that are due are met, others are found out', () => {
  const before = details([500, 500], 7);
  const due = outcomeOf(before, details([3_000_500, 1_000_500], 107));
  expect(findingOf(due, 'share/domain web')?.value).toBe(75);
  expect(due.findings.filter(({ met }) => met === false)).toEqual([]);
  const equal = outcomeOf(before, details([2_000_500, 2_000_500], 107));
  expect(findingOf(equal, 'share error/domain batch')).toMatchObject({ value: 100, met: false });
});

it('switches are those since the beginning, and what they cost is set against a turn', () => {
  const outcome = outcomeOf(details([0, 0], 50), details([300_000, 100_000], 60));
  expect(findingOf(outcome, 'switches/switch')?.value).toBe(10);
  expect(findingOf(outcome, 'p50, at most/switch: enter')).toMatchObject({ value: 2.048, unit: 'us' });
  expect(findingOf(outcome, 'part of a turn, mean/switch')?.value).toBe(7.5);
});

it('two domains compress on one instance of a machine of threads, and both have some of it', async () => {
  const policies = { roundRobin: roundRobinPolicy, fair: fairPolicy };
  const outcome = await threaded.run({ windowNs: 0, quick: true, seconds: 1, ...policies });
  for (const domain of ['web', 'batch']) {
    expect(findingOf(outcome, `share/domain ${domain}`)?.value).toBeGreaterThan(0);
  }
  expect(findingOf(outcome, 'switches/switch')?.met).toBe(true);
});
