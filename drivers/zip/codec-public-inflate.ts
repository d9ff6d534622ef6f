/**
 * Inflate on node's public one-shot calls: what a Node with other internals gets. Slower, and right.
 *
 * A decoder in the middle of a stream cannot be kept without the handle, so each write decodes the whole stream
 * from its first byte and delivers what is new. Time grows with the square of the stream, memory with its input
 * and output. New input is taken only when all earlier output was delivered. An error is reported as soon as the
 * input shows it, so output that shares a segment with it is not delivered.
 */
import { inflateRawSync } from 'node:zlib';
import { Backlog } from './codec-backlog.js';
import { flushKinds, type InflateEngine, type InflateError, type InflateOptions } from './codec-types.js';

export class PublicInflate implements InflateEngine {
  consumed = 0;
  produced = 0;
  ended = false;
  needsInput = true;
  outputFull = false;
  error: InflateError | null = null;
  readonly #windowBits: number;
  readonly #dictionary: Uint8Array | undefined;
  readonly #backlog = new Backlog(0);
  /** All input since the beginning of the stream. */
  #input: Uint8Array = new Uint8Array(0);
  /** Bytes of output that this input has given. */
  #decodedBytes = 0;
  #finished = false;
  #closed = false;

  /** Opens a stream; throws a RangeError of node for options out of range. */
  constructor(options: InflateOptions) {
    this.#windowBits = options.windowBits;
    this.#dictionary = options.dictionary && Uint8Array.from(options.dictionary);
    this.#inflate(this.#input, flushKinds.sync); // For its refusal of options out of range.
  }

  write(input: Uint8Array, output: Uint8Array): void {
    this.#assertOpen();
    this.consumed = 0;
    this.produced = this.#backlog.drainTo(output);
    const idle = this.#backlog.length > 0 || this.#finished || this.error !== null;
    if (!idle && input.length > 0) {
      this.#advance(input);
      this.produced += this.#backlog.drainTo(output.subarray(this.produced));
    }
    this.#conclude();
  }

  writeWhole(input: Uint8Array, output: Uint8Array): number {
    this.write(input, output);
    return this.ended ? this.produced : -1;
  }

  reset(): void {
    this.#assertOpen();
    this.#backlog.clear();
    this.#input = new Uint8Array(0);
    this.#decodedBytes = 0;
    this.#finished = false;
    this.error = null;
    this.consumed = 0;
    this.produced = 0;
    this.#conclude();
  }

  close(): void {
    this.#closed = true;
  }

  #conclude(): void {
    this.outputFull = this.#backlog.length > 0;
    this.ended = this.#finished && !this.outputFull;
    this.needsInput = this.error === null && !this.#finished && !this.outputFull;
  }

  #advance(input: Uint8Array): void {
    const whole = Buffer.concat([this.#input, input]);
    try {
      const { decoded, inputBytes } = this.#inflate(whole, flushKinds.sync);
      this.consumed = inputBytes - this.#input.length;
      this.#backlog.load(decoded.subarray(this.#decodedBytes));
      this.#decodedBytes = decoded.length;
      this.#finished = inputBytes < whole.length || this.#isComplete(whole);
      this.#input = whole;
    } catch (thrown) {
      this.error = asInflateError(thrown);
    }
  }

  #isComplete(whole: Uint8Array): boolean {
    try {
      this.#inflate(whole, flushKinds.finish);
      return true;
    } catch (thrown) {
      if (asInflateError(thrown).code !== 'Z_BUF_ERROR') throw thrown;
      return false;
    }
  }

  #inflate(whole: Uint8Array, finishFlush: number): { decoded: Uint8Array; inputBytes: number } {
    const options = { windowBits: this.#windowBits, dictionary: this.#dictionary, finishFlush, info: true };
    // With `info` node answers an object, which its types do not say.
    const answer = inflateRawSync(whole, options) as unknown as {
      buffer: Uint8Array;
      engine: { bytesWritten: number };
    };
    return { decoded: answer.buffer, inputBytes: answer.engine.bytesWritten };
  }

  #assertOpen(): void {
    if (this.#closed) throw new Error('broken invariant: a codec is not used after close');
  }
}

/** What zlib says is an answer; anything else thrown goes on its way. */
function asInflateError(thrown: unknown): InflateError {
  const { errno, code, message } = thrown as Partial<InflateError>;
  if (errno === undefined || code === undefined || message === undefined) throw thrown;
  return { errno, code, message };
}
