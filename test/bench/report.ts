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
  /** With `-dirty` behind it when files differed from it; absent outside a repository. */
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

/** How the figures were taken. */
export interface MeasurementFacts {
  /** Samples of each contestant; a case that takes minutes takes fewer. */
  readonly rounds: number;
  /** Threads that wanted a processor in the minute before, on average: whose work may be measured beside ours. */
  readonly loadAverage: number;
}

/** A whole report; what `toJson` writes. */
export interface Report {
  readonly schemaVersion: 1;
  readonly machine: MachineFacts;
  readonly measurement: MeasurementFacts;
  readonly cases: readonly Row[];
}

/** The report as one JSON object, with a line feed at the end. */
export function toJson(report: Report): string {
  return `${JSON.stringify(report, null, 2)}\n`;
}

/** A figure with three digits; `-` for none. */
export function figureText(figure: number | null | undefined): string {
  if (figure === null || figure === undefined) return '-';
  if (Math.abs(figure) >= 1e6) return `${(figure / 1e6).toFixed(2)}M`;
  return figure >= 100 ? figure.toFixed(0) : figure.toPrecision(3);
}

/** A bound, with an `x` when it is one of the ratio; `-` for none. */
export function targetText(target: Target | null): string {
  if (target === null) return '-';
  return `${target.relation} ${Number(target.limit.toPrecision(4))}${target.on === 'ratio' ? 'x' : ''}`;
}

/** Whether a row keeps its target, or what it is instead. */
export function verdict(row: Row): string {
  if (row.status !== 'measured') return row.status;
  return row.met === null ? '-' : row.met ? 'yes' : 'no';
}

/** The heads of a table of rows. */
export const ROW_HEADS: readonly string[] = [
  'name/baseline',
  SUBJECT,
  'unit',
  'baseline',
  'ratio',
  'target',
  'met',
];

/** What stands in a table of rows, under the heads. */
export function rowCells(row: Row): string[] {
  const figures = [figureText(row.value), row.unit, figureText(row.baseline?.value), figureText(row.ratio)];
  return [row.name, ...figures, targetText(row.target), verdict(row)];
}

/** The report as a table, then the notes and errors of its rows. */
export function toTable({ machine, cases }: Report): string {
  const lines = [ROW_HEADS, ...cases.map(rowCells)];
  const widths = ROW_HEADS.map((_, column) => Math.max(...lines.map((line) => line[column].length)));
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
