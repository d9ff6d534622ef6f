/**
 * A process: its address space, its frames, its files and queues, and which user thread waits for it.
 *
 * Its end, in this order (hazards U7, U10): the address space goes quiet, so every fault fails; all queues are
 * stopped and put, mapped or not, and whoever inherited their files; pins are undone; mappings, tables and frames are
 * freed.
 */
import type { AddressSpace } from './address-space.js';
import { FileTable } from './file-table.js';
import { PinTable } from './pin-table.js';
import type { ProcessMemory } from './process-memory.js';
import type { UacceQueue } from './uacce-queue.js';

export interface ProcessOptions {
  readonly pid: number;
  readonly space: AddressSpace;
  readonly frames: ProcessMemory;
  readonly waiter: number;
  /** Share of the process among those of its domain, at least 1. */
  readonly weight: number;
}

export class Process {
  readonly pid: number;
  readonly space: AddressSpace;
  readonly frames: ProcessMemory;
  /** The user thread that waits for completions, as the host numbers them. */
  readonly waiter: number;
  readonly weight: number;
  readonly files = new FileTable();
  readonly pins: PinTable;
  /** Queues that it opened and that are not put yet: those behind closed files that are still mapped, too. */
  readonly queues = new Set<UacceQueue>();
  #ending = false;

  constructor({ pid, space, frames, waiter, weight }: ProcessOptions) {
    this.pid = pid;
    this.space = space;
    this.frames = frames;
    this.waiter = waiter;
    this.weight = weight;
    this.pins = new PinTable(space);
  }

  /** Whether its end has begun: it makes no more system calls. */
  get ending(): boolean {
    return this.#ending;
  }

  /** Ends the process; `done` when hardware, tables and frames have let go of it. */
  end(done: () => void): void {
    this.#ending = true;
    this.space.quiesce();
    const files = this.files.removeAll();
    let left = this.queues.size + files.length + 1;
    const one = (): void => {
      left -= 1;
      if (left === 0) this.#free(done);
    };
    for (const queue of [...this.queues]) queue.shutDown(one);
    for (const { queue } of files) queue.drop(one);
    one();
  }

  #free(done: () => void): void {
    this.pins.unpinAll();
    this.space.destroy(() => {
      this.frames.endQuarantine();
      done();
    });
  }
}
