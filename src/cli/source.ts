/**
 * Where the bytes come from: a file, or standard input (the sample is in sample.ts). Opened before the machine is started, so that
 * a wrong name costs nothing; read piece by piece, so that the input may be larger than memory.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { KiB } from '../base/units.js';
import { CliError, fileError, showPath } from './cli-error.js';
import type { CliIo } from './io.js';

/** Bytes to work on, once. */
export interface Source {
  /** For people: a path or what it is. */
  readonly name: string;
  /** Null when nobody knows: a pipe, a device. */
  readonly totalBytes: number | null;
  /** Identity of the file, to tell whether the output is the same one. */
  readonly file: { readonly dev: number; readonly ino: number } | null;
  /** The pieces. Throws CliError when they cannot be read. */
  pieces(): AsyncIterable<Uint8Array>;
  /** Closes what was opened, read or not. */
  close(): Promise<void>;
}

/** Bytes that are read at once. */
export const READ_BYTES = 512 * KiB;

/** Opens what the user named: a path, or `-` for standard input. Throws CliError. */
export function openSource(input: string, io: CliIo): Promise<Source> {
  if (input === '-') return Promise.resolve(standardInput(io));
  return openFile(input, io.directory);
}

function standardInput({ stdin }: CliIo): Source {
  return {
    name: 'standard input',
    totalBytes: null,
    file: null,
    pieces: () => readable(stdin, 'standard input'),
    close: async () => {},
  };
}

async function openFile(path: string, directory: string): Promise<Source> {
  const handle = await open(resolve(directory, path), 'r').catch((failure: unknown) => {
    throw fileError(failure, { verb: 'read', path });
  });
  const stats = await handle.stat();
  if (stats.isDirectory()) {
    await handle.close();
    throw new CliError(`cannot read ${showPath(path)}: it is a directory; name a file`);
  }
  return {
    name: showPath(path),
    // Files of /proc say 0 and have content.
    totalBytes: stats.isFile() && stats.size > 0 ? stats.size : null,
    file: { dev: stats.dev, ino: stats.ino },
    pieces: () => readable(stream(handle), path),
    close: () => handle.close(),
  };
}

function stream(handle: FileHandle): AsyncIterable<Uint8Array> {
  return handle.createReadStream({ highWaterMark: READ_BYTES });
}

/** The pieces of a stream, its failures as sentences about `path`. */
export async function* readable(
  stream: AsyncIterable<Uint8Array>,
  path: string,
): AsyncGenerator<Uint8Array, void, void> {
  try {
    yield* stream;
  } catch (failure) {
    throw fileError(failure, { verb: 'read', path });
  }
}
