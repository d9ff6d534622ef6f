/**
 * What does the work behind a stream, in either direction, and what both directions share: steps on a device that wait
 * out a full pool, and are not taken any more once the stream is closed.
 */
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

/** The way to a device. */
export class DeviceSteps {
  readonly stream: PoolStream;
  closed = false;

  constructor(stream: PoolStream) {
    this.stream = stream;
  }

  /** The next step is the first of a stream. */
  begin(plan: StreamPlan): Promise<void> {
    return this.stream.begin(plan);
  }

  /** One request, however long the pool has no room for it; null when the stream was closed before its turn. */
  async take(input: Uint8Array, control: StepControl): Promise<StepResult | null> {
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

  /** Gives the place on the device back, after a step under way. */
  close(): void {
    this.closed = true;
    this.stream.close();
  }
}
