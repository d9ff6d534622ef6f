/**
 * A call that is one request: input in, SQE, output out. A decoder whose output turns out larger than the room it
 * was given asks again with more.
 */
import { deviceLost, type WdError } from '../src/base/errors.js';
import { limits } from '../src/base/limits.js';
import type { Extent } from './arena.js';
import type { Ctx } from './ctx.js';
import type { Waiting } from './ctx-group.js';
import type { DmaMemory } from './dma-memory.js';
import { badData, deviceError, outputTooLarge } from './failures.js';
import { Flight } from './flight.js';
import type { StagedInput } from './staged-input.js';
import type { Operation, Outcome, SqeFormat } from './user-driver.js';

/** What the owner of a one-shot does for it. */
export interface OneShotOwner {
  readonly memory: DmaMemory;
  /** Ended well: `data` is the caller's own; `checksum` is what the device reported. */
  finished(request: OneShot, output: { data: Buffer; checksum: number }, ctx: Ctx): void;
  failed(request: OneShot, error: WdError, ctx: Ctx | null): void;
  /** More room is needed: put it back in the line. */
  again(request: OneShot): void;
  /** The output, or what follows it, does not fit one request. */
  tooLarge(request: OneShot): void;
}

export interface OneShotParts {
  readonly owner: OneShotOwner;
  readonly operation: Operation;
  readonly format: SqeFormat;
  readonly input: StagedInput;
  /** Bytes of the input that user space has dealt with (a container's header). */
  readonly skipBytes: number;
  readonly maxOutputBytes: number;
}

export class OneShot extends Flight implements Waiting {
  readonly format: SqeFormat;
  readonly input: StagedInput;
  attempts = 0;
  readonly #owner: OneShotOwner;
  readonly #operation: Operation;
  readonly #skipBytes: number;
  readonly #maxOutputBytes: number;
  #roomBytes: number;
  #output: Extent | null = null;

  constructor({ owner, operation, format, input, skipBytes, maxOutputBytes }: OneShotParts) {
    super();
    this.format = format;
    this.input = input;
    this.#owner = owner;
    this.#operation = operation;
    this.#skipBytes = skipBytes;
    this.#maxOutputBytes = maxOutputBytes;
    this.sourceBytes = input.bytes - skipBytes;
    this.#roomBytes = this.#clampRoom(operation.decode?.room(input.view()) ?? format.outputRoom(this.sourceBytes));
    this.expectedNs = format.expectedNs(this.sourceBytes);
  }

  launch(): Flight | null {
    const { memory } = this.#owner;
    const source = this.input.extent(memory);
    if (source === null) return null;
    this.#output ??= memory.allocate(this.#roomBytes);
    if (this.#output === null) return null;
    this.source = source.address + this.#skipBytes;
    this.destination = this.#output.address;
    this.destinationBytes = this.#roomBytes;
    this.attempts += 1;
    return this;
  }

  complete(outcome: Outcome, ctx: Ctx): void {
    const verdict = this.#judge(outcome, ctx);
    if (verdict !== null) this.#release();
    if (Buffer.isBuffer(verdict)) this.#owner.finished(this, { data: verdict, checksum: outcome.checksum }, ctx);
    else if (verdict === 'tooLarge') this.#owner.tooLarge(this);
    else if (verdict !== null) this.#owner.failed(this, verdict, ctx);
  }

  lost(reason: string, ctx: Ctx): void {
    this.#release();
    this.#owner.failed(this, deviceLost(ctx.device, reason), ctx);
  }

  abandoned(reason: string): void {
    this.#release();
    this.#owner.failed(this, deviceLost('every device', reason), null);
  }

  /** Gives back the memory of a request that is not in a queue. */
  withdraw(): void {
    this.#release();
    this.input.release(this.#owner.memory);
  }

  /** The output, an error, what else to do, or null when the request was sent again. */
  #judge(outcome: Outcome, ctx: Ctx): Buffer | WdError | 'tooLarge' | null {
    const { verdict, produced } = outcome;
    if (verdict === 'failed') {
      return outcome.dataError === null ? deviceError(ctx.device, outcome.status) : badData(outcome.dataError);
    }
    if (verdict === 'noRoom') return this.#enlarge();
    const total = this.#operation.header.length + produced;
    if (total > this.#maxOutputBytes) return outputTooLarge(this.#maxOutputBytes);
    const problem = this.#operation.decode === undefined ? null : this.#checkEnd(outcome);
    return problem ?? this.#takeOutput(produced);
  }

  /** A decoder must have reached the end of its stream, and of the input. */
  #checkEnd({ verdict, consumed }: Outcome): WdError | 'tooLarge' | null {
    const { decode } = this.#operation;
    if (verdict !== 'ended') return badData(decode!.truncated);
    const restFrom = this.#skipBytes + consumed;
    if (restFrom === this.input.bytes) return null;
    return decode!.afterEnd(this.input.view().subarray(restFrom)) === 'finished' ? null : 'tooLarge';
  }

  #enlarge(): WdError | 'tooLarge' | null {
    if (this.#roomBytes > this.#maxOutputBytes) return outputTooLarge(this.#maxOutputBytes);
    if (this.#roomBytes >= limits.REQUEST_BYTES_MAX) return 'tooLarge';
    this.#release();
    this.#roomBytes = this.#clampRoom(this.#roomBytes * 4);
    this.#owner.again(this);
    return null;
  }

  /** One byte beyond the caller's limit is enough to see that it is exceeded. */
  #clampRoom(bytes: number): number {
    return Math.min(bytes, limits.REQUEST_BYTES_MAX, this.#maxOutputBytes + 1);
  }

  #takeOutput(produced: number): Buffer {
    const { header } = this.#operation;
    const data = Buffer.allocUnsafe(header.length + produced);
    const { mapping, offset } = this.#output!;
    if (header.length > 0) data.set(header);
    data.set(mapping.view.subarray(offset, offset + produced), header.length);
    return data;
  }

  #release(): void {
    if (this.#output !== null) this.#owner.memory.free(this.#output);
    this.#output = null;
  }
}
