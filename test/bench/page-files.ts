/** The files that a report is written to, docs/performance.* and a part of README.md, and how they are read back. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { markedPart } from '../machine/page-parts.js';
import { chart, performancePage, readmeFigures } from './page.js';
import { type Report, toJson } from './report.js';

/** The report itself, as it was written. */
const RECORD = 'docs/performance.json';
/** Part of README.md with the main figures. */
export const README_PART = 'figures';

/** Root of the checkout: this file may be the built one. */
function root(): string {
  for (let folder = import.meta.dirname; ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json'))) return folder;
    if (folder === dirname(folder)) throw new Error(`no package.json above ${import.meta.dirname}`);
  }
}

/** The text of a file of the checkout. */
export function readPage(path: string): string {
  return readFileSync(join(root(), path), 'utf8');
}

/** The report that the pages were made of. */
export function readReport(): Report {
  const report = JSON.parse(readPage(RECORD)) as Report;
  if (report.schemaVersion !== 1)
    throw new Error(`${RECORD} has schema version ${report.schemaVersion}, not 1`);
  return report;
}

/** README.md with `figures` in the place of those that it has. */
function withFigures(readme: string, figures: string): string {
  const found = markedPart(readme, README_PART);
  if (found === undefined) throw new Error(`README.md has no part ${README_PART}`);
  return readme.replace(`<!-- ${README_PART} -->\n\n${found}`, () => `<!-- ${README_PART} -->\n\n${figures}`);
}

/** Every file that is made of a report: its path from the root, and its text. */
export function pagesOf(report: Report): ReadonlyMap<string, string> {
  return new Map([
    ['docs/performance.md', performancePage(report)],
    ['docs/performance.svg', chart(report)],
    ['README.md', withFigures(readPage('README.md'), readmeFigures(report))],
  ]);
}

/** Writes the report and all that is made of it; answers the paths. */
export function writePages(report: Report): string[] {
  writeFileSync(join(root(), RECORD), toJson(report));
  // Of what will be read back: JSON has no infinities.
  const pages = pagesOf(readReport());
  for (const [path, text] of pages) writeFileSync(join(root(), path), text);
  return [RECORD, ...pages.keys()];
}
