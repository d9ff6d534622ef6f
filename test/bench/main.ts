/**
 * The benchmark's command: measures the cases whose group contains one of the NAMEs, all without one, and prints a
 * table, or with --json one JSON object (report.ts); with --write it writes docs/performance.md too. Progress goes to
 * stderr.
 *
 * Ends with 1 when an argument is wrong or a case failed; a missed target is reported, not a failure.
 */
import { loadavg } from 'node:os';
import { prngStream } from '../../src/base/prng.js';
import type { BenchCase, BenchContext } from './case.js';
import { type Choice, choose, USAGE } from './command-line.js';
import { machineFacts } from './machine-facts.js';
import { writePages } from './page-files.js';
import { failure, type Report, type Row, toJson, toTable } from './report.js';
import { subjectExists } from './subject.js';

/** A case that needs longer hangs. */
const CASE_LIMIT_MS = 10 * 60_000;

/** The rows of one case, or the row of its failure: an exception, or no end within the limit. */
async function rowsOf(measured: BenchCase, context: BenchContext): Promise<Row[]> {
  let limit: NodeJS.Timeout | undefined;
  const hung = new Promise<never>((_, reject) => {
    // Also keeps the process alive while a contestant holds nothing that does.
    limit = setTimeout(() => reject(new Error(`no end within ${CASE_LIMIT_MS / 1000} s`)), CASE_LIMIT_MS);
  });
  try {
    return await Promise.race([measured.rows(context), hung]);
  } catch (error) {
    return [failure(measured.group, error)];
  } finally {
    clearTimeout(limit);
  }
}

async function measure({ chosen, rounds, sampleMs, part }: Choice): Promise<Report> {
  const machine = machineFacts();
  const measurement = { rounds, loadAverage: loadavg()[0] };
  const prng = prngStream(Date.now() | 0, 'order of contestants');
  const context: BenchContext = { rounds, sampleMs, part, prng, subject: subjectExists() };
  if (!context.subject) complain('the library is not built; measuring the baselines alone');
  const rows: Row[] = [];
  for (const measured of chosen) {
    complain(`${measured.group}: ${measured.title}`);
    rows.push(...(await rowsOf(measured, context)));
  }
  return { schemaVersion: 1, machine, measurement, cases: rows };
}

async function bench(choice: Choice): Promise<number> {
  const report = await measure(choice);
  await print(choice.json ? toJson(report) : toTable(report));
  if (report.cases.some(({ status }) => status === 'failed')) return 1;
  if (!choice.write) return 0;
  for (const path of writePages(report)) complain(`written: ${path}`);
  return 0;
}

function print(text: string): Promise<void> {
  return new Promise((resolve) => process.stdout.write(text, () => resolve()));
}

function complain(text: string): void {
  process.stderr.write(`bench: ${text}\n`);
}

async function main(args: string[]): Promise<number> {
  let choice: Choice;
  try {
    choice = choose(args);
  } catch (error) {
    complain(`${(error as Error).message}\n\n${USAGE}`);
    return 1;
  }
  if (!choice.help) return bench(choice);
  await print(USAGE);
  return 0;
}

// A contestant that hung would keep the process: end it.
process.exit(await main(process.argv.slice(2)));
