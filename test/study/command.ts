/**
 * The command of the studies: runs those whose name contains one of the NAMEs, all without one, and prints what was
 * measured, what was due and whether the target was met. Progress goes to stderr.
 *
 * Ends with 1 when an argument is wrong, and when a target is missed.
 */
import { parseArgs } from 'node:util';
import { NS_PER_SECOND } from '../../src/base/units.js';
import { fairPolicy } from '../../src/coproc/policies/fair.js';
import { roundRobinPolicy } from '../../src/coproc/policies/round-robin.js';
import { machineFacts } from '../bench/machine-facts.js';
import { studies } from './index.js';
import { allMet, type Report, toJson, toMarkdown, toText } from './report.js';
import type { Study, StudyScope } from './study.js';

const USAGE = `usage: npm run -s study [-- NAME...] [--json | --markdown] [--quick] [--seconds N]

  NAME         only the studies whose name contains NAME (several: any of them)
  --json       print one JSON object
  --markdown   print sections for docs/studies.md
  --quick      fewer and shorter cases: for a first look
  --seconds N  how long the threaded study compresses, 1 to 600 (10)

studies:
${studies.map(({ name, question }) => `  ${name.padEnd(12)} ${question}`).join('\n')}
`;

const WINDOW_NS = 100 * NS_PER_SECOND;
const QUICK_WINDOW_NS = 30 * NS_PER_SECOND;
const FORMS = ['text', 'json', 'markdown'] as const;

/** Where the command writes. */
export interface Output {
  /** The report, or the help; settles when it is written. */
  print(text: string): Promise<void>;
  /** What goes on, and what is wrong with the arguments. */
  progress(text: string): void;
}

interface Choice {
  readonly chosen: readonly Study[];
  readonly scope: StudyScope;
  readonly form: (typeof FORMS)[number];
  readonly help: boolean;
}

/** Reads the command line; throws with a sentence for the user. */
function choose(args: string[]): Choice {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      markdown: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      seconds: { type: 'string', default: '10' },
      help: { type: 'boolean', default: false },
    },
  });
  for (const part of positionals) {
    if (!studies.some(({ name }) => name.includes(part))) throw new Error(`no study is called ${part}`);
  }
  if (values.json && values.markdown) throw new Error('--json and --markdown exclude each other');
  const seconds = Number(values.seconds);
  if (!Number.isInteger(seconds) || seconds < 1 || seconds > 600) {
    throw new Error(`--seconds takes a whole number from 1 to 600, not ${values.seconds}`);
  }
  const isWanted = ({ name }: Study) =>
    positionals.length === 0 || positionals.some((part) => name.includes(part));
  const { quick, help } = values;
  const windowNs = quick ? QUICK_WINDOW_NS : WINDOW_NS;
  const scope = { windowNs, quick, seconds, roundRobin: roundRobinPolicy, fair: fairPolicy };
  const form = values.json ? 'json' : values.markdown ? 'markdown' : 'text';
  return { chosen: studies.filter(isWanted), scope, form, help };
}

async function run({ chosen, scope, form }: Choice, { print, progress }: Output): Promise<number> {
  const reports: Report[] = [];
  for (const study of chosen) {
    progress(`study: ${study.name}: ${study.question}\n`);
    reports.push({ study, ...(await study.run(scope)) });
  }
  await print(form === 'json' ? toJson(machineFacts(), reports) : textOf(form, reports));
  return allMet(reports) ? 0 : 1;
}

function textOf(form: 'text' | 'markdown', reports: readonly Report[]): string {
  if (form === 'markdown') return reports.map(toMarkdown).join('\n');
  const verdict = allMet(reports) ? 'every target was met' : 'a target was MISSED';
  return `${reports.map(toText).join('\n')}\n${verdict}\n`;
}

/** Runs the command; the exit code. */
export async function command(args: string[], { print, progress }: Output): Promise<number> {
  let choice: Choice;
  try {
    choice = choose(args);
  } catch (error) {
    progress(`study: ${(error as Error).message}\n\n${USAGE}`);
    return 1;
  }
  if (!choice.help) return run(choice, { print, progress });
  await print(USAGE);
  return 0;
}
