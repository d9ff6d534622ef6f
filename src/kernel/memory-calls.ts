/**
 * System calls on the process's own memory: anonymous mappings, munmap, mremap, and copies.
 */
import type { MmioBus } from '../hw/mmio-bus.js';
import { errno } from '../uapi/errno.js';
import type { SyscallReply, SyscallRequest } from '../uapi/syscall.js';
import { readMemory, writeMemory } from './memory-access.js';
import type { Process } from './process.js';

type RequestOf<C extends SyscallRequest['call']> = Extract<SyscallRequest, { call: C }>;
type Reply = (reply: SyscallReply) => void;

export function mmapAnonymous(
  { space }: Process,
  { kind, bytes, prefault }: RequestOf<'mmapAnonymous'>,
): SyscallReply {
  if (kind === 'demand') return { ret: space.mapDemand(bytes) };
  const ret = space.mapPool(bytes, prefault ?? true);
  return ret < 0 ? { ret } : { ret, physicalAddress: space.physicalAddress(ret) };
}

/** Answers when no cache of any device remembers the pages. */
export function munmap({ space }: Process, { address, bytes }: RequestOf<'munmap'>, reply: Reply): void {
  space.unmap(address, bytes, (ret) => reply({ ret }));
}

/** No mapping moves. A queue region cannot grow (EFAULT) nor move (EPERM, hazard U3). */
export function mremap({ space }: Process, { address, bytes, newBytes }: RequestOf<'mremap'>): SyscallReply {
  const kind = space.kindAt(address);
  if (kind === null) return { ret: -errno.EFAULT };
  if (kind !== 'queue') return { ret: -errno.EINVAL };
  return { ret: newBytes > bytes ? -errno.EFAULT : -errno.EPERM };
}

/** `ret` = bytes read. */
export function read({ space }: Process, { address, bytes }: RequestOf<'readMemory'>): SyscallReply {
  const copy = readMemory(space, { va: address, bytes });
  return typeof copy === 'number' ? { ret: copy } : { ret: copy.length, bytes: copy };
}

/** `ret` = bytes written. */
export function write(
  { space }: Process,
  bus: MmioBus,
  { address, source }: RequestOf<'writeMemory'>,
): SyscallReply {
  const ret = writeMemory(space, bus, { va: address, source });
  return { ret: ret < 0 ? ret : source.length };
}
