/**
 * The memory of one queue: its MMIO and DUS regions, in frames of the process that opened it, and its slot of the
 * device's queue contexts, which the process never sees. Zeroed before anybody can look at it.
 */
import { PAGE_BYTES } from '../base/units.js';
import type { PhysicalMemory } from '../hw/physical-memory.js';
import { QUEUE_CONTEXT_BYTES, queueContextLayout } from '../hw/queue-context.js';
import { type DusShape, QUEUE_MMIO_BYTES, queueWord } from '../uapi/queue-layout.js';
import type { ProcessMemory } from './process-memory.js';

export interface QueueMemoryOptions {
  readonly memory: PhysicalMemory;
  readonly frames: ProcessMemory;
  readonly shape: DusShape;
  /** Physical address of the queue's context. */
  readonly contextAddress: number;
}

/** Guest-physical place of a region. */
export interface Region {
  readonly gpa: number;
  readonly bytes: number;
}

export class QueueMemory {
  readonly mmio: Region;
  readonly dus: Region;
  readonly contextAddress: number;
  readonly #options: QueueMemoryOptions;

  private constructor(options: QueueMemoryOptions, mmioGpa: number, dusGpa: number) {
    this.#options = options;
    this.contextAddress = options.contextAddress;
    this.mmio = { gpa: mmioGpa, bytes: QUEUE_MMIO_BYTES };
    this.dus = { gpa: dusGpa, bytes: options.shape.bytes };
  }

  /** Zeroed memory for a queue; null when the process has no frames left. */
  static allocate(options: QueueMemoryOptions): QueueMemory | null {
    const { frames, shape } = options;
    const mmio = frames.allocateViewable(QUEUE_MMIO_BYTES / PAGE_BYTES);
    if (mmio === null) return null;
    const dus = frames.allocateViewable(shape.bytes / PAGE_BYTES);
    if (dus === null) {
      frames.quarantine(mmio, QUEUE_MMIO_BYTES / PAGE_BYTES);
      return null;
    }
    const memory = new QueueMemory(options, mmio, dus);
    memory.#zeroContext();
    return memory;
  }

  /** Physical address of MMIO page 0. */
  get mmioAddress(): number {
    return this.#options.frames.toPhysical(this.mmio.gpa);
  }

  /** CQEs ever published, modulo 2^32, as the engine counts them. */
  get cqTail(): number {
    const at = this.contextAddress + queueContextLayout.fields.cqTail.spec.at;
    return Atomics.load(this.#options.memory.i32, at >>> 2) >>> 0;
  }

  /** Rings, words and context as after get_queue: for a queue that starts once more. */
  reset(): void {
    const { memory, frames } = this.#options;
    for (const { gpa, bytes } of [this.mmio, this.dus]) {
      memory.zero(frames.toPhysical(gpa), bytes / PAGE_BYTES);
    }
    this.#zeroContext();
  }

  /** Tells the user side, which looks before every doorbell, that the queue serves no more. */
  disable(): void {
    const { memory, frames, shape } = this.#options;
    const dus = frames.toPhysical(this.dus.gpa);
    for (const offset of [shape.rxStatusOffset, shape.txStatusOffset]) memory.store32(dus + offset, 1);
  }

  /** Tells the user side whether it is asked to yield: it looks when it is interrupted, or whenever it likes. */
  storeYield(asked: boolean): void {
    this.#options.memory.store32(this.mmioAddress + queueWord.YIELD, asked ? 1 : 0);
  }

  /** Gives the frames up. No table, cache or binding names them any more. */
  free(): void {
    for (const { gpa, bytes } of [this.mmio, this.dus]) {
      this.#options.frames.quarantine(gpa, bytes / PAGE_BYTES);
    }
  }

  #zeroContext(): void {
    const { memory } = this.#options;
    for (let at = 0; at < QUEUE_CONTEXT_BYTES; at += 4) memory.store32(this.contextAddress + at, 0);
  }
}
