/**
 * A device with a translation cache and nothing else: it reads and writes single bytes of a process's memory under a
 * PASID. It uses what it has cached without asking again, asks by ATS for what it has not, sends a page request where
 * that is refused, and forgets exactly what an invalidation names, when it acknowledges it and not earlier. So whoever
 * frees a frame too soon meets a device that still uses it.
 */
import { assert } from '../../src/base/assert.js';
import { PAGE_BYTES } from '../../src/base/units.js';
import type { IommuMessage } from '../../src/hw/iommu/translation.js';
import type { PhysicalMemory } from '../../src/hw/physical-memory.js';
import { errno } from '../../src/uapi/errno.js';

/** What the device is wired to. */
export interface FakeDeviceWires {
  readonly memory: PhysicalMemory;
  readonly deviceId: number;
  /** An ATS request: what is granted, and the physical address. */
  readonly ask: (pasid: number, va: number) => { r: boolean; w: boolean; physical: number };
  readonly requestPage: (request: { pasid: number; va: number; prgi: number; write: boolean }) => void;
}

export interface DeviceAccess {
  readonly pasid: number;
  readonly va: number;
  /** What to write; absent = read. */
  readonly value?: number;
}

/** `ret` = the byte read, 0 for a write, or -EFAULT. */
export type AccessDone = (ret: number) => void;

interface Cached {
  readonly pasid: number;
  readonly page: number;
  readonly physical: number;
  readonly writable: boolean;
}

/** Bits of an invalidation's payload. */
const GLOBAL = 1n << 0n;
const SIZE = 1n << 11n;
const PAGE = BigInt(PAGE_BYTES);
/** Tries of one access after answers that said "success". */
const TRIES = 64;
const GROUPS = 512;

export class FakeDevice {
  readonly #wires: FakeDeviceWires;
  readonly #cache = new Map<string, Cached>();
  readonly #groups = new Map<number, (code: number) => void>();
  #nextGroup = 0;

  constructor(wires: FakeDeviceWires) {
    this.#wires = wires;
  }

  /** Makes one access of one byte; `done` is called once, at once or after a page response. */
  access(access: DeviceAccess, done: AccessDone): void {
    this.#attempt(access, done, TRIES);
  }

  /** Whether a translation to the frame at `address` is cached. */
  caches(address: number): boolean {
    return [...this.#cache.values()].some(({ physical }) => physical === address);
  }

  /** Accesses that wait for a page response. */
  get waiting(): number {
    return this.#groups.size;
  }

  /** Drops what the invalidation names: an acknowledgement can follow. */
  forget({ pasid, payloadHigh, payloadLow }: IommuMessage): void {
    const payload = (BigInt(payloadHigh >>> 0) << 32n) | BigInt(payloadLow >>> 0);
    const { first, bytes } = rangeOf(payload);
    for (const [key, entry] of this.#cache) {
      const va = BigInt(entry.page) * PAGE;
      const named = (payload & GLOBAL) !== 0n || entry.pasid === pasid;
      if (named && va + PAGE > first && va < first + bytes) this.#cache.delete(key);
    }
  }

  /** The answer to page request group `prgi`. */
  respond(prgi: number, code: number): void {
    const answered = this.#groups.get(prgi);
    this.#groups.delete(prgi);
    answered?.(code);
  }

  #attempt(access: DeviceAccess, done: AccessDone, left: number): void {
    const physical = this.#translate(access);
    if (physical >= 0) done(this.#touch(access, physical));
    else if (left === 0) done(-errno.EFAULT);
    else this.#request(access, (code) => this.#answered(access, code, done, left - 1));
  }

  #answered(access: DeviceAccess, code: number, done: AccessDone, left: number): void {
    if (code === 0) this.#attempt(access, done, left);
    else done(-errno.EFAULT);
  }

  #translate({ pasid, va, value }: DeviceAccess): number {
    const page = Math.floor(va / PAGE_BYTES);
    const key = `${pasid} ${page}`;
    const known = this.#cache.get(key);
    if (known !== undefined && (value === undefined || known.writable))
      return known.physical + (va % PAGE_BYTES);
    const { r, w, physical } = this.#wires.ask(pasid, page * PAGE_BYTES);
    if (!r) return -1;
    this.#cache.set(key, { pasid, page, physical, writable: w });
    return value === undefined || w ? physical + (va % PAGE_BYTES) : -1;
  }

  #touch({ value }: DeviceAccess, physical: number): number {
    const { u8 } = this.#wires.memory;
    if (value === undefined) return u8[physical]!;
    u8[physical] = value;
    return 0;
  }

  #request({ pasid, va, value }: DeviceAccess, answered: (code: number) => void): void {
    const prgi = this.#nextGroup;
    assert(!this.#groups.has(prgi), 'a group number is used again after its answer');
    this.#nextGroup = (prgi + 1) % GROUPS;
    this.#groups.set(prgi, answered);
    const page = va - (va % PAGE_BYTES);
    this.#wires.requestPage({ pasid, va: page, prgi, write: value !== undefined });
  }
}

/** PCI Express, Invalidate Request Message: with S, the lowest zero bit from bit 12 on tells the size. */
function rangeOf(payload: bigint): { first: bigint; bytes: bigint } {
  const address = payload & ~(PAGE - 1n);
  if ((payload & SIZE) === 0n) return { first: address, bytes: PAGE };
  let bytes = 2n * PAGE;
  while ((address & (bytes >> 1n)) !== 0n && bytes < 1n << 64n) bytes <<= 1n;
  return { first: address & ~(bytes - 1n), bytes };
}
