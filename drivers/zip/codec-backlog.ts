/**
 * Output that is decided but did not fit the caller's window: it goes out first in the next write.
 *
 * Either the engine stores into `room` and says how much with `fill`, or it hands over bytes of its own with
 * `load`. Both only when the backlog is empty.
 */
export class Backlog {
  /** Where the engine may store up to `room.length` bytes before it calls `fill`. */
  readonly room: Uint8Array;
  #bytes: Uint8Array;
  #start = 0;
  #end = 0;

  /** `roomBytes`: how much the engine may store in place. */
  constructor(roomBytes: number) {
    this.room = new Uint8Array(roomBytes);
    this.#bytes = this.room;
  }

  /** Bytes that wait. */
  get length(): number {
    return this.#end - this.#start;
  }

  /** The first `byteCount` bytes of `room` wait now. */
  fill(byteCount: number): void {
    this.#hold(this.room, byteCount);
  }

  /** `bytes` wait now; not copied. */
  load(bytes: Uint8Array): void {
    this.#hold(bytes, bytes.length);
  }

  /** Moves what fits to the front of `output`; answers how many bytes. */
  drainTo(output: Uint8Array): number {
    const moved = Math.min(this.length, output.length);
    if (moved > 0) output.set(this.#bytes.subarray(this.#start, this.#start + moved));
    this.#start += moved;
    return moved;
  }

  /** Forgets what waits, and wipes it. */
  clear(): void {
    this.room.fill(0);
    this.#bytes = this.room;
    this.#start = 0;
    this.#end = 0;
  }

  #hold(bytes: Uint8Array, byteCount: number): void {
    if (this.length > 0) throw new Error('broken invariant: a backlog is filled only when it is empty');
    this.#bytes = bytes;
    this.#start = 0;
    this.#end = byteCount;
  }
}
