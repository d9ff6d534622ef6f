// Do the pages that show what the machine does show what it does now? Their marked parts are made from runs; UPDATE_DOCS=1
// writes what is new into them.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { markedPart } from '../machine/page-parts.js';
import { faultModelTable } from './fault-models.js';
import { timelines } from './timelines.js';

/** A part of a page: its mark, and what it should be. */
interface Part {
  readonly name: string;
  readonly text: string;
}

const pathOf = (page: string): string => fileURLToPath(new URL(`../../docs/${page}`, import.meta.url));

/** Compares each part of a page, or writes it. */
function expectParts(page: string, parts: readonly Part[]): void {
  let text = readFileSync(pathOf(page), 'utf8');
  for (const { name, text: fresh } of parts) {
    const found = markedPart(text, name);
    expect(found, `${page} has a part ${name}`).toBeDefined();
    if (process.env.UPDATE_DOCS === '1') {
      const mark = `<!-- ${name} -->\n\n`;
      text = text.replace(`${mark}${found}`, () => `${mark}${fresh}`);
    } else {
      expect(found).toBe(fresh);
    }
  }
  const marks = [...text.matchAll(/<!-- (.*?) -->/g)]
    .map(([, mark]) => mark)
    .filter((mark) => mark !== 'end');
  expect(marks).toEqual(parts.map(({ name }) => name));
  if (process.env.UPDATE_DOCS === '1') writeFileSync(pathOf(page), text);
}

test('docs/timelines.md is what `npm run timeline` prints', async () => {
  expectParts('timelines.md', await timelines());
});

test('the table of docs/fault-models.md is what the fault models do', async () => {
  expectParts('fault-models.md', [{ name: 'workload', text: await faultModelTable() }]);
});
