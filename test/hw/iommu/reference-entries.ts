/**
 * How the reference walk reads table entries and device contexts: as 64-bit values, bit by bit.
 */
/** What a stage found for an address. */
export interface Leaf {
  readonly page: bigint;
  readonly bytes: number;
  readonly r: boolean;
  readonly w: boolean;
  readonly x: boolean;
  readonly d: boolean;
  readonly global: boolean;
}

/** What an access asks of an entry. */
export interface Wanted {
  /** Which permissions an entry must have. */
  readonly must: 'read' | 'write' | 'execute' | 'nothing';
  readonly marksDirty: boolean;
}

/** A of a page-table entry. */
export const ACCESSED = 1n << 6n;

/** Bits `high` to `low` of `value`, inclusive. */
export const bits = (value: bigint, high: number, low: number): bigint =>
  (value >> BigInt(low)) & ((1n << BigInt(high - low + 1)) - 1n);
/** Whether bit `at` of `value` is set. */
export const bit = (value: bigint, at: number): boolean => bits(value, at, at) === 1n;

/** Whether the device context, as its four dwords, may be used. */
export function isGoodContext([tc, iohgatp, ta, fsc]: readonly bigint[]): boolean {
  if (bits(tc!, 23, 12) !== 0n || bits(tc!, 63, 32) !== 0n) return false;
  if (bits(ta!, 11, 0) !== 0n || bits(ta!, 63, 32) !== 0n || bits(fsc!, 59, 44) !== 0n) return false;
  const [ats, pri, t2gpa, pdtv, prpr, dpe] = [1, 2, 3, 5, 6, 9].map((at) => bit(tc!, at));
  if (t2gpa || bit(tc!, 10) || bit(tc!, 11)) return false;
  if ((pri && !ats) || (prpr && !pri) || (dpe && !pdtv)) return false;
  const second = bits(iohgatp!, 63, 60);
  if (second !== 0n && (second !== 8n || bits(iohgatp!, 1, 0) !== 0n)) return false;
  return (pdtv ? [0n, 1n, 2n, 3n] : [0n, 8n]).includes(bits(fsc!, 63, 60));
}

/** What the page-table entry found at `level` is. */
export function shapeOf(entry: bigint, level: number): 'invalid' | 'pointer' | 'leaf' {
  const [v, r, w, x, u, , a, d] = [0, 1, 2, 3, 4, 5, 6, 7].map((at) => bit(entry, at));
  if (!v || (w && !r) || bits(entry, 62, 54) !== 0n) return 'invalid';
  if (bit(entry, 63) && !(level === 0 && bits(entry, 13, 10) === 8n)) return 'invalid';
  if (!r && !x) return level === 0 || u || a || d ? 'invalid' : 'pointer';
  return level > 0 && bits(entry, 9 + 9 * level, 10) !== 0n ? 'invalid' : 'leaf';
}

/** Whether the entry has the permission. */
export function grants(entry: bigint, must: Wanted['must']): boolean {
  if (must === 'read') return bit(entry, 1);
  if (must === 'write') return bit(entry, 2);
  return must === 'nothing' || bit(entry, 3);
}

/** The entry with the marks that the access leaves. */
export function withMarks(entry: bigint, { marksDirty }: Wanted): bigint {
  return entry | ACCESSED | (marksDirty && bit(entry, 2) ? 1n << 7n : 0n);
}

/** The leaf that covers `page`. */
export function leafOf(entry: bigint, level: number, page: bigint): Leaf {
  const low = bit(entry, 63) ? 4n : BigInt(9 * level);
  const span = 1n << low;
  const start = (bits(entry, 53, 10) / span) * span;
  const flags = { r: bit(entry, 1), w: bit(entry, 2), x: bit(entry, 3), d: bit(entry, 7) };
  return { page: start + (page % span), bytes: Number(span) * 4096, ...flags, global: false };
}
