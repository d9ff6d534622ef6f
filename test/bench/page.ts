/**
 * What a report becomes for readers: the page docs/performance.md with its chart, and the figures of README.md. Each is
 * a function of the report and the cases, so that a page that differs from its figures is found.
 */
import { table } from '../machine/page-parts.js';
import type { BenchCase } from './case.js';
import { cases } from './cases/index.js';
import { type BarGroup, barChart } from './chart.js';
import { figureText, type Report, ROW_HEADS, type Row, rowCells, targetText, verdict } from './report.js';

/** Rows that README.md quotes, in its order. */
const QUOTED: readonly string[] = [
  'deflate-1k/zlib-async',
  'deflate-4k/zlib-async',
  'deflate-64k/zlib-async',
  'deflate-4k/piscina-8',
  'deflate-4k/two-core-ideal',
  'inflate-4k/zlib-async',
  'inflate-into-4k/two-core-ideal',
  'batch-64x1k/wd-single-calls',
  'gzip-64m-text/zlib-gzip',
  'stream-1g/node-zlib',
  'stream-1g-rss/node-zlib',
  'main-thread-4k/zlib-async',
  'loop-delay/idle',
  'stat-16-gzips/idle',
  'burst-30k/zlib-async',
  'tenants-1-engine/alone',
];

/** Groups of the chart: those that are compared with the most that two cores can do. */
const CHARTED: readonly string[] = ['deflate-1k', 'deflate-4k', 'deflate-64k', 'inflate-4k'];
const IDEAL = 'two-core-ideal';
const COLOURS = { wd: '#1f6feb', 'zlib-async': '#8c959f', 'piscina-8': '#bf8700' } as const;

const LIMITS = `There is no new silicon: the accelerator is threads of the same CPU, and \`two-core-ideal\`, twice what one thread does
with the cheapest call there is, is the most that two cores could do.`;

/** The case that a row belongs to: the one with the longest group that the row's name begins with. */
export function caseOf(row: Pick<Row, 'name'>): BenchCase | undefined {
  const [group] = row.name.split('/') as [string];
  const candidates = cases.filter((each) => group === each.group || group.startsWith(`${each.group}-`));
  return candidates.sort((a, b) => b.group.length - a.group.length)[0];
}

/** From here on others were at work on the machine, enough to bend figures. */
const BUSY_LOAD = 0.75;

/** A warning for readers when the machine was not left alone. */
function warning({ measurement }: Report): string {
  if (measurement.loadAverage < BUSY_LOAD) return '';
  const load = figureText(measurement.loadAverage);
  return ` **The machine was busy with other programs (load average ${load}): these figures claim nothing.**`;
}

function where({ machine }: Report): string {
  return `Node ${machine.node}, ${machine.cpu} with ${machine.cores} cores, ${machine.platform}, ${machine.date.slice(0, 10)}`;
}

/** The figure that a row's target is about: a ratio, or a value with its unit. */
function measuredText(row: Row | undefined): string {
  if (row === undefined) return 'not measured';
  return row.target?.on === 'value' ? `${figureText(row.value)} ${row.unit}` : `${figureText(row.ratio)}x`;
}

/** The main figures as a Markdown table with its limits, for README.md. */
export function readmeFigures(report: Report): string {
  const rows = QUOTED.map((name) => {
    const row = report.cases.find((each) => each.name === name);
    const target = targetText(row?.target ?? null);
    const title = caseOf({ name })?.title ?? '';
    return [`\`${name}\``, title, measuredText(row), target, row === undefined ? '-' : verdict(row)];
  });
  return [
    table([['case/compared with', 'what', 'measured', 'target', 'met'], ...rows]),
    '',
    `${where(report)}.${warning(report)}`,
    LIMITS,
    'All rows, how they were taken, and what bounds those that miss their target: [docs/performance.md](docs/performance.md).',
  ].join('\n');
}

/** The chart: throughput of the small codec cases as shares of the ideal. */
export function chart(report: Report): string {
  return barChart({
    title: 'Throughput, 32 in flight',
    groups: CHARTED.flatMap((group) => shares(report, group)),
    most: 1,
    mostLabel: '100 %: the most of two cores',
  });
}

/** The bars of one group; none when it was not measured. */
function shares({ cases: rows }: Report, group: string): BarGroup[] {
  const against = (baseline: string): Row | undefined =>
    rows.find(({ name }) => name === `${group}/${baseline}`);
  const ideal = against(IDEAL);
  if (!ideal?.baseline || ideal.value === null) return [];
  const most = ideal.baseline.value;
  const bar = (label: keyof typeof COLOURS, value: number | undefined) =>
    value === undefined
      ? []
      : [
          {
            label,
            value: value / most,
            text: `${Math.round((100 * value) / most)} %`,
            colour: COLOURS[label],
          },
        ];
  const zlib = against('zlib-async')?.baseline?.value;
  const piscina = against('piscina-8')?.baseline?.value;
  const bars = [...bar('wd', ideal.value), ...bar('zlib-async', zlib), ...bar('piscina-8', piscina)];
  return [{ label: group, bars }];
}

/** Each missed target, with what bounds its case. */
function missed(report: Report): string {
  const lines = report.cases
    .filter(({ met }) => met === false)
    .map((row) => {
      const bound = targetText(row.target);
      return `- \`${row.name}\`: ${measuredText(row)}, to be ${bound}. ${caseOf(row)?.limitedBy ?? ''}`;
    });
  return lines.length === 0 ? 'None.' : lines.join('\n');
}

/** The page docs/performance.md. */
export function performancePage(report: Report): string {
  const { machine, measurement } = report;
  const notes = new Set(
    report.cases.flatMap(({ name, note }) => (note ? [`${caseOf({ name })?.group}: ${note}`] : [])),
  );
  return `# Performance

What requests cost on the simulated accelerator, beside what a Node program would do otherwise.

${LIMITS}
What is won is won by what is left out (the four threads of libuv, copies, allocations, wake-ups) and by work that leaves the
main thread.

This page, its chart, \`docs/performance.json\` and the figures of README.md are written by

    npm run bench -- --write

\`npm run bench -- NAME\` measures one case and prints it; the targets are in the code of the cases, \`test/bench/cases\`.

## How it was measured

${table([
  ['', ''],
  ['machine', `${machine.cpu}, ${machine.cores} cores, ${machine.platform}`],
  ['Node', machine.node],
  ['date', machine.date],
  ['commit', machine.commit ?? 'unknown'],
  ['load average before', figureText(measurement.loadAverage)],
  ['rounds', String(measurement.rounds)],
])}

Every contestant proves its results, is warmed up, and is measured once in each round, all of them in turn, so that a slow
minute of the machine hits all alike. A figure is the median of the rounds; a ratio is the quotient of two medians, \`wd\`
by baseline: above 1 is better for a throughput, below 1 for a time, CPU and size. Inputs are source text, in buffers of
each contestant's own. Absolute figures are those of this machine; ratios carry over better.${warning(report)}

## Figures

![Throughput of small requests as shares of what two cores can do](performance.svg)

${table([ROW_HEADS, ...report.cases.map(rowCells)])}

${[...notes].map((note) => `- ${note}`).join('\n')}

## Targets that are missed

${missed(report)}

## The cases

${table([['case', 'what is measured'], ...cases.map(({ group, title }) => [group, title])])}
`;
}
