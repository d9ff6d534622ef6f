/**
 * Inflate on zlib's internal handle.
 *
 * What the handle leaves over decides almost everything. Room left and input left: the stream has ended. Room left
 * and no input left: it has ended or it needs input, and an empty write that claims to be the last tells which: only
 * before the end it fails, with Z_BUF_ERROR, and the stream can still go on. No room left: an empty write into the
 * backlog shows whether more is due of what was consumed.
 *
 * So no call sees input that zlib would not have consumed with the room that the caller gave: consumed and produced,
 * and the write that an error appears in, are those of zlib.
 */
import { Backlog } from './codec-backlog.js';
import { type NativeStream, NO_INPUT, openInflate } from './codec-handle.js';
import { flushKinds, type InflateEngine, type InflateError, type InflateOptions } from './codec-types.js';

/** Some of the rest of a match. */
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
  /** An error that the next write is to meet. */
  #laterError: InflateError | null = null;

  /** Opens a stream; throws a RangeError of node for options out of range. */
  constructor(options: InflateOptions) {
    this.#native = openInflate(options);
  }

  write(input: Uint8Array, output: Uint8Array): void {
    this.consumed = 0;
    this.produced = this.#backlog.drainTo(output);
    const drained = this.#backlog.length === 0;
    if (drained && !this.#finished && this.error === null) this.#advance(input, output);
    this.#conclude(input.length);
  }

  writeWhole(input: Uint8Array, output: Uint8Array): number {
    // Claiming that this is all makes zlib fail unless the end is there.
    this.#native.write(flushKinds.finish, input, 0, output, 0);
    if (this.#native.failed) return -1;
    const { inputLeft, outputLeft } = this.#native;
    if (outputLeft === 0 && !this.#endsBehindRoom()) return -1;
    this.consumed = input.length - inputLeft;
    return output.length - outputLeft;
  }

  reset(): void {
    this.#native.reset();
    this.#backlog.clear();
    this.#finished = false;
    this.error = null;
    this.#laterError = null;
    this.consumed = 0;
    this.produced = 0;
    this.#conclude();
  }

  close(): void {
    this.#native.close();
  }

  #conclude(inputBytes = 0): void {
    const good = this.error === null && !this.#finished;
    // Input that waits although nothing is due: of a stored block it is copied only when there is room.
    const waits = this.#laterError !== null || this.consumed < inputBytes;
    this.outputFull = this.#backlog.length > 0 || (good && waits);
    this.ended = this.#finished && !this.outputFull;
    this.needsInput = good && !this.outputFull;
  }

  #advance(input: Uint8Array, output: Uint8Array): void {
    this.error = this.#laterError;
    if (this.error !== null || !this.#decode(input, output)) return;
    if (this.#native.outputLeft === 0) this.#lookBehindRoom();
    else this.#finished = this.#native.inputLeft > 0 || this.#isAtEnd();
  }

  /** One native call; false when it failed. A window without room may still take in the end of the stream. */
  #decode(input: Uint8Array, output: Uint8Array): boolean {
    const native = this.#native;
    if (this.produced < output.length) native.write(flushKinds.sync, input, 0, output, this.produced);
    else native.write(flushKinds.sync, input, 0, this.#probeRoom, this.#probeRoom.length);
    if (native.failed) {
      this.error = this.#failure();
      return false;
    }
    this.consumed = input.length - native.inputLeft;
    if (this.produced < output.length) this.produced = output.length - native.outputLeft;
    return true;
  }

  /** The window is full: takes in what is due of the input that is consumed. */
  #lookBehindRoom(): void {
    const { room } = this.#backlog;
    this.#native.write(flushKinds.sync, NO_INPUT, 0, room, 0);
    if (this.#native.failed) {
      // Not of this write: with the room that it had, zlib has not come so far.
      this.#laterError = this.#failure();
      return;
    }
    this.#backlog.fill(room.length - this.#native.outputLeft);
    if (this.#backlog.length === 0) this.#finished = this.#isAtEnd();
  }

  /** Asked only with all output delivered, so nothing is ever stored in the room of the question. */
  #isAtEnd(): boolean {
    const native = this.#native;
    native.write(flushKinds.finish, NO_INPUT, 0, this.#probeRoom, 0);
    if (native.failed && native.code !== 'Z_BUF_ERROR') this.error = this.#failure();
    return !native.failed;
  }

  /** The room is full to the last byte: whether the stream is over, too. Takes in no input that zlib has left. */
  #endsBehindRoom(): boolean {
    const native = this.#native;
    native.write(flushKinds.finish, NO_INPUT, 0, this.#probeRoom, 0);
    return !native.failed && native.outputLeft === this.#probeRoom.length;
  }

  #failure(): InflateError {
    const { errno, code, message } = this.#native;
    return { errno, code, message };
  }
}
