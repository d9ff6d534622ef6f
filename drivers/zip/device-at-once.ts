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
import type { Deflater, Inflater } from './codec.js';
import type { RequestForm, ZipRequest } from './device-request.js';
import type { HandlePool } from './handle-pool.js';
import { zipSqe, zipStatus } from './layout.js';

const sqe = zipSqe.fields;
const TWO_32 = 0x1_0000_0000;

export class AtOnce {
  readonly #pool: HandlePool;
  /** The codec at hand, fresh, and what it is for: the next request most likely wants the same. */
  #form: RequestForm | null = null;
  #deflater: Deflater | null = null;
  #inflater: Inflater | null = null;

  constructor(pool: HandlePool) {
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

  /** Gives the codec at hand back to the pool. */
  release(): void {
    if (this.#deflater !== null) this.#pool.giveDeflater(this.#deflater);
    if (this.#inflater !== null) this.#pool.giveInflater(this.#inflater);
    this.#form = null;
    this.#deflater = null;
    this.#inflater = null;
  }

  #take(form: RequestForm): void {
    this.release();
    this.#form = form;
    if (form.compresses) this.#deflater = this.#pool.takeDeflater(form.coding);
    else this.#inflater = this.#pool.takeInflater({ windowBits: form.coding.windowBits });
  }

  #compress(view: DataView, input: Uint8Array, room: Uint8Array): boolean {
    const deflater = this.#deflater!;
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
