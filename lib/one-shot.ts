/**
 * A call that is one request: input in, SQE, output out. A decoder whose output turns out larger than the room it
 * was given asks again with more.
 */
import { err, ok, type Result } from 'neverthrow';
import { deviceLost, type WdError } from '../src/base/errors.js';
import { limits } from '../src/base/limits.js';
import type { Extent } from './arena.js';
import type { CtxGroup, Waiting } from './ctx-group.js';
import type { DmaMemory } from './dma-memory.js';
import { badData, deviceError, outputTooLarge } from './failures.js';
import { type Carrier, Flight } from './flight.js';
import type { OneShotStart, Prepared } from './prepared.js';
import type { StagedInput } from './staged-input.js';
import type { DecodePlan, Outcome, SqeFormat, Transfer } from './user-driver.js';
import type { Via } from './via.js';

/** What a call answers. */
export interface WdOutput {
  readonly data: Buffer;
  /** What the device, or the software in its place, reported: of the input when encoding. */
  readonly checksum: number;
  readonly via: Via;
}

export type Settle = (result: Result<WdOutput, WdError>) => void;

/** One call that has been routed. */
export interface Call {
  readonly prepared: Prepared;
  readonly reason: string;
  readonly signal: AbortSignal | null;
  readonly settle: Settle;
}

/** What the owner of a one-shot does for it. */
export interface OneShotOwner {
  readonly memory: DmaMemory;
  /** It has ended; its memory is given back. */
  ended(request: OneShot, result: Result<WdOutput, WdError>): void;
  /** The output, or what follows it, does not fit one request. */
  tooLarge(request: OneShot): void;
  /** No device will take it; it is in none. */
  abandoned(request: OneShot, reason: string): void;
}

const NO_BYTES = Buffer.alloc(0);

export class OneShot extends Flight implements Waiting {
  readonly call: Call;
  readonly format: SqeFormat;
  readonly group: CtxGroup;
  readonly input: StagedInput;
  /** Requests that it took so far. */
  attempts = 0;
  /** The caller has been told; set before the end when a signal aborts. */
  settled = false;
  stopWatching: (() => void) | null = null;
  readonly #owner: OneShotOwner;
  readonly #skipBytes: number;
  readonly #next: DecodePlan | null;
  #roomBytes: number;
  #output: Extent | null = null;

  constructor(owner: OneShotOwner, call: Call, start: OneShotStart, input: StagedInput) {
    super();
    const { format, skipBytes, next } = start;
    this.call = call;
    this.format = format;
    this.group = start.group;
    this.input = input;
    this.#owner = owner;
    this.#skipBytes = skipBytes;
    this.#next = next;
    this.sourceBytes = input.bytes - skipBytes;
    const { decode } = call.prepared.operation;
    this.#roomBytes = this.#clampRoom(decode?.room(input.view()) ?? format.outputRoom(this.sourceBytes));
    this.expectedNs = format.expectedNs(this.sourceBytes);
  }

  launch(): Flight | null {
    const { memory } = this.#owner;
    if (this.input.extent(memory) === null) return null;
    this.#output ??= memory.allocate(this.#roomBytes);
    if (this.#output === null) return null;
    this.destinationBytes = this.#roomBytes;
    this.attempts += 1;
    return this;
  }

  unstage(): void {
    this.input.unstage(this.#owner.memory);
  }

  describe(transfer: Transfer): void {
    transfer.source = this.input.address + this.#skipBytes;
    transfer.destination = this.#output!.address;
  }

  complete(outcome: Outcome, carrier: Carrier): void {
    const { verdict } = outcome;
    if (verdict === 'noRoom' && this.#enlarge()) return this.group.add(this);
    const end = verdict === 'noRoom' ? this.#noMoreRoom() : this.#judge(outcome, carrier);
    this.#releaseOutput();
    if (end === 'tooLarge') this.#owner.tooLarge(this);
    else this.#owner.ended(this, end);
  }

  lost(reason: string, carrier: Carrier): void {
    this.#releaseOutput();
    this.#owner.ended(this, err(deviceLost(carrier.device, reason)));
  }

  abandoned(reason: string): void {
    this.#releaseOutput();
    this.#owner.abandoned(this, reason);
  }

  #judge(outcome: Outcome, carrier: Carrier): Result<WdOutput, WdError> | 'tooLarge' {
    const { verdict, produced, dataError } = outcome;
    if (verdict === 'failed') {
      return err(dataError === null ? deviceError(carrier.device, outcome.status) : badData(dataError));
    }
    const { operation, options } = this.call.prepared;
    if (operation.header.length + produced > options.maxOutputBytes)
      return err(outputTooLarge(options.maxOutputBytes));
    const problem = this.#next === null ? null : this.#checkEnd(outcome, this.#next);
    if (problem !== null) return problem;
    const via = carrier.via(this.call.reason, this.attempts);
    return ok({ data: this.#takeOutput(produced), checksum: outcome.checksum, via });
  }

  /** A decoder must have reached the end of its stream, and of the input. */
  #checkEnd({ verdict, consumed }: Outcome, next: DecodePlan): Result<never, WdError> | 'tooLarge' | null {
    if (verdict !== 'ended') return err(badData(next.truncated));
    const restFrom = this.#skipBytes + consumed;
    if (restFrom === this.input.bytes) return null;
    return next.afterEnd(this.input.view().subarray(restFrom)) === 'finished' ? null : 'tooLarge';
  }

  #noMoreRoom(): Result<never, WdError> | 'tooLarge' {
    const { maxOutputBytes } = this.call.prepared.options;
    return this.#roomBytes > maxOutputBytes ? err(outputTooLarge(maxOutputBytes)) : 'tooLarge';
  }

  /** Makes the room larger for another attempt; false when it has the largest already. */
  #enlarge(): boolean {
    const larger = this.#clampRoom(this.#roomBytes * 4);
    if (larger === this.#roomBytes) return false;
    this.#releaseOutput();
    this.#roomBytes = larger;
    return true;
  }

  /** One byte beyond the caller's limit is enough to see that it is exceeded. */
  #clampRoom(bytes: number): number {
    return Math.min(bytes, limits.REQUEST_BYTES_MAX, this.call.prepared.options.maxOutputBytes + 1);
  }

  #takeOutput(produced: number): Buffer {
    const { header } = this.call.prepared.operation;
    if (header.length + produced === 0) return NO_BYTES;
    const data = Buffer.allocUnsafe(header.length + produced);
    const { mapping, offset } = this.#output!;
    if (header.length > 0) data.set(header);
    data.set(mapping.view.subarray(offset, offset + produced), header.length);
    return data;
  }

  #releaseOutput(): void {
    if (this.#output !== null) this.#owner.memory.free(this.#output);
    this.#output = null;
  }
}
