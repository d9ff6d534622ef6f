/**
 * The `Dma` that a model is handed: the port, bound to the PASID of one queue. Turns what the port answers into
 * views, copies, waits and `DmaFault`s.
 *
 * Owned by the engine, one per queue, because a request waits for its pages while other queues are served.
 */
import { limits } from '../base/limits.js';
import { PAGE_BYTES } from '../base/units.js';
import { type Dma, type DmaAddress, DmaFault } from './device-model.js';
import { AWAITING_PAGE, type DmaPort, PASID_REFUSED } from './dma-port.js';
import { permission } from './translation-cache.js';

const NOTHING_AWAITED = -1;

export class QueueDma implements Dma {
  segmentBytes: number = limits.SEGMENT_INPUT_BYTES;
  readonly #port: DmaPort;
  readonly #pasid: number;
  /** Where an access that is not contiguous is put together; made when first needed. */
  #bounce: Uint8Array | null = null;
  /** Index of the page response that the request waits for. */
  #awaited = NOTHING_AWAITED;

  constructor(port: DmaPort, pasid: number) {
    this.#port = port;
    this.#pasid = pasid;
  }

  /** True while a page response is awaited and has not come. */
  get waiting(): boolean {
    return this.#awaited !== NOTHING_AWAITED && !this.#port.responses.hasArrived(this.#awaited);
  }

  /** True from a page request to the moment at which the access goes on. */
  get amidAccess(): boolean {
    return this.#awaited !== NOTHING_AWAITED;
  }

  /** The request ended early: whatever it waited for is nobody's any more. */
  abandon(): void {
    if (this.#awaited !== NOTHING_AWAITED) this.#port.responses.abandon(this.#awaited);
    this.#awaited = NOTHING_AWAITED;
  }

  *read(address: DmaAddress, bytes: number): Generator<number, Uint8Array, void> {
    if (bytes === 0) return EMPTY;
    return this.readableView(address, bytes) ?? (yield* this.#gather(address, bytes));
  }

  readableView(address: DmaAddress, bytes: number): Uint8Array | null {
    return this.#view(address, bytes, permission.READ);
  }

  *write(address: DmaAddress, source: Uint8Array): Generator<number, void, void> {
    let done = 0;
    while (done < source.length) {
      const at = this.#advance(address, done, 'write');
      const part = Math.min(source.length - done, PAGE_BYTES - (at % PAGE_BYTES));
      const physical = yield* this.#reach({ at, bytes: source.length - done, needed: permission.WRITE });
      this.#port.memory.u8.set(source.subarray(done, done + part), physical);
      done += part;
    }
  }

  writableView(address: DmaAddress, bytes: number): Uint8Array | null {
    return this.#view(address, bytes, permission.WRITE);
  }

  #view(address: DmaAddress, bytes: number, needed: number): Uint8Array | null {
    if (typeof address !== 'number' || bytes === 0) return null;
    const physical = this.#contiguous(address, bytes, needed);
    return physical < 0 ? null : this.#port.memory.view(physical, bytes);
  }

  *#gather(address: DmaAddress, bytes: number): Generator<number, Uint8Array, void> {
    this.#bounce ??= new Uint8Array(limits.SEGMENT_OUTPUT_BYTES);
    if (this.#bounce.length < bytes) this.#bounce = new Uint8Array(bytes);
    const bounce = this.#bounce;
    let done = 0;
    while (done < bytes) {
      const at = this.#advance(address, done, 'read');
      const part = Math.min(bytes - done, PAGE_BYTES - (at % PAGE_BYTES));
      const physical = yield* this.#reach({ at, bytes: bytes - done, needed: permission.READ });
      bounce.set(this.#port.memory.u8.subarray(physical, physical + part), done);
      done += part;
    }
    return bounce.subarray(0, bytes);
  }

  /** `address + done` as a number; an address that no table of ours can map faults as the IOMMU says. */
  #advance(address: DmaAddress, done: number, access: 'read' | 'write'): number {
    if (typeof address === 'number' && Number.isSafeInteger(address + done)) return address + done;
    const needed = access === 'write' ? permission.WRITE : permission.READ;
    const wide = BigInt.asUintN(64, BigInt(address) + BigInt(done));
    throw new DmaFault(wide, access, this.#port.causeAt(this.#pasid, wide, needed));
  }

  /** Physical address of the whole range when it is contiguous, else -1. */
  #contiguous(address: number, bytes: number, needed: number): number {
    if (this.#pasid < 1) return -1;
    const first = this.#port.translate(this.#pasid, address, needed);
    if (first < 0) return -1;
    let next = address - (address % PAGE_BYTES) + PAGE_BYTES;
    while (next < address + bytes) {
      if (this.#port.translate(this.#pasid, next, needed) !== first + (next - address)) return -1;
      next += PAGE_BYTES;
    }
    return first;
  }

  /**
   * Physical address of `at`, waiting for its page if need be. `bytes` is how much more of the access follows: page
   * requests ask for its pages in one group, which costs the kernel far less than one by one.
   */
  *#reach(access: { at: number; bytes: number; needed: number }): Generator<number, number, void> {
    const { at, bytes, needed } = access;
    // Without a PASID the port would translate in the address space of the rings, which hold every process's SQEs.
    if (this.#pasid < 1) throw new DmaFault(at, accessName(needed), PASID_REFUSED);
    for (let attempt = 0; attempt < limits.PAGE_REQUEST_RETRIES; attempt++) {
      const physical = this.#port.translate(this.#pasid, at, needed);
      if (physical >= 0) return physical;
      const begun = this.#port.attempt({ pasid: this.#pasid, address: at, bytes, needed });
      if (begun.kind === 'granted') return begun.physical;
      if (begun.kind === 'faulted') throw new DmaFault(at, accessName(needed), begun.cause);
      this.#awaited = begun.index;
      while (this.waiting) yield AWAITING_PAGE;
      this.#awaited = NOTHING_AWAITED;
      if (this.#port.responses.takeCode(begun.index) !== 0) break;
    }
    throw new DmaFault(at, accessName(needed), 0);
  }
}

const EMPTY = new Uint8Array(0);

function accessName(needed: number): 'read' | 'write' {
  return (needed & permission.WRITE) !== 0 ? 'write' : 'read';
}
