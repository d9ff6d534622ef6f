/**
 * SQEs of any driver, from what its user driver says of them: a shape, and the ranges of one request.
 */
import { newOutcome, newTransfer } from '../../lib/scratch.js';
import type { Outcome, SqeFormat, Transfer } from '../../lib/user-driver.js';
import { viewOf } from '../hw/ring-mock.js';

/** A word of an SQE, modulo its length, and what stands there. */
export interface WrongWord {
  readonly word: number;
  readonly value: number;
}

/** An SQE as the user driver writes it, of what is not zero in `given`. */
export function sqeOf(format: SqeFormat, given: Partial<Transfer>): Uint8Array {
  const sqe = new Uint8Array(format.template.buffer.slice(0));
  format.fill(viewOf(sqe), 0, { ...newTransfer(), final: false, ...given });
  return sqe;
}

/**
 * The same SQE with a word that says something else, unless that word says where or how much: a device may write into
 * the queue's own rings if it is told so, and be at it for long.
 */
export function spoiltSqeOf(format: SqeFormat, given: Partial<Transfer>, wrong: WrongWord): Uint8Array {
  const sqe = sqeOf(format, given);
  const other = sqeOf(format, { ...given, ...ELSEWHERE });
  const at = (wrong.word * 4) % sqe.length;
  const isOfRange = viewOf(sqe).getUint32(at) !== viewOf(other).getUint32(at);
  if (!isOfRange) viewOf(sqe).setUint32(at, wrong.value >>> 0, true);
  return sqe;
}

/** What a completed SQE says. */
export function outcomeOf(format: SqeFormat, sqe: Uint8Array): Outcome {
  const outcome = newOutcome();
  format.read(viewOf(sqe), 0, outcome);
  return outcome;
}

/** Ranges that differ in every word from those of any request here. */
const ELSEWHERE = {
  source: 2 ** 50 + 1,
  destination: 2 ** 50 + 1,
  state: 2 ** 50 + 1,
  sourceBytes: 2 ** 24 + 1,
  destinationBytes: 2 ** 24 + 1,
};
