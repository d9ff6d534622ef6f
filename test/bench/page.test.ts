// Do docs/performance.md, its chart and the figures of README.md say what was measured, and nothing else? They are written by
// `npm run bench -- --write`; UPDATE_DOCS=1 writes them anew from the figures that are there, after a change of their text.
import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { markedPart } from '../machine/page-parts.js';
import { barChart } from './chart.js';
import { caseOf, chart, performancePage, readmeFigures } from './page.js';
import { pagesOf, README_PART, readPage, readReport, writePages } from './page-files.js';
import { atLeast, compare, type Report, type Row } from './report.js';

/** The cells of each line of a Markdown table whose first head is `head`. */
function tableAfter(page: string, head: string): string[][] {
  const lines = page.split('\n');
  const at = lines.findIndex((line) => line.startsWith(`| ${head} `));
  expect(at, `there is a table of ${head}`).toBeGreaterThanOrEqual(0);
  const after = lines.slice(at + 2);
  const end = after.findIndex((line) => !line.startsWith('|'));
  return after.slice(0, end === -1 ? undefined : end).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

describe('the pages that are there', () => {
  if (process.env.UPDATE_DOCS === '1') writePages(readReport());

  test.each([...pagesOf(readReport())])('%s is what its figures give', (path, text) => {
    expect(readPage(path)).toBe(text);
  });

  test('every row of the table belongs to a case that exists', () => {
    const rows = tableAfter(readPage('docs/performance.md'), 'name/baseline');
    expect(rows.length).toBeGreaterThan(20);
    for (const [name] of rows) expect(caseOf({ name: name! }), name).toBeDefined();
  });

  test('what README.md quotes stands in docs/performance.md', () => {
    const rows = new Map(
      tableAfter(readPage('docs/performance.md'), 'name/baseline').map(([name, ...cells]) => [name, cells]),
    );
    const figures = markedPart(readPage('README.md'), README_PART)!;
    for (const [quoted, , measured, target, met] of tableAfter(figures, 'case/compared with')) {
      if (measured === 'not measured') continue;
      const [value, unit, , ratio, ...verdict] = rows.get(quoted!.replaceAll('`', ''))!;
      expect([`${ratio}x`, `${value} ${unit}`], quoted).toContain(measured);
      expect([target, met], quoted).toEqual(verdict);
    }
  });

  test('no figures lie beside them that nothing is made of', () => {
    const files = readdirSync(new URL('../../docs', import.meta.url)).filter((name) =>
      name.startsWith('performance'),
    );
    expect(files.toSorted()).toEqual(['performance.json', 'performance.md', 'performance.svg']);
  });
});

describe('a page of figures', () => {
  const samples = new Map([
    ['wd', [80]],
    ['two-core-ideal', [100]],
    ['zlib-async', [50]],
  ]);
  const row = (baseline: string, limit: number): Row =>
    compare({
      group: 'deflate-4k',
      unit: 'MB/s',
      samples,
      comparisons: [{ baseline, target: atLeast(limit) }],
    })[0]!;
  const report: Report = {
    schemaVersion: 1,
    machine: {
      node: '20.0.0',
      cpu: 'a | processor',
      cores: 2,
      platform: 'linux-x64',
      date: '2026-11-20T00:00:00Z',
    },
    measurement: { rounds: 3, loadAverage: 0.25 },
    cases: [row('zlib-async', 2), row('two-core-ideal', 0.7)],
  };

  test('names what is missed, by how much, and what bounds it; what is met is not among it', () => {
    const [, missed] = performancePage(report).split('## Targets that are missed');
    const [list] = missed!.split('## ');
    expect(list).toContain('`deflate-4k/zlib-async`: 1.60x, to be >= 2x.');
    expect(list).toContain(caseOf({ name: 'deflate-4k/zlib-async' })!.limitedBy);
    expect(list).not.toContain('two-core-ideal`:');
    const met = performancePage({ ...report, cases: [row('two-core-ideal', 0.7)] });
    expect(met).toContain('missed\n\nNone.\n');
  });

  test('figures of a machine that had other work claim nothing', () => {
    const busy = { ...report, measurement: { rounds: 3, loadAverage: 2 } };
    for (const text of [performancePage, readmeFigures]) {
      expect(text(busy)).toContain('load average 2.00): these figures claim nothing');
      expect(text(report)).not.toContain('claim nothing');
    }
  });

  test('README.md says what was not measured instead of leaving it out', () => {
    const lines = tableAfter(readmeFigures(report), 'case/compared with');
    expect(lines.find(([name]) => name === '`deflate-4k/zlib-async`')).toContain('1.60x');
    expect(lines.find(([name]) => name === '`loop-delay/idle`')).toContain('not measured');
  });

  test('the chart shows shares of the ideal, and nothing for a case that was not measured', () => {
    const svg = chart(report);
    expect(svg).toContain('>80 %<');
    expect(svg).toContain('>50 %<');
    expect(svg).toContain('deflate-4k');
    expect(svg).not.toContain('inflate-4k');
  });

  test('a row belongs to the case with the longest name that it begins with', () => {
    expect(caseOf({ name: 'gzip-64m-text-size/zlib-gzip' })?.group).toBe('gzip-64m-text');
    expect(caseOf({ name: 'deflate-4k/zlib-async' })?.group).toBe('deflate-4k');
    expect(caseOf({ name: 'deflate-4' })).toBeUndefined();
  });

  test('words of a chart cannot become markup', () => {
    const bars = [{ label: '<b>', value: 1, text: '&', colour: '#000000' }];
    const svg = barChart({ title: 'a < b', groups: [{ label: 'g', bars }], most: 1, mostLabel: 'most' });
    expect(svg).toContain('a &lt; b');
    expect(svg).toContain('&lt;b&gt;');
    expect(svg).toContain('>&amp;<');
  });
});
