/**
 * The second stage of a domain as software writes it: an Sv39x4 table from guest-physical to physical addresses, three
 * levels, the root of four pages. Source: RISC-V privileged specification, "Guest-Page-Based Address Translation".
 *
 * Tables lie in frames of the machine, and a leaf names frames of the domain only: whatever the first stage says, no
 * device of the domain reaches a table of its second stage, or memory of anybody else (R47, R50).
 *
 * A leaf allows reads and writes. It does not allow execution, since no device fetches instructions through the IOMMU.
 * A and D are set from the start, so hardware has nothing to mark: nobody would read the marks.
 */
import { assert } from '../base/assert.js';
import { MEGAPAGE_BYTES, PAGE_BYTES } from '../base/units.js';
import { type FrameTable, frameOwner } from './frame-table.js';
import { encode, entryTarget, leafBytes, pte } from './page-table.js';
import type { PhysicalMemory } from './physical-memory.js';

const ROOT_FRAMES = 4;
const ROOT_LEVEL = 2;
const ENTRIES = 512;
/** Every access of the second stage is a user access. */
const LEAF_FLAGS = pte.V | pte.R | pte.W | pte.U | pte.A | pte.D;
/** Exclusive end of guest-physical addresses: 41 bits. */
export const GUEST_ADDRESS_BYTES = 2 ** 41;

export interface SecondStageTableOptions {
  readonly memory: PhysicalMemory;
  /** The machine's: tables are taken from here. */
  readonly frames: FrameTable;
  /** Owner number of the domain: what may be mapped. */
  readonly owner: number;
}

/** Whole pages of guest-physical memory and where they lie. */
interface MappedRange {
  readonly gpa: number;
  readonly pa: number;
  readonly bytes: number;
}

export class SecondStageTable {
  /** Physical address, aligned to 16 KiB. */
  readonly root: number;
  readonly #options: SecondStageTableOptions;
  /** Every frame of the table, those of the root included. */
  readonly #tables: number[] = [];

  private constructor(options: SecondStageTableOptions, root: number) {
    this.root = root;
    this.#options = options;
    for (let page = 0; page < ROOT_FRAMES; page++) this.#tables.push(root + page * PAGE_BYTES);
  }

  /** A new, empty table; null when no frames are left for its root. */
  static create(options: SecondStageTableOptions): SecondStageTable | null {
    const request = { frames: ROOT_FRAMES, owner: frameOwner.MACHINE, alignFrames: ROOT_FRAMES };
    const root = options.frames.allocate(request);
    return root === null ? null : new SecondStageTable(options, root);
  }

  /**
   * Maps guest-physical pages that are not mapped yet to frames of the domain, by leaves of 2 MiB where both addresses
   * allow it. False when no frame is left for a table on the way; nothing of the range is mapped then.
   */
  map({ gpa, pa, bytes }: MappedRange): boolean {
    this.#admit({ gpa, pa, bytes });
    let offset = 0;
    while (offset < bytes) {
      const at = { gpa: gpa + offset, pa: pa + offset, bytes: bytes - offset };
      const level = this.#leafLevel(at);
      if (!this.#install(at.gpa, at.pa, level)) {
        this.unmap(gpa, offset);
        return false;
      }
      offset += leafBytes(level);
    }
    return true;
  }

  /** Clears [gpa, gpa + bytes), all of it mapped, whole leaves. Whoever calls this invalidates next. */
  unmap(gpa: number, bytes: number): void {
    let at = gpa;
    while (at < gpa + bytes) {
      const { address, level } = this.#leaf(at);
      const end = at + leafBytes(level);
      assert(
        at % leafBytes(level) === 0 && end <= gpa + bytes,
        `the leaf of 0x${at.toString(16)} goes as a whole`,
      );
      this.#options.memory.store32(address, 0);
      at = end;
    }
  }

  /** Returns every frame. No device context names the root, and no cache what the table said. */
  destroy(): void {
    for (const address of this.#tables.splice(0)) this.#options.frames.release(address);
  }

  /** Stops on anything but whole pages of the guest and frames of its own domain. */
  #admit({ gpa, pa, bytes }: MappedRange): void {
    assert(
      gpa % PAGE_BYTES === 0 && pa % PAGE_BYTES === 0 && bytes % PAGE_BYTES === 0,
      'whole pages are mapped',
    );
    assert(
      gpa >= 0 && gpa + bytes <= GUEST_ADDRESS_BYTES,
      `0x${gpa.toString(16)} is a guest-physical address`,
    );
    const { frames, owner } = this.#options;
    for (let at = pa; at < pa + bytes; at += PAGE_BYTES) {
      assert(frames.owner(at) === owner, 'a domain is given frames of its own');
    }
  }

  /** Level of the leaf for the first bytes of a range: 1 where a megapage fits and no table of pages is in its place. */
  #leafLevel({ gpa, pa, bytes }: MappedRange): number {
    if (gpa % MEGAPAGE_BYTES !== 0 || pa % MEGAPAGE_BYTES !== 0 || bytes < MEGAPAGE_BYTES) return 0;
    const slot = this.#slot(gpa, 1, false);
    return slot === null || this.#options.memory.load32(slot) === 0 ? 1 : 0;
  }

  #install(gpa: number, pa: number, level: number): boolean {
    const slot = this.#slot(gpa, level, true);
    if (slot === null) return false;
    assert(this.#options.memory.load32(slot) === 0, `0x${gpa.toString(16)} is not mapped yet`);
    this.#options.memory.store32(slot, encode(pa, LEAF_FLAGS));
    return true;
  }

  /** Where the leaf that covers `gpa` is stored, and its level. */
  #leaf(gpa: number): { readonly address: number; readonly level: number } {
    let table = this.root;
    for (let level = ROOT_LEVEL; level >= 0; level--) {
      const address = entryAddress(table, gpa, level);
      const entry = this.#options.memory.load32(address);
      if ((entry & pte.R) !== 0) return { address, level };
      assert(entry !== 0, `0x${gpa.toString(16)} is mapped`);
      table = entryTarget(entry);
    }
    assert(false, 'the lowest level has leaves only');
  }

  /** Address of the entry of `level` for `gpa`; null when a table on the way is missing and not made. */
  #slot(gpa: number, level: number, create: boolean): number | null {
    let table = this.root;
    for (let at = ROOT_LEVEL; at > level; at--) {
      const address = entryAddress(table, gpa, at);
      const entry = this.#options.memory.load32(address);
      assert((entry & pte.R) === 0, `no larger leaf covers 0x${gpa.toString(16)}`);
      if (entry === 0 && !create) return null;
      const next = entry === 0 ? this.#addTable(address) : entryTarget(entry);
      if (next === null) return null;
      table = next;
    }
    return entryAddress(table, gpa, level);
  }

  /** Points the empty entry at `address` to a new table; null when no frame is left. */
  #addTable(address: number): number | null {
    const { memory, frames } = this.#options;
    const table = frames.allocate({ frames: 1, owner: frameOwner.MACHINE });
    if (table === null) return null;
    this.#tables.push(table);
    memory.store32(address, encode(table, pte.V));
    return table;
  }
}

/** The root has two more bits of index than the tables below it. */
function entryAddress(table: number, gpa: number, level: number): number {
  const entries = level === ROOT_LEVEL ? ROOT_FRAMES * ENTRIES : ENTRIES;
  return table + (Math.floor(gpa / leafBytes(level)) % entries) * 8;
}
