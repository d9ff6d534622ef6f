/**
 * A stream being decompressed on a device, member after member: what node:zlib does around zlib's inflate() in one
 * write. The heads of containers are read here, wherever the writes cut them.
 */
import { constants } from 'node:zlib';
import { invalidState } from '../../src/base/errors.js';
import { limits } from '../../src/base/limits.js';
import { badData, WdFailure } from '../failures.js';
import type { StepControl } from '../stream-session.js';
import type { DecodePlan, HeaderVerdict } from '../user-driver.js';
import { hasSmallWindow, SMALL_WINDOW } from './coding.js';
import type { DeviceSteps, StreamEngine } from './engine.js';
import type { Kind } from './kinds.js';
import type { WriteWindow } from './window.js';

const { Z_FINISH } = constants;
const NOTHING = new Uint8Array(0);

const HEAD_TOO_LONG = `a head is longer than ${limits.ZLIB_HEAD_BYTES_MAX} bytes`;

/** More than the head of a block has: what is wrong with it shows before there is room for its output. */
const HEADS_BYTES = 4096;

type Member = Extract<HeaderVerdict, { kind: 'skip' }>;

export class Decoder implements StreamEngine {
  readonly #steps: DeviceSteps;
  readonly #kind: Kind;
  /** What the next head is read by; of the member under way, what may follow it. */
  #plan: DecodePlan;
  #place: 'head' | 'member' | 'end' = 'head';
  /** What there is of a head that is not complete. */
  #head: Uint8Array = NOTHING;
  /** The device holds output for which there was no room. */
  #owes = false;
  /** No member has begun. */
  #first = true;

  constructor(steps: DeviceSteps, kind: Kind) {
    this.#steps = steps;
    this.#kind = kind;
    this.#plan = steps.stream.operation.decode!;
  }

  get unseen(): Uint8Array | null {
    return this.#place === 'head' ? this.#head : null;
  }

  async write(window: WriteWindow): Promise<void> {
    let goesOn = true;
    while (goesOn && !this.#steps.closed) {
      if (this.#place === 'end' && !this.#takesMember(window)) break;
      if (this.#place === 'head' && !(await this.#takesHead(window))) break;
      goesOn = await this.#decode(window);
    }
    // As in node_zlib.cc: with room left, the input that claims to be the last must reach an end.
    if (window.flush === Z_FINISH && window.room.length > 0 && this.#place !== 'end') {
      throw new WdFailure(badData(this.#plan.truncated));
    }
  }

  reset(): void {
    this.#plan = this.#steps.stream.operation.decode!;
    this.#place = 'head';
    this.#head = NOTHING;
    this.#owes = false;
    this.#first = true;
  }

  /** Whether what follows the end of a member is another one. */
  #takesMember({ input }: WriteWindow): boolean {
    if (input.length === 0 || this.#plan.afterEnd(input) === 'finished') return false;
    this.#place = 'head';
    return true;
  }

  /** Reads on in a head; whether it is complete and its member begins. */
  async #takesHead(window: WriteWindow): Promise<boolean> {
    const { input } = window;
    if (input.length === 0) return false;
    const known = this.#head.length;
    const head = known === 0 ? input : Buffer.concat([this.#head, input]);
    const verdict = this.#plan.parseHeader(head, false);
    if (verdict.kind === 'bad') throw new WdFailure(badData(verdict.error));
    if (verdict.kind === 'more') {
      if (known > 0 && head.length > limits.ZLIB_HEAD_BYTES_MAX) throw declined(HEAD_TOO_LONG);
      // The caller's chunk is his again after this write.
      this.#head = known === 0 ? Uint8Array.prototype.slice.call(input) : head;
      window.consume(input.length);
      return false;
    }
    if (this.#first && hasSmallWindow(this.#kind, head)) throw declined(SMALL_WINDOW);
    await this.#begin(verdict);
    window.consume(verdict.bytes - known);
    return true;
  }

  async #begin({ stream, next }: Member): Promise<void> {
    await this.#steps.begin(stream);
    this.#place = 'member';
    this.#first = false;
    this.#head = NOTHING;
    this.#plan = next;
    this.#owes = false;
  }

  /** One step; whether there is more to do in this write. */
  async #decode(window: WriteWindow): Promise<boolean> {
    if (window.input.length === 0 && !this.#owes) return false;
    const step = await this.#steps.take(...stepOf(window, window.room.length));
    if (step === null) return false;
    window.consume(step.consumed);
    window.put(step.output);
    this.#owes = step.verdict === 'noRoom';
    if (step.verdict === 'ended') this.#place = 'end';
    const moved = step.consumed > 0 || step.output.length > 0;
    const isFull = window.room.length === 0;
    if (this.#owes && isFull) this.#steps.goAhead(...stepOf(window, this.#steps.roomBytes));
    return this.#place === 'end' || (moved && !isFull);
  }
}

function stepOf({ input, flush }: WriteWindow, roomBytes: number): [Uint8Array, StepControl] {
  // More than fills the room would only be copied to the device again with the next step.
  const offered = input.subarray(0, roomBytes + (roomBytes >>> 3) + HEADS_BYTES);
  return [offered, { flush: 0, final: flush === Z_FINISH, roomBytes }];
}

/** No caller sees it: the stream stands at a beginning, and Node takes over. */
function declined(reason: string): WdFailure {
  return new WdFailure(invalidState(reason));
}
