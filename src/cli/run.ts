/**
 * One request from start to end: opens the source, the sink and the machine, in this order so that a wrong name
 * costs nothing, moves the data, and gives everything back whatever happens.
 */
import type { CliRequest } from './arguments.js';
import { CliError, libraryError } from './cli-error.js';
import type { CliIo, CliPool } from './io.js';
import { Progress } from './progress.js';
import type { Reported } from './report.js';
import { openSample } from './sample.js';
import { openSink, type Sink } from './sink.js';
import { openSource, type Source } from './source.js';
import { type Outcome, transfer } from './transfer.js';

/** What must be taken back at once when the program ends, by itself or not; filled as things are opened. */
export type Undo = (() => void)[];

/** Does what `request` says. Throws CliError; then no file has appeared under the output's name. */
export async function run(request: CliRequest, { io, undo }: { io: CliIo; undo: Undo }): Promise<Reported> {
  refuseTerminal(request, io);
  const source = await (request.input === null ? openSample() : openSource(request.input, io));
  try {
    const sink = openSink(request.output, { io, source });
    undo.push(sink.discard);
    const outcome = await intoSink(request, { io, undo, source, sink });
    return { request, input: source.name, output: sink.name, outcome };
  } finally {
    await source.close();
  }
}

interface Ends {
  readonly io: CliIo;
  readonly undo: Undo;
  readonly source: Source;
  readonly sink: Sink;
}

async function intoSink(request: CliRequest, ends: Ends): Promise<Outcome> {
  try {
    return await onMachine(request, ends);
  } catch (failure) {
    ends.sink.discard();
    throw failure;
  }
}

async function onMachine(request: CliRequest, { io, undo, source, sink }: Ends): Promise<Outcome> {
  const opened = await io.open();
  if (opened.isErr()) throw libraryError(opened.error, source.name);
  const progress = new Progress(io, source.totalBytes);
  undo.push(() => progress.clear());
  try {
    const outcome = await transfer(request, { io, pool: opened.value, source, sink, progress });
    await sink.commit();
    return outcome;
  } finally {
    progress.clear();
    await close(opened.value);
  }
}

/** Nothing depends on how the machine ends: the result is complete, or has failed for a reason of its own. */
async function close(pool: CliPool): Promise<void> {
  (await pool.close()).unwrapOr(undefined);
}

function refuseTerminal({ operation, output }: CliRequest, { stdout }: CliIo): void {
  if (operation !== 'compress' || output !== '-' || stdout.isTTY !== true) return;
  throw new CliError('compressed data would go to the terminal; redirect it, or name a file with -o');
}
