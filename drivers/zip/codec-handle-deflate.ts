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
 *
 * In the last window of a room, on the other hand, zlib is called just as whoever owns the room would call it, and
 * does as it does (`writeToEnd`). It keeps the rank of the last flush itself, which is right for both ways.
 */
import { Backlog } from './codec-backlog.js';
import { type NativeStream, NO_INPUT, openDeflate } from './codec-handle.js';
import {
  type DeflateEngine,
  type DeflateOptions,
  type DeflateParams,
  type FlushKind,
  flushKinds,
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
  /** The last native call was a flush, was complete, and left room: zlib holds nothing back but a few bits. */
  #flushed = false;
  /** The coding from the next write on. */
  #nextParams: DeflateParams | null = null;

  /** Opens a stream; throws a RangeError of node for options out of range. */
  constructor(options: DeflateOptions) {
    this.#native = openDeflate(options);
  }

  write(input: Uint8Array, output: Uint8Array, flush: FlushKind): void {
    if (this.#begin(input, output)) this.#advance(input, output, flush);
    this.outputFull = this.#backlog.length > 0 || this.#nextParams !== null;
    this.ended = this.#finished && !this.outputFull;
  }

  writeToEnd(input: Uint8Array, output: Uint8Array, flush: FlushKind): void {
    // In one small room after the other a marker that is repeated would reach the end of each.
    if (this.outputFull && output.length > 0 && output.length < MARKER_ROOM_BYTES)
      return this.write(input, output, flush);
    if (this.#begin(input, output) && this.produced < output.length) {
      const roomIsLeft = this.#fill(input, output, flushKinds[flush]);
      this.#flushed = roomIsLeft && flush !== 'none';
      this.#finished = roomIsLeft && flush === 'finish';
    }
    this.ended = this.#finished && this.#backlog.length === 0;
    this.outputFull = !this.ended && this.produced === output.length;
  }

  params(level: number, strategy: number): void {
    this.#nextParams = { level, strategy };
  }

  writeWhole(input: Uint8Array, output: Uint8Array): number {
    this.#native.write(flushKinds.finish, input, 0, output, 0);
    // No room left says nothing: perhaps more is due.
    return this.#native.outputLeft === 0 ? -1 : output.length - this.#native.outputLeft;
  }

  reset(): void {
    this.#native.reset();
    this.#applyParams();
    this.#backlog.clear();
    this.#finished = false;
    this.#flushed = false;
    this.consumed = 0;
    this.produced = 0;
    this.outputFull = false;
    this.ended = false;
  }

  close(): void {
    this.#native.close();
  }

  /** Delivers what waits and changes the coding if it has to; false when the input's turn has not come. */
  #begin(input: Uint8Array, output: Uint8Array): boolean {
    this.consumed = 0;
    this.produced = this.#backlog.drainTo(output);
    if (this.#finished && input.length > 0)
      throw new Error('broken invariant: a finished stream takes no input');
    return this.#backlog.length === 0 && !this.#finished && this.#recode(output);
  }

  /** As zlib's deflateParams, which flushes what came before. False while that wants more room. */
  #recode(output: Uint8Array): boolean {
    if (this.#nextParams === null) return true;
    if (!this.#flushed) {
      if (this.produced === output.length) return false;
      this.#flushed = this.#fill(NO_INPUT, output, flushKinds.block);
      if (!this.#flushed) return false;
    }
    this.#applyParams();
    return true;
  }

  #applyParams(): void {
    if (this.#nextParams !== null) this.#native.params(this.#nextParams.level, this.#nextParams.strategy);
    this.#nextParams = null;
  }

  #advance(input: Uint8Array, output: Uint8Array, flush: FlushKind): void {
    const onlyMarker = hasMarker(flush) && this.#flushed && input.length === 0;
    if (!onlyMarker) this.#compress(input, output, hasMarker(flush) ? flushKinds.block : flushKinds[flush]);
    this.#flushed = this.#backlog.length === 0 && flush !== 'none';
    if (this.#backlog.length > 0) return;
    if (hasMarker(flush)) this.#mark(output, flushKinds[flush]);
    this.#finished = flush === 'finish';
  }

  /** Fills the window and, when it is full, the backlog. All that is due was delivered if that stays empty. */
  #compress(input: Uint8Array, output: Uint8Array, flush: number): void {
    if (this.produced < output.length && this.#fill(input, output, flush)) return;
    this.#spill(input, flush);
  }

  /** Adds a marker, unless zlib finds that nothing has changed since one that says as much. */
  #mark(output: Uint8Array, flush: number): void {
    if (output.length - this.produced >= MARKER_ROOM_BYTES) this.#fill(NO_INPUT, output, flush);
    else this.#spill(NO_INPUT, flush);
    if (this.#native.outputLeft === 0) throw new Error('broken invariant: a flush marker fits its room');
  }

  /** One native call on the rest of the window; whether room is left. */
  #fill(input: Uint8Array, output: Uint8Array, flush: number): boolean {
    this.#step(input, output, this.produced, flush);
    this.produced = output.length - this.#native.outputLeft;
    return this.#native.outputLeft > 0;
  }

  /** One native call on the backlog, which is empty. */
  #spill(input: Uint8Array, flush: number): void {
    const { room } = this.#backlog;
    this.#step(input, room, 0, flush);
    this.#backlog.fill(room.length - this.#native.outputLeft);
  }

  #step(input: Uint8Array, output: Uint8Array, outputAt: number, flush: number): void {
    const native = this.#native;
    const inputAt = input.length === 0 ? 0 : this.consumed;
    native.write(flush, input, inputAt, output, outputAt);
    if (native.failed) throw new Error(`broken invariant: deflate does not fail (${native.message})`);
    if (input.length > 0) this.consumed = input.length - native.inputLeft;
  }
}
