/**
 * Errors of requests: the same whichever backend met them.
 */

import { InvariantError } from '../src/base/assert.js';
import {
  type Aborted,
  type BadData,
  type Busy,
  type DeadlineExceeded,
  type DeviceError,
  type InvalidState,
  invalidState,
  type NoDevice,
  type OutputTooLarge,
  type WdError,
} from '../src/base/errors.js';
import type { DataError } from './user-driver.js';

/** The input cannot be decoded, in the words of node:zlib. */
export function badData({ message, code, errno }: DataError): BadData {
  return { kind: 'BadData', code, errno, message, retryable: false };
}

/** The message and code are those of node:zlib. */
export function outputTooLarge(limitBytes: number): OutputTooLarge {
  return {
    kind: 'OutputTooLarge',
    code: 'ERR_BUFFER_TOO_LARGE',
    message: `Cannot create a Buffer larger than ${limitBytes} bytes`,
    retryable: false,
    limitBytes,
  };
}

export function aborted(reason: unknown): Aborted {
  return {
    kind: 'Aborted',
    code: 'ABORT_ERR',
    message: 'the request was aborted by its signal',
    retryable: false,
    reason,
  };
}

export function deadlineExceeded(deadlineMs: number): DeadlineExceeded {
  return {
    kind: 'DeadlineExceeded',
    code: 'ERR_WD_DEADLINE',
    message: `the request did not end within its deadline of ${deadlineMs} ms; allow more, or send less at a time`,
    retryable: true,
    deadlineMs,
  };
}

export function busy(what: string, retryAfterMs: number): Busy {
  return {
    kind: 'Busy',
    code: 'ERR_WD_BUSY',
    message: `${what}; wait for earlier requests to finish, or raise the limit`,
    retryable: true,
    retryAfterMs,
  };
}

/** Every call after `close`. */
export function poolClosed(): InvalidState {
  return invalidState('the pool is closed; open another one');
}

export function noDevice(what: string): NoDevice {
  return {
    kind: 'NoDevice',
    code: 'ERR_WD_NO_DEVICE',
    message: `${what}; use route 'auto' or 'software' to do it without one`,
    retryable: false,
  };
}

export function deviceError(device: string, status: number): DeviceError {
  return {
    kind: 'DeviceError',
    code: 'ERR_WD_DEVICE',
    message: `${device} ended the request with status 0x${status.toString(16)}; its SPEC.md says what it means`,
    retryable: false,
    device,
    status,
  };
}

/** A typed error on its way through promises and generators; it becomes a Result at the edge. */
export class WdFailure extends Error {
  readonly error: WdError;
  /** Of the error: for those who look at exceptions as Node's own are looked at. */
  readonly code: string;

  constructor(error: WdError) {
    super(error.message);
    this.error = error;
    this.code = error.code;
  }
}

/** The typed error inside a failure. Anything else is a bug of ours, and is thrown on. */
export function errorOf(failure: unknown): WdError {
  if (failure instanceof WdFailure) return failure.error;
  throw failure instanceof Error ? failure : new InvariantError(String(failure));
}
