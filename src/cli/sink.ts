/**
 * Where the result goes: nowhere, standard output, or a file. A file appears under its name only when it is
 * complete and verified: until `commit` it is a temporary file beside it, and `discard` removes that at once.
 */

import { randomBytes } from 'node:crypto';
import {
  createWriteStream,
  fchmodSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { CliError, fileError, OutputClosed, showPath } from './cli-error.js';
import { type CliIo, write } from './io.js';
import type { Source } from './source.js';

/** Takes the result; either committed or discarded, once. */
export interface Sink {
  /** For people: a path; null when nothing is kept. */
  readonly name: string | null;
  /** Rejects with CliError, or OutputClosed when the reader went away. */
  write(piece: Uint8Array): Promise<void>;
  /** Makes the result appear. Rejects with CliError. */
  commit(): Promise<void>;
  /** Takes back what can be taken back; synchronous, because a signal may end the program right after. */
  discard(): void;
}

const ignore = (): void => {};
const NOWHERE: Sink = { name: null, write: async () => {}, commit: async () => {}, discard: ignore };

/** Opens what the user named; `source` must not be the same file. Throws CliError. */
export function openSink(output: string | null, { io, source }: { io: CliIo; source: Source }): Sink {
  if (output === null) return NOWHERE;
  if (output === '-') return streamSink(io.stdout, { name: 'standard output', commit: async () => {} });
  try {
    return openFile(output, { path: resolve(io.directory, output), source });
  } catch (failure) {
    throw explained(failure, output);
  }
}

function openFile(output: string, { path, source }: { path: string; source: Source }): Sink {
  const there = statSync(path, { throwIfNoEntry: false });
  if (there === undefined) return temporarySink(output, { path, mode: null });
  refuse(output, { there, source });
  // A pipe or a device, like /dev/null, is written to; to replace it would be a surprise.
  if (!there.isFile()) return directSink(output, path);
  return temporarySink(output, { path: realpathSync(path), mode: there.mode & 0o7777 });
}

function refuse(output: string, { there, source }: { there: Stats; source: Source }): void {
  if (there.isDirectory()) {
    throw new CliError(`cannot write ${showPath(output)}: it is a directory; name a file in it`);
  }
  if (!there.isFile() || there.dev !== source.file?.dev || there.ino !== source.file.ino) return;
  throw new CliError(`cannot write ${showPath(output)}: it is the input itself; name another file with -o`);
}

function temporarySink(output: string, target: { path: string; mode: number | null }): Sink {
  const temporary = join(dirname(target.path), `.wd-${randomBytes(6).toString('hex')}.tmp`);
  // Opened at once rather than by a thread: a signal must find the file there, or nothing.
  const fd = openSync(temporary, 'wx');
  const stream = createWriteStream(temporary, { fd, flush: true });
  const discard = (): void => {
    stream.destroy();
    rmSync(temporary, { force: true });
  };
  if (target.mode !== null) fchmodSync(fd, target.mode);
  const commit = async (): Promise<void> => {
    await ended(stream);
    renameSync(temporary, target.path);
  };
  return { ...streamSink(stream, { name: output, commit }), discard };
}

function directSink(output: string, path: string): Sink {
  const stream = createWriteStream(path);
  return streamSink(stream, { name: output, commit: () => ended(stream) });
}

function streamSink(stream: Writable, { name, commit }: { name: string; commit: () => Promise<void> }): Sink {
  // Failures are seen where something is written.
  stream.on('error', ignore);
  const fail = (failure: unknown): never => {
    throw explained(failure, name);
  };
  return {
    name: showPath(name),
    write: (piece) => write(stream, piece).catch(fail),
    commit: () => commit().catch(fail),
    discard: ignore,
  };
}

async function ended(stream: Writable): Promise<void> {
  stream.end();
  await finished(stream);
}

function explained(failure: unknown, path: string): CliError {
  const { code } = failure as NodeJS.ErrnoException;
  if (code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED') return new OutputClosed('the reader went away');
  if (code !== 'ENOENT' && code !== 'ENOTDIR') return fileError(failure, { verb: 'write', path });
  const folder = showPath(dirname(path));
  return new CliError(`cannot write ${showPath(path)}: there is no directory ${folder}; create it first`);
}
