/**
 * What each container says about its content behind the deflate stream: which checksum, and the bytes of the
 * trailer. Used by the device for one stream and by the user driver for a stream put together from blocks.
 *
 * Raw deflate has neither; its checksum is always 0.
 */
import { adler32, adler32Combine, crc32, crc32Combine } from './checksum.js';
import type { RequestKind } from './layout.js';

/** Checksum and trailer of one container. */
export interface TrailerKind {
  /** Checksum of no bytes. */
  readonly empty: number;
  /** Checksum of what gave `sum` followed by `bytes`. */
  add(sum: number, bytes: Uint8Array): number;
  /** Checksum of what gave `first` followed by the `secondBytes` bytes that gave `second`. */
  combine(first: number, second: number, secondBytes: number): number;
  /** The trailer after `totalBytes` bytes with checksum `sum`. */
  trailer(sum: number, totalBytes: number): Uint8Array;
}

const TWO_32 = 0x1_0000_0000;

function gzipTrailer(sum: number, totalBytes: number): Uint8Array {
  const trailer = new DataView(new ArrayBuffer(8));
  trailer.setUint32(0, sum, true);
  trailer.setUint32(4, totalBytes % TWO_32, true);
  return new Uint8Array(trailer.buffer);
}

function zlibTrailer(sum: number): Uint8Array {
  const trailer = new DataView(new ArrayBuffer(4));
  trailer.setUint32(0, sum, false);
  return new Uint8Array(trailer.buffer);
}

const NO_TRAILER = new Uint8Array(0);

const crcKind = {
  empty: 0,
  add: (sum: number, bytes: Uint8Array) => crc32(bytes, sum),
  combine: crc32Combine,
};
const adlerKind = {
  empty: 1,
  add: (sum: number, bytes: Uint8Array) => adler32(bytes, sum),
  combine: adler32Combine,
};

/** RFC 1952 section 2.3.1 for gzip, RFC 1950 section 2.2 for zlib. */
export const trailerKinds: Readonly<Record<RequestKind, TrailerKind>> = {
  raw: { empty: 0, add: () => 0, combine: () => 0, trailer: () => NO_TRAILER },
  zlib: { ...adlerKind, trailer: zlibTrailer },
  gzip: { ...crcKind, trailer: gzipTrailer },
};
