/**
 * The memory of one request: input segment by segment, room window by window, and how far both have come.
 *
 * A view of `Dma` lives until the next yield. So a caller takes its input first (which may wait), then its window
 * (which never does), makes one native call, and commits; it keeps none of the two beyond that.
 */
import { type Dma, type DmaAddress, limits } from '../../src/driver-api.js';
import type { ZipRequest } from './device-request.js';

const NO_BYTES = new Uint8Array(0);
const TWO_53 = 2 ** 53;

/** `address + offset`, exact, going round at 2^64 as the hardware's adder does. `offset` may be negative. */
function advance(address: DmaAddress, offset: number): DmaAddress {
  if (typeof address === 'number' && address + offset < TWO_53) return address + offset;
  return BigInt.asUintN(64, BigInt(address) + BigInt(offset));
}

/** Output windows of the device's own, for room that cannot be written in place. Requests overlap: one each. */
export class ScratchPool {
  readonly #idle: Uint8Array[] = [];

  take(): Uint8Array {
    return this.#idle.pop() ?? new Uint8Array(limits.SEGMENT_OUTPUT_BYTES);
  }

  /** Takes a window back, wiped: its first `usedBytes` bytes were handed out. */
  give(scratch: Uint8Array, usedBytes: number): void {
    if (this.#idle.length >= limits.ZIP_IDLE_CODECS) return;
    this.#idle.push(scratch.fill(0, 0, usedBytes));
  }
}

export class RequestMemory {
  /** Bytes of input that are done with. */
  consumed = 0;
  /** Bytes of output that are stored. */
  produced = 0;
  readonly #request: ZipRequest;
  readonly #dma: Dma;
  readonly #pool: ScratchPool;
  #scratch: Uint8Array | null = null;
  #scratchUsedBytes = 0;
  /** The last window was memory of our own. */
  #writesBack = false;

  constructor(request: ZipRequest, dma: Dma, pool: ScratchPool) {
    this.#request = request;
    this.#dma = dma;
    this.#pool = pool;
  }

  /** Input of the next step. */
  get segmentBytes(): number {
    return Math.min(this.inputLeft, this.#dma.segmentBytes);
  }

  get inputLeft(): number {
    return this.#request.inputBytes - this.consumed;
  }

  get roomLeft(): number {
    return this.#request.roomBytes - this.produced;
  }

  /** The next segment of input, empty when there is none. Valid until the next yield. */
  *input(): Generator<number, Uint8Array, void> {
    const bytes = this.segmentBytes;
    if (bytes === 0) return NO_BYTES;
    const source = advance(this.#request.source, this.consumed);
    return this.#dma.readableView(source, bytes) ?? (yield* this.#dma.read(source, bytes));
  }

  /** Where to put output, empty when the room is used up. Valid until the next yield. */
  window(): Uint8Array {
    const bytes = Math.min(this.roomLeft, limits.SEGMENT_OUTPUT_BYTES);
    this.#writesBack = false;
    if (bytes === 0) return NO_BYTES;
    const view = this.#dma.writableView(this.#destination, bytes);
    if (view !== null) return view;
    this.#writesBack = true;
    this.#scratch ??= this.#pool.take();
    this.#scratchUsedBytes = Math.max(this.#scratchUsedBytes, bytes);
    return this.#scratch.subarray(0, bytes);
  }

  /** Stores the front of the last window and counts. When the store faults, nothing of this step counts. */
  *commit(consumed: number, produced: number): Generator<number, void, void> {
    if (this.#writesBack && produced > 0) {
      yield* this.#dma.write(this.#destination, this.#scratch!.subarray(0, produced));
    }
    this.consumed += consumed;
    this.produced += produced;
  }

  /** The bytes right before the input, copied; undefined when there are none. */
  *dictionary(): Generator<number, Uint8Array | undefined, void> {
    const { source, form } = this.#request;
    const { dictionaryBytes } = form;
    if (dictionaryBytes === 0) return undefined;
    const dictionary = new Uint8Array(dictionaryBytes);
    for (let at = 0; at < dictionaryBytes; at += limits.SEGMENT_INPUT_BYTES) {
      const part = Math.min(dictionaryBytes - at, limits.SEGMENT_INPUT_BYTES);
      dictionary.set(yield* this.#dma.read(advance(source, at - dictionaryBytes), part), at);
    }
    return dictionary;
  }

  /** Called once, however the request ends. */
  release(): void {
    if (this.#scratch !== null) this.#pool.give(this.#scratch, this.#scratchUsedBytes);
    this.#scratch = null;
  }

  get #destination(): DmaAddress {
    return advance(this.#request.destination, this.produced);
  }
}
