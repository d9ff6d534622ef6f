/**
 * Finds devices through sysfs and opens queues on them: the control path of user space. Every step is a system
 * call; none of it happens while data moves.
 */
import { err, ok, type Result } from 'neverthrow';
import type { SyscallFailed, WdError } from '../src/base/errors.js';
import { PAGE_BYTES } from '../src/base/units.js';
import { errno, errnoName } from '../src/uapi/errno.js';
import {
  qpContextArgument,
  qpInfoArgument,
  queueRegion,
  UACCE_CMD_QM_SET_QP_CTX,
  UACCE_CMD_QM_SET_QP_INFO,
  UACCE_CMD_START_Q,
} from '../src/uapi/ioctl.js';
import { dusShape, QUEUE_MMIO_BYTES } from '../src/uapi/queue-layout.js';
import type { Platform, SyscallReply, SyscallRequest } from '../src/uapi/syscall.js';

const CLASS = '/sys/class/uacce';

/** A device as sysfs shows it. */
export interface DeviceInfo {
  /** Name in /dev and sysfs. */
  readonly name: string;
  readonly api: string;
  readonly algorithms: readonly string[];
}

/** What an opened and started queue consists of. */
export interface OpenedQueue {
  readonly fd: number;
  /** Device name as in /dev. */
  readonly device: string;
  readonly queueNumber: number;
  readonly qcType: 0 | 1;
  readonly sqeBytes: number;
  readonly sqDepth: number;
  readonly cqDepth: number;
  /** Views of the two queue regions. */
  readonly dus: Uint8Array;
  readonly mmio: Uint8Array;
}

/** One system call; a negative answer becomes a typed error. */
async function call(
  platform: Platform,
  request: SyscallRequest,
): Promise<Result<SyscallReply, SyscallFailed>> {
  const reply = await platform.syscall(request);
  return reply.ret >= 0 ? ok(reply) : err(syscallFailed(request, -reply.ret));
}

function syscallFailed(request: SyscallRequest, code: number): SyscallFailed {
  const what = 'path' in request ? ` ${request.path}` : '';
  return {
    kind: 'SyscallFailed',
    code: `ERR_WD_${errnoName(code)}`,
    message: `${request.call}${what} failed with ${errnoName(code)}`,
    retryable: code === errno.EBUSY || code === errno.EAGAIN,
    call: request.call,
    errno: code,
  };
}

/** All devices that are not isolated, in the order of their names. */
export async function listDevices(platform: Platform): Promise<Result<DeviceInfo[], SyscallFailed>> {
  const listed = await call(platform, { call: 'readdir', path: CLASS });
  if (listed.isErr()) return err(listed.error);
  const devices: DeviceInfo[] = [];
  for (const name of [...(listed.value.names ?? [])].sort(byNumber)) {
    const isolate = await attribute(platform, name, 'isolate');
    if (isolate === '1') continue;
    const [api, algorithms] = [
      await attribute(platform, name, 'api'),
      await attribute(platform, name, 'algorithms'),
    ];
    devices.push({ name, api, algorithms: algorithms.split('\n').filter((line) => line !== '') });
  }
  return ok(devices);
}

function byNumber(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}

/** An attribute's text without its newline; empty when the device does not have it. */
async function attribute(platform: Platform, name: string, file: string): Promise<string> {
  const read = await platform.syscall({ call: 'readFile', path: `${CLASS}/${name}/${file}` });
  return read.ret >= 0 ? (read.text ?? '').trim() : '';
}

/** Opens a queue on `device`, sets its direction, maps both regions and starts it. Leaves nothing open on failure. */
export async function openQueue(
  platform: Platform,
  device: string,
  qcType: 0 | 1,
): Promise<Result<OpenedQueue, WdError>> {
  const opened = await call(platform, { call: 'open', path: `/dev/${device}` });
  if (opened.isErr()) return err(opened.error);
  const fd = opened.value.ret;
  const queue = await setUp(platform, { fd, device, qcType });
  if (queue.isErr()) await platform.syscall({ call: 'close', fd });
  return queue;
}

async function setUp(
  platform: Platform,
  queue: { fd: number; device: string; qcType: 0 | 1 },
): Promise<Result<OpenedQueue, SyscallFailed>> {
  const { fd, qcType } = queue;
  const context = argumentOf(qpContextArgument.bytes);
  qpContextArgument.fields.qcType.write(context, 0, qcType);
  const set = await ioctl(platform, { fd, command: UACCE_CMD_QM_SET_QP_CTX, argument: context });
  if (set.isErr()) return err(set.error);
  const info = await ioctl(platform, {
    fd,
    command: UACCE_CMD_QM_SET_QP_INFO,
    argument: argumentOf(qpInfoArgument.bytes),
  });
  if (info.isErr()) return err(info.error);
  const { sqeBytes, sqDepth, cqDepth } = qpInfoArgument.fields;
  const shape = dusShape(
    sqeBytes.read(info.value, 0),
    sqDepth.read(info.value, 0),
    cqDepth.read(info.value, 0),
  );
  const mmio = await mapRegion(platform, { fd, region: queueRegion.MMIO, bytes: QUEUE_MMIO_BYTES });
  if (mmio.isErr()) return err(mmio.error);
  const dus = await mapRegion(platform, { fd, region: queueRegion.DUS, bytes: shape.bytes });
  if (dus.isErr()) return err(dus.error);
  const started = await call(platform, { call: 'ioctl', fd, command: UACCE_CMD_START_Q });
  if (started.isErr()) return err(started.error);
  const queueNumber = qpContextArgument.fields.id.read(set.value, 0);
  return ok({ ...queue, ...shape, queueNumber, dus: dus.value, mmio: mmio.value });
}

function argumentOf(bytes: number): DataView {
  return new DataView(new ArrayBuffer(bytes));
}

async function ioctl(
  platform: Platform,
  request: { fd: number; command: number; argument: DataView },
): Promise<Result<DataView, SyscallFailed>> {
  const { fd, command, argument } = request;
  const bytes = new Uint8Array(argument.buffer);
  const reply = await call(platform, { call: 'ioctl', fd, command, argument: bytes });
  return reply.map(({ bytes: out = bytes }) => new DataView(out.buffer, out.byteOffset, out.byteLength));
}

async function mapRegion(
  platform: Platform,
  request: { fd: number; region: number; bytes: number },
): Promise<Result<Uint8Array, SyscallFailed>> {
  const { fd, region, bytes } = request;
  const mapped = await call(platform, { call: 'mmap', fd, offset: region * PAGE_BYTES, bytes });
  return mapped.map(({ ret }) => platform.mapRegion(ret, bytes));
}
