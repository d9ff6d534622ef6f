// Does every case of the library work? Each is measured once with very little of everything, from the built package: its
// results are proved, its threads and processes end, and its rows say what they are to be compared with. No figure counts.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { cases } from './cases/index.js';
import { choose } from './command-line.js';
import { caseOf } from './page.js';
import type { Report, Row } from './report.js';

const command = fileURLToPath(new URL('../../dist/test/bench/main.js', import.meta.url));

/** Rows with a target, and what is compared in them, by the case. */
const EXPECTED: Record<string, readonly string[]> = {
  'deflate-1k': ['deflate-1k/zlib-async', 'deflate-1k/piscina-8', 'deflate-1k/two-core-ideal'],
  'inflate-into-4k': ['inflate-into-4k/two-core-ideal'],
  'batch-64x1k': ['batch-64x1k/wd-single-calls', 'batch-64x1k/wd-awaited-calls'],
  'stream-1g': ['stream-1g/node-zlib', 'stream-1g-rss/node-zlib'],
  'main-thread-4k': ['main-thread-4k/zlib-async'],
  'loop-delay': ['loop-delay/idle'],
  'stat-16-gzips': ['stat-16-gzips/idle'],
  'burst-30k': ['burst-30k/zlib-async', 'burst-30k-rss/zlib-async'],
  'tenants-1-engine': ['tenants-1-engine/alone'],
  'tenants-2-engines': ['tenants-2-engines/alone'],
};

async function smoke(name: string): Promise<readonly Row[]> {
  const args = [command, name, '--smoke', '--json'];
  // It answers with 1 when a case failed; what failed is in its output.
  const { stdout } = await promisify(execFile)(process.execPath, args).catch((failure) => failure);
  return (JSON.parse(stdout) as Report).cases;
}

describe('a case measures what it says', () => {
  test.each(Object.entries(EXPECTED))('%s', async (group, targeted) => {
    const rows = await smoke(group);
    for (const row of rows) {
      expect(row.error).toBeUndefined();
      expect(row.value, row.name).toBeGreaterThanOrEqual(0);
      expect(row.baseline?.value, row.name).toBeGreaterThanOrEqual(0);
      expect(caseOf(row)?.group).toBe(group);
    }
    expect(rows.filter(({ target }) => target !== null).map(({ name }) => name)).toEqual(targeted);
  });
});

describe('what can be asked for on the command line?', () => {
  test('no two cases have the same name, and a name chooses those that contain it', () => {
    const groups = cases.map(({ group }) => group);
    expect(new Set(groups).size).toBe(groups.length);
    expect(choose(['tenants']).chosen.map(({ group }) => group)).toEqual([
      'tenants-1-engine',
      'tenants-2-engines',
    ]);
    expect(choose([]).chosen).toEqual(cases);
  });

  test.each([
    [['no-such-case'], 'no case is called no-such-case'],
    [['--rounds', '0'], 'from 1 to 1000, not 0'],
    [['--rounds', '1.5'], 'from 1 to 1000, not 1.5'],
    [['--quick', '--smoke'], 'one of them'],
    [['--write', 'deflate'], 'all cases'],
    [['--write', '--smoke'], 'all cases'],
    [['--qiuck'], '--qiuck'],
  ])('%j is refused with a sentence', (args, sentence) => {
    expect(() => choose(args)).toThrow(sentence);
  });
});
