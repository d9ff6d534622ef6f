/**
 * System calls on open files and names: open, close, ioctl, mmap, poll, and the attribute files.
 */
import { PAGE_BYTES } from '../base/units.js';
import { errno } from '../uapi/errno.js';
import {
  qpContextArgument,
  qpInfoArgument,
  UACCE_CMD_PUT_Q,
  UACCE_CMD_QM_SET_QP_CTX,
  UACCE_CMD_QM_SET_QP_INFO,
  UACCE_CMD_START_Q,
  uacceQueueState,
} from '../uapi/ioctl.js';
import type { SyscallReply, SyscallRequest } from '../uapi/syscall.js';
import type { OpenFile } from './file-table.js';
import type { PathNode } from './path-tree.js';
import type { Process } from './process.js';

type RequestOf<C extends SyscallRequest['call']> = Extract<SyscallRequest, { call: C }>;
type Reply = (reply: SyscallReply) => void;
/** What a path names for the calling process, or why it names nothing: a negated errno. */
export type Find = (path: string) => PathNode | number;

export function open(process: Process, find: Find, { path }: RequestOf<'open'>): SyscallReply {
  const node = find(path);
  if (typeof node === 'number') return { ret: node };
  if (node.kind === 'directory') return { ret: -errno.EISDIR };
  if (node.kind === 'file') return { ret: -errno.EINVAL };
  if (!process.files.hasRoom) return { ret: -errno.EMFILE };
  const queue = node.device.open(process);
  if (typeof queue === 'number') return { ret: queue };
  return { ret: process.files.add({ device: node.device, queue }) };
}

/** Answers after the queue was put, unless a mapping keeps it. */
export function close(process: Process, { fd }: RequestOf<'close'>, reply: Reply): void {
  const file = process.files.remove(fd);
  if (file === null) reply({ ret: -errno.EBADF });
  else file.queue.drop(() => reply({ ret: 0 }));
}

export function ioctl(process: Process, request: RequestOf<'ioctl'>, reply: Reply): void {
  const file = process.files.get(request.fd);
  if (file === null) {
    reply({ ret: -errno.EBADF });
    return;
  }
  const answer = (ret: number): void => reply({ ret });
  if (request.command === UACCE_CMD_START_Q) file.queue.start(answer);
  else if (request.command === UACCE_CMD_PUT_Q) file.queue.stop(answer);
  else if (file.queue.state === uacceQueueState.ZOMBIE) answer(-errno.ENXIO);
  else reply(driverIoctl(file, request));
}

function driverIoctl(file: OpenFile, { command, argument }: RequestOf<'ioctl'>): SyscallReply {
  if (command === UACCE_CMD_QM_SET_QP_CTX) return setContext(file, argument);
  if (command === UACCE_CMD_QM_SET_QP_INFO) return queueInfo(file, argument);
  const { driver } = file.device.options;
  const call = { command, argument: argument ?? null, queueNumber: file.queue.queueNumber };
  const ret = driver.ioctl === undefined ? -errno.EINVAL : driver.ioctl(call);
  return argument === undefined ? { ret } : { ret, bytes: argument };
}

function setContext({ queue }: OpenFile, argument: Uint8Array | undefined): SyscallReply {
  const { id, qcType } = qpContextArgument.fields;
  const view = viewOf(argument, qpContextArgument.bytes);
  if (view === null) return { ret: -errno.EFAULT };
  const queueNumber = queue.setContext(qcType.read(view, 0));
  if (queueNumber < 0) return { ret: queueNumber };
  id.write(view, 0, queueNumber);
  return { ret: 0, bytes: argument! };
}

function queueInfo({ device }: OpenFile, argument: Uint8Array | undefined): SyscallReply {
  const { sqeBytes, sqDepth, cqDepth, reserved } = qpInfoArgument.fields;
  const view = viewOf(argument, qpInfoArgument.bytes);
  if (view === null) return { ret: -errno.EFAULT };
  // Every byte of the structure is written (hazard W7).
  sqeBytes.write(view, 0, device.shape.sqeBytes);
  sqDepth.write(view, 0, device.shape.sqDepth);
  cqDepth.write(view, 0, device.shape.cqDepth);
  reserved.write(view, 0, 0);
  return { ret: 0, bytes: argument! };
}

/** The argument as a structure of `bytes` bytes, or null when it is too short. */
function viewOf(argument: Uint8Array | undefined, bytes: number): DataView | null {
  if (argument === undefined || argument.length < bytes) return null;
  return new DataView(argument.buffer, argument.byteOffset, argument.length);
}

export function mmap(process: Process, { fd, offset, bytes }: RequestOf<'mmap'>): SyscallReply {
  const file = process.files.get(fd);
  if (file === null) return { ret: -errno.EBADF };
  // A child that inherited the file: the queue works in the parent's address space, and its regions stay there (U9).
  if (file.queue.space !== process.space) return { ret: -errno.EPERM };
  const ret = offset % PAGE_BYTES === 0 ? file.queue.map(offset / PAGE_BYTES, bytes) : -errno.EINVAL;
  return ret < 0 ? { ret } : { ret, physicalAddress: process.space.physicalAddress(ret) };
}

export function poll(process: Process, { fd }: RequestOf<'poll'>): SyscallReply {
  const file = process.files.get(fd);
  return { ret: file === null ? -errno.EBADF : file.queue.poll() };
}

export function readdir(find: Find, { path }: RequestOf<'readdir'>): SyscallReply {
  const node = find(path);
  if (typeof node === 'number') return { ret: node };
  if (node.kind !== 'directory') return { ret: -errno.ENOTDIR };
  return { ret: 0, names: [...node.entries.keys()] };
}

/** `ret` = length of the content. */
export function readFile(find: Find, { path }: RequestOf<'readFile'>): SyscallReply {
  const node = find(path);
  if (typeof node === 'number') return { ret: node };
  if (node.kind !== 'file') return { ret: node.kind === 'directory' ? -errno.EISDIR : -errno.EINVAL };
  const text = node.read();
  return { ret: text.length, text };
}

/** `ret` = length of what was written. */
export function writeFile(find: Find, { path, text }: RequestOf<'writeFile'>): SyscallReply {
  const node = find(path);
  if (typeof node === 'number') return { ret: node };
  if (node.kind !== 'file') return { ret: node.kind === 'directory' ? -errno.EISDIR : -errno.EINVAL };
  if (node.write === undefined) return { ret: -errno.EACCES };
  const ret = node.write(text);
  return { ret: ret < 0 ? ret : text.length };
}
