/**
 * Turns whatever a user thread sent into a checked system call, or an errno. Each field is read exactly once and
 * bytes are copied, so nothing can change after it was checked; an object that throws while it is read is a bad
 * address. Nothing here throws.
 */
import { limits } from '../base/limits.js';
import { errno } from '../uapi/errno.js';
import type { Protection, SyscallRequest } from '../uapi/syscall.js';
import { PROTECTIONS } from './protection.js';

type Call = SyscallRequest['call'];
type RequestOf<C extends Call> = Extract<SyscallRequest, { call: C }>;

/** A field that is not what it must be. */
class BadField {
  readonly errno: number;
  constructor(code: number) {
    this.errno = code;
  }
}

type Read<T> = (value: unknown) => T;
type Shape<C extends Call> = {
  readonly [Name in Exclude<keyof RequestOf<C>, 'call'>]-?: Read<RequestOf<C>[Name]>;
};

function whole(value: unknown, bad: number): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw new BadField(bad);
  return value;
}

function text(value: unknown, tooLong: number): string {
  if (typeof value !== 'string') throw new BadField(errno.EFAULT);
  if (value.length > limits.PATH_LENGTH_MAX) throw new BadField(tooLong);
  return value;
}

/** A copy, whatever memory the bytes lie in. */
function copied(value: unknown, bytesMax: number): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new BadField(errno.EFAULT);
  if (value.length > bytesMax) throw new BadField(errno.EINVAL);
  return new Uint8Array(value);
}

/** An ioctl argument: the largest that an ioctl number can announce. */
const ARGUMENT_BYTES_MAX = 2 ** 14;

const fd = (value: unknown): number => whole(value, errno.EBADF);
const length = (value: unknown): number => whole(value, errno.EINVAL);
const place = (value: unknown): number => whole(value, errno.EINVAL);
const pointer = (value: unknown): number => whole(value, errno.EFAULT);
const path = (value: unknown): string => text(value, errno.ENOENT);
const optionalFlag = (value: unknown): boolean | undefined => {
  if (value !== undefined && typeof value !== 'boolean') throw new BadField(errno.EINVAL);
  return value;
};
const anonymousKind = (value: unknown): 'pool' | 'demand' => {
  if (value !== 'pool' && value !== 'demand') throw new BadField(errno.EINVAL);
  return value;
};
const protection = (value: unknown): Protection => {
  const known = PROTECTIONS.find((name) => name === value);
  if (known === undefined) throw new BadField(errno.EINVAL);
  return known;
};
const dataAccess = (value: unknown): 'read' | 'write' => {
  if (value !== 'read' && value !== 'write') throw new BadField(errno.EINVAL);
  return value;
};
const optionalArgument = (value: unknown): Uint8Array | undefined =>
  value === undefined ? undefined : copied(value, ARGUMENT_BYTES_MAX);

const SHAPES: { readonly [C in Call]: Shape<C> } = {
  open: { path },
  close: { fd },
  ioctl: { fd, command: length, argument: optionalArgument },
  mmap: { fd, offset: place, bytes: length },
  mmapAnonymous: { kind: anonymousKind, bytes: length, prefault: optionalFlag },
  munmap: { address: place, bytes: length },
  mprotect: { address: place, bytes: length, protection },
  pageOut: { address: place, bytes: length },
  pin: { address: place, bytes: length },
  unpin: { pin: length },
  pageFault: { address: pointer, access: dataAccess },
  mremap: { address: pointer, bytes: length, newBytes: length },
  readMemory: { address: pointer, bytes: length },
  writeMemory: { address: pointer, source: (value) => copied(value, limits.MEMORY_COPY_BYTES_MAX) },
  poll: { fd },
  readdir: { path },
  readFile: { path },
  writeFile: { path, text: (value) => text(value, errno.EINVAL) },
  getpid: {},
};

function decode(request: unknown): SyscallRequest {
  if (typeof request !== 'object' || request === null) throw new BadField(errno.EFAULT);
  const source = request as Readonly<Record<string, unknown>>;
  const { call } = source;
  if (typeof call !== 'string' || !Object.hasOwn(SHAPES, call)) throw new BadField(errno.ENOSYS);
  const decoded: Record<string, unknown> = { call };
  const shape = SHAPES[call as Call] as Readonly<Record<string, Read<unknown>>>;
  for (const [name, read] of Object.entries(shape)) decoded[name] = read(source[name]);
  // Complete and checked by its shape, which the type of SHAPES ties to the request's type.
  return decoded as unknown as SyscallRequest;
}

/** The checked call, or a negated errno: ENOSYS for an unknown one, EBADF, EINVAL or EFAULT for a bad field. */
export function decodeRequest(request: unknown): SyscallRequest | number {
  try {
    return decode(request);
  } catch (error) {
    return error instanceof BadField ? -error.errno : -errno.EFAULT;
  }
}
