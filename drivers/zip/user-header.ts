/**
 * The heads of containers: written for the encoder, read for the decoder. RFC 1950 section 2.2 and RFC 1952
 * section 2.3. Values that the formats leave open are those of zlib, and so are the order of checks and the errors.
 */
import type { DataError } from '../../lib/driver-api.js';
import { crc32 } from './checksum.js';
import type { RequestKind } from './layout.js';
import { headErrors } from './user-errors.js';
import type { Coding } from './user-options.js';

const GZIP_MAGIC = [0x1f, 0x8b] as const;
const METHOD_DEFLATE = 8;
const OS_UNIX = 3;
const GZIP_FIXED_BYTES = 10;
/** FLG of gzip. */
const gzipFlag = { HEADER_CRC: 0x02, EXTRA: 0x04, NAME: 0x08, COMMENT: 0x10, RESERVED: 0xe0 } as const;
const ZLIB_FIXED_BYTES = 2;
const ZLIB_DICTIONARY_ID_BYTES = 4;
const ZLIB_FLAG_DICTIONARY = 0x20;
const WINDOW_BITS_MAX = 15;
const STRATEGY_HUFFMAN_ONLY = 2;

/** What stands before the deflate stream. */
export function headerOf(kind: RequestKind, coding: Coding): Uint8Array {
  if (kind === 'raw') return new Uint8Array(0);
  return kind === 'gzip' ? gzipHeader(coding) : zlibHeader(coding);
}

function isFastest({ level, strategy }: Coding): boolean {
  return strategy >= STRATEGY_HUFFMAN_ONLY || level < 2;
}

function gzipHeader(coding: Coding): Uint8Array {
  let extraFlags = 0;
  if (coding.level === 9) extraFlags = 2;
  else if (isFastest(coding)) extraFlags = 4;
  return Uint8Array.of(...GZIP_MAGIC, METHOD_DEFLATE, 0, 0, 0, 0, 0, extraFlags, OS_UNIX);
}

function zlibHeader(coding: Coding): Uint8Array {
  const header = ((((coding.windowBits - 8) << 4) | METHOD_DEFLATE) << 8) | (zlibLevel(coding) << 6);
  const checked = header + 31 - (header % 31);
  return Uint8Array.of(checked >>> 8, checked & 0xff);
}

function zlibLevel(coding: Coding): number {
  if (isFastest(coding)) return 0;
  if (coding.level < 6) return 1;
  return coding.level === 6 ? 2 : 3;
}

/** Bytes of a head; `more` when it is not all there; or what is wrong with it. */
export type HeadLength = number | 'more' | DataError;

/** Whether an input that may be gzip or zlib is gzip; false for one that is too short to tell. */
export function isGzip(head: Uint8Array): boolean {
  return head.length >= 2 && head[0] === GZIP_MAGIC[0] && head[1] === GZIP_MAGIC[1];
}

export function zlibHeadLength(head: Uint8Array): HeadLength {
  if (head.length < ZLIB_FIXED_BYTES) return 'more';
  const [method, flags] = [head[0]!, head[1]!];
  if (((method << 8) | flags) % 31 !== 0) return headErrors.header;
  if ((method & 0xf) !== METHOD_DEFLATE) return headErrors.method;
  if ((method >>> 4) + 8 > WINDOW_BITS_MAX) return headErrors.window;
  if ((flags & ZLIB_FLAG_DICTIONARY) === 0) return ZLIB_FIXED_BYTES;
  return head.length < ZLIB_FIXED_BYTES + ZLIB_DICTIONARY_ID_BYTES ? 'more' : headErrors.dictionary;
}

export function gzipHeadLength(head: Uint8Array): HeadLength {
  if (head.length < 2) return 'more';
  if (!isGzip(head)) return headErrors.header;
  if (head.length < 4) return 'more';
  const flags = head[3]!;
  if (head[2] !== METHOD_DEFLATE) return headErrors.method;
  if ((flags & gzipFlag.RESERVED) !== 0) return headErrors.flags;
  const end = optionalEnd(head, flags);
  if (end > head.length) return 'more';
  return (flags & gzipFlag.HEADER_CRC) === 0 ? end : afterHeaderCrc(head, end);
}

/** Where the optional fields end, the header's own CRC left aside; beyond the head when it is not all there. */
function optionalEnd(head: Uint8Array, flags: number): number {
  let end = GZIP_FIXED_BYTES;
  if ((flags & gzipFlag.EXTRA) !== 0) end = head.length < end + 2 ? Infinity : end + 2 + word16(head, end);
  for (const text of [gzipFlag.NAME, gzipFlag.COMMENT]) if ((flags & text) !== 0) end = afterZero(head, end);
  return end;
}

function afterZero(head: Uint8Array, from: number): number {
  const zero = head.indexOf(0, from);
  return zero < 0 ? Infinity : zero + 1;
}

function afterHeaderCrc(head: Uint8Array, at: number): HeadLength {
  if (head.length < at + 2) return 'more';
  return word16(head, at) === (crc32(head.subarray(0, at)) & 0xffff) ? at + 2 : headErrors.checksum;
}

function word16(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8);
}
