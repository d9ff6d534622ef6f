/**
 * A call that is one request: input in, SQE, output out. A decoder whose output turns out larger than the room it
 * was given asks again with more.
 */
import { err, ok, type Result } from 'neverthrow';
import type { WdError } from '../src/base/errors.js';
import { limits } from '../src/base/limits.js';
import type { Extent } from './arena.js';
import type { Call } from './call.js';
import type { CtxGroup, WaitingRequest } from './ctx-group.js';
import type { DmaMemory } from './dma-memory.js';
import { badData, deviceError, outputTooLarge } from './failures.js';
import { type Carrier, Flight } from './flight.js';
import { outputMemory, type WdOutput } from './output.js';
import type { PoolBuffer } from './pool-buffer.js';
import type { OneShotStart } from './prepared.js';
import type { StagedInput } from './staged-input.js';
import type { DecodePlan, Outcome, SqeFormat, Transfer } from './user-driver.js';

/** What the owner of a one-shot does for it. */
export interface OneShotOwner {
  readonly memory: DmaMemory;
  /** It has ended; its memory is given back. */
  ended(request: OneShot, result: Result<WdOutput, WdError>): void;
  /** The output, or what follows it, does not fit one request. */
  tooLarge(request: OneShot): void;
  /** Its device was lost with it; it is in none now. */
  lost(request: OneShot, device: string, reason: string): void;
  /** No device will take it; it is in none. */
  abandoned(request: OneShot, reason: string): void;
}

/** Why the output cannot go where the call wants it: less room than the device may write. */
export function intoMistake(
  { prepared, options }: Call,
  start: OneShotStart,
  inputBytes: number,
): WdError | null {
  const { format, skipBytes } = start;
  if (options.into === null || format.limitsOutput === true) return null;
  const needed = prepared.operation.header.length + format.outputRoom(inputBytes - skipBytes);
  return needed <= options.into.byteLength ? null : outputTooLarge(options.into.byteLength);
}

const NO_BYTES = Buffer.alloc(0);

export class OneShot extends Flight implements WaitingRequest {
  readonly call: Call;
  readonly format: SqeFormat;
  readonly group: CtxGroup;
  readonly input: StagedInput;
  /** Requests that it took so far. */
  attempts = 0;
  /** Devices that were lost with it. */
  losses = 0;
  readonly #owner: OneShotOwner;
  readonly #skipBytes: number;
  readonly #next: DecodePlan | null;
  readonly #into: PoolBuffer | null;
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
    this.#into = call.options.into;
    this.sourceBytes = input.bytes - skipBytes;
    this.#roomBytes =
      format.limitsOutput === true ? this.#clampRoom(this.#usualRoom()) : format.outputRoom(this.sourceBytes);
    this.expectedNs = format.expectedNs(this.sourceBytes);
  }

  launch(): Flight | null {
    const { memory } = this.#owner;
    if (!this.input.stage(memory)) return null;
    if (this.#into === null) this.#output ??= memory.allocate(this.#roomBytes);
    if (this.#into === null && this.#output === null) return null;
    this.destinationBytes = this.#roomBytes;
    this.attempts += 1;
    return this;
  }

  unstage(): void {
    this.input.unstage(this.#owner.memory);
  }

  describe(transfer: Transfer): void {
    transfer.source = this.input.address + this.#skipBytes;
    transfer.destination =
      this.#into === null ? this.#output!.address : this.#into.address + this.#headerBytes;
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
    this.losses += 1;
    this.#owner.lost(this, carrier.device, reason);
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
    const mostBytes = Math.min(options.maxOutputBytes, this.#into?.byteLength ?? Number.POSITIVE_INFINITY);
    if (operation.header.length + produced > mostBytes) return err(outputTooLarge(mostBytes));
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
    if (this.#roomBytes > maxOutputBytes) return err(outputTooLarge(maxOutputBytes));
    return this.#into === null ? 'tooLarge' : err(outputTooLarge(this.#into.byteLength));
  }

  /** Makes the room larger for another attempt; false when it has the largest already. */
  #enlarge(): boolean {
    const larger = this.#into === null ? this.#clampRoom(this.#roomBytes * 4) : this.#roomBytes;
    if (larger === this.#roomBytes) return false;
    this.#releaseOutput();
    this.#roomBytes = larger;
    return true;
  }

  #usualRoom(): number {
    if (this.#into !== null) return Number.POSITIVE_INFINITY;
    const { decode } = this.call.prepared.operation;
    return decode?.room(this.input.view()) ?? this.format.outputRoom(this.sourceBytes);
  }

  /**
   * What a caller gave is all there is, and a byte behind it that is nobody's: a room that is full to the end costs the
   * device another look. Of a limit, too, one byte more shows that it is exceeded.
   */
  #clampRoom(bytes: number): number {
    const into = this.#into;
    const given =
      into === null ? Infinity : Math.max(0, into.byteLength + into.spareBytes - this.#headerBytes);
    return Math.min(bytes, given, limits.REQUEST_BYTES_MAX, this.call.prepared.options.maxOutputBytes + 1);
  }

  get #headerBytes(): number {
    return this.call.prepared.operation.header.length;
  }

  #takeOutput(produced: number): Buffer {
    const { header } = this.call.prepared.operation;
    if (header.length + produced === 0) return NO_BYTES;
    if (this.#into !== null) {
      this.#into.bytes.set(header);
      return this.#into.bytes.subarray(0, header.length + produced);
    }
    const data = outputMemory(header.length + produced);
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
