/**
 * What a case is, and how its contestants are opened, measured and closed.
 *
 * A case opens its contestants itself and leaves nothing behind: no thread, no memory, whether it ended well or
 * not. It throws when a result is wrong or something crashes; a missed target is a row, not an error.
 */
import type { Prng } from '../../src/base/prng.js';
import { type Contestant, closeAll, interleave, type Samples } from './harness.js';
import type { Row } from './report.js';

/** What the command line decided. */
export interface BenchContext {
  /** Samples per contestant; a case that takes minutes may take fewer. */
  readonly rounds: number;
  /** Aimed-at length of a sample of a throughput case. */
  readonly sampleMs: number;
  /** Part of the amounts that cases fix themselves which is asked for: 1, or less to see whether they work at all. */
  readonly part: number;
  /** Decides the order of the contestants. */
  readonly prng: Prng;
  /** Whether the library is there; without it the baselines are measured alone. */
  readonly subject: boolean;
}

/** One comparison, or a few that share their contestants. */
export interface BenchCase {
  /** Stable: the first part of the rows' names, and what a NAME on the command line is looked up in. */
  readonly group: string;
  /** What is measured, in a line. */
  readonly title: string;
  /** What bounds its figures, in a sentence or two: printed beside a target that is missed. */
  readonly limitedBy: string;
  /** Measures. */
  rows(context: BenchContext): Promise<Row[]>;
}

/** As much of an amount of a case (requests, bytes, milliseconds) as is asked for, at least 1. */
export function partOf(context: BenchContext, amount: number): number {
  return Math.max(1, Math.round(amount * context.part));
}

/** Opens one contestant. */
export type Opener = () => Contestant | Promise<Contestant>;

/** The subject's opener, if there is a subject. */
export function ifSubject(context: BenchContext, open: Opener): Opener[] {
  return context.subject ? [open] : [];
}

/** Opens all, measures them interleaved, closes all. */
export async function contest(
  context: BenchContext,
  options: { readonly openers: readonly Opener[]; readonly rounds?: number },
): Promise<Samples> {
  const contestants: Contestant[] = [];
  try {
    for (const open of options.openers) contestants.push(await open());
    return await interleave(contestants, { rounds: options.rounds ?? context.rounds, prng: context.prng });
  } finally {
    await closeAll(contestants);
  }
}
