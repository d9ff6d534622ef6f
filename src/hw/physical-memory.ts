/**
 * The machine's physical memory: one shared WebAssembly memory. It is page-aligned, committed only when touched,
 * seen by every thread of the machine, and usable in place by node:zlib and node:crypto.
 *
 * Owns the buffer and its word views. Who may use which frame is frame-table.ts. Words used to signal are read
 * and written with Atomics; everything else is published by such a word.
 */
import { assert } from '../base/assert.js';
import { PAGE_BYTES } from '../base/units.js';
import type { MemoryView } from './memory-view.js';

/** The one part of the WebAssembly interface that is used here (the ES library has no types for it). */
declare const WebAssembly: {
  readonly Memory: new (shape: {
    initial: number;
    maximum: number;
    shared: true;
  }) => { readonly buffer: SharedArrayBuffer };
};

/** Bytes of one WebAssembly page. */
const WASM_PAGE_BYTES = 65_536;

export class PhysicalMemory implements MemoryView {
  readonly buffer: SharedArrayBuffer;
  readonly bytes: number;
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly i32: Int32Array;
  readonly u32: Uint32Array;
  readonly data: DataView;

  /** Views over memory that another thread created. */
  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.bytes = buffer.byteLength;
    this.u8 = new Uint8Array(buffer);
    this.u16 = new Uint16Array(buffer);
    this.i32 = new Int32Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.data = new DataView(buffer);
  }

  /** New memory of `bytes` bytes, all zero: a multiple of 64 KiB below 4 GiB. */
  static create(bytes: number): PhysicalMemory {
    assert(bytes % WASM_PAGE_BYTES === 0 && bytes > 0, `memory comes in units of 64 KiB, not ${bytes}`);
    const pages = bytes / WASM_PAGE_BYTES;
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    return new PhysicalMemory(memory.buffer);
  }

  load32(address: number): number {
    return this.u32[address >>> 2]!;
  }

  store32(address: number, value: number): void {
    Atomics.store(this.i32, address >>> 2, value | 0);
  }

  compareExchange32(address: number, expected: number, next: number): number {
    return Atomics.compareExchange(this.i32, address >>> 2, expected | 0, next | 0) >>> 0;
  }

  /** The bytes [address, address + bytes) as a view. */
  view(address: number, bytes: number): Uint8Array {
    assert(address >= 0 && address + bytes <= this.bytes, `[${address}, +${bytes}) lies in memory`);
    return this.u8.subarray(address, address + bytes);
  }

  /** Fills whole frames with zeros. */
  zero(address: number, frames: number): void {
    this.u8.fill(0, address, address + frames * PAGE_BYTES);
  }
}
