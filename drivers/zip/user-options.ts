/**
 * The parameters of compression and decompression, checked: names, types, ranges and defaults. Nothing unknown is
 * ignored and nothing out of range is brought into it.
 */
import { err, ok, type Result } from 'neverthrow';
import { type InvalidArgument, invalidArgument, unknownOption, wrongWhole } from '../../lib/driver-api.js';
import { codingDefaults, type RequestKind } from './layout.js';

/** How to compress; ranges as in `CompressOptions`. */
export interface Coding {
  readonly level: number;
  readonly strategy: number;
  readonly memLevel: number;
  readonly windowBits: number;
}

/** Inclusive ranges. A window of 8 bits is left out: deflate itself has none. */
const RANGES = {
  level: [0, 9],
  strategy: [0, 4],
  memLevel: [1, 9],
  windowBits: [9, 15],
} as const;

const DEFAULT_CODING: Coding = { ...codingDefaults, strategy: 0 };

/** Containers by the names that callers use. */
const CONTAINERS: Readonly<Record<string, RequestKind>> = {
  gzip: 'gzip',
  deflate: 'zlib',
  'deflate-raw': 'raw',
};

type Parameters = Readonly<Record<string, unknown>>;

/** The container (default gzip) and the coding. */
export function checkCompress(
  parameters: Parameters,
): Result<{ readonly kind: RequestKind; readonly coding: Coding }, InvalidArgument> {
  const { format = 'gzip', ...coding } = parameters;
  const mistake = wrongFormat(format, Object.keys(CONTAINERS)) ?? wrongCoding(coding);
  if (mistake !== null) return err(mistake);
  return ok({ kind: CONTAINERS[format as string]!, coding: { ...DEFAULT_CODING, ...coding } });
}

/** The container, or `auto` (default). */
export function checkDecompress(parameters: Parameters): Result<RequestKind | 'auto', InvalidArgument> {
  const { format = 'auto', ...others } = parameters;
  const mistake = wrongFormat(format, ['auto', ...Object.keys(CONTAINERS)]) ?? unknownAmong(others, []);
  if (mistake !== null) return err(mistake);
  return ok(CONTAINERS[format as string] ?? 'auto');
}

function wrongFormat(format: unknown, known: readonly string[]): InvalidArgument | null {
  if (typeof format === 'string' && known.includes(format)) return null;
  const expected = `one of ${known.map((name) => `'${name}'`).join(', ')}`;
  const code = typeof format === 'string' ? 'ERR_INVALID_ARG_VALUE' : 'ERR_INVALID_ARG_TYPE';
  return invalidArgument({ argument: 'format', value: format, expected, code });
}

function wrongCoding(coding: Parameters): InvalidArgument | null {
  const names = Object.keys(RANGES) as (keyof typeof RANGES)[];
  const unknown = unknownAmong(coding, names);
  if (unknown !== null) return unknown;
  for (const name of names) {
    const mistake = wrongWhole(name, coding[name], RANGES[name]);
    if (mistake !== null) return mistake;
  }
  return null;
}

function unknownAmong(parameters: Parameters, known: readonly string[]): InvalidArgument | null {
  const unknown = Object.keys(parameters).find((name) => !known.includes(name));
  return unknown === undefined ? null : unknownOption(unknown, parameters[unknown]);
}
