/**
 * Bad input in the words and numbers of node:zlib (zlib.h, "Return codes"; inflate.c for the messages).
 */
import type { DataError } from '../../lib/driver-api.js';

/** A message of Z_DATA_ERROR as a whole error. */
export function toDataError(message: string): DataError {
  return { message, code: 'Z_DATA_ERROR', errno: -3 };
}

/** What the head of a container can have wrong, and an input that is too short. */
export const headErrors = {
  header: toDataError('incorrect header check'),
  method: toDataError('unknown compression method'),
  window: toDataError('invalid window size'),
  flags: toDataError('unknown header flags set'),
  checksum: toDataError('header crc mismatch'),
  dictionary: { message: 'Missing dictionary', code: 'Z_NEED_DICT', errno: 2 },
  truncated: { message: 'unexpected end of file', code: 'Z_BUF_ERROR', errno: -5 },
} as const satisfies Record<string, DataError>;
