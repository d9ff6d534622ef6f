// Does docs/studies.md say what the studies find? Those that take a moment are run again in full; to bring the page up to
// date, put what `npm run -s study -- --markdown` prints below its introduction.
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { NS_PER_SECOND } from '../../src/base/units.js';
import { fairPolicy } from '../../src/coproc/policies/fair.js';
import { roundRobinPolicy } from '../../src/coproc/policies/round-robin.js';
import { caps } from './caps.js';
import { studies } from './index.js';
import { toMarkdown } from './report.js';
import { shares } from './shares.js';
import type { StudyScope } from './study.js';
import { useCases } from './use-cases.js';

const page = readFileSync(new URL('../../docs/studies.md', import.meta.url), 'utf8');
const sections = page.split(/^(?=## )/m).slice(1);

const full: StudyScope = {
  windowNs: 100 * NS_PER_SECOND,
  quick: false,
  seconds: 10,
  roundRobin: roundRobinPolicy,
  fair: fairPolicy,
};

it('the page has a section for each study, in order, and no target that was missed', () => {
  expect(sections.map((section) => /^## (.*)/.exec(section)?.[1])).toEqual(studies.map(({ name }) => name));
  expect(page).not.toContain('MISSED');
});

it.each([shares, caps, useCases])('the numbers of $name are those that come out', async (study) => {
  const section = sections.find((each) => each.startsWith(`## ${study.name}\n`));
  expect(section?.trimEnd()).toBe(toMarkdown({ study, ...(await study.run(full)) }).trimEnd());
});
