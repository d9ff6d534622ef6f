/**
 * A stateful stream on a device: its buffers, the ctx that it is pinned to because the device keeps its state, and one
 * request at a time. Whoever uses it decides what the requests carry; it never looks at the bytes.
 */
import { assert } from '../src/base/assert.js';
import { deviceLost, type WdError } from '../src/base/errors.js';
import { limits } from '../src/base/limits.js';
import type { Extent } from './arena.js';
import type { Ctx } from './ctx.js';
import type { CtxGroup, WaitingStep } from './ctx-group.js';
import type { DmaMemory } from './dma-memory.js';
import { badData, busy, deviceError, WdFailure } from './failures.js';
import { Flight } from './flight.js';
import type { Outcome, SqeFormat, StreamPlan, Transfer } from './user-driver.js';

/** What a step asks for besides its input. */
export interface StepControl {
  /** Encoders: what the end of the input asks for, by zlib's number; 0 = nothing. */
  readonly flush: number;
  /** The stream ends with this input. */
  readonly final: boolean;
  /** Room for output, bytes; at most what the plan has. */
  readonly roomBytes: number;
}

/** What one stateful request came to. `output` is DMA memory: valid until the next step or `close`. */
export interface StepResult {
  readonly verdict: Outcome['verdict'];
  readonly consumed: number;
  readonly output: Uint8Array;
}

/** Where a session lives: its ctx is one of the group's. */
export interface StreamPlace {
  readonly memory: DmaMemory;
  readonly group: CtxGroup;
  readonly ctx: Ctx;
}

/** One step; it waits its turn like any request of the pool. */
class StreamFlight extends Flight implements WaitingStep {
  readonly format: SqeFormat;
  readonly ctx: Ctx;
  readonly #fields: Partial<Transfer>;
  readonly #settle: (outcome: Outcome | null, reason: string) => void;

  constructor(
    format: SqeFormat,
    ctx: Ctx,
    fields: Partial<Transfer>,
    settle: (outcome: Outcome | null, reason: string) => void,
  ) {
    super();
    this.format = format;
    this.ctx = ctx;
    this.#fields = fields;
    this.#settle = settle;
  }

  get flight(): Flight {
    return this;
  }

  abandoned(reason: string): void {
    this.#settle(null, reason);
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

export class StreamSession {
  readonly ctx: Ctx;
  readonly #plan: StreamPlan;
  readonly #memory: DmaMemory;
  readonly #group: CtxGroup;
  /** State buffer, room and input, one behind the other. */
  readonly #extent: Extent;
  #format: SqeFormat;
  #begun = false;
  #checksum = 0;
  #totalBytes = 0;
  #underWay = false;
  #closed = false;

  private constructor(plan: StreamPlan, parts: StreamPlace, extent: Extent) {
    this.ctx = parts.ctx;
    this.#plan = plan;
    this.#format = plan.format;
    this.#memory = parts.memory;
    this.#group = parts.group;
    this.#extent = extent;
    this.ctx.streams += 1;
  }

  /** Takes memory and a place among the streams of the ctx. Throws WdFailure with Busy when there is none. */
  static async open(plan: StreamPlan, parts: StreamPlace): Promise<StreamSession> {
    if (parts.ctx.streams >= limits.STREAMS_PER_CTX) {
      throw new WdFailure(busy(`${parts.ctx.device} keeps ${parts.ctx.streams} streams`, BUSY_RETRY_MS));
    }
    const bytes = plan.stateBytes + plan.roomBytes + plan.chunkBytes;
    const extent = await parts.memory.allocateOrGrow(bytes);
    if (extent === null) throw new WdFailure(busy('no DMA memory is left for a stream', BUSY_RETRY_MS));
    return new StreamSession(plan, parts, extent);
  }

  /** Sends up to one chunk of `input`. One step at a time. Throws WdFailure; the stream is over then. */
  async step(input: Uint8Array, control?: StepControl): Promise<StepResult> {
    assert(!this.#closed && !this.#underWay, 'a session takes one step at a time, and none after its end');
    // The memory may be somebody else's by now.
    if (this.ctx.lostReason !== null) throw this.#lost(this.ctx.lostReason);
    this.#underWay = true;
    const bytes = Math.min(input.length, this.#plan.chunkBytes);
    const { mapping, offset } = this.#extent;
    mapping.view.set(input.subarray(0, bytes), offset + this.#plan.stateBytes + this.#plan.roomBytes);
    try {
      return await this.#submit(
        bytes,
        control ?? { flush: 0, final: false, roomBytes: this.#plan.roomBytes },
      );
    } finally {
      this.#underWay = false;
      if (this.#closed) this.#release();
    }
  }

  /** What the next requests of the stream look like: the same stream with other parameters. */
  recode(format: SqeFormat): void {
    this.#format = format;
  }

  /** The next step begins another stream. */
  restart(): void {
    this.#begun = false;
    this.#checksum = 0;
    this.#totalBytes = 0;
  }

  /** Gives everything back; after the step under way, if there is one. Closing twice is fine. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (!this.#underWay) this.#release();
  }

  #release(): void {
    this.ctx.streams -= 1;
    this.#memory.free(this.#extent);
  }

  #submit(bytes: number, control: StepControl): Promise<StepResult> {
    return new Promise((resolve, reject) => {
      const flight = new StreamFlight(this.#format, this.ctx, this.#fields(control), (outcome, reason) => {
        if (outcome === null) return reject(this.#lost(reason));
        if (outcome.verdict === 'failed') return reject(new WdFailure(this.#failure(outcome)));
        resolve(this.#taken(outcome));
      });
      flight.sourceBytes = bytes;
      flight.destinationBytes = Math.min(control.roomBytes, this.#plan.roomBytes);
      flight.expectedNs = this.#format.expectedNs(bytes);
      this.#begun = true;
      this.#group.launchStep(flight);
    });
  }

  #fields({ flush, final }: StepControl): Partial<Transfer> {
    const { address } = this.#extent;
    const { stateBytes, roomBytes } = this.#plan;
    return {
      state: address,
      destination: address + stateBytes,
      source: address + stateBytes + roomBytes,
      streamNew: !this.#begun,
      final,
      flush,
      checksum: this.#checksum,
      totalBytes: this.#totalBytes,
    };
  }

  #taken(outcome: Outcome): StepResult {
    this.#checksum = outcome.checksum;
    this.#totalBytes = outcome.totalBytes;
    const { mapping, offset } = this.#extent;
    const from = offset + this.#plan.stateBytes;
    const output = mapping.view.subarray(from, from + outcome.produced);
    return { verdict: outcome.verdict, consumed: outcome.consumed, output };
  }

  #lost(reason: string): WdFailure {
    return new WdFailure(deviceLost(this.ctx.device, reason));
  }

  #failure(outcome: Outcome): WdError {
    return outcome.dataError === null
      ? deviceError(this.ctx.device, outcome.status)
      : badData(outcome.dataError);
  }
}

/** What Busy tells the caller to wait: streams come and go at the speed of programs. */
const BUSY_RETRY_MS = 10;
