/**
 * SQE, status values and registers of the compression accelerator as tables: the one file that device and user
 * driver share. Section numbers are those of SPEC.md.
 */
import { defineLayout } from '../../src/base/layout.js';
import { limits } from '../../src/base/limits.js';
import { KiB } from '../../src/base/units.js';

/** Section 2. */
export const zipSqe = defineLayout('zip SQE', 128, 'drivers/zip/SPEC.md section 2', {
  consumed: { at: 0, doc: 'out: input bytes taken, trailer included' },
  produced: { at: 4, doc: 'out: output bytes stored, trailer included' },
  dataError: { at: 8, doc: 'out: with status 0x10 or 0x41 an index into section 6' },
  status: { at: 12, bits: [0, 7], doc: 'out: section 5' },
  lastBlock: { at: 12, bits: [8, 8], doc: 'out: decompression reached the end of the stream' },
  inputBytes: { at: 16, doc: 'length of the input, 0 to 8 MiB' },
  finish: { at: 28, bits: [25, 25], doc: 'compress: the stream ends with this input' },
  stateful: { at: 28, bits: [26, 26], doc: 'one request of a stream' },
  streamNew: { at: 28, bits: [27, 27], doc: 'the first request of its stream' },
  sqeType: { at: 28, bits: [28, 31], doc: '0 or 3' },
  flush: { at: 32, bits: [24, 26], doc: 'compress, not finish: flush kind + 1; 0 = sync' },
  requestType: { at: 36, bits: [0, 7], doc: '1 raw deflate, 2 zlib, 3 gzip' },
  bufferType: { at: 36, bits: [8, 11], doc: '0 flat' },
  levelPlusOne: { at: 36, bits: [16, 19], doc: 'compress: level + 1; 0 = level 6' },
  strategy: { at: 36, bits: [20, 22], doc: 'compress: 0 to 4' },
  memLevel: { at: 36, bits: [23, 26], doc: 'compress: 1 to 9; 0 = 8' },
  windowCut: { at: 36, bits: [27, 29], doc: '15 - base-2 logarithm of the window' },
  codingReserved: { at: 36, bits: [30, 31], doc: 'zero' },
  dictionaryBytes: { at: 40, bits: [0, 15], doc: 'bytes right before the source that prime the window' },
  dictionaryReserved: { at: 40, bits: [16, 31], doc: 'zero' },
  roomBytes: { at: 56, doc: 'room at the destination, 0 to 8 MiB' },
  context: { at: 60, doc: 'out: 2 when output of a stateful request was left for want of room' },
  source: { at: 72, width: 64, doc: 'address of the input' },
  destination: { at: 80, width: 64, doc: 'address of the output' },
  streamBuffer: { at: 88, width: 64, doc: 'address that names the stream' },
  tag: { at: 104, doc: 'returned as it came' },
  totalBytes: { at: 120, doc: 'out: uncompressed bytes of the stream so far, modulo 2^32' },
  checksum: { at: 124, doc: 'out: of the uncompressed bytes so far' },
});

/** `requestType`: which trailer follows the deflate stream. */
export const requestTypes = { raw: 1, zlib: 2, gzip: 3 } as const;
export type RequestKind = keyof typeof requestTypes;

/** `qc_type` of a queue. */
export const directions = { compress: 0, decompress: 1 } as const;

/** `sqeType` of the user driver: the tag is at offset 104. */
export const SQE_TYPE_TAG_HIGH = 3;

/** `context`: more output of the stream is due. */
export const CONTEXT_OUTPUT_LEFT = 2;

/** Section 5. */
export const zipStatus = {
  DONE: 0x00,
  NO_ROOM: 0x0e,
  WRONG_CHECKSUM: 0x10,
  STREAM_END: 0x13,
  MALFORMED: 0x40,
  BAD_DATA: 0x41,
  ACCESS_FAILED: 0x42,
  NO_STREAM: 0x43,
} as const;

/** Section 6: messages by index. */
export const dataErrors: readonly string[] = [
  'invalid compressed data',
  'invalid block type',
  'invalid stored block lengths',
  'too many length or distance symbols',
  'invalid code lengths set',
  'invalid bit length repeat',
  'invalid code -- missing end-of-block',
  'invalid literal/lengths set',
  'invalid distances set',
  'invalid literal/length code',
  'invalid distance code',
  'invalid distance too far back',
  'incorrect data check',
  'incorrect length check',
];

/** The index of a message; 0 for one that is not in the table. */
export function dataErrorIndex(message: string): number {
  return Math.max(0, dataErrors.indexOf(message));
}

/** Section 2: the longest input and the largest room. */
export const ZIP_BYTES_MAX = limits.REQUEST_BYTES_MAX;

/** Section 2: the reach of deflate. */
export const ZIP_DICTIONARY_BYTES_MAX = limits.DICTIONARY_BYTES;

/** Bytes of the buffer whose address names a stream; its content belongs to the user driver. */
export const ZIP_STREAM_BUFFER_BYTES = 64 * KiB;

/** What the device does when the SQE does not say: zero in the extension fields. */
export const codingDefaults = { level: 6, memLevel: 8, windowBits: 15 } as const;

/** Section 7: ns of device time per input byte at a level. */
export function compressNsPerByte(level: number): number {
  if (level === 0) return 1;
  if (level <= 3) return 8;
  return level <= 6 ? 13 : 25;
}

/** Section 7: ns of device time per compressed byte. */
export const DECOMPRESS_NS_PER_BYTE = 6;

/** Section 7: ns of a request that moves nothing. */
export const REQUEST_NS = 2000;

/** Section 8. */
export const zipRegisters = [
  { name: 'ID', at: 0x00, width: 32, access: 'RO', reset: 0x5a495020, doc: '"ZIP "' },
  { name: 'VERSION', at: 0x04, width: 32, access: 'RO', reset: 1, doc: 'version of the specification' },
  { name: 'REQUESTS', at: 0x08, width: 32, access: 'live', reset: 0, doc: 'requests since power-on' },
  { name: 'STREAMS', at: 0x0c, width: 32, access: 'live', reset: 0, doc: 'streams kept now' },
  {
    name: 'STREAMS_LOST',
    at: 0x10,
    width: 32,
    access: 'live',
    reset: 0,
    doc: 'streams dropped for want of room',
  },
] as const;
