/**
 * Every leaf and every table of an Sv39x4 table, found by reading each entry: what a device could reach through it.
 */
import { PAGE_BYTES } from '../../src/base/units.js';
import { entryTarget, leafBytes, pte } from '../../src/hw/page-table.js';
import type { PhysicalMemory } from '../../src/hw/physical-memory.js';

/** A page that is mapped. */
interface MappedPage {
  readonly pa: number;
  readonly level: number;
  /** Bits of its leaf that are not the address. */
  readonly flags: number;
  /** The first page of its leaf. */
  readonly first: boolean;
}

interface Entry {
  readonly entry: number;
  readonly gpa: number;
  readonly level: number;
}

/** Mapped pages by guest-physical address, ascending. */
export function pagesOf(memory: PhysicalMemory, root: number): Map<number, MappedPage> {
  const pages = new Map<number, MappedPage>();
  for (const { entry, gpa, level } of entriesOf(memory, root)) {
    if ((entry & pte.R) === 0) continue;
    for (let offset = 0; offset < leafBytes(level); offset += PAGE_BYTES) {
      const flags = entry & 0x3ff;
      pages.set(gpa + offset, { pa: entryTarget(entry) + offset, level, flags, first: offset === 0 });
    }
  }
  return pages;
}

/** Physical addresses of the pages that hold the table, the four of the root included. */
export function tablesBelow(memory: PhysicalMemory, root: number): number[] {
  const tables = [0, 1, 2, 3].map((page) => root + page * PAGE_BYTES);
  for (const { entry } of entriesOf(memory, root)) if ((entry & pte.R) === 0) tables.push(entryTarget(entry));
  return tables;
}

/** Entries that are not empty, pointers before what they point at. */
function* entriesOf(memory: PhysicalMemory, table: number, gpa = 0, level = 2): Generator<Entry> {
  const entries = level === 2 ? 2048 : 512;
  for (let index = 0; index < entries; index++) {
    const entry = memory.load32(table + index * 8);
    if (entry === 0) continue;
    const at = gpa + index * leafBytes(level);
    yield { entry, gpa: at, level };
    if ((entry & pte.R) === 0) yield* entriesOf(memory, entryTarget(entry), at, level - 1);
  }
}
