/**
 * What does the work behind a stream, in either direction, and what both directions share: steps on a device that wait
 * out a full pool, and are not taken any more once the stream is closed.
 */
import { assert } from '../../src/base/assert.js';
import { errorOf } from '../failures.js';
import type { PoolStream } from '../pool-stream.js';
import type { StepControl, StepResult } from '../stream-session.js';
import type { StreamPlan } from '../user-driver.js';
import type { WriteWindow } from './window.js';

/** A device's side of one stream. */
export interface StreamEngine {
  /**
   * Works on one write, as one call of zlib would: until its input is consumed or its room is full. Throws WdFailure.
   * Ends early, with nothing to be relied on, when the stream is closed meanwhile.
   */
  write(window: WriteWindow): Promise<void>;
  /**
   * Input that was taken in earlier writes and that no device has seen, when the stream stands at a beginning: whoever
   * takes over there needs nothing else. Null in the middle of a stream.
   */
  readonly unseen: Uint8Array | null;
  /** The next write begins another stream. */
  reset(): void;
}

/** A step that was begun before Node asked for it. */
interface Ahead {
  readonly input: Uint8Array;
  readonly control: StepControl;
  readonly result: Promise<StepResult | null>;
}

/** The way to a device. */
export class DeviceSteps {
  readonly stream: PoolStream;
  /** Room that Node offers when the last room was used up, bytes. */
  readonly roomBytes: number;
  closed = false;
  #ahead: Ahead | null = null;

  constructor(stream: PoolStream, roomBytes: number) {
    this.stream = stream;
    this.roomBytes = roomBytes;
  }

  /** The next step is the first of a stream. */
  async begin(plan: StreamPlan): Promise<void> {
    // Of a stream that is over: nobody wants it, but a device takes one step after the other.
    const before = this.#ahead;
    this.#ahead = null;
    if (before !== null) await before.result;
    await this.stream.begin(plan);
  }

  /** One request, however long the pool has no room for it; null when the stream was closed before its turn. */
  take(input: Uint8Array, control: StepControl): Promise<StepResult | null> {
    const ahead = this.#ahead;
    if (ahead === null) return this.#request(input, control);
    this.#ahead = null;
    assert(isSame(ahead, { input, control }), 'Node goes on with a write as it has begun it');
    return ahead.result;
  }

  /** Begins the step that `take` will be asked for next, so that the device works while Node hands its output on. */
  goAhead(input: Uint8Array, control: StepControl): void {
    const result = this.#request(input, control);
    // Whoever takes it is told; maybe nobody does.
    result.catch(() => {});
    this.#ahead = { input, control, result };
  }

  /** Gives the place on the device back, after a step under way. */
  close(): void {
    this.closed = true;
    this.stream.close();
  }

  async #request(input: Uint8Array, control: StepControl): Promise<StepResult | null> {
    for (;;) {
      if (this.closed) return null;
      try {
        return await this.stream.step(input, control);
      } catch (failure) {
        const error = errorOf(failure);
        if (error.kind !== 'Busy') throw failure;
        // A stream that has begun cannot go elsewhere, and nothing of this step was taken.
        await new Promise((resolve) => setTimeout(resolve, error.retryAfterMs));
      }
    }
  }
}

function isSame(a: Pick<Ahead, 'input' | 'control'>, b: Pick<Ahead, 'input' | 'control'>): boolean {
  const sameInput = a.input.byteOffset === b.input.byteOffset && a.input.length === b.input.length;
  const { flush, final, roomBytes } = a.control;
  const sameControl =
    flush === b.control.flush && final === b.control.final && roomBytes === b.control.roomBytes;
  return sameControl && sameInput && a.input.buffer === b.input.buffer;
}
