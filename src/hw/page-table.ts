/**
 * Sv39 page tables as software writes them: three levels of 512 entries, leaves of 4 KiB, 2 MiB and 1 GiB.
 * Source: RISC-V privileged specification, "Sv39: Page-Based 39-bit Virtual-Memory System".
 *
 * Physical memory is below 4 GiB, so the high word of a live entry is zero: an entry is installed with one
 * `Atomics.store` of its low word and can never be seen half written by a walker on another thread. Hardware sets
 * A and D with a compare-and-exchange on the same word, and so does `replace` here: neither loses the other's bit.
 */
import { assert } from '../base/assert.js';
import { PAGE_BYTES } from '../base/units.js';
import type { PhysicalMemory } from './physical-memory.js';

/** Bits of a page-table entry's low word. */
export const pte = {
  V: 1 << 0,
  R: 1 << 1,
  W: 1 << 2,
  X: 1 << 3,
  U: 1 << 4,
  G: 1 << 5,
  A: 1 << 6,
  D: 1 << 7,
  /** Software bit 8: the page is shared copy-on-write, a write must copy it first. */
  COPY_ON_WRITE: 1 << 8,
} as const;

const LEAF = pte.R | pte.W | pte.X;
/** Everything of a low word that is not the address. */
const FLAGS = 0x3ff;
const ENTRIES = 512;
/** Exclusive end of the addresses that this machine hands out: the lower half of Sv39. */
export const ADDRESS_SPACE_BYTES = 2 ** 38;

/** Bytes covered by one leaf at `level` (0 = 4 KiB, 1 = 2 MiB, 2 = 1 GiB). */
export function leafBytes(level: number): number {
  return PAGE_BYTES * ENTRIES ** level;
}

/** Where page tables live: frames of the owner's MemoryDomain, held as guest-physical addresses. */
export interface TableMemory {
  /** A zeroed frame, as a guest-physical address, or null when the quota is used up. */
  allocateTable(): number | null;
  freeTable(address: number): void;
  /** Guest-physical to physical. */
  toPhysical(address: number): number;
}

/** A leaf found by a software walk. */
export interface Leaf {
  /** Low word of the entry. */
  readonly entry: number;
  readonly level: number;
  /** Physical address of the entry itself. */
  readonly entryAddress: number;
}

export class PageTable {
  readonly root: number;
  readonly #memory: PhysicalMemory;
  readonly #tables: TableMemory;

  constructor(memory: PhysicalMemory, tables: TableMemory, root: number) {
    this.#memory = memory;
    this.#tables = tables;
    this.root = root;
  }

  /** A new, empty table; null when no frame is left for its root. */
  static create(memory: PhysicalMemory, tables: TableMemory): PageTable | null {
    const root = tables.allocateTable();
    return root === null ? null : new PageTable(memory, tables, root);
  }

  /**
   * Installs a leaf of `level` for `va` -> guest-physical `gpa`. `flags` are its permission and status bits, V is
   * added. Answers false when no frame is left for a table on the way; nothing is mapped then.
   */
  map({ va, gpa, flags, level = 0 }: { va: number; gpa: number; flags: number; level?: number }): boolean {
    assert(va % leafBytes(level) === 0 && gpa % leafBytes(level) === 0, `leaf of level ${level} is aligned`);
    const entryAddress = this.#entryAddress(va, level);
    if (entryAddress === null) return false;
    this.#memory.store32(entryAddress, encode(gpa, flags | pte.V));
    return true;
  }

  /** The leaf that covers `va`, valid or a software mark, or null. */
  find(va: number): Leaf | null {
    let table = this.root;
    for (let level = 2; level >= 0; level--) {
      const entryAddress = this.#slot(table, va, level);
      const entry = this.#memory.load32(entryAddress);
      if ((entry & pte.V) === 0) return entry === 0 ? null : { entry, level, entryAddress };
      if ((entry & LEAF) !== 0) return { entry, level, entryAddress };
      table = entryTarget(entry);
    }
    return null;
  }

  /** Clears the leaf that covers `va`; answers its last low word (with A and D as hardware left them), or 0. */
  unmap(va: number): number {
    const leaf = this.find(va);
    if (leaf === null) return 0;
    return Atomics.exchange(this.#memory.i32, leaf.entryAddress >>> 2, 0) >>> 0;
  }

  /** Swaps a leaf's low word if hardware has not changed it meanwhile; true when swapped. */
  replace(leaf: Leaf, next: number): boolean {
    return this.#memory.compareExchange32(leaf.entryAddress, leaf.entry, next) === leaf.entry;
  }

  /**
   * Replaces the 2 MiB or 1 GiB leaf that covers `va` by a table of leaves one level smaller, with the same flags.
   * A walker on another thread sees the old leaf or the new table, which say the same. False when no frame is left.
   */
  split(va: number): boolean {
    const table = this.#tables.allocateTable();
    if (table === null) return false;
    for (;;) {
      const leaf = this.find(va);
      assert(leaf !== null && leaf.level > 0, `a larger leaf covers 0x${va.toString(16)}`);
      this.#fillWith(table, leaf);
      // Fails when hardware marked the leaf meanwhile: the new leaves need its mark, too.
      if (this.replace(leaf, encode(table, pte.V))) return true;
    }
  }

  #fillWith(table: number, { entry, level }: Leaf): void {
    const bytes = leafBytes(level - 1);
    const first = entryTarget(entry);
    for (let index = 0; index < ENTRIES; index++) {
      const address = this.#tables.toPhysical(table) + index * 8;
      this.#memory.store32(address, encode(first + index * bytes, entry & FLAGS));
    }
  }

  /** Returns every table frame, root included. The caller has made sure that no walker uses them any more. */
  destroy(): void {
    this.#freeTables(this.root, 2);
  }

  #freeTables(table: number, level: number): void {
    for (let index = 0; level > 0 && index < ENTRIES; index++) {
      const entry = this.#memory.load32(this.#tables.toPhysical(table) + index * 8);
      if ((entry & pte.V) !== 0 && (entry & LEAF) === 0) this.#freeTables(entryTarget(entry), level - 1);
    }
    this.#tables.freeTable(table);
  }

  #slot(table: number, va: number, level: number): number {
    const index = Math.floor(va / leafBytes(level)) % ENTRIES;
    return this.#tables.toPhysical(table) + index * 8;
  }

  #entryAddress(va: number, level: number): number | null {
    assert(va >= 0 && va < ADDRESS_SPACE_BYTES, `0x${va.toString(16)} lies in the lower half of Sv39`);
    let table = this.root;
    for (let at = 2; at > level; at--) {
      const entryAddress = this.#slot(table, va, at);
      const entry = this.#memory.load32(entryAddress);
      assert((entry & pte.V) === 0 || (entry & LEAF) === 0, `no larger leaf covers 0x${va.toString(16)}`);
      if ((entry & pte.V) !== 0) {
        table = entryTarget(entry);
        continue;
      }
      const next = this.#tables.allocateTable();
      if (next === null) return null;
      this.#memory.store32(entryAddress, encode(next, pte.V));
      table = next;
    }
    return this.#slot(table, va, level);
  }
}

/** Low word of an entry that points at guest-physical `gpa` (below 4 GiB). */
export function encode(gpa: number, flags: number): number {
  return ((gpa / PAGE_BYTES) * 0x400 + flags) >>> 0;
}

/** The guest-physical address that an entry points at. */
export function entryTarget(entry: number): number {
  return (entry >>> 10) * PAGE_BYTES;
}
