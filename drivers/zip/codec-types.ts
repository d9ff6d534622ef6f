/**
 * The contract of the codec engines: what goes in, what one call reports, and what every engine keeps to.
 *
 * A write takes one segment of input and one window of output and never allocates per call. It answers in plain
 * fields of the engine, valid until the next write. Bytes of the window past `produced` are undefined afterwards:
 * the decoder uses free room as scratch. Input and output may be shared memory; a byte that another thread
 * changes meanwhile can spoil this stream's result and nothing else.
 */

/** Flush kinds by their zlib names and numbers (zlib.h, "Allowed flush values"). */
export const flushKinds = { none: 0, partial: 1, sync: 2, full: 3, finish: 4, block: 5 } as const;

export type FlushKind = keyof typeof flushKinds;

/** Which machinery is behind a codec: zlib's internal handle, or node's public one-shot calls. */
export type CodecEngine = 'handle' | 'public';

/** What of a deflate stream can change on the way. */
export interface DeflateParams {
  readonly level: number;
  readonly strategy: number;
}

/** How a deflate stream is made; ranges as in node:zlib, which refuses others with a RangeError. */
export interface DeflateOptions {
  /** -1 (the default of zlib) or 0 to 9. */
  readonly level: number;
  /** 8 to 15; raw deflate has no window of 8 bits, and node takes 9 for it. */
  readonly windowBits: number;
  /** 1 to 9. */
  readonly memLevel: number;
  /** 0 to 4 (zlib.h, "compression strategy"). */
  readonly strategy: number;
  /** History before the first byte; copied. Its last 2^windowBits bytes count. */
  readonly dictionary?: Uint8Array;
  /** Forces an engine; the handle when its shape is known, else the public calls. */
  readonly engine?: CodecEngine;
}

/** How an inflate stream is read. */
export interface InflateOptions {
  /** 8 to 15, at least what the stream was made with. */
  readonly windowBits: number;
  /** History before the first byte; copied. */
  readonly dictionary?: Uint8Array;
  /** Forces an engine; the handle when its shape is known, else the public calls. */
  readonly engine?: CodecEngine;
}

/** Why a stream cannot be decoded, in node's words. */
export interface InflateError {
  /** Number of zlib, e.g. -3. */
  readonly errno: number;
  /** Its name, e.g. `Z_DATA_ERROR`. */
  readonly code: string;
  /** E.g. `invalid block type`. */
  readonly message: string;
}

/** What a deflate engine reports of its last write. */
interface DeflateReport {
  /** Bytes taken from the front of the input. The caller offers the others again. */
  readonly consumed: number;
  /** Bytes stored at the front of the output. */
  readonly produced: number;
  /**
   * More output is due: write the rest of the input, if any, with the same flush kind and fresh output. After
   * `writeToEnd`: the room is used up, and more may be due.
   */
  readonly outputFull: boolean;
  /** The stream is finished and all of it was delivered. */
  readonly ended: boolean;
}

/** What an inflate engine reports of its last write. One of the four conditions holds, never two. */
interface InflateReport {
  /** Bytes taken from the front of the input; at the end exactly those that belong to the stream. */
  readonly consumed: number;
  /** Bytes stored at the front of the output; on an error those that are certain to precede it, maybe none. */
  readonly produced: number;
  /** The stream is over and all of its output was delivered. What follows it in the input was not consumed. */
  readonly ended: boolean;
  /** All input is consumed, all output delivered, and the stream goes on. */
  readonly needsInput: boolean;
  /** More output is due, or input waits for room: write again with the rest of the input and fresh output. */
  readonly outputFull: boolean;
  /** The stream is corrupt; stays until `reset`. `consumed` then says nothing about where. */
  readonly error: InflateError | null;
}

/** One deflate stream. */
export interface DeflateEngine extends DeflateReport {
  /** Compresses a segment. Where the window ends leaves no trace. After `ended`, input is a bug of the caller and throws. */
  write(input: Uint8Array, output: Uint8Array, flush: FlushKind): void;
  /**
   * The same into the last window of a room, as one call of zlib does it: nothing is done ahead of the room, and a
   * flush that is repeated because its marker reached the end of the room is followed by another marker.
   */
  writeToEnd(input: Uint8Array, output: Uint8Array, flush: FlushKind): void;
  /**
   * Another coding for all input from here on; what was written before is flushed by the next write, with `block`.
   * Level -1 to 9, strategy 0 to 4.
   */
  params(level: number, strategy: number): void;
  /**
   * A whole stream in one call, from a fresh or reset codec: bytes stored, or -1 when they may not all have fitted.
   * Reports nothing else; the codec must be reset before its next use.
   */
  writeWhole(input: Uint8Array, output: Uint8Array): number;
  /** Back to an empty stream with the same options and dictionary; a changed coding stays. */
  reset(): void;
  /** Frees the native memory. Any later call but `close` throws. */
  close(): void;
}

/** One inflate stream. */
export interface InflateEngine extends InflateReport {
  /** Decodes a segment. After `ended` or an error nothing is consumed. */
  write(input: Uint8Array, output: Uint8Array): void;
  /**
   * A whole stream in one call, from a fresh or reset codec: bytes stored, with `consumed` set; or -1 when it is
   * not one, or may not have fitted. Reports nothing else; the codec must be reset before its next use.
   */
  writeWhole(input: Uint8Array, output: Uint8Array): number;
  /** Back to an empty stream with the same options and dictionary. */
  reset(): void;
  /** Frees the native memory. Any later call but `close` throws. */
  close(): void;
}

/**
 * Rank of a flush kind, twice its strength (deflate.c, RANK): `block` is between `none` and `partial`. A flush
 * without new input after one of the same or a higher rank adds nothing.
 */
export function flushRank(flush: FlushKind): number {
  return flush === 'block' ? 1 : 2 * flushKinds[flush];
}
