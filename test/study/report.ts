/**
 * What the studies report: JSON for programs, text for a terminal, Markdown for docs/studies.md. Schema version 1; a field
 * is only ever added.
 */
import type { MachineFacts } from '../bench/report.js';
import type { Finding, Outcome, Study } from './study.js';

/** A study that was run. */
export interface Report extends Outcome {
  readonly study: Study;
}

/** Whether every target was met. */
export function allMet(reports: readonly Report[]): boolean {
  return reports.every(({ findings }) => findings.every(({ met }) => met !== false));
}

/** The reports as one JSON object, with a line feed at the end. */
export function toJson(machine: MachineFacts, reports: readonly Report[]): string {
  const studies = reports.map(
    ({ study: { name, question, method, realTime = false }, findings, tables }) => ({
      ...{ name, question, method, realTime },
      findings,
      tables,
    }),
  );
  return `${JSON.stringify({ schemaVersion: 1, machine, met: allMet(reports), studies }, null, 2)}\n`;
}

/** Below this a number is what rounding has left of 0. */
const ROUNDING = 1e-9;
/** Columns of text on a page. */
const PAGE_COLUMNS = 126;

/** Four figures, without zeros that say nothing. */
function figure(value: string | number): string {
  if (typeof value === 'string') return value;
  if (Math.abs(value) < ROUNDING) return '0';
  if (Number.isInteger(value)) return value.toLocaleString('en-US');
  return Math.abs(value) >= 1000
    ? Math.round(value).toLocaleString('en-US')
    : `${Number(value.toPrecision(4))}`;
}

function cells({ name, value, unit, due, target, met }: Finding): string[] {
  const [what, where] = name.split('/');
  const dueText = due === null ? '-' : figure(due);
  // A bound is shown so that what just misses it does not look as if it met it.
  const bound = target === null ? '-' : `${target.relation} ${figure(target.limit)}`;
  const verdict = met === null ? '-' : met ? 'ok' : 'MISSED';
  return [where ?? '', what!, figure(value), unit === '1' ? '' : unit, dueText, bound, verdict];
}

const HEAD = ['case', 'measured', 'value', 'unit', 'due', 'bound', 'verdict'];

function gridsOf({ findings, tables }: Outcome): { title: string; lines: string[][] }[] {
  return [
    { title: '', lines: [HEAD, ...findings.map(cells)] },
    ...tables.map(({ title, columns, rows }) => ({
      title,
      lines: [[...columns], ...rows.map((row) => row.map(figure))],
    })),
  ];
}

function aligned(lines: readonly string[][]): string[][] {
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  return lines.map((line) => line.map((text, column) => text.padEnd(widths[column]!)));
}

/** One study for a terminal. */
export function toText({ study, ...outcome }: Report): string {
  const parts = gridsOf(outcome).map(({ title, lines }) => {
    const grid = aligned(lines).map((line) => line.join('  ').trimEnd());
    return [...(title === '' ? [] : [`${title}:`]), ...grid].join('\n');
  });
  return `${study.name}: ${study.question}\n\n${parts.join('\n\n')}\n`;
}

/** Lines as long as a page is wide, broken between words. */
function wrapped(text: string): string {
  const lines = [''];
  for (const word of text.split(' ')) {
    const longer = lines.at(-1) === '' ? word : `${lines.at(-1)} ${word}`;
    if (longer.length <= PAGE_COLUMNS) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines.join('\n');
}

/** One study as a section of docs/studies.md. */
export function toMarkdown({ study, ...outcome }: Report): string {
  const parts = gridsOf(outcome).map(({ title, lines }) => {
    const [head, ...body] = aligned(lines);
    const rule = head!.map((text) => '-'.repeat(text.length));
    const grid = [head!, rule, ...body].map((line) => `| ${line.join(' | ')} |`);
    return [...(title === '' ? [] : [`${title}:`, '']), ...grid].join('\n');
  });
  return `${[`## ${study.name}`, study.question, wrapped(study.method), ...parts].join('\n\n')}\n`;
}
