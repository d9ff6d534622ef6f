/**
 * Numbers of the pages that hold tables, as integers that a walk is quick with.
 *
 * An entry names a page with 44 bits, but no page from 2^29 on holds a table: guest-physical addresses have 41 bits,
 * and memory has less than 4 GiB. All of those count as `NO_TABLE`, so pages and addresses of entries have 32 bits, and
 * a step of a walk needs no floating point. Exact numbers are needed only in answers and in fault records.
 */
import { assert } from '../../base/assert.js';
import type { MemoryView } from '../memory-view.js';

/** In place of any page number that is at least this: outside memory, and no guest-physical page. */
export const NO_TABLE = 2 ** 29;

/** The same as a constant of the code: what a module exports is looked up at every use. */
const BEYOND = NO_TABLE;

/** Bits of an entry's high word that make its page number, in bits 53:10, at least `NO_TABLE`. */
const BEYOND_AT_10 = 0x3f_ff80;
/** The bits below them. */
const HIGH_AT_10 = 0x7f;
/** Bits of a context's high word that belong to a page number in bits 43:0. */
const HIGH_AT_0 = 0xfff;

const MEMORY_BYTES_MAX = 2 ** 32;
const PAGE_SHIFT = 12;

/** The table that the page number in bits 53:10 of an entry names. */
export function tableAt10(low: number, high: number): number {
  return (high & BEYOND_AT_10) === 0 ? (low >>> 10) | ((high & HIGH_AT_10) << 22) : BEYOND;
}

/** The table that the page number in bits 43:0 of a context names. */
export function tableAt0(low: number, high: number): number {
  return (high & HIGH_AT_0) === 0 ? tableOf(low >>> 0) : BEYOND;
}

/** The table that may be in page `page`, a number of any size. */
export function tableOf(page: number): number {
  // `| 0`: V8 may keep `page` as a floating-point number, and then whatever it is stored into as well.
  return page < BEYOND ? page | 0 : BEYOND;
}

/** Pages of `memory`. A table from there on cannot be read. */
export function pagesOf(memory: MemoryView): number {
  const pages = memory.bytes >>> PAGE_SHIFT;
  const isWhole = memory.bytes < MEMORY_BYTES_MAX && memory.bytes === pages * 2 ** PAGE_SHIFT;
  assert(isWhole, `memory has whole pages and less than 4 GiB, not ${memory.bytes} bytes`);
  return pages;
}

/** Address of the byte at `offset` of `table`, which lies in memory. */
export function addressIn(table: number, offset: number): number {
  return ((table << PAGE_SHIFT) + offset) >>> 0;
}
