/**
 * The benchmark's command: measures the cases whose group contains one of the NAMEs, all without one, and prints a
 * table, or with --json one JSON object (report.ts). Progress goes to stderr.
 *
 * Ends with 1 when an argument is wrong or a case failed; a missed target is reported, not a failure.
 */
import { parseArgs } from 'node:util';
import { prngStream } from '../../src/base/prng.js';
import type { BenchCase, BenchContext } from './case.js';
import { cases } from './cases/index.js';
import { machineFacts } from './machine-facts.js';
import { failure, type Row, toJson, toTable } from './report.js';
import { subjectExists } from './subject.js';

const USAGE = `usage: node dist/test/bench/main.js [NAME...] [--json] [--quick] [--rounds N]

  NAME        only the cases whose name contains NAME (several: any of them)
  --json      print one JSON object instead of a table
  --quick     3 short rounds: for a first look, not for a claim
  --rounds N  samples of each contestant, 1 to 1000 (7)

cases:
${cases.map(({ group, title }) => `  ${group.padEnd(18)} ${title}`).join('\n')}
`;

/** A case that needs longer hangs. */
const CASE_LIMIT_MS = 10 * 60_000;

interface Choice {
  readonly chosen: readonly BenchCase[];
  readonly rounds: number;
  readonly sampleMs: number;
  readonly json: boolean;
  readonly help: boolean;
}

/** Reads the command line; throws with a sentence for the user. */
function choose(args: string[]): Choice {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  for (const name of positionals) {
    if (!cases.some(({ group }) => group.includes(name))) throw new Error(`no case is called ${name}`);
  }
  const rounds = Number(values.rounds ?? (values.quick ? 3 : 7));
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 1000) {
    throw new Error(`--rounds takes a whole number from 1 to 1000, not ${values.rounds}`);
  }
  const wanted = (group: string) =>
    positionals.length === 0 || positionals.some((name) => group.includes(name));
  const chosen = cases.filter(({ group }) => wanted(group));
  return { chosen, rounds, sampleMs: values.quick ? 150 : 400, json: values.json, help: values.help };
}

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

async function bench(choice: Choice): Promise<number> {
  const machine = machineFacts();
  const prng = prngStream(Date.now() | 0, 'order of contestants');
  const context = { rounds: choice.rounds, sampleMs: choice.sampleMs, prng, subject: subjectExists() };
  if (!context.subject)
    process.stderr.write('bench: the library is not built; measuring the baselines alone\n');
  const rows: Row[] = [];
  for (const measured of choice.chosen) {
    process.stderr.write(`bench: ${measured.group}: ${measured.title}\n`);
    rows.push(...(await rowsOf(measured, context)));
  }
  await print(choice.json ? toJson(machine, rows) : toTable(machine, rows));
  return rows.some(({ status }) => status === 'failed') ? 1 : 0;
}

function print(text: string): Promise<void> {
  return new Promise((resolve) => process.stdout.write(text, () => resolve()));
}

async function main(args: string[]): Promise<number> {
  let choice: Choice;
  try {
    choice = choose(args);
  } catch (error) {
    process.stderr.write(`bench: ${(error as Error).message}\n\n${USAGE}`);
    return 1;
  }
  if (!choice.help) return bench(choice);
  await print(USAGE);
  return 0;
}

// A contestant that hung would keep the process: end it.
process.exit(await main(process.argv.slice(2)));
