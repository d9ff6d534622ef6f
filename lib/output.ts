/** The answer of every call, whichever way it took, and the memory that small answers are in. */
import { markAsUntransferable } from 'node:worker_threads';
import { limits } from '../src/base/limits.js';
import type { Via } from './via.js';

/** What a call answers. */
export interface WdOutput {
  readonly data: Buffer;
  /** What the device, or the software in its place, reported: of the input when encoding. */
  readonly checksum: number;
  readonly via: Via;
}

/** The same memory as a Buffer. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** What small outputs are cut from, one after the other, and how much of it is given out. */
let slab = new ArrayBuffer(0);
let slabUsed = 0;

/**
 * Ordinary memory of `bytes` bytes, whatever is in it. Small ones share a slab, since making a buffer costs more than
 * filling it; one that is kept keeps its slab, which is as much as one of node:zlib keeps.
 */
export function outputMemory(bytes: number): Buffer {
  if (bytes > limits.OUTPUT_SLAB_BYTES / 4) return Buffer.allocUnsafe(bytes);
  if (slabUsed + bytes > slab.byteLength) {
    slab = Buffer.allocUnsafeSlow(limits.OUTPUT_SLAB_BYTES).buffer as ArrayBuffer;
    // A caller that transfers one output would take the others away, as with the pool of Buffer.
    markAsUntransferable(slab);
    slabUsed = 0;
  }
  const output = Buffer.from(slab, slabUsed, bytes);
  // The next one is aligned for any kind of array.
  slabUsed = (slabUsed + bytes + 7) & ~7;
  return output;
}
