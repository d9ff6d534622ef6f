/** The bitmap in a queue's MMIO page by which user space asks the device to end requests; one bit a slot. */
import { CANCEL_SLOTS, queueWord } from '../src/uapi/queue-layout.js';

export class CancelBits {
  readonly #words: Int32Array;
  #set = 0;

  /** `words` are those of the MMIO page. */
  constructor(words: Int32Array) {
    this.#words = words;
  }

  /** The bit is this slot's request's alone: it is cleared before the slot can be used again. */
  set(slot: number): void {
    if (slot >= CANCEL_SLOTS) return;
    if ((Atomics.or(this.#words, wordOf(slot), bitOf(slot)) & bitOf(slot)) === 0) this.#set += 1;
  }

  /** The request of the slot has ended. Costs nothing while no bit is set. */
  clear(slot: number): void {
    if (this.#set === 0 || slot >= CANCEL_SLOTS) return;
    if ((Atomics.and(this.#words, wordOf(slot), ~bitOf(slot)) & bitOf(slot)) !== 0) this.#set -= 1;
  }
}

const wordOf = (slot: number): number => (queueWord.CANCELLED >>> 2) + (slot >>> 5);
const bitOf = (slot: number): number => 1 << (slot & 31);
