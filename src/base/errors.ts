/**
 * Typed errors of the library and the control path. An error is plain data: it says what happened, which value
 * was wrong and what to do about it. The union is closed: a caller can switch over `kind` and be told by the
 * compiler when a kind is missing.
 */

/** A stable code, `ERR_WD_*`, or Node's own where Node has one (`Z_DATA_ERROR`, `ERR_BUFFER_TOO_LARGE`). */
interface ErrorFields {
  readonly code: string;
  /** What happened, with the offending value, and the remedy: one or two sentences. */
  readonly message: string;
  /** Whether the same call can succeed later without a change. */
  readonly retryable: boolean;
}

/** A wrong type, range or combination in a call. */
export interface InvalidArgument extends ErrorFields {
  readonly kind: 'InvalidArgument';
  /** Name of the argument or option. */
  readonly argument: string;
  readonly value: unknown;
}

/** The call does not fit the state of its object: closed, already used. */
export interface InvalidState extends ErrorFields {
  readonly kind: 'InvalidState';
}

/** The bounded queue is full; nothing was accepted. */
export interface Busy extends ErrorFields {
  readonly kind: 'Busy';
  /** A guess of when there will be room again, in milliseconds. */
  readonly retryAfterMs: number;
}

/** The input cannot be decoded. Never retried. `code` and `errno` are those of node:zlib. */
export interface BadData extends ErrorFields {
  readonly kind: 'BadData';
  readonly errno: number;
}

/** The output would be larger than the caller allowed. */
export interface OutputTooLarge extends ErrorFields {
  readonly kind: 'OutputTooLarge';
  readonly limitBytes: number;
}

/** The caller's AbortSignal fired. `reason` is the signal's. */
export interface Aborted extends ErrorFields {
  readonly kind: 'Aborted';
  readonly reason: unknown;
}

/** The caller's deadline passed first. */
export interface DeadlineExceeded extends ErrorFields {
  readonly kind: 'DeadlineExceeded';
  readonly deadlineMs: number;
}

/** No device offers the operation, or none may be opened. */
export interface NoDevice extends ErrorFields {
  readonly kind: 'NoDevice';
}

/** The device, its engine or its queue was lost with the request in flight. */
export interface DeviceLost extends ErrorFields {
  readonly kind: 'DeviceLost';
  readonly device: string;
}

/** The device answered the request with an error status. */
export interface DeviceError extends ErrorFields {
  readonly kind: 'DeviceError';
  readonly device: string;
  /** Status as it stands in the descriptor; its meaning is in the device's SPEC.md. */
  readonly status: number;
}

/** A system call of the simulated kernel failed. */
export interface SyscallFailed extends ErrorFields {
  readonly kind: 'SyscallFailed';
  readonly call: string;
  readonly errno: number;
}

/** Everything that can go wrong for a caller. */
export type WdError =
  | InvalidArgument
  | InvalidState
  | Busy
  | BadData
  | OutputTooLarge
  | Aborted
  | DeadlineExceeded
  | NoDevice
  | DeviceLost
  | DeviceError
  | SyscallFailed;

/** `value` as it is shown in a message: short, on one line, never throwing. */
export function showValue(value: unknown): string {
  if (typeof value === 'string')
    return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}...` : value);
  if (typeof value === 'function') return `a function`;
  if (typeof value !== 'object' || value === null) return String(value);
  return showObject(value);
}

function showObject(value: object): string {
  try {
    if (Array.isArray(value)) return `an array of ${value.length}`;
    const name: unknown = value.constructor?.name;
    if (typeof name === 'string' && /^[\p{L}\p{N}_$]{1,60}$/u.test(name)) return `an instance of ${name}`;
  } catch {
    // A getter or proxy of the caller's threw: its message is not ours to pass on.
  }
  return 'an instance of Object';
}

/** Names of argument, value and remedy of one mistake. */
export interface Mistake {
  readonly argument: string;
  readonly value: unknown;
  /** What would have been right, after "must be": "a whole number from 0 to 9". */
  readonly expected: string;
  readonly code?: string;
}

/** A mistake in an argument. The code is Node's ERR_INVALID_ARG_VALUE unless another is named. */
export function invalidArgument({ argument, value, expected, code }: Mistake): InvalidArgument {
  return {
    kind: 'InvalidArgument',
    code: code ?? 'ERR_INVALID_ARG_VALUE',
    message: `"${argument}" must be ${expected}, not ${showValue(value)}`,
    retryable: false,
    argument,
    value,
  };
}

/** A call that does not fit the state of its object. */
export function invalidState(message: string): InvalidState {
  return { kind: 'InvalidState', code: 'ERR_WD_INVALID_STATE', message, retryable: false };
}

/** A device that went away with work in flight. */
export function deviceLost(device: string, why: string): DeviceLost {
  return {
    kind: 'DeviceLost',
    code: 'ERR_WD_DEVICE_LOST',
    message: `${device} was lost with the request in flight (${why}); the request may be sent again`,
    retryable: true,
    device,
  };
}
