/**
 * A caller's input, taken over at the call: copied into DMA memory at once when there is room, else into ordinary
 * memory until there is. The caller may change its buffer right after the call.
 */
import type { Extent } from './arena.js';
import type { DmaMemory } from './dma-memory.js';

export class StagedInput {
  readonly bytes: number;
  #extent: Extent | null = null;
  #copy: Uint8Array | null = null;

  /** `memory` is null while the machine is starting. */
  constructor(input: Uint8Array, memory: DmaMemory | null) {
    this.bytes = input.length;
    this.#extent = memory?.allocate(input.length) ?? null;
    if (this.#extent === null) this.#copy = Uint8Array.prototype.slice.call(input);
    else if (input.length > 0) this.#extent.mapping.view.set(input, this.#extent.offset);
  }

  /** Moves the bytes into DMA memory if they are not there; null when there is no room now. */
  extent(memory: DmaMemory): Extent | null {
    if (this.#extent !== null) return this.#extent;
    const extent = memory.allocate(this.bytes);
    if (extent === null) return null;
    extent.mapping.view.set(this.#copy!, extent.offset);
    this.#extent = extent;
    this.#copy = null;
    return extent;
  }

  /** Gives DMA memory back and goes on waiting in ordinary memory. */
  unstage(memory: DmaMemory): void {
    if (this.#extent === null) return;
    this.#copy = Uint8Array.prototype.slice.call(this.view());
    memory.freeQuietly(this.#extent);
    this.#extent = null;
  }

  /** Where the bytes are for a device; they have been moved into DMA memory. */
  get address(): number {
    return this.#extent!.address;
  }

  /** The bytes where they are now. */
  view(): Uint8Array {
    if (this.#extent === null) return this.#copy!;
    const { mapping, offset } = this.#extent;
    return mapping.view.subarray(offset, offset + this.bytes);
  }

  /** Gives the memory back. */
  release(memory: DmaMemory | null): void {
    if (this.#extent !== null) memory?.free(this.#extent);
    this.#extent = null;
    this.#copy = null;
  }
}
