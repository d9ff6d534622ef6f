/**
 * Units and the arithmetic of pages. Bytes, pages and nanoseconds are plain numbers; names carry the unit last.
 */
export const KiB = 1024;
export const MiB = 1024 * KiB;
export const GiB = 1024 * MiB;

/** Bytes of a frame and of the smallest page (RISC-V privileged specification, Sv39). */
export const PAGE_BYTES = 4096;
export const PAGE_SHIFT = 12;
/** Bytes of a level-1 leaf of Sv39. */
export const MEGAPAGE_BYTES = 2 * MiB;

export const NS_PER_US = 1000;
export const NS_PER_MS = 1_000_000;
export const NS_PER_SECOND = 1_000_000_000;

/** `value` rounded up to a multiple of `unit`; exact for sums below 2^53. */
export function alignUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

/** Pages that hold `bytes` bytes from a page boundary. */
export function pagesFor(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES);
}
