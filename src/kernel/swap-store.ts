/**
 * Where pages go that had to leave memory: a bounded number of slots of one page each. A slot may be shared by the
 * address spaces of a fork; it is free again when the last of them has read it back or given it up.
 */
import { assert } from '../base/assert.js';
import { PAGE_BYTES } from '../base/units.js';
import { IdPool } from './id-pool.js';

interface Slot {
  readonly bytes: Uint8Array;
  holders: number;
}

/** The pages of all processes that are not in memory now. */
export class SwapStore {
  readonly #slots = new Map<number, Slot>();
  /** Null: there is no store, and nothing leaves memory. */
  readonly #numbers: IdPool | null;

  /** Room for `pages` pages. */
  constructor(pages: number) {
    this.#numbers = pages === 0 ? null : new IdPool(0, pages - 1);
  }

  /** Slots in use. */
  get used(): number {
    return this.#slots.size;
  }

  /** Slots that are free. */
  get free(): number {
    return this.#numbers?.free ?? 0;
  }

  /** Keeps a copy of `page`; the slot's number, or null when the store is full. */
  write(page: Uint8Array): number | null {
    assert(page.length === PAGE_BYTES, 'the store keeps whole pages');
    const number = this.#numbers?.take() ?? null;
    if (number !== null) this.#slots.set(number, { bytes: Uint8Array.from(page), holders: 1 });
    return number;
  }

  /** Copies the page in slot `number` into `target`. The slot stays. */
  read(number: number, target: Uint8Array): void {
    target.set(this.#slot(number).bytes);
  }

  /** One more holder of the slot. */
  share(number: number): void {
    this.#slot(number).holders += 1;
  }

  /** One holder less; the slot is free when it was the last. */
  release(number: number): void {
    const slot = this.#slot(number);
    slot.holders -= 1;
    if (slot.holders > 0) return;
    this.#slots.delete(number);
    this.#numbers?.give(number);
  }

  #slot(number: number): Slot {
    const slot = this.#slots.get(number);
    assert(slot !== undefined, `swap slot ${number} is in use`);
    return slot;
  }
}
