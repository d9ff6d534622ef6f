/**
 * Options of `open` and their checks: what a machine is made of, and what its pool does unless a request says otherwise.
 */
import { err, ok, type Result } from 'neverthrow';
import { type InvalidArgument, invalidArgument } from '../src/base/errors.js';
import { limits } from '../src/base/limits.js';
import { MiB } from '../src/base/units.js';
import {
  DEFAULT_POLICY,
  ON_DEVICE_LOSS,
  type OnDeviceLoss,
  type RequestPolicy,
  unknownOption,
  WHEN_BUSY,
  type WhenBusy,
  wrongChoice,
  wrongFlag,
  wrongWhole,
} from './options.js';

/** What a pool does with each request unless the request says otherwise. */
export type PoolDefaults = RequestPolicy;

/** What `open` takes. What is not given comes from the environment (docs/environment.md), then from the defaults here. */
export interface OpenOptions {
  /** Compression engines, 1 to 16; default: one for each core, at most 16. */
  readonly engines?: number;
  /** Physical memory of the machine, bytes, 32 MiB to just below 4 GiB in whole megabytes; default 1 GiB. */
  readonly memoryBytes?: number;
  /** What becomes of a request that no device could start now; default `wait`. */
  readonly whenBusy?: WhenBusy;
  /** What becomes of a request whose device is lost; default `replay`. */
  readonly onDeviceLoss?: OnDeviceLoss;
  /** Whether every output is decoded in software and compared before it is answered; default false. */
  readonly verify?: boolean;
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
  const mistake = mistakeIn(options as Record<string, unknown>);
  return mistake === null ? ok(options as OpenOptions) : err(mistake);
}

function mistakeIn(options: Record<string, unknown>): InvalidArgument | null {
  const { engines, memoryBytes, whenBusy, onDeviceLoss, verify, ...rest } = options;
  const [unknown] = Object.keys(rest);
  return (
    (unknown === undefined ? null : unknownOption(unknown, rest[unknown])) ??
    wrongWhole('engines', engines, [1, limits.ENGINES_MAX]) ??
    wrongWhole('memoryBytes', memoryBytes, [limits.MEMORY_BYTES_MIN, limits.MEMORY_BYTES_MAX]) ??
    wrongUnit('memoryBytes', memoryBytes, MiB) ??
    wrongChoice('whenBusy', whenBusy, WHEN_BUSY) ??
    wrongChoice('onDeviceLoss', onDeviceLoss, ON_DEVICE_LOSS) ??
    wrongFlag('verify', verify)
  );
}

function wrongUnit(argument: string, value: unknown, unit: number): InvalidArgument | null {
  if (value === undefined || (value as number) % unit === 0) return null;
  return invalidArgument({ argument, value, expected: `a multiple of ${unit}`, code: 'ERR_OUT_OF_RANGE' });
}

/** What a pool that is opened with `options` does with each request. */
export function poolDefaults({ whenBusy, onDeviceLoss, verify }: OpenOptions): PoolDefaults {
  return {
    whenBusy: whenBusy ?? DEFAULT_POLICY.whenBusy,
    onDeviceLoss: onDeviceLoss ?? DEFAULT_POLICY.onDeviceLoss,
    verify: verify ?? DEFAULT_POLICY.verify,
  };
}
