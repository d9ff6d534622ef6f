/** One operation with its options, checked once: run on inputs, on many at once, on the spot, or as a stream. */
import { Duplex } from 'node:stream';
import { err, type Result, ResultAsync } from 'neverthrow';
import type { WdError } from '../src/base/errors.js';
import { type BatchOutput, gathered } from './batch.js';
import type { Settle } from './call.js';
import type { CtxDirectory } from './ctx-directory.js';
import { WdFailure } from './failures.js';
import type { Input } from './input.js';
import { type CallOptions, wrongRunOptions } from './options.js';
import type { WdOutput } from './output.js';
import { duplexOf } from './piece-duplex.js';
import { compressPieces, decompressPieces, type PieceParts, type PieceResult } from './piece-streams.js';
import type { Prepared } from './prepared.js';
import type { Starter } from './starter.js';

/** What one run of a session takes besides its input. */
export type RunOptions = { readonly [Name in keyof CallOptions]?: NonNullable<CallOptions[Name]> };

/** What a session works with. */
export interface SessionParts {
  readonly starter: Starter;
  readonly directory: CtxDirectory;
  readonly pieces: () => Result<PieceParts, WdError>;
}

/** Made by `Pool.session`. It holds nothing that needs closing. */
export class Session {
  readonly #prepared: Prepared;
  readonly #parts: SessionParts;

  /** @internal */
  constructor(prepared: Prepared, parts: SessionParts) {
    this.#prepared = prepared;
    this.#parts = parts;
  }

  /** Runs the operation on `input`. Errors: as `Pool.compress`. */
  run(input: Input, options?: RunOptions): ResultAsync<WdOutput, WdError> {
    return new ResultAsync(new Promise((settle) => this.#start(input, options, settle)));
  }

  /** The same on the calling thread, in software, before it returns. */
  sync(input: Input): Result<WdOutput, WdError> {
    return this.#parts.starter.sync(this.#prepared, input);
  }

  /** Runs it on many inputs: results in their order, each for itself; one doorbell for what a queue is given. */
  batch(inputs: readonly Input[], options?: RunOptions): ResultAsync<BatchOutput, WdError> {
    return gathered(inputs, (start) => {
      this.#parts.directory.withOneDoorbell(inputs.length, () => {
        for (const input of inputs) start((settle) => this.#start(input, options, settle));
      });
    });
  }

  #start(input: Input, options: unknown, settle: Settle): void {
    const mistake = wrongRunOptions(options);
    if (mistake !== null) return settle(err(mistake));
    this.#parts.starter.start(this.#prepared, input, options, settle);
  }

  /** A stream of Node: bytes of any length in, bytes out. An error destroys it with a WdFailure that has `error`. */
  nodeStream(): Duplex {
    const parts = this.#parts.pieces();
    const isDecoder = this.#prepared.operation.decode !== undefined;
    return duplexOf((pieces) =>
      dataOf(isDecoder ? decompressPieces(parts, pieces) : compressPieces(parts, pieces)),
    );
  }

  /** The same as a pair of web streams, for `pipeThrough`. */
  webStream(): { readonly readable: ReadableStream; readonly writable: WritableStream } {
    return Duplex.toWeb(this.nodeStream()) as { readable: ReadableStream; writable: WritableStream };
  }
}

async function* dataOf(pieces: AsyncIterable<PieceResult>): AsyncGenerator<Buffer, void, void> {
  for await (const piece of pieces) {
    if (piece.isErr()) throw new WdFailure(piece.error);
    yield piece.value.data;
  }
}
