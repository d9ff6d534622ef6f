/**
 * Options of the public API and their checks. Options that belong to an operation (format, level, ...) are checked
 * by the user driver that offers it; the ones here are the library's own.
 */
import { err, ok, type Result } from 'neverthrow';
import { type InvalidArgument, invalidArgument } from '../src/base/errors.js';
import { limits } from '../src/base/limits.js';
import { PoolBuffer } from './pool-buffer.js';

/** Which way a request shall take: `auto` decides by size and what is there. */
export type Route = 'auto' | 'device' | 'software';

/** What becomes of a request that no device could start now: it waits, is done in software, or is answered Busy. */
export type WhenBusy = 'wait' | 'software' | 'fail';
/** What becomes of a request whose device is lost: another one or software does it again, software does, or DeviceLost. */
export type OnDeviceLoss = 'replay' | 'software' | 'fail';

/** What every request takes. */
export interface RequestOptions {
  /** Default `auto`. */
  readonly route?: Route;
  /** Aborts this request and no other: at once while it waits, at its next segment while it runs. */
  readonly signal?: AbortSignal;
  /** Milliseconds from the call after which it is answered DeadlineExceeded, likewise; above 0. Default: none. */
  readonly deadlineMs?: number;
  /** Default: the pool's, `wait`. */
  readonly whenBusy?: WhenBusy;
  /** Default: the pool's, `replay`. With route `device` nothing is done in software. */
  readonly onDeviceLoss?: OnDeviceLoss;
  /** Decodes the output in software and compares before it answers; a mismatch is made good in software. Default: the pool's, false. */
  readonly verify?: boolean;
  /** More output than this is an OutputTooLarge error; bytes, 1 to 2^32. Default: what a Buffer can hold. */
  readonly maxOutputLength?: number;
  /** Whether a large input may be cut into blocks for all engines; default true. */
  readonly split?: boolean;
  /** Size of the blocks that a large input is cut into, bytes: 64 KiB to 4 MiB, default 512 KiB. */
  readonly blockBytes?: number;
  /** Memory of `Pool.alloc` for the output: the answer's `data` is a view of it. Default: a Buffer of its own. */
  readonly into?: PoolBuffer;
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

/** What a pool does unless a request says otherwise. */
export interface RequestPolicy {
  readonly whenBusy: WhenBusy;
  readonly onDeviceLoss: OnDeviceLoss;
  readonly verify: boolean;
}

export const DEFAULT_POLICY: RequestPolicy = { whenBusy: 'wait', onDeviceLoss: 'replay', verify: false };

/** The library's own options of a request that many requests share, checked. */
export interface CheckedOptions extends RequestPolicy {
  readonly route: Route;
  readonly maxOutputBytes: number;
  readonly split: boolean;
  readonly blockBytes: number;
  /** What is left for the user driver. */
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** Options that belong to one call. */
export interface CallOptions {
  readonly signal: AbortSignal | null;
  readonly deadlineMs: number | null;
  readonly into: PoolBuffer | null;
}

/** Their names: what is remembered of a set of options leaves them out. */
export const CALL_OPTIONS: ReadonlySet<string> = new Set(['signal', 'deadlineMs', 'into']);

const NO_CALL_OPTIONS: CallOptions = { signal: null, deadlineMs: null, into: null };

/** Checks what belongs to one call; the others are left to `checkOptions`. */
export function checkCallOptions(options: unknown): Result<CallOptions, InvalidArgument> {
  if (typeof options !== 'object' || options === null) return ok(NO_CALL_OPTIONS);
  const { signal, deadlineMs, into } = options as Record<string, unknown>;
  if (signal === undefined && deadlineMs === undefined && into === undefined) return ok(NO_CALL_OPTIONS);
  const mistake = wrongSignal(signal) ?? wrongDeadline(deadlineMs) ?? wrongInto(into);
  if (mistake !== null) return err(mistake);
  return ok({
    signal: (signal as AbortSignal | undefined) ?? null,
    deadlineMs: (deadlineMs as number | undefined) ?? null,
    into: (into as PoolBuffer | undefined) ?? null,
  });
}

/** The mistake in what a run of a session takes, whose other options are the session's. */
export function wrongRunOptions(options: unknown): InvalidArgument | null {
  if (options === undefined) return null;
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    return invalidArgument({ argument: 'options', value: options, expected: 'an object', code: TYPE });
  }
  const given = withoutCallOptions(options as Record<string, unknown>);
  const [unknown] = Object.keys(given);
  return unknown === undefined ? null : unknownOption(unknown, given[unknown]);
}

/** Checks the library's options; an option that is undefined is not there. */
export function checkOptions(
  options: unknown,
  policy: RequestPolicy = DEFAULT_POLICY,
): Result<CheckedOptions, InvalidArgument> {
  if (options !== undefined && (typeof options !== 'object' || options === null || Array.isArray(options))) {
    return err(invalidArgument({ argument: 'options', value: options, expected: 'an object', code: TYPE }));
  }
  const given = withoutCallOptions((options ?? {}) as Record<string, unknown>);
  const {
    route = 'auto',
    whenBusy,
    onDeviceLoss,
    verify,
    split,
    maxOutputLength,
    blockBytes,
    ...rest
  } = given;
  const mistake =
    wrongChoice('route', route, ROUTES) ??
    wrongChoice('whenBusy', whenBusy, WHEN_BUSY) ??
    wrongChoice('onDeviceLoss', onDeviceLoss, ON_DEVICE_LOSS) ??
    wrongFlag('verify', verify) ??
    wrongFlag('split', split) ??
    wrongWhole('maxOutputLength', maxOutputLength, [1, OUTPUT_BYTES_MAX]) ??
    wrongWhole('blockBytes', blockBytes, [limits.BLOCK_BYTES_MIN, limits.BLOCK_BYTES_MAX]);
  if (mistake !== null) return err(mistake);
  return ok({
    route: route as Route,
    whenBusy: (whenBusy as WhenBusy | undefined) ?? policy.whenBusy,
    onDeviceLoss: (onDeviceLoss as OnDeviceLoss | undefined) ?? policy.onDeviceLoss,
    verify: (verify as boolean | undefined) ?? policy.verify,
    split: (split as boolean | undefined) ?? true,
    maxOutputBytes: (maxOutputLength as number | undefined) ?? OUTPUT_BYTES_MAX,
    blockBytes: (blockBytes as number | undefined) ?? limits.BLOCK_BYTES,
    parameters: rest,
  });
}

function withoutCallOptions(options: Record<string, unknown>): Record<string, unknown> {
  const kept: Record<string, unknown> = {};
  for (const key in options) {
    if (options[key] !== undefined && !CALL_OPTIONS.has(key)) kept[key] = options[key];
  }
  return kept;
}

const ROUTES = ['auto', 'device', 'software'] as const;
export const WHEN_BUSY = ['wait', 'software', 'fail'] as const;
export const ON_DEVICE_LOSS = ['replay', 'software', 'fail'] as const;
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

/** One of a few names, or absent. */
export function wrongChoice(
  argument: string,
  value: unknown,
  choices: readonly string[],
): InvalidArgument | null {
  if (value === undefined || choices.includes(value as string)) return null;
  const names = choices.map((choice) => `'${choice}'`);
  const expected = `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`;
  return invalidArgument({ argument, value, expected });
}

/** A boolean, or absent. */
export function wrongFlag(argument: string, value: unknown): InvalidArgument | null {
  if (value === undefined || typeof value === 'boolean') return null;
  return invalidArgument({ argument, value, expected: 'true or false', code: TYPE });
}

function wrongSignal(value: unknown): InvalidArgument | null {
  if (value === undefined || value instanceof AbortSignal) return null;
  return invalidArgument({ argument: 'signal', value, expected: 'an AbortSignal', code: TYPE });
}

function wrongDeadline(value: unknown): InvalidArgument | null {
  if (value === undefined) return null;
  const expected = `a number of milliseconds above 0 and at most ${limits.DEADLINE_MS_MAX}`;
  const mistake = { argument: 'deadlineMs', value, expected };
  if (typeof value !== 'number') return invalidArgument({ ...mistake, code: TYPE });
  return value > 0 && value <= limits.DEADLINE_MS_MAX ? null : invalidArgument({ ...mistake, code: RANGE });
}

function wrongInto(value: unknown): InvalidArgument | null {
  if (value === undefined || value instanceof PoolBuffer) return null;
  const expected = 'memory of Pool.alloc';
  return invalidArgument({ argument: 'into', value, expected, code: TYPE });
}
