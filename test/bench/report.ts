/**
 * What a benchmark reports: one row per comparison of the subject with a baseline, as JSON for programs and as a
 * table for people. Schema version 1; a field is only ever added.
 *
 * `ratio` is always value / baseline.value: above 1 is better for throughput, below 1 for latency, CPU and size.
 */
import { inspect } from 'node:util';
import { median, type Samples } from './harness.js';

/** The name of the contestant that all others are compared with. */
export const SUBJECT = 'wd';

/** A bound on the ratio or on the value itself. */
export interface Target {
  readonly on: 'ratio' | 'value';
  readonly relation: '>=' | '<=';
  readonly limit: number;
}

/** One comparison. */
export interface Row {
  /** Stable: the case's group, a slash, what it is compared with. */
  readonly name: string;
  /** The subject's figure; null when the subject is missing or its case failed. */
  readonly value: number | null;
  readonly unit: string;
  /** Null when the case failed before there was a figure. */
  readonly baseline: { readonly name: string; readonly value: number } | null;
  readonly ratio: number | null;
  /** Null when the row is for information only. */
  readonly target: Target | null;
  /** Null without a target or without a figure. */
  readonly met: boolean | null;
  readonly status: 'measured' | 'no subject' | 'failed';
  /** Of a failed case. */
  readonly error?: string;
  /** How a figure was taken, where there is a choice. */
  readonly note?: string;
}

/** Where the figures come from. */
export interface MachineFacts {
  readonly node: string;
  readonly cpu: string;
  readonly cores: number;
  readonly platform: string;
  /** ISO 8601, start of the measurement. */
  readonly date: string;
  /** Absent outside a repository. */
  readonly commit?: string;
}

/** One comparison that a case asks for. */
export interface Comparison {
  readonly baseline: string;
  readonly target?: Target;
}

/** Bound of a ratio from below. */
export function atLeast(limit: number): Target {
  return { on: 'ratio', relation: '>=', limit };
}

/** Bound of a ratio from above. */
export function atMost(limit: number): Target {
  return { on: 'ratio', relation: '<=', limit };
}

/** Whether `figure` keeps the target's bound; both bounds include the limit. */
export function meets(target: Target, figure: number): boolean {
  return target.relation === '>=' ? figure >= target.limit : figure <= target.limit;
}

/** The rows of one case, from the samples of its contestants. */
export function compare(options: {
  readonly group: string;
  readonly unit: string;
  readonly samples: Samples;
  readonly comparisons: readonly Comparison[];
  readonly note?: string;
}): Row[] {
  const { group, unit, samples, note } = options;
  const figure = (name: string): number | null => {
    const values = samples.get(name);
    return values === undefined || values.length === 0 ? null : median(values);
  };
  const value = figure(SUBJECT);
  return options.comparisons.map(({ baseline: name, target = null }): Row => {
    const against = figure(name);
    if (against === null) throw new Error(`case ${group} compares with ${name}, which was not measured`);
    const ratio = value === null ? null : value / against;
    const bounded = target?.on === 'value' ? value : ratio;
    const met = target === null || bounded === null ? null : meets(target, bounded);
    const status = value === null ? 'no subject' : 'measured';
    const baseline = { name, value: against };
    return {
      name: `${group}/${name}`,
      value,
      unit,
      baseline,
      ratio,
      target,
      met,
      status,
      ...(note && { note }),
    };
  });
}

/** The row of a case that ended with an error. */
export function failure(group: string, error: unknown): Row {
  // With the causes, where the library's own error is.
  const text = inspect(error);
  const none = { value: null, unit: '', baseline: null, ratio: null, target: null, met: null } as const;
  return { name: group, ...none, status: 'failed', error: text };
}

/** The report as one JSON object, with a line feed at the end. */
export function toJson(machine: MachineFacts, cases: readonly Row[]): string {
  return `${JSON.stringify({ schemaVersion: 1, machine, cases }, null, 2)}\n`;
}

function figureText(figure: number | null | undefined): string {
  if (figure === null || figure === undefined) return '-';
  if (Math.abs(figure) >= 1e6) return `${(figure / 1e6).toFixed(2)}M`;
  return figure >= 100 ? figure.toFixed(0) : figure.toPrecision(3);
}

function targetText(target: Target | null): string {
  if (target === null) return '-';
  return `${target.relation} ${Number(target.limit.toPrecision(4))}${target.on === 'ratio' ? 'x' : ''}`;
}

function verdict(row: Row): string {
  if (row.status !== 'measured') return row.status;
  return row.met === null ? '-' : row.met ? 'yes' : 'no';
}

function cells(row: Row): string[] {
  const ratio = row.ratio === null ? '-' : row.ratio.toPrecision(3);
  const figures = [figureText(row.value), row.unit, figureText(row.baseline?.value), ratio];
  return [row.name, ...figures, targetText(row.target), verdict(row)];
}

/** The report as a table, then the notes and errors of its rows. */
export function toTable(machine: MachineFacts, cases: readonly Row[]): string {
  const head = ['name/baseline', SUBJECT, 'unit', 'baseline', 'ratio', 'target', 'met'];
  const lines = [head, ...cases.map(cells)];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  const table = lines.map((line) =>
    line
      .map((text, column) => text.padEnd(widths[column]))
      .join('  ')
      .trimEnd(),
  );
  const notes = new Set(cases.flatMap(({ note, name }) => (note ? [`${name.split('/')[0]}: ${note}`] : [])));
  const errors = cases.flatMap(({ error, name }) => (error ? [`${name} failed: ${error}`] : []));
  const where = `node ${machine.node}, ${machine.cpu} x ${machine.cores}, ${machine.platform}, ${machine.date}`;
  return `${[where, '', ...table, '', ...notes, ...errors].join('\n').trimEnd()}\n`;
}
