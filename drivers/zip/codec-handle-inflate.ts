/**
 * Inflate on zlib's internal handle.
 *
 * What the handle leaves over decides almost everything. Room left and input left: the stream has ended. No room
 * left: it goes on into the backlog with the rest of the input, which shows whether more is due and takes in an
 * end-of-block code that stands behind the last byte. Room left and no input left: it has ended or it needs
 * input, and an empty write that claims to be the last tells which: only before the end it fails, with
 * Z_BUF_ERROR, and the stream can still go on.
 */
import { Backlog } from './codec-backlog.js';
import { type NativeStream, NO_INPUT, openInflate } from './codec-handle.js';
import { flushKinds, type InflateEngine, type InflateError, type InflateOptions } from './codec-types.js';

/** Enough for caller windows of one byte not to cost a native call per byte. */
const BACKLOG_BYTES = 64;

export class HandleInflate implements InflateEngine {
  consumed = 0;
  produced = 0;
  ended = false;
  needsInput = true;
  outputFull = false;
  error: InflateError | null = null;
  readonly #native: NativeStream;
  readonly #backlog = new Backlog(BACKLOG_BYTES);
  readonly #probeRoom = new Uint8Array(1);
  /** The decoder has met the end; the backlog may still hold output. */
  #finished = false;

  /** Opens a stream; throws a RangeError of node for options out of range. */
  constructor(options: InflateOptions) {
    this.#native = openInflate(options);
  }

  write(input: Uint8Array, output: Uint8Array): void {
    this.consumed = 0;
    this.produced = this.#backlog.drainTo(output);
    const drained = this.#backlog.length === 0;
    if (drained && !this.#finished && this.error === null) this.#advance(input, output);
    this.#conclude();
  }

  writeWhole(input: Uint8Array, output: Uint8Array): number {
    // Claiming that this is all makes zlib fail unless the end is there.
    this.#native.write(flushKinds.finish, input, 0, output, 0);
    if (this.#native.failed || this.#native.outputLeft === 0) return -1;
    this.consumed = input.length - this.#native.inputLeft;
    return output.length - this.#native.outputLeft;
  }

  reset(): void {
    this.#native.reset();
    this.#backlog.clear();
    this.#finished = false;
    this.error = null;
    this.consumed = 0;
    this.produced = 0;
    this.#conclude();
  }

  close(): void {
    this.#native.close();
  }

  #conclude(): void {
    this.outputFull = this.error === null && this.#backlog.length > 0;
    this.ended = this.#finished && !this.outputFull;
    this.needsInput = this.error === null && !this.#finished && !this.outputFull;
  }

  #advance(input: Uint8Array, output: Uint8Array): void {
    this.#decode(input, output);
    if (this.error !== null || this.#native.outputLeft === 0) return;
    this.#finished = this.#native.inputLeft > 0 || this.#isAtEnd();
  }

  /** Fills the window and, when it is full, the backlog. */
  #decode(input: Uint8Array, output: Uint8Array): void {
    if (this.produced < output.length) {
      if (!this.#step(input, output, this.produced)) return;
      this.produced = output.length - this.#native.outputLeft;
      if (this.#native.outputLeft > 0) return;
    }
    const { room } = this.#backlog;
    if (this.#step(input, room, 0)) this.#backlog.fill(room.length - this.#native.outputLeft);
  }

  /** One native call on the rest of the input; false when it failed. */
  #step(input: Uint8Array, output: Uint8Array, outputAt: number): boolean {
    this.#native.write(flushKinds.sync, input, this.consumed, output, outputAt);
    if (this.#native.failed) {
      this.error = this.#failure();
      return false;
    }
    this.consumed = input.length - this.#native.inputLeft;
    return true;
  }

  /** Asked only with all output delivered, so nothing is ever stored in the room of the question. */
  #isAtEnd(): boolean {
    const native = this.#native;
    native.write(flushKinds.finish, NO_INPUT, 0, this.#probeRoom, 0);
    if (native.failed && native.code !== 'Z_BUF_ERROR') this.error = this.#failure();
    return !native.failed;
  }

  #failure(): InflateError {
    const { errno, code, message } = this.#native;
    return { errno, code, message };
  }
}
