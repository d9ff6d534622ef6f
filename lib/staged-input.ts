/**
 * A caller's input, taken over at the call: copied into DMA memory at once when there is room, else into ordinary
 * memory until there is. The caller may change its buffer right after the call. Input that is the pool's own memory
 * already stays where it is.
 */
import type { Extent } from './arena.js';
import type { DmaMemory } from './dma-memory.js';
import type { PoolBuffer } from './pool-buffer.js';

export class StagedInput {
  readonly bytes: number;
  #held: PoolBuffer | null;
  #extent: Extent | null = null;
  #copy: Uint8Array | null = null;

  /** `held` is the pool's own memory, held for this request, whose bytes `input` is; null for any other input. */
  constructor(input: Uint8Array, memory: DmaMemory, held: PoolBuffer | null = null) {
    this.bytes = input.length;
    this.#held = held;
    if (held !== null) return;
    this.#extent = memory.allocate(input.length);
    if (this.#extent === null) this.#copy = Uint8Array.prototype.slice.call(input);
    else if (input.length > 0) this.#extent.mapping.view.set(input, this.#extent.offset);
  }

  /** Moves the bytes into DMA memory if they are not there; false when there is no room now. */
  stage(memory: DmaMemory): boolean {
    if (this.#held !== null || this.#extent !== null) return true;
    const extent = memory.allocate(this.bytes);
    if (extent === null) return false;
    extent.mapping.view.set(this.#copy!, extent.offset);
    this.#extent = extent;
    this.#copy = null;
    return true;
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
    return this.#held?.address ?? this.#extent!.address;
  }

  /** The bytes where they are now. */
  view(): Uint8Array {
    if (this.#held !== null) return this.#held.bytes;
    if (this.#extent === null) return this.#copy!;
    const { mapping, offset } = this.#extent;
    return mapping.view.subarray(offset, offset + this.bytes);
  }

  /** Gives the memory back. */
  release(memory: DmaMemory): void {
    this.#held?.drop();
    this.#held = null;
    if (this.#extent !== null) memory.free(this.#extent);
    this.#extent = null;
    this.#copy = null;
  }
}
