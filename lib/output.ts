/** The answer of every call, whichever way it took. */
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
