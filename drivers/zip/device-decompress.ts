/**
 * A stream being decompressed: the codec, the checksum of its output and, behind the last block, the trailer,
 * which is compared as its bytes arrive. SPEC.md sections 3.2 and 4.
 */
import { type TrailerKind, trailerKinds } from './checksum-trailer.js';
import type { DeflateOptions, Inflater } from './codec.js';
import type { StreamFault, StreamNeed, ZipStream } from './device-stream.js';
import type { InflaterPool } from './inflater-pool.js';
import { dataErrorIndex, type RequestKind, zipStatus } from './layout.js';

/** Both trailers begin with a checksum of this size. */
const CHECKSUM_BYTES = 4;

export class DecompressStream implements ZipStream {
  readonly kind: RequestKind;
  readonly takesInput = true;
  consumed = 0;
  produced = 0;
  need: StreamNeed = 'input';
  fault: StreamFault | null = null;
  checksum: number;
  totalBytes = 0;
  readonly #inflater: Inflater;
  readonly #sums: TrailerKind;
  /** What must follow, once the last block is decoded and delivered. */
  #expected: Uint8Array | null = null;
  #arrived = 0;
  /** Some byte of the trailer's half that arrives now is not the expected one. */
  #mismatch = false;

  /** `inflater` stands at the beginning of a stream and is this stream's from now on. */
  constructor(kind: RequestKind, inflater: Inflater) {
    this.kind = kind;
    this.#inflater = inflater;
    this.#sums = trailerKinds[kind];
    this.checksum = this.#sums.empty;
  }

  recode({ windowBits }: DeflateOptions): boolean {
    return windowBits === this.#inflater.options.windowBits;
  }

  step(input: Uint8Array, window: Uint8Array): void {
    this.consumed = 0;
    this.produced = 0;
    if (this.#expected === null) this.#decode(input, window);
    if (this.#expected !== null) this.#verify(input);
  }

  release(pool: InflaterPool): void {
    pool.give(this.#inflater);
  }

  #decode(input: Uint8Array, window: Uint8Array): void {
    const inflater = this.#inflater;
    inflater.write(input, window);
    this.produced = inflater.produced;
    this.checksum = this.#sums.add(this.checksum, window.subarray(0, this.produced));
    this.totalBytes += this.produced;
    if (inflater.error === null) this.#conclude(inflater);
    else this.#fail(zipStatus.BAD_DATA, inflater.error.message);
  }

  #conclude({ consumed, outputFull, ended }: Inflater): void {
    this.consumed = consumed;
    this.need = outputFull ? 'room' : 'input';
    if (ended) this.#expected = this.#sums.trailer(this.checksum, this.totalBytes);
  }

  #verify(input: Uint8Array): void {
    const expected = this.#expected!;
    while (this.fault === null && this.#arrived < expected.length && this.consumed < input.length) {
      this.#compare(input[this.consumed++]!, expected);
    }
    if (this.#arrived === expected.length) this.need = 'nothing';
  }

  /** As zlib does: each half of the trailer is judged as soon as it is complete, whatever follows. */
  #compare(byte: number, expected: Uint8Array): void {
    this.#mismatch ||= byte !== expected[this.#arrived];
    this.#arrived += 1;
    if (!this.#mismatch) return;
    if (this.#arrived === CHECKSUM_BYTES) this.#fail(zipStatus.WRONG_CHECKSUM, 'incorrect data check');
    else if (this.#arrived === expected.length) this.#fail(zipStatus.BAD_DATA, 'incorrect length check');
  }

  #fail(status: number, message: string): void {
    this.fault = { status, dataError: dataErrorIndex(message) };
    this.need = 'nothing';
  }
}
