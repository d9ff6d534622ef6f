/**
 * The work itself: opens the queues, moves the source through the device into the sink, and has node:zlib read the
 * compressed side. Memory is bounded: a piece is read when the device, the verifier and the sink have room.
 */
import type { PoolDescription } from '../../lib/pool-description.js';
import type { Counters } from '../uapi/syscall.js';
import { type CliRequest, libraryFormat } from './arguments.js';
import { CliError, libraryError } from './cli-error.js';
import type { CliIo, CliPool } from './io.js';
import type { Progress } from './progress.js';
import type { Sink } from './sink.js';
import type { Source } from './source.js';
import { Digest, Verifier } from './verify.js';

/** What happened: everything that the report is made of. */
export interface Outcome {
  readonly inputBytes: number;
  readonly outputBytes: number;
  /** From the first byte read to the last one verified. */
  readonly elapsedMs: number;
  /** What the counters moved by while data did. */
  readonly counters: Counters;
  readonly pool: PoolDescription;
  /** Of the uncompressed side, which node:zlib agreed to. */
  readonly sha256: string;
}

interface TransferParts {
  readonly io: CliIo;
  readonly pool: CliPool;
  readonly source: Source;
  readonly sink: Sink;
  readonly progress: Progress;
}

/** Does what `request` says, up to the point where the sink can be committed. Throws CliError. */
export async function transfer(request: CliRequest, parts: TransferParts): Promise<Outcome> {
  const { pool, io } = parts;
  const options = libraryOptions(request);
  // Opening the queues is all system calls; none may be left for the time when data moves.
  const ready = await pool.ready({ op: request.operation, ...options });
  if (ready.isErr()) throw libraryError(ready.error, parts.source.name);
  const before = pool.counters();
  const startMs = io.nowMs();
  const flow = new Flow(request, parts);
  const pieces =
    request.operation === 'compress'
      ? pool.compressStream(flow.input(), options)
      : pool.decompressStream(flow.input(), options);
  for await (const piece of pieces) {
    if (piece.isErr()) throw flow.sourceFailure ?? libraryError(piece.error, parts.source.name);
    await flow.output(piece.value);
  }
  if (flow.sourceFailure !== null) throw flow.sourceFailure;
  const counters = difference(pool.counters(), before);
  const sums = await flow.verified();
  return { ...sums, counters, elapsedMs: io.nowMs() - startMs, pool: await pool.describe() };
}

type LibraryOptions = Parameters<CliPool['compressStream']>[1] & {
  readonly format?: 'gzip' | 'deflate' | 'deflate-raw';
};

function libraryOptions({ format, level }: CliRequest): LibraryOptions {
  return {
    route: 'device',
    ...(format === 'auto' ? {} : { format: libraryFormat[format] }),
    ...(level === null ? {} : { level }),
  };
}

/** Both ends of the stream, with what is measured and compared at them. */
class Flow {
  /** Why the source ended early: the library would call it a failure of its own. */
  sourceFailure: CliError | null = null;
  readonly #request: CliRequest;
  readonly #parts: TransferParts;
  readonly #read = new Digest();
  readonly #written = new Digest();
  readonly #verifier: Verifier;

  constructor(request: CliRequest, parts: TransferParts) {
    this.#request = request;
    this.#parts = parts;
    this.#verifier = new Verifier(request.format);
  }

  async *input(): AsyncGenerator<Uint8Array, void, void> {
    const { source, progress } = this.#parts;
    try {
      for await (const piece of source.pieces()) {
        this.#read.update(piece);
        progress.at(this.#read.bytes);
        if (!this.#compressing) await this.#verifier.take(piece);
        yield piece;
      }
    } catch (failure) {
      if (failure instanceof CliError) this.sourceFailure = failure;
      throw failure;
    }
  }

  async output({ data, via }: { data: Uint8Array; via: { path: string; reason: string } }): Promise<void> {
    if (via.path !== 'device') {
      throw new CliError(`a block was done by ${via.path}, not by the device (${via.reason}); run it again`);
    }
    this.#written.update(data);
    if (this.#compressing) await this.#verifier.take(data);
    await this.#parts.sink.write(data);
  }

  /** Compares with node:zlib. Throws CliError when it does not agree. */
  async verified(): Promise<{ inputBytes: number; outputBytes: number; sha256: string }> {
    const sha256 = (this.#compressing ? this.#read : this.#written).sha256();
    const reading = await this.#verifier.reading();
    if ('failure' in reading) throw disagreement(`node:zlib cannot read it (${reading.failure})`);
    if (reading.sha256 !== sha256) throw disagreement('node:zlib reads something else');
    return { inputBytes: this.#read.bytes, outputBytes: this.#written.bytes, sha256 };
  }

  get #compressing(): boolean {
    return this.#request.operation === 'compress';
  }
}

function disagreement(how: string): CliError {
  return new CliError(`the result is wrong: ${how}; do not use it, and report this with the input`);
}

function difference(after: Counters, before: Counters): Counters {
  return {
    syscalls: after.syscalls - before.syscalls,
    pageRequests: after.pageRequests - before.pageRequests,
    wakeups: after.wakeups - before.wakeups,
    ticks: after.ticks - before.ticks,
  };
}
