/**
 * Copies between the kernel and a process's memory, page by page through the process's own table, with the page
 * faults that this takes. Frames need not be neighbours (hazard I4).
 */
import { limits } from '../base/limits.js';
import { PAGE_BYTES } from '../base/units.js';
import type { MmioBus } from '../hw/mmio-bus.js';
import { ADDRESS_SPACE_BYTES } from '../hw/page-table.js';
import { errno } from '../uapi/errno.js';
import type { AddressSpace } from './address-space.js';

interface Span {
  readonly va: number;
  readonly bytes: number;
}

interface Store {
  readonly va: number;
  readonly source: Uint8Array;
}

/** What of a copy lies in one page: physical address, offset in the copy, bytes. */
type PageVisitor = (physical: number, offset: number, bytes: number) => void;

/** `done` gets the bytes at `va`, or a negated errno: EINVAL for a length out of bounds, EFAULT where access is refused. */
export function readMemory(
  space: AddressSpace,
  { va, bytes }: Span,
  done: (answer: Uint8Array | number) => void,
): void {
  const refused = refusalOf({ va, bytes });
  if (refused !== 0) {
    done(refused);
    return;
  }
  const target = new Uint8Array(bytes);
  const visit: PageVisitor = (physical, offset, count) => {
    target.set(space.memory.view(physical, count), offset);
  };
  new PageWalk({
    space,
    va,
    bytes,
    access: 'read',
    visit,
    done: (ret) => done(ret === 0 ? target : ret),
  }).go();
}

/**
 * Stores `source` at `va`. `done` gets 0 or a negated errno; after EFAULT, what lies before the refused page has been
 * written, as with any copy to user memory.
 */
export function writeMemory(
  space: AddressSpace,
  bus: MmioBus,
  { va, source }: Store,
  done: (ret: number) => void,
): void {
  const span = { va, bytes: source.length };
  const refused = refusalOf(span);
  if (refused !== 0) {
    done(refused);
    return;
  }
  const visit: PageVisitor = (physical, offset, count) => {
    const part = source.subarray(offset, offset + count);
    // A store to a register is an event, not memory.
    if (!bus.store(physical, part)) space.memory.view(physical, count).set(part);
  };
  new PageWalk({ space, ...span, access: 'write', visit, done }).go();
}

function refusalOf({ va, bytes }: Span): number {
  if (bytes <= 0 || bytes > limits.MEMORY_COPY_BYTES_MAX) return -errno.EINVAL;
  return va < 0 || va + bytes > ADDRESS_SPACE_BYTES ? -errno.EFAULT : 0;
}

interface PageWalkOptions extends Span {
  readonly space: AddressSpace;
  readonly access: 'read' | 'write';
  readonly visit: PageVisitor;
  readonly done: (ret: number) => void;
}

/** Visits the pages of a span in order, each when it is there. Faults that are answered at once do not nest. */
class PageWalk {
  readonly #options: PageWalkOptions;
  #offset = 0;
  #running = false;
  #again = false;

  constructor(options: PageWalkOptions) {
    this.#options = options;
  }

  go(): void {
    this.#again = true;
    if (this.#running) return;
    this.#running = true;
    while (this.#again) {
      this.#again = false;
      this.#visitPresent();
    }
    this.#running = false;
  }

  #visitPresent(): void {
    const { space, va, bytes, access, visit, done } = this.#options;
    while (this.#offset < bytes) {
      const at = va + this.#offset;
      const physical = space.access(at, access);
      if (physical < 0) return this.#bring(at);
      const count = Math.min(bytes - this.#offset, PAGE_BYTES - (at % PAGE_BYTES));
      visit(physical, this.#offset, count);
      this.#offset += count;
    }
    done(0);
  }

  #bring(at: number): void {
    const { space, access, done } = this.#options;
    space.handleFault(at, access, (answer) => {
      if (answer === 'resolved') this.go();
      else done(answer === 'refused' ? -errno.EFAULT : -errno.ENOMEM);
    });
  }
}
