/**
 * Whether an output stands: decoded by node:zlib, off the calling thread, and compared byte for byte. Independent of
 * the device that made it.
 */
import type { RequestKind } from './layout.js';
import { softwareDecompress } from './user-software.js';

/** Whether `packed`, a `kind`, decodes to exactly `bytes`. */
export async function decodesTo(
  kind: RequestKind | 'auto',
  packed: Uint8Array,
  bytes: Uint8Array,
): Promise<boolean> {
  // One byte more than it should be shows as well as many; an empty output needs room for that one.
  const decoded = await softwareDecompress(kind).software(packed, { maxOutputBytes: bytes.length + 1 });
  return decoded.isOk() && Buffer.compare(decoded.value.data, bytes) === 0;
}
