/** The command line of the benchmark: what there is, and what was asked for. */
import { parseArgs } from 'node:util';
import type { BenchCase } from './case.js';
import { cases } from './cases/index.js';

/** What `--help` prints, and a wrong argument. */
export const USAGE = `usage: npm run bench -- [NAME...] [--quick | --smoke] [--rounds N] [--json | --write]

  NAME        only the cases whose name contains NAME (several: any of them)
  --json      print one JSON object instead of a table
  --write     also write docs/performance.* and the figures of README.md: all cases, and none may fail
  --quick     3 short rounds: for a first look, not for a claim
  --smoke     1 round of very little: does every case work? its figures mean nothing
  --rounds N  samples of each contestant, 1 to 1000 (7)

cases:
${cases.map(({ group, title }) => `  ${group.padEnd(18)} ${title}`).join('\n')}
`;

/** How much is measured. */
interface Effort {
  readonly rounds: number;
  readonly sampleMs: number;
  /** See BenchContext. */
  readonly part: number;
}

const FULL: Effort = { rounds: 7, sampleMs: 400, part: 1 };
const QUICK: Effort = { rounds: 3, sampleMs: 150, part: 1 };
const SMOKE: Effort = { rounds: 1, sampleMs: 10, part: 1 / 64 };

/** What was asked for. */
export interface Choice extends Effort {
  readonly chosen: readonly BenchCase[];
  readonly json: boolean;
  readonly write: boolean;
  readonly help: boolean;
}

function parse(args: string[]) {
  return parseArgs({
    args,
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      write: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      smoke: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
}

function roundsOf(text: string): number {
  const rounds = Number(text);
  if (Number.isInteger(rounds) && rounds >= 1 && rounds <= 1000) return rounds;
  throw new Error(`--rounds takes a whole number from 1 to 1000, not ${text}`);
}

function casesOf(names: readonly string[]): BenchCase[] {
  for (const name of names) {
    if (!cases.some(({ group }) => group.includes(name))) throw new Error(`no case is called ${name}`);
  }
  return cases.filter(({ group }) => names.length === 0 || names.some((name) => group.includes(name)));
}

/** Reads the command line; throws with a sentence for the user. */
export function choose(args: string[]): Choice {
  const { values, positionals } = parse(args);
  const { json, write, help, quick, smoke } = values;
  if (quick && smoke) throw new Error('--quick and --smoke: one of them');
  if (write && (smoke || positionals.length > 0)) {
    throw new Error('--write takes all cases in earnest: no NAME, no --smoke');
  }
  const effort = smoke ? SMOKE : quick ? QUICK : FULL;
  const rounds = values.rounds === undefined ? effort.rounds : roundsOf(values.rounds);
  return { ...effort, rounds, chosen: casesOf(positionals), json, write, help };
}
