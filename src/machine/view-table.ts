/**
 * Which mappings of a process can be viewed, and where they lie: noted by the platform as the kernel answers mmap.
 * The user library never sees a physical address; it gets a view and nothing else.
 */
import { PAGE_BYTES } from '../base/units.js';
import type { PhysicalMemory } from '../hw/physical-memory.js';
import { queueRegion } from '../uapi/ioctl.js';
import type { SyscallReply, SyscallRequest } from '../uapi/syscall.js';

interface ViewableMapping {
  readonly physicalAddress: number;
  readonly bytes: number;
}

/** A pool of a forked child. */
export interface InheritedPool extends ViewableMapping {
  readonly va: number;
}

export class ViewTable {
  readonly #memory: PhysicalMemory;
  readonly #mappings = new Map<number, ViewableMapping>();
  /** MMIO region of each open queue, by file descriptor. */
  readonly #mmio = new Map<number, number>();

  /** `inherited` are the mappings that a process has from its parent. */
  constructor(memory: PhysicalMemory, inherited: readonly InheritedPool[] = []) {
    this.#memory = memory;
    for (const { va, ...mapping } of inherited) this.#mappings.set(va, mapping);
  }

  /** Takes in what a successful call has changed. */
  note(request: SyscallRequest, reply: SyscallReply): void {
    if (reply.ret < 0) return;
    if (request.call === 'munmap') this.#mappings.delete(request.address);
    if (request.call === 'close') this.#mmio.delete(request.fd);
    if (reply.physicalAddress === undefined) return;
    if (request.call !== 'mmap' && request.call !== 'mmapAnonymous') return;
    this.#mappings.set(reply.ret, { physicalAddress: reply.physicalAddress, bytes: request.bytes });
    const isMmio = request.call === 'mmap' && request.offset === queueRegion.MMIO * PAGE_BYTES;
    if (isMmio) this.#mmio.set(request.fd, reply.physicalAddress);
  }

  /** A view of a mapping of this process; throws RangeError for anything else. */
  view(address: number, bytes: number): Uint8Array {
    const mapping = this.#mappings.get(address);
    if (mapping === undefined || bytes > mapping.bytes) {
      throw new RangeError(
        `[0x${address.toString(16)}, +${bytes}) is not a viewable mapping of this process; map it first`,
      );
    }
    return this.#memory.view(mapping.physicalAddress, bytes);
  }

  /** Physical address of the MMIO region of the queue open at `fd`, once mapped. */
  mmioOf(fd: number): number | undefined {
    return this.#mmio.get(fd);
  }
}
