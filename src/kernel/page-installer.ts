/**
 * Installs, changes and clears the leaves of mappings in one Sv39 table. It chooses leaf sizes and knows nothing of
 * caches: whoever takes a permission away invalidates before a frame is reused.
 *
 * Hardware marks leaves (A, D) while they are changed here, so every change of a live leaf is a compare-and-exchange of
 * what was read. A 2 MiB leaf is used only where no smaller page was ever mapped: the slot would still hold a page
 * table, which a walker may be in (hazard S27).
 */
import { MEGAPAGE_BYTES, PAGE_BYTES } from '../base/units.js';
import { entryTarget, leafBytes, type PageTable, pte } from '../hw/page-table.js';

const READABLE = pte.R | pte.U;
const TOUCHED = pte.A | pte.D;

interface Span {
  readonly va: number;
  readonly gpa: number;
  readonly bytes: number;
}

/** What a leaf of 4 KiB allows. */
export const leafKind = {
  /** Reads. */
  READ_ONLY: READABLE,
  /** Reads; a write copies the page first, or finds that nobody shares it any more. */
  COPY_ON_WRITE: READABLE | pte.COPY_ON_WRITE,
  /** Reads and writes. */
  WRITABLE: READABLE | pte.W,
} as const;
export type LeafKind = (typeof leafKind)[keyof typeof leafKind];

/** The bits that tell the kinds apart. */
const KIND = pte.R | pte.W | pte.U | pte.COPY_ON_WRITE;

export class PageInstaller {
  readonly #table: PageTable;
  /** 2 MiB slots (address / 2 MiB) that hold a table of small pages. */
  readonly #split = new Set<number>();

  constructor(table: PageTable) {
    this.#table = table;
  }

  /** Maps a contiguous span for reading and writing, marked as used. False when tables ran out: a part may be mapped. */
  installSpan({ va, gpa, bytes }: Span): boolean {
    let offset = 0;
    while (offset < bytes) {
      const large = this.#fitsLarge({ va: va + offset, gpa: gpa + offset, bytes: bytes - offset });
      const flags = leafKind.WRITABLE | TOUCHED;
      if (!this.#install(va + offset, gpa + offset, flags, large ? 1 : 0)) return false;
      offset += large ? MEGAPAGE_BYTES : PAGE_BYTES;
    }
    return true;
  }

  /** Maps one page, unmarked: whoever uses it first sets A and D. False when tables ran out. */
  installPage(va: number, gpa: number, kind: LeafKind): boolean {
    return this.#install(va, gpa, kind, 0);
  }

  /** Low word of the leaf that covers `va`, or 0. */
  entry(va: number): number {
    return this.#table.find(va)?.entry ?? 0;
  }

  /** Gives every leaf in [va, va + bytes) another kind. False when tables ran out: a part may be changed. */
  change(va: number, bytes: number, kind: LeafKind): boolean {
    if (!this.cutAt(va) || !this.cutAt(va + bytes)) return false;
    let at = va;
    while (at < va + bytes) at += this.#changeOne(at, kind);
    return true;
  }

  /** Takes the mark of use off the leaf at `va`; whether it was there. Caches may go on without setting it again. */
  clearUsed(va: number): boolean {
    const leaf = this.#table.find(va);
    if (leaf === null || (leaf.entry & pte.A) === 0) return false;
    this.#table.replace(leaf, (leaf.entry & ~pte.A) >>> 0);
    return true;
  }

  /** Clears every leaf in [va, va + bytes). A larger one must lie in it as a whole, or `cutAt` came before. */
  clear(va: number, bytes: number): void {
    let at = va;
    while (at < va + bytes) {
      const leaf = this.#table.find(at);
      this.#table.unmap(at);
      at += leafBytes(leaf?.level ?? 0);
    }
  }

  /** Makes sure that no larger leaf reaches across `va`. False when tables ran out. */
  cutAt(va: number): boolean {
    return va % MEGAPAGE_BYTES === 0 || this.#makeSmall(va);
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
      if (marked) return entryTarget(leaf.entry) + (va % leafBytes(leaf.level));
    }
    return -1;
  }

  /** Bytes that the leaf at `va` covers, a page if there is none. */
  #changeOne(va: number, kind: LeafKind): number {
    let leaf = this.#table.find(va);
    while (leaf !== null && !this.#table.replace(leaf, ((leaf.entry & ~KIND) | kind) >>> 0)) {
      leaf = this.#table.find(va);
    }
    return leafBytes(leaf?.level ?? 0);
  }

  #makeSmall(va: number): boolean {
    const leaf = this.#table.find(va);
    if (leaf === null || leaf.level === 0) return true;
    this.#split.add(Math.floor(va / MEGAPAGE_BYTES));
    return this.#table.split(va);
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
