/**
 * A stream of a pool, step by step, for whoever offers streams of its own shape on top: each step is admitted like any
 * request, holds the program while it is under way, and nothing does between two of them.
 */
import type { Admission } from './admission.js';
import { WdFailure } from './failures.js';
import type { Prepared } from './prepared.js';
import type { Requests } from './requests.js';
import { type StepControl, type StepResult, StreamSession } from './stream-session.js';
import type { Operation, SqeFormat, StreamPlan } from './user-driver.js';
import type { Via } from './via.js';

/** What a stream is made from. */
export interface PoolStreamParts {
  readonly prepared: Prepared;
  readonly requests: Requests;
  readonly admission: Admission;
}

const REASON = 'streams go to the device';

export class PoolStream {
  /** What the stream does: the header that comes before an encoder's output, or how a decoder finds its members. */
  readonly operation: Operation;
  readonly #parts: PoolStreamParts;
  #session: StreamSession | null = null;
  #closed = false;
  #attempts = 0;

  constructor(parts: PoolStreamParts) {
    this.#parts = parts;
    this.operation = parts.prepared.operation;
  }

  /** Requests that it took so far, and where it lives; null before the first `begin`. */
  get via(): Via | null {
    return this.#session?.ctx.via(REASON, this.#attempts) ?? null;
  }

  /**
   * Begins a stream on the device, or another one after it: the next step is its first. Throws WdFailure: NoDevice,
   * Busy when no place or memory is left.
   */
  async begin(plan: StreamPlan): Promise<void> {
    const { requests, prepared } = this.#parts;
    if (this.#session === null) {
      const session = await this.#admitted(async () =>
        StreamSession.open(plan, await requests.place(prepared)),
      );
      this.#session = session;
      if (this.#closed) session.close();
    }
    this.#session.recode(plan.format);
    this.#session.restart();
  }

  /** One request. Throws WdFailure; the stream is over then. */
  step(input: Uint8Array, control?: StepControl): Promise<StepResult> {
    this.#attempts += 1;
    return this.#admitted(() => this.#session!.step(input, control));
  }

  /** What the next requests of the stream look like: the same stream with other parameters. */
  recode(format: SqeFormat): void {
    this.#session?.recode(format);
  }

  /** Gives its place and memory back, after the step under way. Closing twice is fine. */
  close(): void {
    this.#closed = true;
    this.#session?.close();
  }

  async #admitted<T>(work: () => Promise<T>): Promise<T> {
    const { admission } = this.#parts;
    const busy = admission.enter(0);
    if (busy !== null) throw new WdFailure(busy);
    try {
      return await work();
    } finally {
      admission.leave(0);
    }
  }
}
