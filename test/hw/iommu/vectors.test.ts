/**
 * Recorded answers of the specification's reference model, replayed: a sample of every theme. The runner
 * (test/vectors/main.ts) replays whole files.
 */
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { type Header, readVectors, type VectorCase } from '../../vectors/format.js';
import { Replayer, type ReplayOptions } from '../../vectors/replay.js';

const SAMPLE = fileURLToPath(new URL('../../vectors/sample.jsonl.gz', import.meta.url));

async function readSample(): Promise<{ header: Header; cases: VectorCase[] }> {
  let header: Header | undefined;
  const cases: VectorCase[] = [];
  for await (const line of readVectors(SAMPLE)) {
    header = line.header;
    cases.push(line.testCase);
  }
  return { header: header!, cases };
}

const { header, cases } = await readSample();

function failures(options: ReplayOptions): unknown[] {
  const replayer = new Replayer(header, options);
  return cases.flatMap((testCase) =>
    replayer.replay(testCase).map((found) => ({ in: testCase.name, ...found })),
  );
}

describe('recorded answers of the reference model', () => {
  test('the sample has every theme', () => {
    const themes = new Set(cases.map(({ name }) => name.replace(/-\d+$/, '')));
    expect([...themes].sort()).toEqual(
      [
        'ats',
        'clean',
        'command',
        'ddt',
        'firststage',
        'implicit',
        'inval',
        'mode',
        'pdt',
        'pri',
        'queue',
        'secondstage',
      ].sort(),
    );
  });

  test.each([0, 1, 64, 1024])('are all reproduced with a cache of %i entries', (cacheEntries) => {
    expect(failures({ cacheEntries })).toEqual([]);
  });

  test('does the replay notice a wrong answer?', () => {
    const [testCase] = cases.filter(({ steps }) => steps[0]?.op === 'translate');
    const [first, ...others] = testCase!.steps;
    const wrong = { ...first!, expect: { cause: 9999 } } as typeof first;
    const found = new Replayer(header).replay({ ...testCase!, steps: [wrong!, ...others] });
    expect(found).toMatchObject([{ step: 'step 0', field: 'cause', expected: 9999 }]);
  });

  test('does the replay notice a store that no case lists?', () => {
    const marked = cases.find(({ memoryAfter }) => memoryAfter.length > 0)!;
    const found = new Replayer(header).replay({ ...marked, memoryAfter: [] });
    const stores = marked.memoryAfter.map(([address]) => `memory ${address}`);
    expect(new Set(found.map(({ field }) => field))).toEqual(new Set(stores));
  });
});
