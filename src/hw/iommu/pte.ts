/**
 * Page-table entries of both stages: which bits they have, what an entry is, and how an access marks it.
 *
 * Sv39 and Sv39x4 share the format. `Need` describes an access in the bits of the entry itself, so that testing
 * permissions is one mask.
 */
import type { MemoryView } from '../memory-view.js';
import { maskOf, PAGE_TABLE_ENTRY, reservedBits } from './layouts.js';

const { v, r, w, x, u, g, a, d } = PAGE_TABLE_ENTRY.fields;

/** Bits of the low word of an entry. */
export const Pte = {
  V: maskOf(v),
  R: maskOf(r),
  W: maskOf(w),
  X: maskOf(x),
  U: maskOf(u),
  G: maskOf(g),
  A: maskOf(a),
  D: maskOf(d),
} as const;

/**
 * An access: the permissions that must be there (R, W, X of `Pte`), plus `Pte.D` when it is meant to write, which
 * makes hardware mark writable pages dirty. An ATS request needs nothing and may be meant to write.
 */
export const Need = {
  read: Pte.R,
  write: Pte.W | Pte.D,
  execute: Pte.X,
  nothing: 0,
  dirtyOnly: Pte.D,
} as const;

/** What an entry is. */
export const EntryKind = { invalid: 0, pointer: 1, leaf: 2 } as const;

// Constants of its own, for speed: what a module imports or exports is looked up at every use.
const { V, R, W, X, U, A, D } = Pte;
const { invalid, pointer, leaf } = EntryKind;

/** R, W and X together. */
export const PERMISSIONS = Pte.R | Pte.W | Pte.X;
/** What a stage that is Bare grants: everything, and nothing left to mark. */
export const BARE_GRANT = PERMISSIONS | Pte.A | Pte.D;

const POINTER_FORBIDS = U | A | D;
const HIGH_RESERVED = reservedBits(PAGE_TABLE_ENTRY, 4);
const READ_WRITE = R | W;
const READ_EXECUTE = R | X;

/** Page number bits that must be 0 in a leaf, per level. */
const MISALIGNED = [0, 0x1ff << 10, 0x3ffff << 10] as const;
/** The only range that N announces: 16 pages, marked by these low bits of the page number. */
const RANGE_MARK = 8;
const RANGE_MASK = 15;
const RANGE_SHIFT = 16;

/** Where the high word says more than a page number: a range, or reserved bits. */
const HIGH_SPECIAL_SHIFT = 22;
/** What the eight flags of an entry alone say, level by level. */
const KIND_OF_FLAGS = Uint8Array.from({ length: 3 * 256 }, (_, index) => judge(index & 0xff, 0, index >> 8));

/** Judges the entry (`low`, `high`) found at `level` (0 holds 4 KiB pages), permissions aside. */
export function kindOf(low: number, high: number, level: number): number {
  const kind = KIND_OF_FLAGS[(level << 8) + (low & 0xff)]!;
  const isPlain = high >>> HIGH_SPECIAL_SHIFT === 0 && (level === 0 || kind !== leaf);
  return isPlain ? kind : judge(low, high, level);
}

function judge(low: number, high: number, level: number): number {
  if ((low & V) === 0 || (low & READ_WRITE) === W || (high & HIGH_RESERVED) !== 0) return invalid;
  if (isRange(high) && (level !== 0 || ((low >>> 10) & RANGE_MASK) !== RANGE_MARK)) return invalid;
  if ((low & READ_EXECUTE) === 0) return level === 0 || (low & POINTER_FORBIDS) !== 0 ? invalid : pointer;
  return (low & MISALIGNED[level as 0 | 1 | 2]) === 0 ? leaf : invalid;
}

function isRange(high: number): boolean {
  return (high | 0) < 0;
}

/** The page number in bits 53:10 of an entry. */
export function ppnAt10(low: number, high: number): number {
  return (low >>> 10) + (high & 0x3f_ffff) * 0x40_0000;
}

/** The page number in bits 43:0, as contexts hold it. */
export function ppnAt0(low: number, high: number): number {
  return (low >>> 0) + (high & 0xfff) * 0x1_0000_0000;
}

/** The page that the leaf (`low`, `high`) at `level` gives for a page whose number ends in `pageLow`. */
export function leafPage(low: number, high: number, level: number, pageLow: number): number {
  // A small page below 16 GiB, as nearly all are.
  if ((high | level) === 0) return low >>> 10;
  const ppn = ppnAt10(low, high);
  if (isRange(high)) return ppn - RANGE_MARK + (pageLow & RANGE_MASK);
  return ppn + (pageLow & ((1 << (9 * level)) - 1));
}

/** log2 of the bytes that the leaf covers. */
export function leafShift(high: number, level: number): number {
  return isRange(high) ? RANGE_SHIFT : 12 + 9 * level;
}

/** The A and D bits that an access with `need` requires and the leaf `low` lacks. */
export function missingMarks(low: number, need: number): number {
  const writes = (need & D) !== 0 && (low & W) !== 0;
  return (writes ? A | D : A) & ~low;
}

/** Sets `marks` in the leaf at `address`; false when it is no longer `low`, and must be read again. */
export function mark(memory: MemoryView, address: number, low: number, marks: number): boolean {
  return memory.compareExchange32(address, low >>> 0, (low | marks) >>> 0) === low >>> 0;
}

/**
 * How often one entry is read again because somebody changed it while it was being marked. Beyond that the access
 * faults like on an entry that forbids it, and the device asks again: nobody can keep a walk from ending.
 */
export const MARK_ATTEMPTS = 16;
