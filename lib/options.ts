/**
 * Options of the public API and their checks. Options that belong to an operation (format, level, ...) are checked
 * by the user driver that offers it; the ones here are the library's own.
 */
import { err, ok, type Result } from 'neverthrow';
import { type InvalidArgument, invalidArgument } from '../src/base/errors.js';
import { limits } from '../src/base/limits.js';

/** Which way a request shall take: `auto` decides by size and what is there. */
export type Route = 'auto' | 'device' | 'software';

/** What every request takes. */
export interface RequestOptions {
  /** Default `auto`. */
  readonly route?: Route;
  /** Aborts this request and no other. */
  readonly signal?: AbortSignal;
  /** More output than this is an OutputTooLarge error; bytes, 1 to 2^32. Default: what a Buffer can hold. */
  readonly maxOutputLength?: number;
  /** Size of the blocks that a large input is cut into, bytes: 64 KiB to 4 MiB, default 512 KiB. */
  readonly blockBytes?: number;
}

/** What `compress` takes. */
export interface CompressOptions extends RequestOptions {
  /** Container: `gzip` (default), `deflate` (zlib header, RFC 1950) or `deflate-raw`. */
  readonly format?: 'gzip' | 'deflate' | 'deflate-raw';
  /** 0 (store) to 9 (smallest), default 6. */
  readonly level?: number;
  /** 0 default, 1 filtered, 2 Huffman only, 3 run lengths, 4 fixed codes. */
  readonly strategy?: number;
  /** 1 to 9, default 8. */
  readonly memLevel?: number;
  /** Base-2 logarithm of the window, 9 to 15, default 15. */
  readonly windowBits?: number;
}

/** What `decompress` takes. */
export interface DecompressOptions extends RequestOptions {
  /** Container; default `auto`: gzip or zlib header by its first bytes. Raw deflate must be named. */
  readonly format?: 'auto' | 'gzip' | 'deflate' | 'deflate-raw';
}

/** Largest output that Node can hold in one Buffer on every supported version. */
const OUTPUT_BYTES_MAX = 2 ** 32;

/** The library's own options of a request, checked. */
export interface CheckedOptions {
  readonly route: Route;
  readonly signal: AbortSignal | null;
  readonly maxOutputBytes: number;
  readonly blockBytes: number;
  /** What is left for the user driver. */
  readonly parameters: Readonly<Record<string, unknown>>;
}

const NO_PARAMETERS: Readonly<Record<string, unknown>> = {};
const DEFAULTS: CheckedOptions = {
  route: 'auto',
  signal: null,
  maxOutputBytes: OUTPUT_BYTES_MAX,
  blockBytes: limits.BLOCK_BYTES,
  parameters: NO_PARAMETERS,
};

/** Checks the library's options; an option that is undefined is not there. */
export function checkOptions(options: unknown): Result<CheckedOptions, InvalidArgument> {
  if (options === undefined) return ok(DEFAULTS);
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    return err(invalidArgument({ argument: 'options', value: options, expected: 'an object', code: TYPE }));
  }
  const { route = 'auto', signal, maxOutputLength, blockBytes, ...rest } = options as Record<string, unknown>;
  const mistake =
    wrongRoute(route) ??
    wrongSignal(signal) ??
    wrongWhole('maxOutputLength', maxOutputLength, [1, OUTPUT_BYTES_MAX]) ??
    wrongWhole('blockBytes', blockBytes, [limits.BLOCK_BYTES_MIN, limits.BLOCK_BYTES_MAX]);
  if (mistake !== null) return err(mistake);
  for (const key of Object.keys(rest)) if (rest[key] === undefined) delete rest[key];
  return ok({
    route: route as Route,
    signal: (signal as AbortSignal | undefined) ?? null,
    maxOutputBytes: (maxOutputLength as number | undefined) ?? OUTPUT_BYTES_MAX,
    blockBytes: (blockBytes as number | undefined) ?? limits.BLOCK_BYTES,
    parameters: rest,
  });
}

const TYPE = 'ERR_INVALID_ARG_TYPE';
const RANGE = 'ERR_OUT_OF_RANGE';

/** An option that nobody knows: most likely a misspelling, and never ignored. */
export function unknownOption(argument: string, value: unknown): InvalidArgument {
  return invalidArgument({
    argument,
    value,
    expected: 'absent: there is no such option',
    code: 'ERR_WD_UNKNOWN_OPTION',
  });
}

/** A whole number in an inclusive range, or absent. */
export function wrongWhole(
  argument: string,
  value: unknown,
  [least, most]: readonly [number, number],
): InvalidArgument | null {
  if (value === undefined) return null;
  const expected = `a whole number from ${least} to ${most}`;
  if (typeof value !== 'number') return invalidArgument({ argument, value, expected, code: TYPE });
  if (Number.isInteger(value) && value >= least && value <= most) return null;
  return invalidArgument({ argument, value, expected, code: RANGE });
}

function wrongRoute(value: unknown): InvalidArgument | null {
  if (value === 'auto' || value === 'device' || value === 'software') return null;
  return invalidArgument({ argument: 'route', value, expected: "'auto', 'device' or 'software'" });
}

function wrongSignal(value: unknown): InvalidArgument | null {
  if (value === undefined || value instanceof AbortSignal) return null;
  return invalidArgument({ argument: 'signal', value, expected: 'an AbortSignal', code: TYPE });
}
