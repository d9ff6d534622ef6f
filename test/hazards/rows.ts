/**
 * The hazards that this machine must not have, by the ids of the project's list of what went wrong in systems of this
 * kind. Each row has a test whose title begins with its id, or a reason why it has none yet; a row with neither fails.
 */
import { expect, it } from 'vitest';

/** SVA, PASIDs, page tables, translation caches. */
export const SHARED_ADDRESS_ROWS = [
  'S1',
  'S3',
  'S4',
  'S6',
  'S7',
  'S9',
  'S10',
  'S12',
  'S13',
  'S16',
  'S18',
  'S19',
  'S21',
  'S22',
  'S24',
  'S27',
  'S30',
  'S31',
] as const;

/** Pinned and mediated memory. */
export const PINNED_MEMORY_ROWS = ['V1', 'V3', 'V4', 'V7'] as const;

/** Those of both kinds that come with switching a coprocessor from one domain to another, and with moving a context. */
export const SHARED_COPROCESSOR_ROWS = ['S15', 'S25', 'S28', 'V6'] as const;

/** Collects the tests of one family. */
export interface HazardFamily<Row extends string> {
  /** A test of one row: its question, and the code that asks it. */
  readonly hazard: (row: Row, question: string, body: () => void | Promise<void>) => void;
  /** To be called last: fails for each row without a test and without a reason in `later`. */
  readonly complete: () => void;
}

/** A family of rows; `later` says why some have no test yet. */
export function hazardFamily<Row extends string>(
  rows: readonly Row[],
  later: Partial<Record<Row, string>>,
): HazardFamily<Row> {
  const tested = new Set<Row>();
  return {
    hazard: (row, question, body) => {
      tested.add(row);
      it(`${row}: ${question}`, body);
    },
    complete: () => {
      it('every row has a test or a reason why not, and not both', () => {
        expect(rows.filter((row) => tested.has(row) === row in later)).toEqual([]);
        expect([...tested, ...Object.keys(later)].filter((row) => !rows.includes(row as Row))).toEqual([]);
      });
    },
  };
}
