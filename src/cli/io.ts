/**
 * What the command needs of the world around it, handed to `main` so that it can be run against another world: the
 * machine, the standard streams, the clock and the signals.
 */
import type { EventEmitter } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import type { ResultAsync } from 'neverthrow';
import type { Pool } from '../../lib/pool.js';
import type { WdError } from '../base/errors.js';

/** The part of a pool that the command uses. */
export type CliPool = Pick<
  Pool,
  'ready' | 'compressStream' | 'decompressStream' | 'describe' | 'counters' | 'close'
>;

/** A standard stream to write to; a terminal says so. */
export type CliOutput = Writable & { readonly isTTY?: boolean };

export interface CliIo {
  /** Starts a machine with a pool on it. */
  readonly open: () => ResultAsync<CliPool, WdError>;
  readonly stdin: Readable;
  readonly stdout: CliOutput;
  readonly stderr: CliOutput;
  /** Directory that relative names are relative to. */
  readonly directory: string;
  /** Emits SIGINT and SIGTERM, and `exit` when the process ends in whatever way. */
  readonly signals: EventEmitter;
  /** A clock that only goes forward, ms. */
  readonly nowMs: () => number;
}

/** Writes `chunk`; ends when the stream has taken it, rejects when it could not. */
export function write(stream: Writable, chunk: Uint8Array | string): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(chunk, (failure) => (failure ? reject(failure) : resolve()));
  });
}
