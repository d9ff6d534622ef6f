/** Damaged input: headers, checksums, lengths and blocks. Which error, when, and what is handed over before it? */
import * as node from 'node:zlib';
import { randomBytes, sampleText } from '../lib/library-bench.js';
import { drive } from './differential-steps.js';
import { answered, atOnce, type Rows } from './observe.js';
import { crossed, flipped, NOISE, TEXT } from './table-data.js';

const zlibOf = (bytes: Buffer, options: node.ZlibOptions = {}): Buffer => node.deflateSync(bytes, options);
const gzipOf = (bytes: Buffer): Buffer => node.gzipSync(bytes);
const raw = node.deflateRawSync(TEXT);
const long = sampleText(200_000);

/** A gzip file whose header has the given flags and the fields that they announce. */
function gzipWith(flags: number, fields: readonly number[], body: Buffer = gzipOf(TEXT)): Buffer {
  const head = Buffer.from(body.subarray(0, 10));
  head[3] = flags;
  return Buffer.concat([head, Buffer.from(fields), body.subarray(10)]);
}

function withByte(bytes: Buffer, offset: number, value: number): Buffer {
  const changed = Buffer.from(bytes);
  changed[offset] = value;
  return changed;
}

/** CRC-16 of a gzip header: the low half of the CRC-32 of all before it. */
function headerCrc(bytes: readonly number[]): number[] {
  const file = node.gzipSync(Buffer.from(bytes));
  return [...file.subarray(-8, -6)];
}

const CRC_HEADER = [0x1f, 0x8b, 8, 2, 0, 0, 0, 0, 0, 3];

const GZIP: Readonly<Record<string, Buffer>> = {
  'noise for gzip': NOISE,
  'a wrong first byte of gzip': withByte(gzipOf(TEXT), 0, 0x1e),
  'a wrong second byte of gzip': withByte(gzipOf(TEXT), 1, 0x8c),
  'an unknown method of gzip': withByte(gzipOf(TEXT), 2, 7),
  'reserved flags of gzip': withByte(gzipOf(TEXT), 3, 0xe0),
  'a flag of text': gzipWith(1, []),
  'a name': gzipWith(8, [...Buffer.from('name\0')]),
  'a comment': gzipWith(16, [...Buffer.from('a comment\0')]),
  'an extra field': gzipWith(4, [3, 0, 1, 2, 3]),
  'all fields': gzipWith(0x1c, [2, 0, 7, 7, ...Buffer.from('n\0c\0')]),
  'a name without end': gzipWith(8, [...Buffer.alloc(3000, 0x61)], NOISE.map((byte) => byte | 1) as Buffer),
  'a checksum of the header': gzipWith(2, headerCrc(CRC_HEADER)),
  'a wrong checksum of the header': gzipWith(2, [1, 2]),
  'a wrong CRC': flipped(gzipOf(TEXT), -8),
  'a wrong length': flipped(gzipOf(TEXT), -1),
  'a wrong CRC after much output': flipped(gzipOf(long), -7),
  'a wrong length after much output': flipped(gzipOf(long), -4),
  'a broken first block of gzip': flipped(gzipOf(TEXT), 12, 3),
  'a broken middle of gzip': flipped(gzipOf(long), 30_000, 5),
  'nothing at all': Buffer.alloc(0),
  zeros: Buffer.alloc(2000),
  'one byte': Buffer.from([0x1f]),
};
const ZLIB: Readonly<Record<string, Buffer>> = {
  'noise for zlib': NOISE,
  'a wrong check of the zlib header': withByte(zlibOf(TEXT), 1, 0x9d),
  'an unknown method of zlib': Buffer.concat([Buffer.from([0x79, 0x9c + 1]), raw]),
  'a method of 15': Buffer.concat([Buffer.from([0x7f, 0x1c]), raw]),
  'an invalid window': Buffer.concat([Buffer.from([0x88, 0x1c]), raw]),
  'a preset dictionary': zlibOf(TEXT, { dictionary: Buffer.from('queue doorbell phase') }),
  'a wrong adler': flipped(zlibOf(TEXT), -1),
  'a wrong adler after much output': flipped(zlibOf(long), -3),
  'a broken middle of zlib': flipped(zlibOf(long), 30_000, 2),
  'a window smaller than the distances': withByte(withByte(zlibOf(long), 0, 0x18), 1, 0x19),
};
const RAW: Readonly<Record<string, Buffer>> = {
  'an invalid block type': Buffer.concat([Buffer.from([0x07]), NOISE]),
  'invalid stored block lengths': Buffer.concat([Buffer.from([0x01, 5, 0, 5, 0]), NOISE]),
  'too many symbols': Buffer.concat([Buffer.from([0xfd, 0xff, 0xff]), NOISE]),
  'invalid code lengths': Buffer.concat([Buffer.from([0x05, 0xe0, 0x81, 0x91, 0x24, 0xcb]), NOISE]),
  'an invalid bit length repeat': Buffer.concat([Buffer.from([0x04, 0xe0, 0x81, 0x08]), Buffer.alloc(1000)]),
  'no end of block': Buffer.concat([Buffer.from([0x05, 0xe0, 0x81, 0x08, 0, 0, 0, 0, 0x20, 0x04]), NOISE]),
  'a distance too far back': Buffer.concat([Buffer.from([0x63, 0x18, 0x05, 0x40, 0x0c, 0x00]), NOISE]),
  'a distance too far back, fixed codes': Buffer.concat([Buffer.from([0x03, 0x12, 0x34]), NOISE]),
  'stored blocks': node.deflateRawSync(randomBytes(100_000), { level: 0 }),
  'a stored block cut off': node.deflateRawSync(randomBytes(100_000), { level: 0 }).subarray(0, 70_000),
  'a broken middle of raw': flipped(node.deflateRawSync(long), 30_000, 7),
};

const ALL = { ...GZIP, ...ZLIB, ...RAW };
const DAMAGE: Record<string, Buffer> = {};
for (const [name, bytes] of Object.entries(ALL)) {
  DAMAGE[name] = bytes;
  // Long enough for the device, whatever it is.
  if (bytes.length < 1000) DAMAGE[`${name}, and noise behind`] = Buffer.concat([bytes, NOISE]);
}

const FUNCTION_OF = {
  Inflate: 'inflate',
  Gunzip: 'gunzip',
  InflateRaw: 'inflateRaw',
  Unzip: 'unzip',
} as const;
const UNPACKING = Object.keys(FUNCTION_OF) as (keyof typeof FUNCTION_OF)[];

export const rows: Rows = {
  ...crossed(UNPACKING, DAMAGE, (className, bytes) => async (zlib) => [
    await answered(zlib, FUNCTION_OF[className], bytes),
    atOnce(zlib, `${FUNCTION_OF[className]}Sync`, bytes),
    await drive(zlib, className, undefined, [['end', bytes]]),
    // With any options the window is that of the header.
    await drive(zlib, className, {}, [['end', bytes]]),
    await drive(zlib, className, undefined, [
      ['write', bytes.subarray(0, 1)],
      ['write', bytes.subarray(1, 700)],
      ['settle'],
      ['write', bytes.subarray(700)],
      ['end'],
    ]),
  ]),
};
