/**
 * What the tables of zlib calls share: the names of the functions, inputs, and compressed data made by node:zlib, so
 * that both modules under observation are given the same bytes.
 */
import * as node from 'node:zlib';
import { KiB } from '../../src/base/units.js';
import { randomBytes, sampleText } from '../lib/library-bench.js';
import type { Row } from './observe.js';

/** Functions that compress, with callback; those with the suffix Sync do the same at once. */
export const PACKERS = ['deflate', 'gzip', 'deflateRaw'] as const;
/** Functions that decompress. */
export const UNPACKERS = ['inflate', 'gunzip', 'inflateRaw', 'unzip'] as const;
export const FUNCTIONS = [...PACKERS, ...UNPACKERS] as const;

/** Sizes on both sides of every threshold: of the device, of chunks, of a segment, of a stateful request. */
export const SIZES = [
  0,
  1,
  511,
  512,
  513,
  1 * KiB,
  16 * KiB - 1,
  16 * KiB,
  16 * KiB + 1,
  64 * KiB,
  128 * KiB + 1,
];

/** Text of a size that goes to the device. */
export const TEXT = sampleText(20_000);
/** Text that takes several chunks of output even when it is compressed. */
export const LONG_TEXT = sampleText(200_000);
/** Bytes that do not compress. */
export const NOISE = randomBytes(20_000);

/** `bytes` compressed by node, in the format that the function or class of that name reads. */
export function packedFor(name: string, bytes: Buffer, options: node.ZlibOptions = {}): Buffer {
  switch (name.toLowerCase()) {
    case 'inflate':
      return node.deflateSync(bytes, options);
    case 'inflateraw':
      return node.deflateRawSync(bytes, options);
    case 'gunzip':
    case 'unzip':
      return node.gzipSync(bytes, options);
    default:
      return bytes;
  }
}

/** An input that the function or class of that name takes: compressed where it decompresses. */
export function inputFor(name: string, bytes: Buffer = TEXT): Buffer {
  return packedFor(name, bytes);
}

/** `bytes` with one bit changed. */
export function flipped(bytes: Buffer, offset: number, bit = 0): Buffer {
  const changed = Buffer.from(bytes);
  const at = offset < 0 ? bytes.length + offset : offset;
  changed[at] = changed[at]! ^ (1 << bit);
  return changed;
}

/** Rows for all pairs of `first` and `second`, named after both. */
export function crossed<First, Second>(
  first: readonly First[],
  second: Readonly<Record<string, Second>>,
  row: (first: First, second: Second) => Row,
): Record<string, Row> {
  const rows: Record<string, Row> = {};
  for (const one of first)
    for (const [name, other] of Object.entries(second)) rows[`${one} ${name}`] = row(one, other);
  return rows;
}

/** The same values under names that begin with `prefix`. */
export function prefixed<Value>(
  prefix: string,
  values: Readonly<Record<string, Value>>,
): Record<string, Value> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [`${prefix}: ${name}`, value]));
}
