/**
 * A stream being compressed on a device: the container's header first, which the device does not write, then step by
 * step what zlib's deflate() does in one call.
 */
import { constants } from 'node:zlib';
import { badData, WdFailure } from '../failures.js';
import type { StepControl } from '../stream-session.js';
import type { Operation } from '../user-driver.js';
import type { DeviceSteps, StreamEngine } from './engine.js';
import type { WriteWindow } from './window.js';

const { Z_FINISH } = constants;
const NOTHING = new Uint8Array(0);

/** What deflate() says after the end of the stream, in the words of node:zlib: of input, and of any other flush. */
const afterEnd = {
  finish: { message: 'buffer error', code: 'Z_BUF_ERROR', errno: -5 },
  other: { message: 'stream error', code: 'Z_STREAM_ERROR', errno: -2 },
} as const;

export class Encoder implements StreamEngine {
  readonly #steps: DeviceSteps;
  #operation: Operation;
  #begun = false;
  /** What is left of the header. */
  #header: Uint8Array = NOTHING;
  /** The device holds output for which there was no room. */
  #owes = false;
  /** Flush kind of the write before. */
  #flush = 0;
  #ended = false;
  #untouched = true;

  constructor(steps: DeviceSteps) {
    this.#steps = steps;
    this.#operation = steps.stream.operation;
  }

  get unseen(): Uint8Array | null {
    return this.#untouched ? NOTHING : null;
  }

  async write(window: WriteWindow): Promise<void> {
    if (!this.#begun) await this.#begin();
    if (this.#steps.closed) return;
    if (this.#ended) return this.#afterEnd(window);
    this.#header = this.#header.subarray(window.put(this.#header));
    if (this.#header.length === 0) await this.#compress(window);
    this.#untouched = false;
  }

  reset(): void {
    this.#begun = false;
    this.#owes = false;
    this.#flush = 0;
    this.#ended = false;
    this.#untouched = true;
  }

  /** The stream goes on with other parameters. */
  recode(operation: Operation): void {
    this.#operation = operation;
    this.#steps.stream.recode(operation.stream!.format);
  }

  async #begin(): Promise<void> {
    await this.#steps.begin(this.#operation.stream!);
    this.#begun = true;
    this.#header = this.#operation.header;
  }

  async #compress(window: WriteWindow): Promise<void> {
    // Without input, no flush after another one counts, too: a marker may follow it.
    let due = window.input.length > 0 || window.flush !== 0 || this.#flush !== 0 || this.#owes;
    this.#flush = window.flush;
    while (due && window.room.length > 0) {
      const control = this.#controlOf(window, window.room.length);
      const step = await this.#steps.take(window.input, control);
      if (step === null) return;
      window.consume(step.consumed);
      window.put(step.output);
      this.#owes = step.verdict === 'noRoom';
      due = this.#owes || window.input.length > 0;
      this.#ended = control.final && !due;
    }
    if (due && this.#header.length === 0)
      this.#steps.goAhead(window.input, this.#controlOf(window, this.#steps.roomBytes));
  }

  #controlOf({ input, flush }: WriteWindow, roomBytes: number): StepControl {
    const isLast = input.length <= this.#operation.stream!.chunkBytes;
    const final = isLast && flush === Z_FINISH;
    return { flush: isLast && !final ? flush : 0, final, roomBytes };
  }

  #afterEnd({ flush, input }: WriteWindow): void {
    if (flush !== Z_FINISH) throw new WdFailure(badData(afterEnd.other));
    if (input.length > 0) throw new WdFailure(badData(afterEnd.finish));
  }
}
