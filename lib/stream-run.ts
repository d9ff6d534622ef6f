/**
 * A serial stream through stateful requests: input pieces in, output pieces out, one request at a time, pinned to
 * one ctx because the device keeps the state of the stream. Used for decoding what does not fit one request.
 */
import { deviceLost, type WdError } from '../src/base/errors.js';
import type { Extent } from './arena.js';
import type { Ctx } from './ctx.js';
import type { DmaMemory } from './dma-memory.js';
import { badData, deviceError, WdFailure } from './failures.js';
import { Flight } from './flight.js';
import type { DecodePlan, HeaderVerdict, Outcome, SqeFormat, StreamPlan, Transfer } from './user-driver.js';

/** What one stateful request came to. */
interface StepResult {
  readonly verdict: Outcome['verdict'];
  readonly consumed: number;
  readonly data: Buffer;
}

class StreamFlight extends Flight {
  readonly format: SqeFormat;
  readonly #fields: Partial<Transfer>;
  readonly #settle: (outcome: Outcome | null, reason: string) => void;

  constructor(
    format: SqeFormat,
    fields: Partial<Transfer>,
    settle: (outcome: Outcome | null, reason: string) => void,
  ) {
    super();
    this.format = format;
    this.#fields = fields;
    this.#settle = settle;
  }

  describe(transfer: Transfer): void {
    Object.assign(transfer, this.#fields);
  }

  complete(outcome: Outcome): void {
    this.#settle(outcome, '');
  }

  lost(reason: string): void {
    this.#settle(null, reason);
  }
}

/** One member of a stream on one ctx: owns the state buffer and the two data buffers. */
class StreamSession {
  readonly #plan: StreamPlan;
  readonly #memory: DmaMemory;
  readonly #ctx: Ctx;
  readonly #state: Extent;
  readonly #input: Extent;
  readonly #output: Extent;
  #started = false;
  #checksum = 0;
  #totalBytes = 0;

  constructor(plan: StreamPlan, parts: { memory: DmaMemory; ctx: Ctx }) {
    this.#plan = plan;
    this.#memory = parts.memory;
    this.#ctx = parts.ctx;
    this.#state = this.#take(plan.stateBytes);
    this.#input = this.#take(plan.chunkBytes);
    this.#output = this.#take(plan.roomBytes);
  }

  /** Sends up to one chunk of `input`. */
  async step(input: Uint8Array): Promise<StepResult> {
    const bytes = Math.min(input.length, this.#plan.chunkBytes);
    this.#input.mapping.view.set(input.subarray(0, bytes), this.#input.offset);
    await this.#room();
    return new Promise((resolve, reject) => {
      const flight = new StreamFlight(this.#plan.format, this.#fields(), (outcome, reason) => {
        if (outcome === null) return reject(new WdFailure(deviceLost(this.#ctx.device, reason)));
        if (outcome.verdict === 'failed') return reject(new WdFailure(this.#failure(outcome)));
        resolve(this.#taken(outcome));
      });
      flight.sourceBytes = bytes;
      flight.destinationBytes = this.#plan.roomBytes;
      flight.expectedNs = this.#plan.format.expectedNs(bytes);
      this.#started = true;
      this.#ctx.submit(flight);
    });
  }

  close(): void {
    for (const extent of [this.#state, this.#input, this.#output]) this.#memory.free(extent);
  }

  /** Waits until the ctx, which the stream cannot leave, has a free slot. */
  async #room(): Promise<void> {
    while (this.#ctx.room <= 0) {
      if (this.#ctx.lostReason !== null) {
        throw new WdFailure(deviceLost(this.#ctx.device, this.#ctx.lostReason));
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #take(bytes: number): Extent {
    const extent = this.#memory.allocate(bytes);
    if (extent !== null) return extent;
    throw new WdFailure(deviceLost(this.#ctx.device, 'no DMA memory is left for a stream'));
  }

  #fields(): Partial<Transfer> {
    return {
      source: this.#input.address,
      destination: this.#output.address,
      state: this.#state.address,
      streamNew: !this.#started,
      final: false,
      checksum: this.#checksum,
      totalBytes: this.#totalBytes,
    };
  }

  #taken(outcome: Outcome): StepResult {
    this.#checksum = outcome.checksum;
    this.#totalBytes = outcome.totalBytes;
    const { mapping, offset } = this.#output;
    const data = Buffer.from(mapping.view.subarray(offset, offset + outcome.produced));
    return { verdict: outcome.verdict, consumed: outcome.consumed, data };
  }

  #failure(outcome: Outcome): WdError {
    return outcome.dataError === null
      ? deviceError(this.#ctx.device, outcome.status)
      : badData(outcome.dataError);
  }
}

/** Decodes `source`, member after member, on one ctx. Yields output; throws WdFailure. */
export async function* decodeStream(
  source: AsyncIterable<Uint8Array>,
  decode: DecodePlan,
  parts: { memory: DmaMemory; ctx: Ctx; onRequest: () => void },
): AsyncGenerator<Buffer, void, void> {
  const input = new InputQueue(source);
  let plan = decode;
  let again = true;
  while (again) {
    const { stream, next } = await openMember(input, plan);
    const session = new StreamSession(stream, parts);
    try {
      yield* decodeMember({ input, session, decode: next, onRequest: parts.onRequest });
    } finally {
      session.close();
    }
    await input.fill(1);
    again = input.head.length > 0 && next.afterEnd(input.head) === 'again';
    plan = next;
  }
}

/** A buffer as a stream of one piece. */
export async function* wholeInput(input: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
  yield input;
}

type Member = Extract<HeaderVerdict, { kind: 'skip' }>;

async function openMember(input: InputQueue, decode: DecodePlan): Promise<Member> {
  for (;;) {
    const verdict = decode.parseHeader(input.head, input.ended);
    if (verdict.kind === 'bad') throw new WdFailure(badData(verdict.error));
    if (verdict.kind === 'skip') {
      input.consume(verdict.bytes);
      return verdict;
    }
    await input.fill(input.head.length + 1);
  }
}

async function* decodeMember(run: {
  input: InputQueue;
  session: StreamSession;
  decode: DecodePlan;
  onRequest: () => void;
}): AsyncGenerator<Buffer, void, void> {
  const { input, session, decode, onRequest } = run;
  for (;;) {
    await input.fill(1);
    const offered = input.head;
    onRequest();
    const { verdict, consumed, data } = await session.step(offered);
    input.consume(consumed);
    if (data.length > 0) yield data;
    if (verdict === 'ended') return;
    // All input is used, there was room, and the stream goes on: more input must come.
    const starved = verdict !== 'noRoom' && input.head.length === 0;
    if (starved && input.ended) throw new WdFailure(badData(decode.truncated));
    if (consumed === 0 && data.length === 0 && offered.length > 0) {
      await input.fill(offered.length + 1);
      if (input.ended && input.head.length === offered.length) throw new WdFailure(badData(decode.truncated));
    }
  }
}

/** Input pieces as one run of bytes, read only as far as needed. */
class InputQueue {
  readonly #source: AsyncIterator<Uint8Array>;
  head: Uint8Array = new Uint8Array(0);
  ended = false;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Reads until `bytes` bytes are at hand or the input has ended. */
  async fill(bytes: number): Promise<void> {
    while (this.head.length < bytes && !this.ended) {
      const { done, value } = await this.#source.next();
      if (done === true) this.ended = true;
      else this.head = this.head.length === 0 ? value : Buffer.concat([this.head, value]);
    }
  }

  consume(bytes: number): void {
    this.head = this.head.subarray(bytes);
  }
}
