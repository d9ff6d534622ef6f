/**
 * Options of `open` and their checks: what a machine is made of.
 */
import { err, ok, type Result } from 'neverthrow';
import { type InvalidArgument, invalidArgument } from '../src/base/errors.js';
import { limits } from '../src/base/limits.js';
import { MiB } from '../src/base/units.js';
import { unknownOption, wrongWhole } from './options.js';

/** What `open` takes. */
export interface OpenOptions {
  /** Compression engines, 1 to 16; default: one for each core, at most 16. */
  readonly engines?: number;
  /** Physical memory of the machine, bytes, 32 MiB to just below 4 GiB in whole megabytes; default 1 GiB. */
  readonly memoryBytes?: number;
}

/** Checks the options of `open`. */
export function checkOpenOptions(options: unknown): Result<OpenOptions, InvalidArgument> {
  if (options === undefined) return ok({});
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    return err(
      invalidArgument({
        argument: 'options',
        value: options,
        expected: 'an object',
        code: 'ERR_INVALID_ARG_TYPE',
      }),
    );
  }
  const { engines, memoryBytes, ...rest } = options as Record<string, unknown>;
  const [unknown] = Object.keys(rest);
  const mistake =
    (unknown === undefined ? null : unknownOption(unknown, rest[unknown])) ??
    wrongWhole('engines', engines, [1, limits.ENGINES_MAX]) ??
    wrongWhole('memoryBytes', memoryBytes, [limits.MEMORY_BYTES_MIN, limits.MEMORY_BYTES_MAX]) ??
    wrongUnit('memoryBytes', memoryBytes, MiB);
  return mistake === null ? ok(options as OpenOptions) : err(mistake);
}

function wrongUnit(argument: string, value: unknown, unit: number): InvalidArgument | null {
  if (value === undefined || (value as number) % unit === 0) return null;
  return invalidArgument({ argument, value, expected: `a multiple of ${unit}`, code: 'ERR_OUT_OF_RANGE' });
}
