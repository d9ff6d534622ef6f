/**
 * Who holds each 4 KiB frame of physical memory: owner, reference count, pin count. The only allocator of frames.
 * Used by the kernel thread alone; nothing here is shared between threads.
 *
 * Memory handed out reads as zeros: fresh memory is zero already, a frame that was used before is cleared when it
 * is handed out again. A frame is freed when its last reference and its last pin are gone.
 *
 * A domain with memory of its own has a carve-out: a run of frames that this table holds as one allocation, and a table
 * of its own for what is inside. The devices of a domain reach the whole run, so it is cleared as a whole when it is
 * carved, and counts as used as a whole when it comes back.
 */
import { assert } from '../base/assert.js';
import { alignUp, PAGE_BYTES, PAGE_SHIFT } from '../base/units.js';
import type { PhysicalMemory } from './physical-memory.js';

/** Owner numbers. `FIRST_DOMAIN` is the host's own domain; greater ones have carve-outs. */
export const frameOwner = { FREE: 0, MACHINE: 1, FIRST_DOMAIN: 2 } as const;

export interface FrameRequest {
  readonly frames: number;
  readonly owner: number;
  /** Alignment of the first frame, in frames; 1 unless said otherwise. */
  readonly alignFrames?: number;
}

/** A part of physical memory, in frames. */
export interface FrameRange {
  readonly firstFrame: number;
  readonly frames: number;
}

export class FrameTable {
  /** Number of the first frame that the table is about: its physical address divided by the page size. */
  readonly firstFrame: number;
  readonly frameCount: number;
  readonly #memory: PhysicalMemory;
  readonly #owner: Uint16Array;
  readonly #references: Uint16Array;
  readonly #pins: Uint16Array;
  /** 1 = the frame was handed out before and may hold somebody's bytes. */
  readonly #used: Uint8Array;
  #free: number;
  /** Where the next search starts, as an index: everything before it was taken when last looked at. */
  #hint = 0;

  /** A table of all memory, or of a part of it, of which every frame is zero and free. */
  constructor(memory: PhysicalMemory, part?: FrameRange) {
    this.#memory = memory;
    this.firstFrame = part?.firstFrame ?? 0;
    this.frameCount = part?.frames ?? memory.bytes >>> PAGE_SHIFT;
    this.#owner = new Uint16Array(this.frameCount);
    this.#references = new Uint16Array(this.frameCount);
    this.#pins = new Uint16Array(this.frameCount);
    this.#used = new Uint8Array(this.frameCount);
    this.#free = this.frameCount;
    // Frame 0 of the machine is never handed out: address 0 stays a mark for "nothing".
    if (this.firstFrame === 0) this.#take(0, 1, frameOwner.MACHINE);
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
    return (this.firstFrame + first) * PAGE_BYTES;
  }

  /**
   * Takes a run of frames out for a domain, zeroed: the table of what is inside, or null when none fits. Here they
   * belong to the domain until `takeBack`.
   */
  carve(request: FrameRequest): FrameTable | null {
    assert(request.owner > frameOwner.FIRST_DOMAIN, `owner ${request.owner} is a domain with a carve-out`);
    const address = this.allocate(request);
    if (address === null) return null;
    return new FrameTable(this.#memory, { firstFrame: address >>> PAGE_SHIFT, frames: request.frames });
  }

  /** Takes back what `carve` gave. Nothing inside is held any more, and no device reaches it. */
  takeBack(part: FrameTable): void {
    assert(part.freeFrames === part.frameCount, 'nothing is held in a carve-out that comes back');
    for (let frame = 0; frame < part.frameCount; frame++) {
      const freed = this.release((part.firstFrame + frame) * PAGE_BYTES);
      assert(freed, 'nobody else holds a frame of a carve-out');
    }
  }

  /** One more reference to the frame at `address` (copy-on-write sharing, a page table in use). */
  retain(address: number): void {
    const frame = this.#held(address);
    assert(this.#references[frame]! < 0xffff, `frame ${frame} has room for another reference`);
    this.#references[frame]! += 1;
  }

  /** Drops one reference; the frame is free when it was the last and nothing pins it: whether it is. */
  release(address: number): boolean {
    const frame = this.#held(address);
    assert(this.#references[frame]! > 0, `frame ${frame} has a reference to drop`);
    this.#references[frame]! -= 1;
    return this.#freeIfUnused(frame);
  }

  /** Keeps the frame in place and alive for a device, whatever its owner does. */
  pin(address: number): void {
    const frame = this.#held(address);
    assert(this.#pins[frame]! < 0xffff, `frame ${frame} has room for another pin`);
    this.#pins[frame]! += 1;
  }

  /** Takes one pin back; whether the frame is free now. */
  unpin(address: number): boolean {
    const frame = this.#held(address);
    assert(this.#pins[frame]! > 0, `frame ${frame} is pinned`);
    this.#pins[frame]! -= 1;
    return this.#freeIfUnused(frame);
  }

  owner(address: number): number {
    return this.#owner[this.#index(address)]!;
  }

  references(address: number): number {
    return this.#references[this.#index(address)]!;
  }

  pins(address: number): number {
    return this.#pins[this.#index(address)]!;
  }

  /** Index of the frame at `address`. */
  #index(address: number): number {
    const frame = (address >>> PAGE_SHIFT) - this.firstFrame;
    assert(frame >= 0 && frame < this.frameCount, 'an address lies in the memory of its frame table');
    return frame;
  }

  #held(address: number): number {
    const frame = this.#index(address);
    assert(this.#owner[frame] !== frameOwner.FREE, `frame 0x${address.toString(16)} is in use`);
    return frame;
  }

  #freeIfUnused(frame: number): boolean {
    if (this.#references[frame]! > 0 || this.#pins[frame]! > 0) return false;
    this.#owner[frame] = frameOwner.FREE;
    this.#free += 1;
    if (frame < this.#hint) this.#hint = frame;
    return true;
  }

  #take(first: number, frames: number, owner: number): void {
    for (let frame = first; frame < first + frames; frame++) {
      if (this.#used[frame] === 1) this.#memory.zero((this.firstFrame + frame) * PAGE_BYTES, 1);
      this.#used[frame] = 1;
      this.#owner[frame] = owner;
      this.#references[frame] = 1;
    }
    this.#free -= frames;
  }

  /** Index of the first frame of a free, aligned run of `frames` at or after index `from`. */
  #find(frames: number, alignFrames: number, from: number): number | null {
    let first = this.#aligned(from, alignFrames);
    while (first + frames <= this.frameCount) {
      let frame = first + frames - 1;
      while (frame >= first && this.#owner[frame] === frameOwner.FREE) frame -= 1;
      if (frame < first) return first;
      first = this.#aligned(frame + 1, alignFrames);
    }
    return null;
  }

  /** Index of the first frame from index `from` on whose physical address is aligned. */
  #aligned(from: number, alignFrames: number): number {
    return alignUp(this.firstFrame + from, alignFrames) - this.firstFrame;
  }
}
