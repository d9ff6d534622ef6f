/**
 * File descriptors of one process: the lowest free number from 3 on, as a shell's child has them. A descriptor is
 * looked up once per call; after close it names nothing (hazards U15, W13).
 */
import { limits } from '../base/limits.js';
import type { UacceDevice } from './uacce-device.js';
import type { UacceQueue } from './uacce-queue.js';

const FIRST_FD = 3;

/** An open character device: the file keeps its queue, and so the device behind it, alive. */
export interface OpenFile {
  readonly device: UacceDevice;
  readonly queue: UacceQueue;
}

export class FileTable {
  readonly #files: (OpenFile | null)[] = [];

  /** Open files now. */
  get length(): number {
    return this.#files.filter((file) => file !== null).length;
  }

  /** Whether another file can be opened. */
  get hasRoom(): boolean {
    return this.#files.length < limits.OPEN_FILES_PER_PROCESS || this.#files.includes(null);
  }

  /** The file's new descriptor. There is room. */
  add(file: OpenFile): number {
    const free = this.#files.indexOf(null);
    const index = free < 0 ? this.#files.length : free;
    this.#files[index] = file;
    return index + FIRST_FD;
  }

  get(fd: number): OpenFile | null {
    return this.#files[fd - FIRST_FD] ?? null;
  }

  /** Forgets `fd` and answers what it named. */
  remove(fd: number): OpenFile | null {
    const file = this.get(fd);
    if (file !== null) this.#files[fd - FIRST_FD] = null;
    return file;
  }

  /** Takes over the files of a parent under the same numbers: each refers to the same queue. Nothing is open yet. */
  inherit(parent: FileTable): void {
    for (const [index, file] of parent.#files.entries()) {
      this.#files[index] = file;
      file?.queue.hold();
    }
  }

  /** Forgets everything and answers what was open. */
  removeAll(): OpenFile[] {
    return this.#files.splice(0).filter((file) => file !== null);
  }
}
