/**
 * Memory of a pool that a caller holds: requests read it and write it without a copy. It stays until it is freed and
 * no request uses it any more, or until the pool is closed.
 */
import { err, ok, type Result } from 'neverthrow';
import { type InvalidState, invalidState } from '../src/base/errors.js';
import type { Extent } from './arena.js';
import type { DmaMemory } from './dma-memory.js';

/** What parts of one allocation share. */
class Allocation {
  readonly memory: DmaMemory;
  readonly extent: Extent;
  /** Bytes of the extent that the caller has. */
  readonly bytes: number;
  #requests = 0;
  #freed = false;

  constructor(memory: DmaMemory, extent: Extent, bytes: number) {
    this.memory = memory;
    this.extent = extent;
    this.bytes = bytes;
  }

  get freed(): boolean {
    return this.#freed;
  }

  hold(): void {
    this.#requests += 1;
  }

  drop(): void {
    this.#requests -= 1;
    this.#giveBack();
  }

  free(): void {
    if (this.#freed) return;
    this.#freed = true;
    this.#giveBack();
  }

  #giveBack(): void {
    if (this.#freed && this.#requests === 0) this.memory.free(this.extent);
  }
}

/** Made by `Pool.alloc`. */
export class PoolBuffer {
  /** The memory. Do not change what a request reads, nor look at what it writes, before its answer. */
  readonly bytes: Buffer;
  /** Where it is for a device. @internal */
  readonly address: number;
  readonly #allocation: Allocation;

  private constructor(allocation: Allocation, from: number, bytes: number) {
    const { mapping, offset, address } = allocation.extent;
    const { buffer, byteOffset } = mapping.view;
    this.#allocation = allocation;
    this.address = address + from;
    this.bytes = Buffer.from(buffer as ArrayBuffer, byteOffset + offset + from, bytes);
  }

  /** Memory that was allocated. @internal */
  static of(memory: DmaMemory, extent: Extent, bytes: number): PoolBuffer {
    return new PoolBuffer(new Allocation(memory, extent, bytes), 0, bytes);
  }

  get byteLength(): number {
    return this.bytes.length;
  }

  /** Whether the byte behind it is nobody's, so that a device may write it: 1, or 0. @internal */
  get spareBytes(): 0 | 1 {
    const { extent, bytes } = this.#allocation;
    const end = this.address - extent.address + this.byteLength;
    return end === bytes && end < extent.bytes ? 1 : 0;
  }

  /** A part of it, as `Uint8Array.subarray` cuts it; freeing one frees the whole. */
  subarray(from = 0, to: number = this.byteLength): PoolBuffer {
    const part = this.bytes.subarray(from, to);
    return new PoolBuffer(this.#allocation, this.#offsetOf(part), part.length);
  }

  /** Gives it back, after the requests that use it. Later requests with it answer InvalidState; freeing twice is fine. */
  free(): void {
    this.#allocation.free();
  }

  /** Taken by a request of a pool, until `drop`. @internal */
  hold(memory: DmaMemory): Result<void, InvalidState> {
    if (this.#allocation.memory !== memory) {
      return err(invalidState('the memory belongs to another pool; use memory of this pool'));
    }
    if (this.#allocation.freed) return err(invalidState('the memory was freed; allocate it anew'));
    this.#allocation.hold();
    return ok(undefined);
  }

  /** Kept beyond the `drop` to come, by whoever holds it. @internal */
  retain(): void {
    this.#allocation.hold();
  }

  /** Whether a byte of it is a byte of `other`. @internal */
  overlaps(other: PoolBuffer): boolean {
    if (this.#allocation.memory !== other.#allocation.memory) return false;
    return this.address < other.address + other.byteLength && other.address < this.address + this.byteLength;
  }

  /** @internal */
  drop(): void {
    this.#allocation.drop();
  }

  #offsetOf(part: Buffer): number {
    const { mapping, offset } = this.#allocation.extent;
    return part.byteOffset - mapping.view.byteOffset - offset;
  }
}
