/**
 * A queue of an engine as plain data: part of the image of a context (engine-image.ts), and as little believed.
 */

import { limits } from '../base/limits.js';
import { isRecord } from '../base/record.js';
import type { QueueBinding, QueueErrorReason } from './coproc-port.js';

const QUEUE_ERRORS: readonly unknown[] = [
  'tail beyond depth',
  'head beyond tail',
  'ring not reachable',
] satisfies QueueErrorReason[];

/** A request that was left in the middle. */
export interface RequestImage {
  /** The engine's copy of the SQE, with the results so far. */
  readonly sqe: Uint8Array;
  /** REQUEST_PROGRESS_BYTES bytes. */
  readonly progress: Uint8Array;
  /** Bytes of it that its process has not been charged for. */
  readonly owedBytes: number;
}

/** Where a queue is. Counts are free-running, modulo 2^32. */
export interface QueueImage {
  readonly sqHead: number;
  readonly cqTail: number;
  /** The consumer's head as it was seen last. */
  readonly cqHead: number;
  /** CQEs that an interrupt has told of. */
  readonly reported: number;
  /** Phase of the next CQE. */
  readonly phase: number;
  /** Why it is out of service; null while it is fine. */
  readonly error: QueueErrorReason | null;
  readonly inFlight: RequestImage | null;
}

/** What is wrong with the image of a queue that is to be bound so; null when nothing is. */
export function mistakeInQueue(queue: unknown, sqeBytes: number, { cqDepth }: QueueBinding): string | null {
  if (!isRecord(queue)) return 'it is an object';
  const counts = [queue.sqHead, queue.cqTail, queue.cqHead, queue.reported];
  if (!counts.every((count) => isCount(count, 0xffff_ffff))) return 'a count is none of 32 bits';
  const { sqHead, cqTail, cqHead, reported } = queue as unknown as QueueImage;
  // Each SQE that was completed has one CQE.
  if (sqHead !== cqTail) return 'heads and tails do not fit together';
  if ((cqTail - cqHead) >>> 0 > cqDepth || (cqTail - reported) >>> 0 > cqDepth) {
    return 'more completions are unconsumed than there is room for';
  }
  if (queue.phase !== phaseAt(cqTail, cqDepth)) return 'the phase is not that of the tail';
  if (queue.error !== null && !QUEUE_ERRORS.includes(queue.error)) return 'the error is none';
  if (queue.inFlight === null) return null;
  return queue.error === null ? mistakeInRequest(queue.inFlight, sqeBytes) : 'it is in error and in flight';
}

function mistakeInRequest(request: unknown, sqeBytes: number): string | null {
  const { REQUEST_PROGRESS_BYTES: progressBytes } = limits;
  if (!isRecord(request)) return 'a request in flight is an object';
  if (!isBytes(request.sqe, sqeBytes, sqeBytes)) return `the SQE has not ${sqeBytes} bytes`;
  if (!isBytes(request.progress, progressBytes, progressBytes))
    return `progress has not ${progressBytes} bytes`;
  return isCount(request.owedBytes, 0xffff_ffff) ? null : 'the bytes that are owed are no number of bytes';
}

/** Phase of the CQE number `count`: 1 in the first pass. */
function phaseAt(count: number, cqDepth: number): number {
  return (Math.floor(count / cqDepth) & 1) === 0 ? 1 : 0;
}

/** Whether a value is a whole number from 0 to `most`. */
export function isCount(value: unknown, most: number): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= most;
}

/** Whether a value is from `least` to `most` bytes. */
export function isBytes(value: unknown, least: number, most: number): value is Uint8Array {
  return value instanceof Uint8Array && value.length >= least && value.length <= most;
}
