/**
 * Deflate on node's public one-shot calls: what a Node with other internals gets. Slower, and right.
 *
 * Input is kept until a flush and compressed then in one call; each later piece has the history before it as its
 * dictionary. A piece ends on a byte boundary, so pieces follow one another without more ado. `none` and `block`
 * deliver nothing, which both allow, and `partial` is answered with the stronger `sync`. A change of the coding
 * ends the piece before it. Without flushes the
 * bytes equal those of the handle; with them they may differ and decode to the same. Memory grows with the input
 * between two flushes.
 */
import { deflateRawSync } from 'node:zlib';
import { Backlog } from './codec-backlog.js';
import {
  type DeflateEngine,
  type DeflateOptions,
  type DeflateParams,
  type FlushKind,
  flushKinds,
  flushRank,
} from './codec-types.js';

const NO_INPUT = new Uint8Array(0);

export class PublicDeflate implements DeflateEngine {
  consumed = 0;
  produced = 0;
  outputFull = false;
  ended = false;
  #options: DeflateOptions;
  #nextParams: DeflateParams | null = null;
  readonly #windowBytes: number;
  readonly #dictionary: Uint8Array;
  readonly #backlog = new Backlog(0);
  #pieces: Uint8Array[] = [];
  #history: Uint8Array;
  #finished = false;
  #settledRank = -1;
  #closed = false;

  /** Opens a stream; throws a RangeError of node for options out of range. */
  constructor(options: DeflateOptions) {
    this.#options = options;
    this.#windowBytes = 2 ** Math.max(9, options.windowBits);
    this.#dictionary = Uint8Array.from(options.dictionary ?? []);
    this.#history = this.#dictionary;
    this.#deflate(new Uint8Array(0), 'finish'); // For its refusal of options out of range.
  }

  write(input: Uint8Array, output: Uint8Array, flush: FlushKind): void {
    this.#assertOpen();
    this.consumed = 0;
    this.produced = this.#backlog.drainTo(output);
    if (this.#finished && input.length > 0)
      throw new Error('broken invariant: a finished stream takes no input');
    if (this.#backlog.length === 0 && this.#nextParams !== null) this.#recode(output);
    const settled = this.#finished || (input.length === 0 && flushRank(flush) <= this.#settledRank);
    if (this.#backlog.length === 0 && !settled) {
      this.#advance(input, flush);
      this.#deliver(output);
    }
    this.outputFull = this.#backlog.length > 0;
    this.ended = this.#finished && !this.outputFull;
  }

  writeToEnd(input: Uint8Array, output: Uint8Array, flush: FlushKind): void {
    this.write(input, output, flush);
  }

  params(level: number, strategy: number): void {
    this.#assertOpen();
    this.#nextParams = { level, strategy };
  }

  writeWhole(input: Uint8Array, output: Uint8Array): number {
    this.write(input, output, 'finish');
    return this.ended ? this.produced : -1;
  }

  reset(): void {
    this.#assertOpen();
    this.#backlog.clear();
    this.#pieces = [];
    this.#options = { ...this.#options, ...this.#nextParams };
    this.#nextParams = null;
    this.#history = this.#dictionary;
    this.#finished = false;
    this.#settledRank = -1;
    this.consumed = 0;
    this.produced = 0;
    this.outputFull = false;
    this.ended = false;
  }

  close(): void {
    this.#closed = true;
  }

  #deliver(output: Uint8Array): void {
    this.produced += this.#backlog.drainTo(output.subarray(this.produced));
  }

  #recode(output: Uint8Array): void {
    if (this.#pieces.length > 0) {
      this.#advance(NO_INPUT, 'sync');
      this.#deliver(output);
    }
    this.#options = { ...this.#options, ...this.#nextParams };
    this.#nextParams = null;
  }

  #advance(input: Uint8Array, flush: FlushKind): void {
    this.consumed = input.length;
    if (input.length > 0) this.#pieces.push(Uint8Array.from(input));
    this.#settledRank = flushRank(flush);
    if (flush === 'none' || flush === 'block') return;
    const piece = Buffer.concat(this.#pieces);
    this.#pieces = [];
    this.#backlog.load(this.#deflate(piece, flush));
    this.#history =
      flush === 'full'
        ? new Uint8Array(0)
        : Buffer.concat([this.#history, piece].map((bytes) => bytes.subarray(-this.#windowBytes)));
    this.#finished = flush === 'finish';
  }

  #deflate(piece: Uint8Array, flush: FlushKind): Uint8Array {
    const { level, windowBits, memLevel, strategy } = this.#options;
    const dictionary = this.#history.length > 0 ? this.#history : undefined;
    const finishFlush = flush === 'partial' ? flushKinds.sync : flushKinds[flush];
    return deflateRawSync(piece, { level, windowBits, memLevel, strategy, dictionary, finishFlush });
  }

  #assertOpen(): void {
    if (this.#closed) throw new Error('broken invariant: a codec is not used after close');
  }
}
