/**
 * Amounts as people read them.
 */
import { KiB } from '../base/units.js';

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** A number of bytes with three significant digits: `1.50 MiB`, `312 B`. */
export function showBytes(bytes: number): string {
  let amount = bytes;
  let unit = 0;
  while (amount >= 999.5 && unit < UNITS.length - 1) {
    amount /= KiB;
    unit += 1;
  }
  return `${unit === 0 ? Math.round(amount) : amount.toPrecision(3)} ${UNITS[unit]}`;
}

/** A count with its noun: `1 request`, `2 requests`. */
export function showCount(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
