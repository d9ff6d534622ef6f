/**
 * The indices under which a device's page faults are answered: page request groups or stalled accesses, whichever its
 * fault model has. Owns the state of each index, and the engine's side of its shared word.
 *
 * An index stands for one question at a time and is used again only after the response to it has come, so a response
 * is never taken for one to another question. What is awaited stands in the shared words: an engine that is started
 * after another one died leaves alone what that one had asked under, until it is answered.
 */
import { INSTANCE_WORDS, instanceWord, PAGE_RESPONSE_INDICES, pageResponse } from './instance-words.js';

const state = { FREE: 0, WAITED_FOR: 1, ABANDONED: 2 } as const;

export class PageResponses {
  readonly #words: Int32Array;
  /** Word of index 0. */
  readonly #first: number;
  readonly #states = new Uint8Array(PAGE_RESPONSE_INDICES);
  /** Taken in turn: the longer an index rests, the less a response that should not come can do. */
  #next = 0;

  /** The indices of `deviceId`; `words` are the shared words of all instances. */
  constructor(words: Int32Array, deviceId: number) {
    this.#words = words;
    this.#first = deviceId * INSTANCE_WORDS + instanceWord.PAGE_RESPONSES;
    for (let index = 0; index < PAGE_RESPONSE_INDICES; index++) {
      if (Atomics.load(words, this.#first + index) === pageResponse.AWAITED) this.abandon(index);
    }
  }

  /** An index for a question that is asked next, or -1 when none is free. */
  take(): number {
    for (let tried = 0; tried < PAGE_RESPONSE_INDICES; tried++) {
      const index = this.#next;
      this.#next = (index + 1) % PAGE_RESPONSE_INDICES;
      if (this.#states[index] === state.ABANDONED && this.hasArrived(index)) this.give(index);
      if (this.#states[index] !== state.FREE) continue;
      this.#states[index] = state.WAITED_FOR;
      // Before the question goes out. A response that nobody had asked for is gone with it.
      Atomics.store(this.#words, this.#first + index, pageResponse.AWAITED);
      return index;
    }
    return -1;
  }

  /** Nothing was asked under `index`, or nothing of its answer counts: it is free. */
  give(index: number): void {
    Atomics.store(this.#words, this.#first + index, pageResponse.NONE);
    this.#states[index] = state.FREE;
  }

  /** Whether the response has come. */
  hasArrived(index: number): boolean {
    return Atomics.load(this.#words, this.#first + index) > pageResponse.NONE;
  }

  /** The code of a response that has come; its index is free. */
  takeCode(index: number): number {
    const code = Atomics.load(this.#words, this.#first + index) - 1;
    this.give(index);
    return code;
  }

  /** The IOMMU answered the question by itself, at once. */
  answer(index: number, code: number): void {
    Atomics.store(this.#words, this.#first + index, code + 1);
  }

  /** Nobody waits any more; the index is used again after its response has come. */
  abandon(index: number): void {
    this.#states[index] = state.ABANDONED;
  }
}
