/**
 * The contract between the device and a stream that it works on, in either direction: one native call a step, and
 * what the stream waits for afterwards.
 */
import type { DeflateOptions, FlushKind } from './codec.js';
import type { InflaterPool } from './inflater-pool.js';
import type { RequestKind } from './layout.js';

/**
 * What a stream waits for: `input`: all that was offered is consumed and what is due of it delivered; `room`: more
 * output is due; `nothing`: it has ended, or failed.
 */
export type StreamNeed = 'input' | 'room' | 'nothing';

/** Why a stream failed: SPEC.md sections 5 and 6. */
export interface StreamFault {
  readonly status: number;
  readonly dataError: number;
}

/** What stands behind one segment of input and one window of room. */
export interface StepEnd {
  /** What the end of the input means when compressing. */
  readonly flush: FlushKind;
  /** The room of a stateful request ends with this window: what comes out is what zlib gives into that room. */
  readonly roomEnds: boolean;
}

export interface ZipStream {
  readonly kind: RequestKind;
  /** Of the last step: bytes taken from the front of the input, bytes stored at the front of the window. */
  readonly consumed: number;
  readonly produced: number;
  readonly need: StreamNeed;
  readonly fault: StreamFault | null;
  /** False once the end was announced and everything before it consumed. */
  readonly takesInput: boolean;
  /** Of the uncompressed bytes so far. */
  readonly checksum: number;
  readonly totalBytes: number;
  /** Takes over the coding of another request; false when it differs in more than the stream can change. */
  recode(coding: DeflateOptions): boolean;
  /** Works on one segment. */
  step(input: Uint8Array, window: Uint8Array, end: StepEnd): void;
  /** Gives its codec back; the stream is not used again. */
  release(pool: InflaterPool): void;
}
