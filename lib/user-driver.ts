/**
 * The contract of a user driver: how a request becomes an SQE and a completed SQE a result. The library finds
 * devices, opens queues, owns memory, submits and reaps; a user driver only knows its descriptor.
 *
 * A driver never stores an address of its own making: it writes the ones it is handed. It never trusts what it
 * reads back: each result field is read once and checked against what was posted.
 */
import type { Result } from 'neverthrow';
import type { InvalidArgument, WdError } from '../src/base/errors.js';

/** What the caller asks for, as plain data: no buffers, closures or addresses. */
export interface OperationSpec {
  /** Operation, e.g. `compress`, `decompress`, `copy`. */
  readonly op: string;
  /** Validated by the driver that claims the operation. */
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** Addresses and lengths of one SQE, in the address space of the queue. Reused between calls: copy, never keep. */
export interface Transfer {
  /** Tag to be written into the SQE and returned intact. */
  tag: number;
  source: number;
  sourceBytes: number;
  destination: number;
  destinationBytes: number;
  /** Bytes right before `source` that prime the operation (deflate's window), 0 = none. */
  dictionaryBytes: number;
  /** Address of the session's state buffer, 0 for stateless requests. */
  state: number;
  /** Stateful requests: the first of its stream. */
  streamNew: boolean;
  /** The last of its stream, or the only one. */
  final: boolean;
  /** Encoders, stateful and not final: what the end of this input asks for, by zlib's number; 0 = nothing. */
  flush: number;
  /** Stateful requests: checksum and input length so far, as the previous outcome reported them. */
  checksum: number;
  totalBytes: number;
}

/** What a completed SQE says. Reused between calls: copy, never keep. */
export interface Outcome {
  tag: number;
  /** `ok`; `noRoom`: the destination was too small, consumed and produced are valid; `ended`: the stream's end was reached; `failed`: see status. */
  verdict: 'ok' | 'noRoom' | 'ended' | 'failed';
  /** The device's own status. */
  status: number;
  consumed: number;
  produced: number;
  checksum: number;
  totalBytes: number;
  /** Only with `failed`: bad input rather than a bad device. */
  dataError: DataError | null;
}

/** One shape of SQE: everything that is the same for all requests of a session. */
export interface SqeFormat {
  /** Direction that the queue must be set to (SET_QP_CTX), 0 or 1. */
  readonly qcType: 0 | 1;
  readonly sqeBytes: number;
  /** Constant words of the SQE, copied into the slot before `fill`. */
  readonly template: Int32Array;
  /** Writes the variable fields at `base` of the ring. */
  fill(ring: DataView, base: number, transfer: Transfer): void;
  /** Reads the completed SQE at `base`, every field once. */
  read(ring: DataView, base: number, outcome: Outcome): void;
  /** Room that the output of `inputBytes` bytes needs at most. */
  outputRoom(inputBytes: number): number;
  /**
   * Whether `fill` tells the device how much room there is, and the device keeps to it. Otherwise it is taken to write
   * all of `outputRoom`, and never given less.
   */
  readonly limitsOutput?: boolean;
  /** Expected device time in ns, for choosing where to submit. */
  expectedNs(inputBytes: number): number;
}

/** How one call becomes requests. */
export interface Operation {
  /** Line of the `algorithms` attribute that a device must have. */
  readonly algorithm: string;
  /** Largest input of one stateless request, bytes. */
  readonly requestBytesMax: number;
  readonly oneShot: SqeFormat;
  /** Written before the output of a one-shot request or a stream. */
  readonly header: Uint8Array;
  /** One large input over all engines; absent when the operation cannot be cut. */
  readonly blocks?: BlockPlan;
  /** Serial and stateful; absent when every request stands alone. */
  readonly stream?: StreamPlan;
  /** Present for decoders. Their `oneShot` and `stream` are chosen by the header. */
  readonly decode?: DecodePlan;
  /** The same operation in software, for the route without a device: same bytes in, equivalent bytes out. */
  software(input: Uint8Array, limits: OutputLimit): Promise<Result<SoftwareOutput, WdError>>;
  /** Whether `output` is what `input` becomes, found out in software; absent where nobody can tell. */
  verify?(input: Uint8Array, output: Uint8Array): Promise<boolean>;
  /** The same, on the spot; for inputs so small that any hand-over costs more. */
  softwareSync(input: Uint8Array, limits: OutputLimit): Result<SoftwareOutput, WdError>;
}

/** How much a caller is willing to take. */
export interface OutputLimit {
  /** More output than this is an OutputTooLarge error, found before it is made. */
  readonly maxOutputBytes: number;
}

/** What an operation made in software. `checksum` is what the device would have reported. */
export interface SoftwareOutput {
  readonly data: Uint8Array;
  readonly checksum: number;
}

/** Independent blocks whose outputs, put together, are one stream. */
export interface BlockPlan {
  readonly format: SqeFormat;
  /** Bytes before a block that are handed over with it. */
  readonly dictionaryBytes: number;
  /** One block in software, off the calling thread: `bytes` without the dictionary that comes before them. */
  software(bytes: Uint8Array, dictionary: Uint8Array): Promise<SoftwareOutput>;
  /** What follows the last block. `parts` are the blocks' outcomes in order. */
  trailer(parts: readonly BlockPart[]): Uint8Array;
}

/** What is known of a finished block: its input in bytes, and the checksum of that input. */
export interface BlockPart {
  readonly inputBytes: number;
  readonly checksum: number;
}

/** Serial, stateful requests. */
export interface StreamPlan {
  readonly format: SqeFormat;
  /** Bytes of the session's state buffer. */
  readonly stateBytes: number;
  /** Input of one request at most, bytes. */
  readonly chunkBytes: number;
  /** Output room of one request, bytes. */
  readonly roomBytes: number;
}

/** What user space itself does around a decoder: the containers that the device does not know. */
export interface DecodePlan {
  /** Reads the head of a member. `ended`: no more input will come, and `more` is not an answer. */
  parseHeader(head: Uint8Array, ended: boolean): HeaderVerdict;
  /** What may follow the end of a member. `rest` is not empty. */
  afterEnd(rest: Uint8Array): TailVerdict;
  /** A guess of the room that the output of a whole input needs, from what the container says. */
  room(input: Uint8Array): number;
  /** The input ended before the stream did. */
  readonly truncated: DataError;
}

/** Bad input, in the words and numbers of node:zlib. */
export interface DataError {
  readonly message: string;
  readonly code: string;
  readonly errno: number;
}

/** What the head of a member turned out to be: `more` bytes are needed, it is `bad`, or it ends and is skipped. */
export type HeaderVerdict =
  /** The member starts after `bytes` bytes. `next` is the plan for what follows its end, this one's or another. */
  | {
      readonly kind: 'skip';
      readonly bytes: number;
      readonly oneShot: SqeFormat;
      readonly stream: StreamPlan;
      readonly next: DecodePlan;
    }
  | { readonly kind: 'more' }
  | { readonly kind: 'bad'; readonly error: DataError };

/** Bytes after the end of a member: not ours (`finished`), or the head of another member (`again`). */
export type TailVerdict = 'finished' | 'again';

/** The user part of a driver: stateless, and called on the thread of the pool. */
export interface UserDriver {
  readonly name: string;
  /** Whether it speaks to devices that announce `api`. */
  drives(api: string): boolean;
  /** Operations it offers. */
  readonly operations: readonly string[];
  /** Prepares an operation; the error names the parameter that is wrong. */
  prepare(spec: OperationSpec): Result<Operation, InvalidArgument>;
}
