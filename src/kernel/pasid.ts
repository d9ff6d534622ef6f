/**
 * Which PASID an address space has on a device. By default one value for an address space on all devices; another
 * allocator may give the same number to two address spaces on two devices, since a PASID is unique only within a
 * requester (R129).
 */
import { assert } from '../base/assert.js';
import { limits } from '../base/limits.js';
import type { AddressSpace } from './address-space.js';
import { IdPool } from './id-pool.js';

export interface PasidAllocator {
  /** The PASID of `space` on the device, from 1 to PASID_MAX, or null when none is left: never an error number. */
  take(space: AddressSpace, deviceId: number): number | null;
  /** Returns what `take` gave: unbound, invalidated and drained. Called once for every `take`. */
  give(space: AddressSpace, deviceId: number, pasid: number): void;
}

interface Held {
  readonly pasid: number;
  references: number;
}

/** One PASID for an address space, whatever the device. */
export class SharedPasids implements PasidAllocator {
  readonly #pool: IdPool;
  readonly #held = new Map<AddressSpace, Held>();
  readonly #epochs = new Map<number, number>();

  /** Hands out 1 to `last`. */
  constructor(last: number = limits.PASID_MAX) {
    assert(last >= 1 && last <= limits.PASID_MAX, 'PASIDs have 20 bits, and 0 is never handed out');
    this.#pool = new IdPool(1, last);
  }

  take(space: AddressSpace): number | null {
    const held = this.#held.get(space) ?? this.#first(space);
    if (held === null) return null;
    held.references += 1;
    return held.pasid;
  }

  give(space: AddressSpace, _deviceId: number, pasid: number): void {
    const held = this.#held.get(space);
    assert(held?.pasid === pasid, `PASID ${pasid} is held by the address space`);
    held.references -= 1;
    if (held.references > 0) return;
    this.#held.delete(space);
    this.#pool.give(pasid);
  }

  /** How many times the value was handed out to an address space. */
  epoch(pasid: number): number {
    return this.#epochs.get(pasid) ?? 0;
  }

  #first(space: AddressSpace): Held | null {
    const pasid = this.#pool.take();
    if (pasid === null) return null;
    this.#epochs.set(pasid, this.epoch(pasid) + 1);
    const held = { pasid, references: 0 };
    this.#held.set(space, held);
    return held;
  }
}
