/**
 * Options of `open` that come from the environment of the program: for those who run a program and did not write it. An
 * option that the program gives wins, and its variable is not looked at; an empty variable is not there. The
 * environment is handed in; only the entry points know the real one.
 */
import { err, ok, type Result } from 'neverthrow';
import { type InvalidArgument, invalidArgument } from '../src/base/errors.js';
import { limits } from '../src/base/limits.js';
import { GiB, KiB, MiB } from '../src/base/units.js';
import type { OpenOptions } from './open-options.js';
import { WHEN_BUSY, wrongChoice } from './options.js';

/** Variables by name, as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** How the text of a variable becomes an option. */
type Read = (variable: string, text: string) => Result<string | number, InvalidArgument>;

interface Variable {
  readonly name: string;
  readonly option: keyof OpenOptions;
  readonly read: Read;
}

const BYTE_UNITS: Readonly<Record<string, number>> = { '': 1, K: KiB, M: MiB, G: GiB };

const VARIABLES: readonly Variable[] = [
  { name: 'WD_ENGINES', option: 'engines', read: readEngines },
  { name: 'WD_MEMORY', option: 'memoryBytes', read: readMemory },
  { name: 'WD_WHEN_BUSY', option: 'whenBusy', read: readWhenBusy },
];

/**
 * `given` (checked) with what `environment` says about everything else. Error: InvalidArgument whose argument is the name
 * of the variable, and whose value is its text.
 */
export function withEnvironment(
  given: OpenOptions,
  environment: Environment,
): Result<OpenOptions, InvalidArgument> {
  const options: Record<string, unknown> = { ...given };
  for (const { name, option, read } of VARIABLES) {
    const text = environment[name];
    if (given[option] !== undefined || text === undefined || text === '') continue;
    const value = read(name, text);
    if (value.isErr()) return err(value.error);
    options[option] = value.value;
  }
  return ok(options);
}

function readEngines(variable: string, text: string): Result<number, InvalidArgument> {
  const engines = /^\d+$/.test(text) ? Number(text) : null;
  if (engines !== null && engines >= 1 && engines <= limits.ENGINES_MAX) return ok(engines);
  const expected = `a whole number from 1 to ${limits.ENGINES_MAX}`;
  return err(invalidArgument({ argument: variable, value: text, expected, code: codeOf(engines) }));
}

function readMemory(variable: string, text: string): Result<number, InvalidArgument> {
  const [, digits, unit = ''] = /^(\d+)([KMG]?)$/i.exec(text) ?? [];
  const bytes = digits === undefined ? null : Number(digits) * BYTE_UNITS[unit.toUpperCase()]!;
  const { MEMORY_BYTES_MIN: least, MEMORY_BYTES_MAX: most } = limits;
  if (bytes !== null && bytes >= least && bytes <= most && bytes % MiB === 0) return ok(bytes);
  const expected = `a number of bytes from ${least / MiB}M to ${most / MiB}M in whole mebibytes, with K, M or G for its unit if you like`;
  return err(invalidArgument({ argument: variable, value: text, expected, code: codeOf(bytes) }));
}

function readWhenBusy(variable: string, text: string): Result<string, InvalidArgument> {
  const mistake = wrongChoice(variable, text, WHEN_BUSY);
  return mistake === null ? ok(text) : err(mistake);
}

/** What is wrong about a value: a number is out of range, anything else is none. */
function codeOf(value: number | null): string {
  return value !== null ? 'ERR_OUT_OF_RANGE' : 'ERR_INVALID_ARG_VALUE';
}
