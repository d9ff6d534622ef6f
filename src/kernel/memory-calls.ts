/**
 * System calls on the process's own memory: anonymous mappings, munmap, mprotect, writing out, pinning, page faults of
 * its threads, and copies. Those with a `reply` may be answered later.
 */
import { pagesFor } from '../base/units.js';
import type { MmioBus } from '../hw/mmio-bus.js';
import { errno } from '../uapi/errno.js';
import type { SyscallReply, SyscallRequest } from '../uapi/syscall.js';
import { readMemory, writeMemory } from './memory-access.js';
import type { Process } from './process.js';

type RequestOf<C extends SyscallRequest['call']> = Extract<SyscallRequest, { call: C }>;
type Reply = (reply: SyscallReply) => void;

/** The answer `ret`; with ENOMEM goes which limit `needed` more frames have met. */
function answer({ space }: Process, ret: number, needed = 1): SyscallReply {
  return ret === -errno.ENOMEM ? { ret, detail: space.explainShortage(needed) } : { ret };
}

export function mmapAnonymous(
  process: Process,
  { kind, bytes, prefault }: RequestOf<'mmapAnonymous'>,
): SyscallReply {
  const { space } = process;
  if (kind === 'demand') return answer(process, space.mapDemand(bytes));
  const ret = space.mapPool(bytes, prefault ?? true);
  return ret < 0
    ? answer(process, ret, pagesFor(bytes))
    : { ret, physicalAddress: space.physicalAddress(ret) };
}

/** Answers when no cache of any device remembers the pages. */
export function munmap({ space }: Process, { address, bytes }: RequestOf<'munmap'>, reply: Reply): void {
  space.unmap(address, bytes, (ret) => reply({ ret }));
}

/** Answers when no cache of any device remembers what was allowed before. */
export function mprotect(
  { space }: Process,
  { address, bytes, protection }: RequestOf<'mprotect'>,
  reply: Reply,
): void {
  space.protect({ va: address, bytes }, protection, (ret) => reply({ ret }));
}

/** `ret` = pages that left memory. */
export function pageOut({ space }: Process, { address, bytes }: RequestOf<'pageOut'>, reply: Reply): void {
  space.pageOut({ va: address, bytes }, (ret) => reply({ ret }));
}

/** `ret` = number of the pin. */
export function pin(process: Process, { address, bytes }: RequestOf<'pin'>, reply: Reply): void {
  process.pins.pin(address, bytes, (ret) => {
    const detail = ret === -errno.ENOMEM ? process.pins.explainShortage(bytes) : null;
    reply(detail === null ? answer(process, ret) : { ret, detail });
  });
}

export function unpin({ pins }: Process, request: RequestOf<'unpin'>): SyscallReply {
  return { ret: pins.unpin(request.pin) };
}

/** 0 when the access can be tried again. */
export function pageFault(process: Process, { address, access }: RequestOf<'pageFault'>, reply: Reply): void {
  process.space.handleFault(address, access, (result) => {
    const ret = result === 'resolved' ? 0 : result === 'refused' ? -errno.EFAULT : -errno.ENOMEM;
    reply(answer(process, ret));
  });
}

/** No mapping moves. A queue region cannot grow (EFAULT) nor move (EPERM, hazard U3). */
export function mremap({ space }: Process, { address, bytes, newBytes }: RequestOf<'mremap'>): SyscallReply {
  const kind = space.kindAt(address);
  if (kind === null) return { ret: -errno.EFAULT };
  if (kind !== 'queue') return { ret: -errno.EINVAL };
  return { ret: newBytes > bytes ? -errno.EFAULT : -errno.EPERM };
}

/** `ret` = bytes read. */
export function read(process: Process, { address, bytes }: RequestOf<'readMemory'>, reply: Reply): void {
  readMemory(process.space, { va: address, bytes }, (copy) => {
    if (typeof copy === 'number') reply(answer(process, copy));
    else reply({ ret: copy.length, bytes: copy });
  });
}

/** `ret` = bytes written. */
export function write(
  process: Process,
  bus: MmioBus,
  { address, source }: RequestOf<'writeMemory'>,
  reply: Reply,
): void {
  writeMemory(process.space, bus, { va: address, source }, (ret) => {
    reply(ret < 0 ? answer(process, ret) : { ret: source.length });
  });
}
