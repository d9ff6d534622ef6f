/**
 * The MMIO bus: physical ranges where a store is an event and not just memory. Whoever emulates a CPU's store (the
 * kernel's memory interface, a trapping call) offers it here first.
 *
 * JavaScript stores through a view cannot be seen, so ranges that must see every store are useful only to callers
 * that go through the bus; docs/memory-model.md says which words work by sampling instead.
 */
import { assert } from '../base/assert.js';

/** Takes a store of 1, 2, 4 or 8 bytes at an offset of the range, naturally aligned. */
export type StoreHandler = (offset: number, bytes: Uint8Array) => void;

interface Range {
  readonly address: number;
  readonly bytes: number;
  readonly store: StoreHandler;
}

export class MmioBus {
  readonly #ranges = new Map<number, Range>();

  /** Claims [address, +bytes) until the answer is called. Ranges do not overlap. */
  claim(range: Range): () => void {
    const { address, bytes } = range;
    for (const other of this.#ranges.values()) {
      const apart = address + bytes <= other.address || other.address + other.bytes <= address;
      assert(apart, `MMIO range at 0x${address.toString(16)} overlaps no other`);
    }
    this.#ranges.set(address, range);
    return () => this.#ranges.delete(address);
  }

  /** Offers a store; false when it is ordinary memory, or not of a width and alignment that a register has. */
  store(address: number, bytes: Uint8Array): boolean {
    const natural = [1, 2, 4, 8].includes(bytes.length) && address % bytes.length === 0;
    if (!natural) return false;
    for (const range of this.#ranges.values()) {
      if (address < range.address || address >= range.address + range.bytes) continue;
      range.store(address - range.address, bytes);
      return true;
    }
    return false;
  }
}
