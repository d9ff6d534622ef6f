/**
 * A translation by walking the tables as they are now: no cache, no marks, no records, nothing shared with
 * src/hw/iommu but memory and the register that names the device directory. Written from the specification, from top
 * to bottom, in plain numbers, so that the checking mode can do it for every cached answer.
 *
 * It answers what an access may do, rather than whether a certain one succeeds: the permissions that both stages give.
 * W counts only where the leaf is marked dirty, because hardware would have to mark it before the first write. A is
 * not looked at: a cache may know a page that software has just marked as not accessed.
 */
import type { IommuRegisterFile } from '../../src/hw/iommu/registers.js';
import type { PhysicalMemory } from '../../src/hw/physical-memory.js';

/** Who wants an address translated. */
export interface Asker {
  /** An ATS request, which a device context must allow. */
  readonly ats: boolean;
  readonly deviceId: number;
  /** -1 without. */
  readonly pasid: number;
  readonly privileged: boolean;
  /** Instructions are to be fetched: a supervisor may not from pages of a user. */
  readonly fetches: boolean;
  /** Unsigned halves of the address. */
  readonly iovaHigh: number;
  readonly iovaLow: number;
}

/** What the tables say about an address. */
export interface Found {
  /** Physical page that the address lies in. */
  readonly page: number;
  /** Bytes of the range around the address for which this holds. */
  readonly bytes: number;
  readonly r: boolean;
  /** Writable in both stages, and dirty in both. */
  readonly w: boolean;
  readonly x: boolean;
  /** The last stage lets users access the page. */
  readonly user: boolean;
  /** The same for every address space of the device. */
  readonly global: boolean;
}

/** The tables give no translation; the message says at which step. */
export class NoTranslation extends Error {}

/** Eight bytes of a table, as signed halves: small integers, which cost the engine no allocation. */
interface Entry {
  readonly low: number;
  readonly high: number;
}

interface DeviceContext {
  readonly translationControl: number;
  readonly secondStage: Entry;
  readonly firstStage: Entry;
}

const TWO_32 = 2 ** 32;
/** Range that a stage which translates nothing contributes to an ATS answer. */
const BARE_BYTES = 2 ** 30;
/** Byte offset of `ddtp` in the register file. */
const DDTP = 16;

/** Bits of a page-table entry. */
const ENTRY = { V: 1, R: 2, W: 4, X: 8, U: 16, G: 32, A: 64, D: 128 } as const;
/** Bits of the translation control of a device context. */
const CONTROL = {
  V: 1,
  ATS: 2,
  PRI: 4,
  T2GPA: 8,
  PDTV: 32,
  PRPR: 64,
  DPE: 512,
  SBE: 1024,
  SXL: 2048,
} as const;
/** Device ids and PASIDs below this, by the levels of a directory. */
const DEVICES = [0, 2 ** 7, 2 ** 16, 2 ** 24] as const;
const PASIDS = [2 ** 20, 2 ** 8, 2 ** 17, 2 ** 20] as const;
/** Modes in the top four bits of a root. */
const BARE = 0;
const SV39 = 8;

const has = (word: number, bit: number): boolean => (word & bit) !== 0;
/** Bits `high` to `low` of a word, inclusive; fewer than 32. */
const bits = (word: number, high: number, low: number): number =>
  (word >>> low) & ((1 << (high - low + 1)) - 1);
/** Page number in bits 53:10, where entries have it. */
const pageOfEntry = ({ low, high }: Entry): number => bits(low, 31, 10) + bits(high, 21, 0) * 2 ** 22;
/** Page number in bits 43:0, where roots have it. */
const pageOfRoot = ({ low, high }: Entry): number => (low >>> 0) + bits(high, 11, 0) * TWO_32;
const modeOf = ({ high }: Entry): number => bits(high, 31, 28);
const hex = (value: number): string => `0x${value.toString(16)}`;

/** Walks the tables of one machine. */
export class UncachedWalk {
  readonly #memory: PhysicalMemory;
  readonly #registers: IommuRegisterFile;
  /** What the walk read, step by step; null while nobody wants to know. */
  #path: string[] | null = null;

  constructor(memory: PhysicalMemory, registers: IommuRegisterFile) {
    this.#memory = memory;
    this.#registers = registers;
  }

  /** What the tables say now; throws NoTranslation. */
  find(asker: Asker): Found {
    const directory = { low: this.#registers.read32(DDTP) | 0, high: this.#registers.read32(DDTP + 4) | 0 };
    this.#step('ddtp', DDTP, directory);
    const page = asker.iovaHigh * 2 ** 20 + bits(asker.iovaLow, 31, 12);
    const levels = bits(directory.low, 3, 0) - 1;
    if (levels < 0 || levels > 3) throw new NoTranslation('the IOMMU is off');
    if (levels === 0) {
      if (asker.ats) throw new NoTranslation('an IOMMU without directory answers no ATS request');
      return bareLeaf(page);
    }
    const context = this.#deviceContext(pageOfEntry(directory), levels, asker.deviceId);
    if (asker.ats && !has(context.translationControl, CONTROL.ATS))
      throw new NoTranslation('ATS is not allowed');
    const first = this.#firstStage(context, asker, page);
    const second = this.#secondStage(context, first.page);
    return {
      page: second.page,
      bytes: Math.min(first.bytes, second.bytes),
      r: first.r && second.r,
      w: first.w && second.w,
      x: first.x && second.x,
      user: second.user,
      global: first.global && asker.pasid >= 0,
    };
  }

  /** The walk's path: what it reads on the way, up to where it ends. */
  pathOf(asker: Asker): string[] {
    this.#path = [];
    const path = this.#path;
    try {
      this.find(asker);
    } catch (error) {
      if (!(error instanceof NoTranslation)) throw error;
      path.push(error.message);
    }
    this.#path = null;
    return path;
  }

  #step(what: string, address: number, { low, high }: Entry): void {
    const lowDigits = (low >>> 0).toString(16).padStart(8, '0');
    this.#path?.push(`${what} at ${hex(address)}: ${hex(high >>> 0)}_${lowDigits}`);
  }

  #read(what: string, address: number): Entry {
    if (address + 8 > this.#memory.bytes)
      throw new NoTranslation(`${what} lies outside memory, at ${hex(address)}`);
    const word = address >>> 2;
    const entry = { low: this.#memory.i32[word]!, high: this.#memory.i32[word + 1]! };
    if (this.#path !== null) this.#step(what, address, entry);
    return entry;
  }

  #deviceContext(root: number, levels: number, deviceId: number): DeviceContext {
    if (deviceId >= DEVICES[levels]!) throw new NoTranslation('the directory is too small');
    let page = root;
    if (levels > 2) page = this.#nextDirectory('device directory', page * 4096 + bits(deviceId, 23, 16) * 8);
    if (levels > 1) page = this.#nextDirectory('device directory', page * 4096 + bits(deviceId, 15, 7) * 8);
    const at = page * 4096 + bits(deviceId, 6, 0) * 32;
    const control = this.#read('translation control', at);
    const secondStage = this.#read('second-stage root', at + 8);
    const attributes = this.#read('translation attributes', at + 16);
    const firstStage = this.#read('first-stage root', at + 24);
    const translationControl = control.low;
    const isWellFormed =
      isGoodControl(control) &&
      bits(attributes.low, 11, 0) === 0 &&
      attributes.high === 0 &&
      bits(firstStage.high, 27, 12) === 0 &&
      isGoodSecondStage(secondStage) &&
      isGoodMode(modeOf(firstStage), has(translationControl, CONTROL.PDTV));
    if (!isWellFormed) throw new NoTranslation('the device context is not valid or not well formed');
    return { translationControl, secondStage, firstStage };
  }

  /** The page that a non-leaf entry of the device or process directory names. */
  #nextDirectory(what: string, address: number): number {
    const entry = this.#read(what, address);
    if (!has(entry.low, ENTRY.V)) throw new NoTranslation(`an entry of the ${what} is not valid`);
    const isClean = bits(entry.low, 9, 1) === 0 && bits(entry.high, 31, 22) === 0;
    if (!isClean) throw new NoTranslation(`an entry of the ${what} is not well formed`);
    return pageOfEntry(entry);
  }

  /** The guest-physical page, and what the first stage allows. */
  #firstStage(context: DeviceContext, asker: Asker, page: number): Found {
    const supervisor = asker.privileged && asker.pasid >= 0;
    let root = context.firstStage;
    let mayUseUserPages = false;
    if (has(context.translationControl, CONTROL.PDTV)) {
      const pasid = asker.pasid < 0 && has(context.translationControl, CONTROL.DPE) ? 0 : asker.pasid;
      const levels = modeOf(root);
      if (asker.pasid >= PASIDS[levels]!) throw new NoTranslation('the PASID is too large');
      if (pasid < 0 || levels === BARE) return bareLeaf(page);
      const process = this.#processContext(context, levels, pasid);
      if (supervisor && !has(process.attributes.low, 2))
        throw new NoTranslation('supervisors are not allowed');
      mayUseUserPages = has(process.attributes.low, 4);
      root = process.root;
    } else if (asker.pasid >= 0) {
      throw new NoTranslation('the device has no processes');
    }
    if (modeOf(root) === BARE) return bareLeaf(page);
    const extension = bits(asker.iovaHigh, 31, 6);
    if (extension !== 0 && extension !== 2 ** 26 - 1) throw new NoTranslation('the address is not canonical');
    const found = this.#table('first stage', context, { root: pageOfRoot(root), page: page % 2 ** 27 });
    const allowed = supervisor ? !found.user || (mayUseUserPages && !asker.fetches) : found.user;
    if (!allowed) throw new NoTranslation('the page belongs to the other privilege');
    // A supervisor may at most read and write a user page.
    return supervisor && found.user ? { ...found, x: false } : found;
  }

  #processContext(context: DeviceContext, levels: number, pasid: number): { attributes: Entry; root: Entry } {
    let page = pageOfRoot(context.firstStage);
    const what = 'process directory';
    if (levels > 2)
      page = this.#nextDirectory(what, this.#tableAddress(context, page) + bits(pasid, 19, 17) * 8);
    if (levels > 1)
      page = this.#nextDirectory(what, this.#tableAddress(context, page) + bits(pasid, 16, 8) * 8);
    const at = this.#tableAddress(context, page) + bits(pasid, 7, 0) * 16;
    const attributes = this.#read('process attributes', at);
    const root = this.#read('process root', at + 8);
    const isClean =
      has(attributes.low, ENTRY.V) &&
      bits(attributes.low, 11, 3) === 0 &&
      attributes.high === 0 &&
      bits(root.high, 27, 12) === 0 &&
      isGoodMode(modeOf(root), false);
    if (!isClean) throw new NoTranslation('the process context is not valid or not well formed');
    return { attributes, root };
  }

  /** Where a table that a domain owns lies: its pages are guest-physical, and are read through the second stage. */
  #tableAddress(context: DeviceContext, page: number): number {
    if (modeOf(context.secondStage) === BARE) return page * 4096;
    const mapped = this.#secondStage(context, page);
    if (!mapped.r) throw new NoTranslation('the second stage does not let the table be read');
    return mapped.page * 4096;
  }

  #secondStage(context: DeviceContext, page: number): Found {
    if (modeOf(context.secondStage) === BARE) return bareLeaf(page);
    if (page >= 2 ** 29) throw new NoTranslation('the guest address is too large');
    const found = this.#table('second stage', null, { root: pageOfRoot(context.secondStage), page });
    if (!found.user) throw new NoTranslation('the page is not for users');
    return found;
  }

  /** Walks one stage; `context` is that of the second stage which the tables themselves go through, null for none. */
  #table(what: string, context: DeviceContext | null, { root, page }: { root: number; page: number }): Found {
    let table = root;
    let global = false;
    for (let level = 2; level >= 0; level--) {
      const base = context === null ? table * 4096 : this.#tableAddress(context, table);
      // The root of the second stage is four pages, and its index two bits longer: the page number ends there.
      const index = level === 2 ? Math.floor(page / 2 ** 18) : bits(page, 9 * level + 8, 9 * level);
      const entry = this.#read(what, base + index * 8);
      global ||= has(entry.low, ENTRY.G);
      if (isPointer(entry, level)) {
        table = pageOfEntry(entry);
        continue;
      }
      if (!isLeaf(entry, level)) throw new NoTranslation(`the entry of the ${what} is not valid`);
      return leafOf(entry, { level, page, global });
    }
    throw new NoTranslation('the table does not end');
  }
}

function bareLeaf(page: number): Found {
  return { page, bytes: BARE_BYTES, r: true, w: true, x: true, user: true, global: false };
}

function isGoodControl({ low, high }: Entry): boolean {
  if (!has(low, CONTROL.V) || high !== 0 || bits(low, 23, 12) !== 0) return false;
  if (has(low, CONTROL.T2GPA) || has(low, CONTROL.SBE) || has(low, CONTROL.SXL)) return false;
  const needs = (bit: number, other: number): boolean => !has(low, bit) || has(low, other);
  return (
    needs(CONTROL.PRI, CONTROL.ATS) && needs(CONTROL.PRPR, CONTROL.PRI) && needs(CONTROL.DPE, CONTROL.PDTV)
  );
}

function isGoodSecondStage(root: Entry): boolean {
  return modeOf(root) === BARE || (modeOf(root) === SV39 && bits(root.low, 1, 0) === 0);
}

function isGoodMode(mode: number, hasProcesses: boolean): boolean {
  return hasProcesses ? mode <= 3 : mode === BARE || mode === SV39;
}

/** Valid, with no reserved bit set and no combination that has no meaning. */
function isEntry({ low, high }: Entry): boolean {
  if (!has(low, ENTRY.V) || bits(high, 30, 22) !== 0) return false;
  return has(low, ENTRY.R) || !has(low, ENTRY.W);
}

function isPointer(entry: Entry, level: number): boolean {
  const { low, high } = entry;
  if (!isEntry(entry) || level === 0 || bits(high, 31, 31) !== 0) return false;
  return !has(low, ENTRY.R | ENTRY.X | ENTRY.U | ENTRY.A | ENTRY.D);
}

function isLeaf(entry: Entry, level: number): boolean {
  if (!isEntry(entry) || !has(entry.low, ENTRY.R | ENTRY.X)) return false;
  if (bits(entry.high, 31, 31) !== 0) return level === 0 && bits(entry.low, 13, 10) === 8;
  return (entry.low >>> 10) % (1 << (9 * level)) === 0;
}

function leafOf(
  entry: Entry,
  { level, page, global }: { level: number; page: number; global: boolean },
): Found {
  // N says that 16 pages in a row belong together.
  const span = bits(entry.high, 31, 31) !== 0 ? 16 : 1 << (9 * level);
  const target = pageOfEntry(entry);
  const { low } = entry;
  return {
    page: target - (target % span) + (page % span),
    bytes: span * 4096,
    r: has(low, ENTRY.R),
    w: has(low, ENTRY.W) && has(low, ENTRY.D),
    x: has(low, ENTRY.X),
    user: has(low, ENTRY.U),
    global,
  };
}
