/**
 * The IOMMU's register file: the registers of the specification, and behind them a few words of our own.
 *
 * It lies in an Int32Array that several threads share, so every access is atomic. Only the thread that runs the
 * command queue writes registers as software does (register-writes.ts). Engine threads append to the fault and
 * page-request queues, under the append lock, and read the generation of the caches.
 */
import { assert } from '../../base/assert.js';
import type { RegisterSpec } from '../device-model.js';

/** Version 1.0, Sv39, Sv39x4, hardware A/D, ATS, wired interrupts, 46-bit physical addresses, PD8/17/20. */
const CAPABILITIES = 0x1ee_1302_0210;
/** Interrupts are wires. */
const FEATURE_CONTROL = 2;

/** The public registers. A 64-bit register is two words, the low one first. */
export const REGISTERS = {
  capabilities: { at: 0, width: 64, access: 'RO', reset: CAPABILITIES, doc: 'what this IOMMU can do' },
  fctl: { at: 8, width: 32, access: 'RO', reset: FEATURE_CONTROL, doc: 'what is switched on' },
  ddtp: { at: 16, width: 64, access: 'RW', reset: 0, doc: 'mode 3:0, root of the device directory 53:10' },
  cqb: { at: 24, width: 64, access: 'RW', reset: 0, doc: 'command queue: log2(entries) - 1 4:0, page 53:10' },
  cqh: { at: 32, width: 32, access: 'RO', reset: 0, doc: 'index of the next command to fetch' },
  cqt: { at: 36, width: 32, access: 'doorbell', reset: 0, doc: 'index of the next command to write' },
  fqb: { at: 40, width: 64, access: 'RW', reset: 0, doc: 'fault queue: log2(entries) - 1 4:0, page 53:10' },
  fqh: { at: 48, width: 32, access: 'RW', reset: 0, doc: 'index of the next fault record to read' },
  fqt: { at: 52, width: 32, access: 'RO', reset: 0, doc: 'index of the next fault record to store' },
  pqb: { at: 56, width: 64, access: 'RW', reset: 0, doc: 'page-request queue, like fqb' },
  pqh: { at: 64, width: 32, access: 'RW', reset: 0, doc: 'index of the next page request to read' },
  pqt: { at: 68, width: 32, access: 'RO', reset: 0, doc: 'index of the next page request to store' },
  cqcsr: { at: 72, width: 32, access: 'RW', reset: 0, doc: 'control and status of the command queue' },
  fqcsr: { at: 76, width: 32, access: 'RW', reset: 0, doc: 'control and status of the fault queue' },
  pqcsr: { at: 80, width: 32, access: 'RW', reset: 0, doc: 'control and status of the page-request queue' },
  ipsr: { at: 84, width: 32, access: 'W1C', reset: 0, doc: 'pending interrupts' },
} as const satisfies Readonly<Record<string, Omit<RegisterSpec, 'name'>>>;

/** The public registers as rows, for documentation and dumps. */
export const IOMMU_REGISTERS: readonly RegisterSpec[] = Object.entries(REGISTERS).map(([name, row]) => ({
  name,
  ...row,
}));

/** Bits of the three control and status registers. */
export const QueueBit = {
  enable: 1 << 0,
  interruptEnable: 1 << 1,
  memoryFault: 1 << 8,
  /** Fault and page-request queue: a record was lost because the queue was full. */
  overflow: 1 << 9,
  /** Command queue: an ATS invalidation was never answered. */
  timeout: 1 << 9,
  /** Command queue. */
  illegalCommand: 1 << 10,
  /** Command queue: a fence asked for the wired interrupt. */
  fenceInterrupt: 1 << 11,
  on: 1 << 16,
} as const;

/** Bits of `ipsr`. */
export const PendingBit = { command: 1 << 0, fault: 1 << 1, pageRequest: 1 << 3 } as const;

/** A spinning thread sleeps after this many attempts: the holder may be a preempted thread of lower priority. */
const SPINS_BEFORE_SLEEP = 1000;
/** And tries again after this long; nobody wakes it. */
const LOCK_SLEEP_MS = 1;

/**
 * Our own words, behind the public kilobyte. The words that every translation reads stay off the cache lines that
 * appending writes.
 */
const OWN = {
  /** Counts invalidations; entries of translation caches filled under another value are dead. */
  generation: 1024,
  /** Holder of the append lock, 0 when free. */
  appendLock: 1088,
  faultsRecorded: 1152,
  faultsDropped: 1156,
  pageRequestsQueued: 1160,
  pageRequestsDropped: 1164,
} as const;

/** Events that the register file counts for all threads together (modulo 2^32). */
export type SharedCounter = 'faultsRecorded' | 'faultsDropped' | 'pageRequestsQueued' | 'pageRequestsDropped';

/** 32-bit words that a register file occupies. */
export const IOMMU_REGISTER_WORDS = 304;

/** Access to a register file that may be shared between threads. */
export class IommuRegisterFile {
  readonly #words: Int32Array;
  readonly #first: number;
  readonly #generation: number;

  /** The register file lies in `words` from index `firstWord` on. */
  constructor(words: Int32Array, firstWord = 0) {
    assert(firstWord + IOMMU_REGISTER_WORDS <= words.length, 'the register file lies inside its array');
    this.#words = words;
    this.#first = firstWord;
    this.#generation = firstWord + OWN.generation / 4;
  }

  /** Power-on values everywhere. For the thread that builds the machine, before any other uses the file. */
  reset(): void {
    for (let word = 0; word < IOMMU_REGISTER_WORDS; word++) Atomics.store(this.#words, this.#first + word, 0);
    for (const { at, width, reset } of IOMMU_REGISTERS) {
      this.write32(at, reset >>> 0);
      if (width === 64) this.write32(at + 4, Math.floor(reset / 0x1_0000_0000));
    }
  }

  /** The word at byte `offset`, unsigned. */
  read32(offset: number): number {
    return Atomics.load(this.#words, this.#first + (offset >> 2)) >>> 0;
  }

  /** Stores a word as it is, without the side effects of a write by software. */
  write32(offset: number, value: number): void {
    Atomics.store(this.#words, this.#first + (offset >> 2), value);
  }

  /** Sets the bits `mask`; answers the word that was there. */
  setBits(offset: number, mask: number): number {
    return Atomics.or(this.#words, this.#first + (offset >> 2), mask);
  }

  /** Clears the bits `mask`; answers the word that was there. */
  clearBits(offset: number, mask: number): number {
    return Atomics.and(this.#words, this.#first + (offset >> 2), ~mask);
  }

  /** What a cache entry must have been filled under to be used now. Read it before the walk that fills one. */
  generation(): number {
    return Atomics.load(this.#words, this.#generation);
  }

  /** Makes every entry of every thread's caches dead. Done before a fence behind it completes. */
  invalidate(): void {
    Atomics.add(this.#words, this.#generation, 1);
  }

  /** Adds one to `counter`. */
  count(counter: SharedCounter): void {
    Atomics.add(this.#words, this.#first + OWN[counter] / 4, 1);
  }

  /** Events counted since power-on. */
  counter(counter: SharedCounter): number {
    return this.read32(OWN[counter]);
  }

  /**
   * Takes the append lock for `holder` (at least 1). Nothing that may throw, wait or call back may happen until
   * `unlock`. On memory that is not shared nobody else can hold it.
   */
  lock(holder: number): void {
    const at = this.#first + OWN.appendLock / 4;
    for (let spins = 1; ; spins++) {
      const found = Atomics.compareExchange(this.#words, at, 0, holder);
      if (found === 0) return;
      if (spins % SPINS_BEFORE_SLEEP === 0) Atomics.wait(this.#words, at, found, LOCK_SLEEP_MS);
    }
  }

  /** Gives the append lock back. */
  unlock(): void {
    Atomics.store(this.#words, this.#first + OWN.appendLock / 4, 0);
  }

  /**
   * Frees the append lock if `holder` has it: for a thread that was terminated. A record it was storing was not
   * published, so nothing is torn. Answers whether it was held.
   */
  recoverLock(holder: number): boolean {
    return Atomics.compareExchange(this.#words, this.#first + OWN.appendLock / 4, holder, 0) === holder;
  }
}
