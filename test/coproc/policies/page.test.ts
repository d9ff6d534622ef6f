// Does docs/policies.md say what the policies declare? Its tables are the declarations; to bring them up to date, put what
// the failing test expected between the marks.
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { NS_PER_MS, NS_PER_SECOND, NS_PER_US } from '../../../src/base/units.js';
import { fairPolicy } from '../../../src/coproc/policies/fair.js';
import { nullPolicy } from '../../../src/coproc/policies/null.js';
import { roundRobinPolicy } from '../../../src/coproc/policies/round-robin.js';
import type { ParameterSpec } from '../../../src/coproc/policy.js';
import { coreParameters } from '../../../src/coproc/vcoproc-parameters.js';

const page = readFileSync(new URL('../../../docs/policies.md', import.meta.url), 'utf8');

/** `6,000,000 (6 ms)` for a time; a plain number otherwise. */
function amount(value: number, unit: string): string {
  const digits = value.toLocaleString('en-US');
  const units = [
    ['s', NS_PER_SECOND],
    ['ms', NS_PER_MS],
    ['us', NS_PER_US],
  ] as const;
  const readable = unit === 'ns' && units.find(([, ns]) => value >= ns && value % ns === 0);
  return readable ? `${digits} (${value / readable[1]} ${readable[0]})` : digits;
}

function table(specs: readonly ParameterSpec[]): string {
  if (specs.length === 0) return 'There are no knobs.';
  const rows = [
    ['knob', 'unit', 'range', 'default', 'takes effect', 'meaning'],
    ...specs.map(({ name, unit, least, most, default: usual, takesEffect, doc }) => {
      const range = `${amount(least, unit)} to ${amount(most, unit)}`;
      return [`\`${name}\``, unit, range, amount(usual, unit), takesEffect, doc];
    }),
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`;
  const [head, ...body] = rows.map(line);
  return [head, line(widths.map((width) => '-'.repeat(width))), ...body].join('\n');
}

const sections = [
  ['core vcoproc', coreParameters] as const,
  ...[nullPolicy, roundRobinPolicy, fairPolicy].flatMap((policy) => [
    [`${policy.name} policy`, policy.parameters] as const,
    ...(policy.vcoprocParameters.length === 0
      ? []
      : [[`${policy.name} vcoproc`, policy.vcoprocParameters] as const]),
  ]),
];

it.each(sections)('the page has the knobs of %s as they are declared', (name, specs) => {
  const marked = new RegExp(`<!-- knobs: ${name} -->\n(.*?)<!-- end -->`, 's').exec(page)?.[1];
  expect(marked).toBe(`\n${table(specs)}\n\n`);
});

it('the page has no tables of policies that do not exist', () => {
  const marks = [...page.matchAll(/<!-- knobs: (.*?) -->/g)].map(([, name]) => name);
  expect(marks).toEqual(sections.map(([name]) => name));
});
