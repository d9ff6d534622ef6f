/**
 * The command line: what it may say, its help, and its mistakes. A mistake is a CliError; `--help` and `--version`
 * are an answer of their own, already printed.
 */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { CliError } from './cli-error.js';
import type { CliOutput } from './io.js';
import { packageVersion } from './package-root.js';

/** Containers as the command names them, and as the library does. */
export const libraryFormat = { gzip: 'gzip', zlib: 'deflate', deflate: 'deflate-raw' } as const;
type Format = keyof typeof libraryFormat;

/** What the user asked for, checked. */
export interface CliRequest {
  readonly operation: 'compress' | 'decompress';
  /** A path, `-` for standard input, null for the sample. */
  readonly input: string | null;
  /** A path, `-` for standard output, null for nowhere. */
  readonly output: string | null;
  /** `auto`, for decompressing only: gzip or zlib by the first bytes. */
  readonly format: Format | 'auto';
  /** Null when decompressing. */
  readonly level: number | null;
  readonly json: boolean;
}

interface Flags {
  readonly output?: string;
  readonly format?: Format;
  readonly level?: number;
  readonly decompress?: true;
  readonly json?: true;
}

const LEVEL_DEFAULT = 6;

const EXAMPLES = `
Without FILE it compresses source text of this package. With FILE alone it measures
and verifies, and writes nothing. The work always goes to the device, never to software,
and node:zlib reads every result back.

Examples:
  wd access.log                      how small, how fast, on which queues
  wd access.log -o access.log.gz     and keep the result
  wd -d access.log.gz -o access.log  back again
  tar c . | wd - > all.tar.gz        from a pipe into a file; the report is on stderr
`;

/** Reads the arguments; null when they only asked for help or the version, which has been printed on `stdout`. */
export function readArguments(argv: readonly string[], stdout: CliOutput): CliRequest | null {
  const command = declare(stdout);
  try {
    command.parse(argv, { from: 'user' });
  } catch (failure) {
    if (!(failure instanceof CommanderError)) throw failure;
    if (failure.exitCode === 0) return null;
    throw mistake(
      failure.message
        .replace(/^error: /, '')
        .replace(/\.?\n/g, ' ')
        .trim(),
    );
  }
  return decide(command.args[0] ?? null, command.opts<Flags>());
}

function declare(stdout: CliOutput): Command {
  return new Command('wd')
    .description('Compresses on a simulated accelerator, through queues in shared memory.')
    .argument('[file]', 'what to compress; - is standard input')
    .addOption(new Option('-o, --output <file>', 'write the result there; - is standard output'))
    .addOption(new Option('--format <format>', 'container').choices(Object.keys(libraryFormat)))
    .addOption(
      new Option('--level <0..9>', `0 stores, 9 is smallest (default: ${LEVEL_DEFAULT})`).argParser(level),
    )
    .option('-d, --decompress', 'decompress instead; gzip or zlib is recognized')
    .option('--json', 'report as one JSON object')
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this')
    .addHelpText('after', EXAMPLES)
    .configureOutput({ writeOut: (text) => stdout.write(text), writeErr: () => {} })
    .exitOverride();
}

function level(text: string): number {
  if (/^[0-9]$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a whole number from 0 to 9.');
}

function decide(input: string | null, flags: Flags): CliRequest {
  if (input === '') throw mistake('FILE is an empty name');
  if (flags.output === '') throw mistake('-o has an empty name');
  const shared = { input, output: flags.output ?? (input === '-' ? '-' : null), json: flags.json === true };
  if (flags.decompress !== true) {
    return {
      ...shared,
      operation: 'compress',
      format: flags.format ?? 'gzip',
      level: flags.level ?? LEVEL_DEFAULT,
    };
  }
  if (input === null) throw mistake('--decompress needs a FILE, or - for standard input');
  if (flags.level !== undefined)
    throw mistake('--level says how to compress; leave it out with --decompress');
  return { ...shared, operation: 'decompress', format: flags.format ?? 'auto', level: null };
}

function mistake(what: string): CliError {
  return new CliError(`${what.replace(/\.$/, '')}; see wd --help`);
}
