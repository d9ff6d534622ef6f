/**
 * A stream being compressed: the codec, the checksum of its input and, at the end, the trailer, which may be
 * delivered in pieces like everything else. SPEC.md sections 3.1 and 4.
 */
import { type TrailerKind, trailerKinds } from './checksum-trailer.js';
import type { DeflateOptions, Deflater } from './codec.js';
import type { StepEnd, StreamNeed, ZipStream } from './device-stream.js';
import type { RequestKind } from './layout.js';

export class CompressStream implements ZipStream {
  readonly kind: RequestKind;
  readonly fault = null;
  consumed = 0;
  produced = 0;
  need: StreamNeed = 'input';
  takesInput = true;
  checksum: number;
  totalBytes = 0;
  readonly #deflater: Deflater;
  readonly #sums: TrailerKind;
  #trailer: Uint8Array | null = null;
  #trailerSent = 0;

  /** `deflater` stands at the beginning of a stream and is this stream's from now on. */
  constructor(kind: RequestKind, deflater: Deflater) {
    this.kind = kind;
    this.#deflater = deflater;
    this.#sums = trailerKinds[kind];
    this.checksum = this.#sums.empty;
  }

  recode({ level, strategy, memLevel, windowBits }: DeflateOptions): boolean {
    const now = this.#deflater.options;
    if (memLevel !== now.memLevel || windowBits !== now.windowBits) return false;
    // Behind the end nothing is left to code, and a flush there would change the bytes that are still due.
    const changes = level !== now.level || strategy !== now.strategy;
    if (changes && this.takesInput) this.#deflater.params(level, strategy);
    return true;
  }

  step(input: Uint8Array, window: Uint8Array, end: StepEnd): void {
    this.consumed = 0;
    this.produced = 0;
    if (this.#trailer === null) this.#compress(input, window, end);
    if (this.#trailer !== null) this.#sendTrailer(window);
  }

  release(): void {
    this.#deflater.close();
  }

  #compress(input: Uint8Array, window: Uint8Array, end: StepEnd): void {
    const deflater = this.#deflater;
    // Once the end is announced and only output is due, any other flush would be a mistake of ours to zlib.
    const flush = this.takesInput ? end.flush : 'finish';
    if (end.roomEnds) deflater.writeToEnd(input, window, flush);
    else deflater.write(input, window, flush);
    this.consumed = deflater.consumed;
    this.produced = deflater.produced;
    this.checksum = this.#sums.add(this.checksum, input.subarray(0, this.consumed));
    this.totalBytes += this.consumed;
    if (flush === 'finish' && this.consumed === input.length) this.takesInput = false;
    this.need = deflater.outputFull ? 'room' : 'input';
    if (deflater.ended) this.#trailer = this.#sums.trailer(this.checksum, this.totalBytes);
  }

  #sendTrailer(window: Uint8Array): void {
    const due = this.#trailer!.subarray(this.#trailerSent);
    const part = due.subarray(0, window.length - this.produced);
    window.set(part, this.produced);
    this.produced += part.length;
    this.#trailerSent += part.length;
    this.need = part.length < due.length ? 'room' : 'nothing';
  }
}
