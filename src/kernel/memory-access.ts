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

/** The bytes at `va`, or a negated errno: EINVAL for a length out of bounds, EFAULT where access is refused. */
export function readMemory(space: AddressSpace, { va, bytes }: Span): Uint8Array | number {
  const refused = refusalOf({ va, bytes });
  if (refused !== 0) return refused;
  const target = new Uint8Array(bytes);
  const ret = visitPages(space, { va, bytes }, 'read', (physical, offset, count) => {
    target.set(space.memory.view(physical, count), offset);
  });
  return ret === 0 ? target : ret;
}

/**
 * Stores `source` at `va`. Answers 0 or a negated errno; after EFAULT, what lies before the refused page has been
 * written, as with any copy to user memory.
 */
export function writeMemory(space: AddressSpace, bus: MmioBus, { va, source }: Store): number {
  const span = { va, bytes: source.length };
  const refused = refusalOf(span);
  if (refused !== 0) return refused;
  return visitPages(space, span, 'write', (physical, offset, count) => {
    const part = source.subarray(offset, offset + count);
    // A store to a register is an event, not memory.
    if (!bus.store(physical, part)) space.memory.view(physical, count).set(part);
  });
}

function refusalOf({ va, bytes }: Span): number {
  if (bytes <= 0 || bytes > limits.MEMORY_COPY_BYTES_MAX) return -errno.EINVAL;
  return va < 0 || va + bytes > ADDRESS_SPACE_BYTES ? -errno.EFAULT : 0;
}

function visitPages(
  space: AddressSpace,
  { va, bytes }: Span,
  access: 'read' | 'write',
  visit: PageVisitor,
): number {
  let offset = 0;
  while (offset < bytes) {
    const at = va + offset;
    const physical = space.resolve(at, access);
    if (physical < 0) return -errno.EFAULT;
    const count = Math.min(bytes - offset, PAGE_BYTES - (at % PAGE_BYTES));
    visit(physical, offset, count);
    offset += count;
  }
  return 0;
}
