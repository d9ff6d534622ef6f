/**
 * The `wd` command: reads its arguments, runs, reports, and answers the exit code. Data and the report never share a
 * stream: when the result goes to standard output, the report goes to standard error.
 *
 * Exit codes: 0 done and verified; 1 anything wrong, with one line on standard error; 128 + n ended by signal n, as
 * shells count: 130 SIGINT, 143 SIGTERM, and 141 when the reader of the result went away.
 */
import { type CliRequest, readArguments } from './arguments.js';
import { CliError, OutputClosed } from './cli-error.js';
import { type CliIo, write } from './io.js';
import { humanReport, jsonReport, type Reported } from './report.js';
import { run, type Undo } from './run.js';

/** Signals that end the command in an orderly way, and the exit codes that stand for them. */
export const SIGNAL_CODES = { SIGINT: 130, SIGTERM: 143 } as const;
const PIPE_CODE = 141;

/** Runs the command; `argv` without the names of node and the program. Answers the exit code, never rejects. */
export async function main(argv: readonly string[], io: CliIo): Promise<number> {
  // A reader that goes away is seen where something is written to it.
  for (const stream of [io.stdout, io.stderr]) stream.on('error', () => {});
  try {
    const request = readArguments(argv, io.stdout);
    return request === null ? 0 : await untilSignal(request, io);
  } catch (failure) {
    if (failure instanceof OutputClosed) return PIPE_CODE;
    await say(io.stderr, `wd: ${sentence(failure)}\n`);
    return 1;
  }
}

/** Runs until the end or the first signal: what was opened is taken back before the answer. */
async function untilSignal(request: CliRequest, io: CliIo): Promise<number> {
  const undo: Undo = [];
  const takeBack = (): void => {
    for (const step of undo.splice(0)) step();
  };
  const stops = [listen(io, 'exit', takeBack)];
  const interrupted = new Promise<number>((resolve) => {
    for (const [signal, code] of Object.entries(SIGNAL_CODES)) {
      stops.push(listen(io, signal, () => resolve(code)));
    }
  });
  try {
    return await Promise.race([complete(request, io, undo), interrupted]);
  } finally {
    takeBack();
    for (const stop of stops) stop();
  }
}

/** Answers what stops the listening. */
function listen({ signals }: CliIo, event: string, handler: () => void): () => void {
  signals.once(event, handler);
  return () => signals.off(event, handler);
}

async function complete(request: CliRequest, io: CliIo, undo: Undo): Promise<number> {
  const reported = await run(request, { io, undo });
  await report(reported, io);
  return 0;
}

async function report(reported: Reported, io: CliIo): Promise<void> {
  const { output, json } = reported.request;
  const stream = output === '-' ? io.stderr : io.stdout;
  await say(stream, json ? jsonReport(reported) : humanReport(reported, stream.isTTY === true));
}

/** The work is done by now; whether somebody still listens does not change how it went. */
async function say(stream: CliIo['stdout'], text: string): Promise<void> {
  await write(stream, text).catch(() => {});
}

/** A failure as one line. What is no CliError is a mistake of this program. */
function sentence(failure: unknown): string {
  if (failure instanceof CliError) return oneLine(failure.message);
  const what = failure instanceof Error ? failure.message : String(failure);
  return `something unforeseen went wrong, please report it: ${oneLine(what)}`;
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, ' ');
}
