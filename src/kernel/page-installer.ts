/**
 * Installs and clears the leaves of mappings in one Sv39 table. It chooses leaf sizes and knows nothing of caches:
 * whoever clears entries invalidates before a frame is reused.
 *
 * A 2 MiB leaf is used only where no smaller page was ever mapped: the slot would still hold a page table, which a
 * walker may be in (hazard S27).
 */
import { MEGAPAGE_BYTES, PAGE_BYTES } from '../base/units.js';
import { leafBytes, type PageTable, pte } from '../hw/page-table.js';

const ACCESSIBLE = pte.R | pte.W | pte.U;
const TOUCHED = pte.A | pte.D;

interface Span {
  readonly va: number;
  readonly gpa: number;
  readonly bytes: number;
}

export class PageInstaller {
  readonly #table: PageTable;
  /** 2 MiB slots (address / 2 MiB) that hold a table of small pages. */
  readonly #split = new Set<number>();

  constructor(table: PageTable) {
    this.#table = table;
  }

  /** Maps a contiguous span, marked as used. False when tables ran out: a part may be mapped, the caller clears it. */
  installSpan({ va, gpa, bytes }: Span): boolean {
    let offset = 0;
    while (offset < bytes) {
      const large = this.#fitsLarge({ va: va + offset, gpa: gpa + offset, bytes: bytes - offset });
      const flags = ACCESSIBLE | TOUCHED;
      if (!this.#install(va + offset, gpa + offset, flags, large ? 1 : 0)) return false;
      offset += large ? MEGAPAGE_BYTES : PAGE_BYTES;
    }
    return true;
  }

  /** Maps one page, unmarked: whoever uses it first sets A and D. False when tables ran out. */
  installPage(va: number, gpa: number): boolean {
    return this.#install(va, gpa, ACCESSIBLE, 0);
  }

  /** Whether a leaf covers `va` now. */
  isPresent(va: number): boolean {
    return this.#table.find(va) !== null;
  }

  /** Clears every leaf in [va, va + bytes). */
  clear(va: number, bytes: number): void {
    let at = va;
    while (at < va + bytes) {
      const leaf = this.#table.find(at);
      this.#table.unmap(at);
      at += leafBytes(leaf?.level ?? 0);
    }
  }

  /**
   * Guest-physical address of `va` for a CPU access, with A, and D for a write, set as hardware would; -1 when no
   * leaf allows it.
   */
  access(va: number, write: boolean): number {
    const marks = write ? TOUCHED : pte.A;
    for (let leaf = this.#table.find(va); leaf !== null; leaf = this.#table.find(va)) {
      const needed = pte.V | pte.U | (write ? pte.W : pte.R);
      if ((leaf.entry & needed) !== needed) return -1;
      const marked = (leaf.entry & marks) === marks || this.#table.replace(leaf, leaf.entry | marks);
      if (marked) return (leaf.entry >>> 10) * PAGE_BYTES + (va % leafBytes(leaf.level));
    }
    return -1;
  }

  #fitsLarge({ va, gpa, bytes }: Span): boolean {
    if (va % MEGAPAGE_BYTES !== 0 || gpa % MEGAPAGE_BYTES !== 0 || bytes < MEGAPAGE_BYTES) return false;
    return !this.#split.has(va / MEGAPAGE_BYTES);
  }

  #install(va: number, gpa: number, flags: number, level: number): boolean {
    if (level === 0) this.#split.add(Math.floor(va / MEGAPAGE_BYTES));
    return this.#table.map({ va, gpa, flags, level });
  }
}
