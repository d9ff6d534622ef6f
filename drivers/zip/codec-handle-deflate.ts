/**
 * Deflate on zlib's internal handle.
 *
 * The handle says how much room it left, and zero room says nothing: perhaps more is due, perhaps all of it just
 * fitted. So when the window is full the same write goes on into the backlog, and what lands there is due.
 *
 * Flush markers need more care, because zlib adds another one each time it is called again after a marker that
 * filled the window (zlib.h at Z_FULL_FLUSH). So the data are flushed with `block`, which may be repeated freely
 * and adds no marker, and the marker follows in a call of its own, once, into room that holds it for certain.
 * The bytes are those of a single flush.
 */
import { Backlog } from './codec-backlog.js';
import { type NativeStream, NO_INPUT, openDeflate } from './codec-handle.js';
import {
  type DeflateEngine,
  type DeflateOptions,
  type FlushKind,
  flushKinds,
  flushRank,
} from './codec-types.js';

/** More than a flush marker: seven bits held back, three of header, padding, and four bytes of lengths. */
const MARKER_ROOM_BYTES = 16;

function hasMarker(flush: FlushKind): boolean {
  return flush === 'sync' || flush === 'full' || flush === 'partial';
}

export class HandleDeflate implements DeflateEngine {
  consumed = 0;
  produced = 0;
  outputFull = false;
  ended = false;
  readonly #native: NativeStream;
  readonly #backlog = new Backlog(MARKER_ROOM_BYTES);
  #finished = false;
  /** Rank of the flush that is complete, markers too, with no input since; -1 when there is none. */
  #settledRank = -1;

  /** Opens a stream; throws a RangeError of node for options out of range. */
  constructor(options: DeflateOptions) {
    this.#native = openDeflate(options);
  }

  write(input: Uint8Array, output: Uint8Array, flush: FlushKind): void {
    this.consumed = 0;
    this.produced = this.#backlog.drainTo(output);
    if (this.#finished && input.length > 0)
      throw new Error('broken invariant: a finished stream takes no input');
    if (this.#backlog.length === 0 && !this.#isSettled(input, flush)) this.#advance(input, output, flush);
    this.outputFull = this.#backlog.length > 0;
    this.ended = this.#finished && !this.outputFull;
  }

  writeWhole(input: Uint8Array, output: Uint8Array): number {
    this.#native.write(flushKinds.finish, input, 0, output, 0);
    // No room left says nothing: perhaps more is due.
    return this.#native.outputLeft === 0 ? -1 : output.length - this.#native.outputLeft;
  }

  reset(): void {
    this.#native.reset();
    this.#backlog.clear();
    this.#finished = false;
    this.#settledRank = -1;
    this.consumed = 0;
    this.produced = 0;
    this.outputFull = false;
    this.ended = false;
  }

  close(): void {
    this.#native.close();
  }

  #isSettled(input: Uint8Array, flush: FlushKind): boolean {
    return this.#finished || (input.length === 0 && flushRank(flush) <= this.#settledRank);
  }

  #advance(input: Uint8Array, output: Uint8Array, flush: FlushKind): void {
    this.#settledRank = -1;
    this.#compress(input, output, hasMarker(flush) ? flushKinds.block : flushKinds[flush]);
    if (this.#backlog.length > 0) return;
    if (hasMarker(flush)) this.#mark(output, flushKinds[flush]);
    this.#settledRank = flushRank(flush);
    this.#finished = flush === 'finish';
  }

  /** Fills the window and, when it is full, the backlog. All that is due was delivered if that stays empty. */
  #compress(input: Uint8Array, output: Uint8Array, flush: number): void {
    if (this.produced < output.length) {
      this.#step(input, output, this.produced, flush);
      this.produced = output.length - this.#native.outputLeft;
      if (this.#native.outputLeft > 0) return;
    }
    const { room } = this.#backlog;
    this.#step(input, room, 0, flush);
    this.#backlog.fill(room.length - this.#native.outputLeft);
  }

  #mark(output: Uint8Array, flush: number): void {
    if (output.length - this.produced >= MARKER_ROOM_BYTES) {
      this.#step(NO_INPUT, output, this.produced, flush);
      this.produced = output.length - this.#native.outputLeft;
    } else {
      this.#step(NO_INPUT, this.#backlog.room, 0, flush);
      this.#backlog.fill(this.#backlog.room.length - this.#native.outputLeft);
    }
    if (this.#native.outputLeft === 0) throw new Error('broken invariant: a flush marker fits its room');
  }

  #step(input: Uint8Array, output: Uint8Array, outputAt: number, flush: number): void {
    const native = this.#native;
    const inputAt = input.length === 0 ? 0 : this.consumed;
    native.write(flush, input, inputAt, output, outputAt);
    if (native.failed) throw new Error(`broken invariant: deflate does not fail (${native.message})`);
    if (input.length > 0) this.consumed = input.length - native.inputLeft;
  }
}
