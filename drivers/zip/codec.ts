/**
 * The compression engines of the zip device: raw deflate and inflate, segment by segment, on node:zlib.
 *
 * Which machinery does it is decided when a codec is made: zlib's internal handle where its shape is the known
 * one (works in place, keeps its state between segments), else node's public calls. Both give the same answers;
 * codec-types.ts has the contract.
 */
import { handleIsUsable } from './codec-handle.js';
import { HandleDeflate } from './codec-handle-deflate.js';
import { HandleInflate } from './codec-handle-inflate.js';
import { PublicDeflate } from './codec-public-deflate.js';
import { PublicInflate } from './codec-public-inflate.js';
import type {
  CodecEngine,
  DeflateEngine,
  DeflateOptions,
  FlushKind,
  InflateEngine,
  InflateError,
  InflateOptions,
} from './codec-types.js';

export type { DeflateOptions, FlushKind, InflateError, InflateOptions } from './codec-types.js';

function engineFor(forced: CodecEngine | undefined): CodecEngine {
  return forced ?? (handleIsUsable() ? 'handle' : 'public');
}

/** One raw deflate stream. The fields tell of the last write; codec-types.ts says what each means. */
export class Deflater implements DeflateEngine {
  consumed = 0;
  produced = 0;
  outputFull = false;
  ended = false;
  #options: DeflateOptions;
  readonly #engine: DeflateEngine;

  /** Opens a stream. Throws node's RangeError for options out of range. */
  constructor(options: DeflateOptions) {
    this.#options = { ...options };
    this.#engine =
      engineFor(options.engine) === 'handle' ? new HandleDeflate(options) : new PublicDeflate(options);
  }

  /** What it was made with, level and strategy as they were changed since; a pool hands it out again for the same. */
  get options(): DeflateOptions {
    return this.#options;
  }

  /** Compresses `input` into `output`. After `ended`, input is a bug of the caller and throws. */
  write(input: Uint8Array, output: Uint8Array, flush: FlushKind): void {
    this.#engine.write(input, output, flush);
    this.#report();
  }

  /** Compresses `input` into the last window of a room; see DeflateEngine. */
  writeToEnd(input: Uint8Array, output: Uint8Array, flush: FlushKind): void {
    this.#engine.writeToEnd(input, output, flush);
    this.#report();
  }

  /** Another coding for all input from here on; see DeflateEngine. */
  params(level: number, strategy: number): void {
    this.#engine.params(level, strategy);
    this.#options = { ...this.#options, level, strategy };
  }

  /** A whole stream in one call; see DeflateEngine. */
  writeWhole(input: Uint8Array, output: Uint8Array): number {
    return this.#engine.writeWhole(input, output);
  }

  /** Back to an empty stream with the options and the dictionary that it has now. */
  reset(): void {
    this.#engine.reset();
    this.#report();
  }

  /** Frees the native memory at once. A second call does nothing; any other call afterwards throws. */
  close(): void {
    this.#engine.close();
  }

  #report(): void {
    const engine = this.#engine;
    this.consumed = engine.consumed;
    this.produced = engine.produced;
    this.outputFull = engine.outputFull;
    this.ended = engine.ended;
  }
}

/** One raw inflate stream. The fields tell of the last write; codec-types.ts says what each means. */
export class Inflater implements InflateEngine {
  consumed = 0;
  produced = 0;
  ended = false;
  needsInput = true;
  outputFull = false;
  error: InflateError | null = null;
  /** What it was made with; a pool hands it out again for the same. */
  readonly options: InflateOptions;
  readonly #engine: InflateEngine;

  /** Opens a stream. Throws node's RangeError for options out of range. */
  constructor(options: InflateOptions) {
    this.options = { ...options };
    this.#engine =
      engineFor(options.engine) === 'handle' ? new HandleInflate(options) : new PublicInflate(options);
  }

  /** Decodes `input` into `output`. After `ended` or an error nothing is consumed. */
  write(input: Uint8Array, output: Uint8Array): void {
    this.#engine.write(input, output);
    this.#report();
  }

  /** A whole stream in one call; see InflateEngine. */
  writeWhole(input: Uint8Array, output: Uint8Array): number {
    const produced = this.#engine.writeWhole(input, output);
    this.consumed = this.#engine.consumed;
    return produced;
  }

  /** Back to an empty stream with the same options and dictionary, also after an error. */
  reset(): void {
    this.#engine.reset();
    this.#report();
  }

  /** Frees the native memory at once. A second call does nothing; any other call afterwards throws. */
  close(): void {
    this.#engine.close();
  }

  #report(): void {
    const engine = this.#engine;
    this.consumed = engine.consumed;
    this.produced = engine.produced;
    this.ended = engine.ended;
    this.needsInput = engine.needsInput;
    this.outputFull = engine.outputFull;
    this.error = engine.error;
  }
}
