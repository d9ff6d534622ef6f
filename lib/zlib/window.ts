/**
 * One write of a stream while it is worked on: what is left of its input and of the room for its output.
 */
export class WriteWindow {
  /** Flush kind by zlib's number: what the end of the input asks for. */
  readonly flush: number;
  /** Input that is not consumed. */
  input: Uint8Array;
  /** Room that is not used. */
  room: Uint8Array;

  constructor(flush: number, input: Uint8Array, room: Uint8Array) {
    this.flush = flush;
    this.input = input;
    this.room = room;
  }

  /** The front of the input is consumed. */
  consume(bytes: number): void {
    this.input = this.input.subarray(bytes);
  }

  /** Stores as much of `output` as there is room for; answers how much. */
  put(output: Uint8Array): number {
    const bytes = Math.min(output.length, this.room.length);
    this.room.set(bytes === output.length ? output : output.subarray(0, bytes));
    this.room = this.room.subarray(bytes);
    return bytes;
  }
}
