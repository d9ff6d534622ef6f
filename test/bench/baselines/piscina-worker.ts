/** What piscina's threads execute: one codec call, or nothing. */
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { move } from 'piscina';
import type { Operation } from '../codec.js';

/** From here on handing the memory over is cheaper than a copy. */
const MOVE_BYTES = 32 * 1024;

/** Answers with bytes in an ArrayBuffer of their own, so that no more than them crosses the threads. */
export function codec(request: { operation: Operation; input: Uint8Array }): unknown {
  const { operation, input } = request;
  const deflating = operation.direction === 'deflate';
  const output = deflating ? deflateRawSync(input, { level: operation.level }) : inflateRawSync(input);
  const exact = new Uint8Array(output);
  return exact.length >= MOVE_BYTES ? move(exact) : exact;
}

/** The empty request. */
export function nothing(): void {}
