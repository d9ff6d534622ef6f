/** Errors as node:zlib makes them, and errors of the library as errors of a stream. */
import type { WdError } from '../../src/base/errors.js';

/** What zlib says of bad input. */
export function zlibError({ message, errno, code }: { message: string; errno: number; code: string }): Error {
  return Object.assign(new Error(message), { errno, code });
}

/** A typed error of the library as an Error: message and all fields, `code` among them. */
export function deviceFailure(error: WdError): Error {
  return Object.assign(new Error(error.message), error);
}
