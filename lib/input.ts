/**
 * What a caller may pass as input: everything that node:zlib takes, and shared memory. The bytes are looked at,
 * never kept: callers may change their buffer right after a call.
 */
import { isAnyArrayBuffer, isUint8Array } from 'node:util/types';
import { type InvalidArgument, invalidArgument } from '../src/base/errors.js';
import { PoolBuffer } from './pool-buffer.js';

/** A string is taken as UTF-8; memory of `Pool.alloc` is used where it is. */
export type Input = string | NodeJS.ArrayBufferView | ArrayBuffer | SharedArrayBuffer | PoolBuffer;

/** The bytes of `input`, without a copy unless it is a string; null when it is something else. */
export function inputBytes(input: unknown): Uint8Array | null {
  if (isUint8Array(input)) return input;
  if (typeof input === 'string') return Buffer.from(input, 'utf8');
  if (ArrayBuffer.isView(input)) return new Uint8Array(input.buffer, input.byteOffset, input.byteLength);
  if (isAnyArrayBuffer(input)) return new Uint8Array(input);
  if (input instanceof PoolBuffer) return input.bytes;
  return null;
}

/** What is wrong with an input that has no bytes. */
export function wrongInput(value: unknown): InvalidArgument {
  return invalidArgument({ argument: 'input', value, expected: INPUT_TYPES, code: 'ERR_INVALID_ARG_TYPE' });
}

/** How a message names what may be passed. */
export const INPUT_TYPES =
  'a string, Buffer, TypedArray, DataView, ArrayBuffer, SharedArrayBuffer or PoolBuffer';
