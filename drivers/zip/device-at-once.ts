/**
 * The usual request: stateless, all of its input in one segment, all memory in place, everything fits. One native
 * call, and no wait. What device-stream.ts and its users would do for it is the same, at several times the cost of
 * a small call itself.
 *
 * Whatever is not of that kind, or turns out otherwise, is refused with nothing done but bytes of the request's own
 * room; the general way then starts from the beginning and finds the exact answer.
 */
import { type Dma, limits } from '../../src/driver-api.js';
import { trailerKinds } from './checksum-trailer.js';
import { Deflater, type Inflater } from './codec.js';
import type { RequestForm, ZipRequest } from './device-request.js';
import type { InflaterPool } from './inflater-pool.js';
import { zipSqe, zipStatus } from './layout.js';

const sqe = zipSqe.fields;
const TWO_32 = 0x1_0000_0000;

export class AtOnce {
  readonly #pool: InflaterPool;
  /** The codec at hand, fresh, and what it is for: the next request most likely wants the same. */
  #form: RequestForm | null = null;
  #deflater: Deflater | null = null;
  /** The longest input that the deflater at hand has seen, bytes. */
  #longestBytes = 0;
  #inflater: Inflater | null = null;

  constructor(pool: InflaterPool) {
    this.#pool = pool;
  }

  /** Executes the request and writes its results; false when it must go the general way. */
  serve(view: DataView, request: ZipRequest, dma: Dma): boolean {
    const { form, inputBytes, roomBytes } = request;
    if (form.stateful || form.dictionaryBytes > 0 || (form.compresses && form.flush !== 'finish'))
      return false;
    if (inputBytes > limits.SEGMENT_INPUT_BYTES) return false;
    if (roomBytes === 0 || roomBytes > limits.SEGMENT_OUTPUT_BYTES) return false;
    const input = dma.readableView(request.source, inputBytes);
    const room = dma.writableView(request.destination, roomBytes);
    if (input === null || room === null) return false;
    if (form !== this.#form) this.#take(form);
    return form.compresses ? this.#compress(view, input, room) : this.#decompress(view, input, room);
  }

  /** Gives the codec at hand back. */
  release(): void {
    this.#deflater?.close();
    if (this.#inflater !== null) this.#pool.give(this.#inflater);
    this.#form = null;
    this.#deflater = null;
    this.#inflater = null;
  }

  #take(form: RequestForm): void {
    this.release();
    this.#form = form;
    if (form.compresses) this.#deflater = this.#newDeflater(form);
    else this.#inflater = this.#pool.take({ windowBits: form.coding.windowBits });
  }

  #compress(view: DataView, input: Uint8Array, room: Uint8Array): boolean {
    const deflater = this.#deflaterFor(input.length);
    const produced = deflater.writeWhole(input, room);
    deflater.reset();
    if (produced < 0) return false;
    const sums = trailerKinds[this.#form!.kind];
    const checksum = sums.add(sums.empty, input);
    const trailer = sums.trailer(checksum, input.length);
    if (produced + trailer.length > room.length) return false;
    if (trailer.length > 0) room.set(trailer, produced);
    sqe.consumed.write(view, 0, input.length);
    sqe.produced.write(view, 0, produced + trailer.length);
    writeSums(view, checksum, input.length);
    return true;
  }

  /**
   * A deflater that gives the bytes of a new one. One that was reset keeps what earlier streams left in its window, and
   * near the end of the input zlib looks beyond it when it chooses between matches of equal length. Only behind what is
   * as long as all before it there are the same zeros as in a new one.
   */
  #deflaterFor(inputBytes: number): Deflater {
    if (inputBytes < this.#longestBytes) {
      this.#deflater!.close();
      this.#deflater = this.#newDeflater(this.#form!);
    }
    this.#longestBytes = inputBytes;
    return this.#deflater!;
  }

  #newDeflater({ coding }: RequestForm): Deflater {
    this.#longestBytes = 0;
    return new Deflater(coding);
  }

  #decompress(view: DataView, input: Uint8Array, room: Uint8Array): boolean {
    const inflater = this.#inflater!;
    const produced = inflater.writeWhole(input, room);
    const { consumed } = inflater;
    inflater.reset();
    if (produced < 0) return false;
    const sums = trailerKinds[this.#form!.kind];
    const checksum =
      this.#form!.kind === 'raw' ? sums.empty : sums.add(sums.empty, room.subarray(0, produced));
    const trailer = sums.trailer(checksum, produced);
    for (let i = 0; i < trailer.length; i++) if (input[consumed + i] !== trailer[i]) return false;
    sqe.consumed.write(view, 0, consumed + trailer.length);
    sqe.produced.write(view, 0, produced);
    sqe.status.write(view, 0, zipStatus.STREAM_END);
    sqe.lastBlock.write(view, 0, 1);
    writeSums(view, checksum, produced);
    return true;
  }
}

function writeSums(view: DataView, checksum: number, totalBytes: number): void {
  sqe.checksum.write(view, 0, checksum);
  sqe.totalBytes.write(view, 0, totalBytes % TWO_32);
}
