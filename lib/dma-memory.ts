/**
 * The DMA memory of a pool: an arena that asks the kernel for another pool mapping when it runs out, up to a
 * limit. Asking is a system call, so it happens beside the data, and rarely.
 */
import { MiB } from '../src/base/units.js';
import type { Platform } from '../src/uapi/syscall.js';
import { Arena, type Extent, Mapping } from './arena.js';

/** One pool mapping: whole 2 MiB leaves, so that one cached translation covers many requests. */
const MAPPING_BYTES = 64 * MiB;

/** Room for nothing: a request of length zero touches no memory. */
const NOTHING: Extent = { address: 0, bytes: 0, mapping: new Mapping(0, new Uint8Array(0)), offset: 0 };

export class DmaMemory {
  readonly #platform: Platform;
  readonly #arena = new Arena();
  readonly #limitBytes: number;
  readonly #grown: () => void;
  #growing = false;
  #full = false;
  /** Somebody was refused, and has not been called since. */
  #refused = false;

  /** `grown` is called when memory has come, or come back, after an allocation failed. */
  constructor(platform: Platform, limitBytes: number, grown: () => void) {
    this.#platform = platform;
    this.#limitBytes = limitBytes;
    this.#grown = grown;
  }

  /** Asks for one more mapping; false when the limit or the machine's memory is reached. */
  async grow(): Promise<boolean> {
    const bytes = Math.min(MAPPING_BYTES, this.#limitBytes - this.#arena.bytes);
    if (bytes <= 0 || this.#full) return false;
    const { ret } = await this.#platform.syscall({ call: 'mmapAnonymous', kind: 'pool', bytes });
    if (ret < 0) {
      this.#full = true;
      return false;
    }
    this.#arena.add(new Mapping(ret, this.#platform.mapRegion(ret, bytes)));
    return true;
  }

  /** Maps ahead, so that `bytes` bytes can be out at once without another system call. */
  async reserve(bytes: number): Promise<void> {
    while (this.#arena.bytes < bytes && (await this.grow()));
  }

  /** Room for `bytes`, or null: more is asked for then, and `grown` is called when it comes or some is freed. */
  allocate(bytes: number): Extent | null {
    if (bytes === 0) return NOTHING;
    const extent = this.#arena.allocate(bytes);
    if (extent !== null) return extent;
    this.#refused = true;
    this.#growBeside();
    return null;
  }

  /** Room for `bytes`, after asking for more if need be; null when there is none to be had. */
  async allocateOrGrow(bytes: number): Promise<Extent | null> {
    let extent = this.#arena.allocate(bytes);
    while (extent === null && (await this.grow())) extent = this.#arena.allocate(bytes);
    return extent;
  }

  /** Takes back what only waited: nobody is called, or two that wait would call each other for ever. */
  freeQuietly(extent: Extent): void {
    if (extent !== NOTHING) this.#arena.free(extent);
  }

  free(extent: Extent): void {
    if (extent === NOTHING) return;
    this.#arena.free(extent);
    // Whoever was refused may wait in another queue than the one that now has room.
    if (!this.#refused) return;
    this.#refused = false;
    queueMicrotask(this.#grown);
  }

  #growBeside(): void {
    if (this.#growing || this.#full) return;
    this.#growing = true;
    void this.grow().then((more) => {
      this.#growing = false;
      if (more) this.#grown();
    });
  }
}
