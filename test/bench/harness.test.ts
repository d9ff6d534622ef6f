/** The benchmark's own arithmetic and report, without measuring anything. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { prngStream } from '../../src/base/prng.js';
import { type Contestant, closeAll, interleave, median, percentile, shuffled } from './harness.js';
import { beside, drive, type Requester, tripsUs } from './load.js';
import {
  atLeast,
  atMost,
  compare,
  failure,
  meets,
  type Report,
  type Row,
  toJson,
  toTable,
} from './report.js';

const machine = {
  node: '20.0.0',
  cpu: 'a processor',
  cores: 2,
  platform: 'linux-x64',
  date: '2026-11-20T00:00:00Z',
};

const reportOf = (rows: readonly Row[]): Report => ({
  schemaVersion: 1,
  machine,
  measurement: { rounds: 3, loadAverage: 0.25 },
  cases: rows,
});

/** A contestant that writes down its turns and answers `sample`. */
function recorded(name: string, options: { sample: number; turns: string[] }): Contestant {
  const { sample, turns } = options;
  const note = (turn: string) => async () => {
    turns.push(`${turn} ${name}`);
    return sample;
  };
  const verify = async (): Promise<void> => {
    turns.push(`verify ${name}`);
  };
  return { name, verify, measure: note('measure'), close: async () => {} };
}

describe('is a figure the middle of its samples?', () => {
  test('odd, even and single counts', () => {
    expect(median([5])).toBe(5);
    expect(median([9, 1, 5])).toBe(5);
    expect(median([10, 1, 4, 2])).toBe(3);
    expect(() => median([])).toThrow('at least one');
  });

  test('as many samples lie above the median as below it, in whatever order they came', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -1000, max: 1000 }), { minLength: 1, maxLength: 30 }),
        (values) => {
          const middle = median(values);
          const below = values.filter((value) => value < middle).length;
          const above = values.filter((value) => value > middle).length;
          expect(Math.max(below, above)).toBeLessThanOrEqual(values.length / 2);
          expect(median(values.toReversed())).toBe(middle);
        },
      ),
    );
  });
});

describe('is a percentile a sample that so many do not exceed?', () => {
  test('of few and of one', () => {
    expect(percentile([5], 99)).toBe(5);
    expect(percentile([4, 1, 3, 2], 50)).toBe(2);
    expect(percentile([4, 1, 3, 2], 51)).toBe(3);
    expect(() => percentile([], 99)).toThrow('at least one');
  });

  test('it is the least value which so many percent are not above', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer(), { minLength: 1, maxLength: 300 }),
        fc.integer({ min: 1, max: 100 }),
        (values, percent) => {
          const value = percentile(values, percent);
          const share = (most: number) => values.filter((each) => each <= most).length / values.length;
          expect(share(value)).toBeGreaterThanOrEqual(percent / 100);
          const below = values.filter((each) => each < value);
          if (below.length > 0) expect(share(Math.max(...below))).toBeLessThan(percent / 100);
        },
      ),
    );
  });
});

describe('does a slow minute of the machine hit all contestants alike?', () => {
  test('each is measured once per round, after all results are proved', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 6 }),
        fc.nat(),
        async (n, rounds, seed) => {
          const turns: string[] = [];
          const contestants = Array.from({ length: n }, (_, i) => recorded(`c${i}`, { sample: i, turns }));
          const samples = await interleave(contestants, { rounds, prng: prngStream(seed, 'test') });
          expect(turns.slice(0, n)).toEqual(contestants.map(({ name }) => `verify ${name}`));
          for (let round = 0; round < rounds; round++) {
            const start = n + round * n;
            expect(new Set(turns.slice(start, start + n)).size).toBe(n);
          }
          for (const [i, { name }] of contestants.entries()) {
            expect(samples.get(name)).toEqual(Array(rounds).fill(i));
          }
        },
      ),
    );
  });

  test('with as many rounds as contestants, each has been first once', async () => {
    const turns: string[] = [];
    const contestants = ['a', 'b', 'c'].map((name) => recorded(name, { sample: 1, turns }));
    await interleave(contestants, { rounds: 3, prng: prngStream(7, 'test') });
    const firsts = [3, 6, 9].map((at) => turns[at]);
    expect(new Set(firsts).size).toBe(3);
  });

  test('shuffling loses nobody', () => {
    fc.assert(
      fc.property(fc.array(fc.nat()), fc.nat(), (items, seed) => {
        const order = shuffled(items, prngStream(seed, 'test'));
        expect(order.toSorted()).toEqual(items.toSorted());
      }),
    );
  });
});

test('a wrong result ends the case before anything is measured', async () => {
  const turns: string[] = [];
  const honest = recorded('honest', { sample: 1, turns });
  const wrong: Contestant = {
    ...honest,
    name: 'wrong',
    verify: () => Promise.reject(new Error('wrong bytes')),
  };
  await expect(interleave([honest, wrong], { rounds: 1, prng: prngStream(1, 'test') })).rejects.toThrow(
    'wrong bytes',
  );
  expect(turns.filter((turn) => turn.startsWith('measure'))).toEqual([]);
});

test('all contestants are closed even when the first cannot be', async () => {
  const closed: string[] = [];
  const contestant = (name: string): Contestant => ({
    ...recorded(name, { sample: 1, turns: [] }),
    close: async () => {
      closed.push(name);
      if (name === 'a') throw new Error('a does not close');
    },
  });
  await expect(closeAll(['a', 'b'].map(contestant))).rejects.toThrow('a does not close');
  expect(closed).toEqual(['a', 'b']);
});

test('does the load keep its depth and send every request once?', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 0, max: 50 }),
      async (depth, requests) => {
        const issued: number[] = [];
        let inFlight = 0;
        let most = 0;
        const requester: Requester<number> = {
          name: 'counted',
          issue: async (index) => {
            issued.push(index);
            most = Math.max(most, ++inFlight);
            await null;
            inFlight--;
            return index;
          },
          accept: () => new Uint8Array(0),
          close: async () => {},
        };
        await drive(requester, { depth, requests });
        expect(issued).toEqual(Array.from({ length: requests }, (_, i) => i));
        expect(most).toBe(Math.min(depth, requests));
      },
    ),
  );
});

describe('something measured beside a load', () => {
  /** Answers each request in a later turn; request number `fails` fails. */
  function counted(fails = -1): Requester<number> & { inFlight: number; answered: number } {
    const requester = {
      name: 'counted',
      inFlight: 0,
      answered: 0,
      issue: async (index: number) => {
        requester.inFlight++;
        await new Promise(setImmediate);
        requester.inFlight--;
        if (index === fails) throw new Error(`request ${index} fails`);
        requester.answered++;
        return index;
      },
      accept: () => new Uint8Array(0),
      close: async () => {},
    };
    return requester;
  }

  test('sees the load at its full depth from the first turn to the last, and none is left behind', async () => {
    const load = counted();
    const seen: number[] = [];
    const foreground = async (): Promise<string> => {
      for (let turn = 0; turn < 20; turn++) {
        seen.push(load.inFlight);
        await new Promise(setImmediate);
      }
      return 'its figure';
    };
    expect(await beside(load, { depth: 4, foreground })).toBe('its figure');
    expect(Math.max(...seen)).toBe(4);
    expect(load.inFlight).toBe(0);
    expect(load.answered).toBeGreaterThanOrEqual(20);
  });

  test.each([0, 3, 9])(
    'a failure of request %i of the load is a failure of the measurement',
    async (fails) => {
      const foreground = async (): Promise<void> => {
        for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
      };
      await expect(beside(counted(fails), { depth: 4, foreground })).rejects.toThrow(
        `request ${fails} fails`,
      );
    },
  );

  test('round trips follow each other, as many as are needed at least', async () => {
    const load = counted();
    expect(await tripsUs(load, { sampleMs: 0, least: 7 })).toHaveLength(7);
    expect(load.answered).toBe(7);
  });
});

describe('what the report says', () => {
  const samples = new Map([
    ['wd', [90, 100, 110]],
    ['old', [50, 40, 60]],
  ]);

  test('a ratio is the quotient of the medians, and the target decides `met`', () => {
    const comparisons = [{ baseline: 'old', target: atLeast(2) }];
    const [row] = compare({ group: 'g', unit: 'MB/s', samples, comparisons });
    expect(row).toEqual({
      name: 'g/old',
      value: 100,
      unit: 'MB/s',
      baseline: { name: 'old', value: 50 },
      ratio: 2,
      target: { on: 'ratio', relation: '>=', limit: 2 },
      met: true,
      status: 'measured',
    });
  });

  test('bounds include their limit', () => {
    expect(meets(atLeast(2), 2)).toBe(true);
    expect(meets(atLeast(2), 1.99)).toBe(false);
    expect(meets(atMost(2), 2)).toBe(true);
    expect(meets(atMost(2), 2.01)).toBe(false);
  });

  test('a bound on the value ignores the baseline', () => {
    const target = { on: 'value', relation: '<=', limit: 99 } as const;
    const [row] = compare({ group: 'g', unit: 'ms', samples, comparisons: [{ baseline: 'old', target }] });
    expect([row.ratio, row.met]).toEqual([2, false]);
  });

  test('without the library, baselines are shown and nothing is claimed', () => {
    const alone = new Map([['old', [50]]]);
    const comparisons = [{ baseline: 'old', target: atLeast(2) }];
    const [row] = compare({ group: 'g', unit: 'MB/s', samples: alone, comparisons });
    expect(row).toMatchObject({ value: null, ratio: null, met: null, status: 'no subject' });
    expect(row.baseline).toEqual({ name: 'old', value: 50 });
  });

  test('a comparison with something that was not measured is an error', () => {
    expect(() => compare({ group: 'g', unit: '', samples, comparisons: [{ baseline: 'new' }] })).toThrow(
      'new',
    );
  });

  test('JSON is one object with the promised fields and nothing around it', () => {
    const rows = [...compare({ group: 'g', unit: 'x', samples, comparisons: [{ baseline: 'old' }] })];
    const report = JSON.parse(toJson(reportOf([...rows, failure('broken', new Error('boom'))])));
    expect(Object.keys(report)).toEqual(['schemaVersion', 'machine', 'measurement', 'cases']);
    expect(report.schemaVersion).toBe(1);
    expect(report.machine).toEqual(machine);
    const fields = ['name', 'value', 'unit', 'baseline', 'ratio', 'target', 'met', 'status'];
    for (const row of report.cases) expect(Object.keys(row)).toEqual(expect.arrayContaining(fields));
    expect(report.cases[1]).toMatchObject({ name: 'broken', status: 'failed', value: null, met: null });
    expect(report.cases[1].error).toContain('boom');
  });

  test('the table shows every row, and why a case failed', () => {
    const rows = compare({
      group: 'g',
      unit: 'x',
      samples,
      comparisons: [{ baseline: 'old', target: atLeast(3) }],
    });
    const table = toTable(reportOf([...rows, failure('broken', new Error('boom'))]));
    expect(table).toMatch(/^g\/old +100 +x +50\.0 +2\.00 +>= 3x +no$/m);
    expect(table).toMatch(/^broken .* failed$/m);
    expect(table).toContain('boom');
  });
});
