/**
 * Who holds each 4 KiB frame of physical memory: owner, reference count, pin count. The only allocator of frames.
 * Used by the kernel thread alone; nothing here is shared between threads.
 *
 * Memory handed out reads as zeros: fresh memory is zero already, a frame that was used before is cleared when it
 * is handed out again. A frame is freed when its last reference and its last pin are gone.
 */
import { assert } from '../base/assert.js';
import { PAGE_BYTES, PAGE_SHIFT } from '../base/units.js';
import type { PhysicalMemory } from './physical-memory.js';

/** Owner numbers of frames that belong to no domain. */
export const frameOwner = { FREE: 0, MACHINE: 1, FIRST_DOMAIN: 2 } as const;

export interface FrameRequest {
  readonly frames: number;
  readonly owner: number;
  /** Alignment of the first frame, in frames; 1 unless said otherwise. */
  readonly alignFrames?: number;
}

export class FrameTable {
  readonly frameCount: number;
  readonly #memory: PhysicalMemory;
  readonly #owner: Uint16Array;
  readonly #references: Uint16Array;
  readonly #pins: Uint16Array;
  /** 1 = the frame was handed out before and may hold somebody's bytes. */
  readonly #used: Uint8Array;
  #free: number;
  /** Where the next search starts: everything before it was taken when last looked at. */
  #hint = 0;

  constructor(memory: PhysicalMemory) {
    this.#memory = memory;
    this.frameCount = memory.bytes >>> PAGE_SHIFT;
    this.#owner = new Uint16Array(this.frameCount);
    this.#references = new Uint16Array(this.frameCount);
    this.#pins = new Uint16Array(this.frameCount);
    this.#used = new Uint8Array(this.frameCount);
    this.#free = this.frameCount;
    // Frame 0 is never handed out: address 0 stays a mark for "nothing".
    this.#take(0, 1, frameOwner.MACHINE);
  }

  get freeFrames(): number {
    return this.#free;
  }

  /** Physically contiguous frames, zeroed, with one reference each: the first one's address, or null when none fit. */
  allocate({ frames, owner, alignFrames = 1 }: FrameRequest): number | null {
    assert(frames > 0 && owner !== frameOwner.FREE, `an allocation has frames and an owner`);
    if (frames > this.#free) return null;
    const first = this.#find(frames, alignFrames, this.#hint) ?? this.#find(frames, alignFrames, 0);
    if (first === null) return null;
    this.#take(first, frames, owner);
    if (alignFrames === 1) this.#hint = first + frames;
    return first * PAGE_BYTES;
  }

  /** One more reference to the frame at `address` (copy-on-write sharing, a page table in use). */
  retain(address: number): void {
    const frame = this.#held(address);
    assert(this.#references[frame]! < 0xffff, `frame ${frame} has room for another reference`);
    this.#references[frame]! += 1;
  }

  /** Drops one reference; the frame is free when it was the last and nothing pins it. */
  release(address: number): void {
    const frame = this.#held(address);
    assert(this.#references[frame]! > 0, `frame ${frame} has a reference to drop`);
    this.#references[frame]! -= 1;
    this.#freeIfUnused(frame);
  }

  /** Keeps the frame in place and alive for a device, whatever its owner does. */
  pin(address: number): void {
    const frame = this.#held(address);
    assert(this.#pins[frame]! < 0xffff, `frame ${frame} has room for another pin`);
    this.#pins[frame]! += 1;
  }

  unpin(address: number): void {
    const frame = this.#held(address);
    assert(this.#pins[frame]! > 0, `frame ${frame} is pinned`);
    this.#pins[frame]! -= 1;
    this.#freeIfUnused(frame);
  }

  owner(address: number): number {
    return this.#owner[address >>> PAGE_SHIFT]!;
  }

  references(address: number): number {
    return this.#references[address >>> PAGE_SHIFT]!;
  }

  pins(address: number): number {
    return this.#pins[address >>> PAGE_SHIFT]!;
  }

  #held(address: number): number {
    const frame = address >>> PAGE_SHIFT;
    assert(frame < this.frameCount && this.#owner[frame] !== frameOwner.FREE, `frame ${frame} is in use`);
    return frame;
  }

  #freeIfUnused(frame: number): void {
    if (this.#references[frame]! > 0 || this.#pins[frame]! > 0) return;
    this.#owner[frame] = frameOwner.FREE;
    this.#free += 1;
    if (frame < this.#hint) this.#hint = frame;
  }

  #take(first: number, frames: number, owner: number): void {
    for (let frame = first; frame < first + frames; frame++) {
      if (this.#used[frame] === 1) this.#memory.zero(frame * PAGE_BYTES, 1);
      this.#used[frame] = 1;
      this.#owner[frame] = owner;
      this.#references[frame] = 1;
    }
    this.#free -= frames;
  }

  /** First frame of a free, aligned run of `frames` at or after `from`. */
  #find(frames: number, alignFrames: number, from: number): number | null {
    let first = Math.ceil(from / alignFrames) * alignFrames;
    while (first + frames <= this.frameCount) {
      let frame = first + frames - 1;
      while (frame >= first && this.#owner[frame] === frameOwner.FREE) frame -= 1;
      if (frame < first) return first;
      first = Math.ceil((frame + 1) / alignFrames) * alignFrames;
    }
    return null;
  }
}
