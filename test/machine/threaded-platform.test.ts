// What does a process believe of a device whose engine thread was replaced? The kernel here is the test.
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { MiB, PAGE_BYTES } from '../../src/base/units.js';
import { PhysicalMemory } from '../../src/hw/physical-memory.js';
import { MachineWords } from '../../src/machine/machine-words.js';
import type { ProcessNews, ProcessRequest } from '../../src/machine/threaded/messages.js';
import { ThreadedPlatform } from '../../src/machine/threaded/threaded-platform.js';
import { queueRegion } from '../../src/uapi/ioctl.js';
import { QUEUE_MMIO_BYTES } from '../../src/uapi/queue-layout.js';

const DEVICE = 0;
const mmioAddressOf = (fd: number): number => fd * 16 * PAGE_BYTES;

/** The kernel's end of a process. */
class FakeKernel {
  /** Incarnations that the process has reported as ended. */
  readonly reported: number[] = [];
  readonly #ports: MessagePort[] = [];
  #port: MessagePort | null = null;

  connect(port: MessagePort): void {
    this.#port = port;
    this.#ports.push(port);
    port.on('message', (request: ProcessRequest) => this.#hear(request));
    this.tell({ kind: 'created', process: { pid: 1, rootTable: 0, secondStageRoot: null, pools: [] } });
  }

  tell(news: ProcessNews, transfer: MessagePort[] = []): void {
    this.#port!.postMessage(news, transfer);
  }

  /** Says that a thread serves the queue; the thread's end of the interrupt port. */
  serve(fd: number, incarnation: number): MessagePort {
    const { port1, port2 } = new MessageChannel();
    this.#ports.push(port1);
    const news = { kind: 'served', mmioAddress: mmioAddressOf(fd), deviceId: DEVICE, incarnation } as const;
    this.tell({ ...news, port: port2 }, [port2]);
    return port1;
  }

  close(): void {
    for (const port of this.#ports) port.close();
  }

  /** Every mmap is one of the MMIO region of a queue. */
  #hear(request: ProcessRequest): void {
    if (request.kind === 'engineGone') this.reported.push(request.incarnation);
    if (request.kind !== 'syscall') return;
    const fd = request.request.call === 'mmap' ? request.request.fd : 0;
    const physicalAddress = mmioAddressOf(fd);
    this.tell({
      kind: 'reply',
      sequence: request.sequence,
      reply: { ret: physicalAddress, physicalAddress },
    });
  }
}

let kernel: FakeKernel;
let platform: ThreadedPlatform;
beforeEach(async () => {
  kernel = new FakeKernel();
  const connected = await ThreadedPlatform.connect(
    PhysicalMemory.create(32 * MiB),
    new MachineWords(),
    (port) => kernel.connect(port),
  );
  if (typeof connected === 'number') throw new Error(`the process was refused with ${connected}`);
  platform = connected;
});
afterEach(() => kernel.close());

/** A queue that is watched; what it hears of its loss. */
async function watchedQueue(fd: number): Promise<string[]> {
  const offset = queueRegion.MMIO * PAGE_BYTES;
  await platform.syscall({ call: 'mmap', fd, offset, bytes: QUEUE_MMIO_BYTES });
  const heard: string[] = [];
  platform.onLost(fd, (reason) => heard.push(reason));
  return heard;
}

/** What was sent either way has arrived: a system call takes the same way. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await platform.syscall({ call: 'getpid' });
}

test('a port that closes fails the queues of its device, and the kernel is told which thread it was', async () => {
  const heard = await watchedQueue(3);
  const thread = kernel.serve(3, 7);
  await settled();
  thread.close();
  while (heard.length === 0) await settled();
  await settled();
  expect([heard.length, kernel.reported]).toEqual([1, [7]]);
});

test('an old port that closes late is not taken for the end of the new thread', async () => {
  const old = await watchedQueue(3);
  const first = kernel.serve(3, 1);
  await settled();
  kernel.tell({ kind: 'lost', deviceId: DEVICE, reason: 'hung' });
  const fresh = await watchedQueue(4);
  kernel.serve(4, 2);
  await settled();
  expect([old, fresh]).toEqual([['hung'], []]);
  first.close();
  await new Promise((resolve) => first.once('close', resolve));
  await settled();
  expect([old, fresh, kernel.reported]).toEqual([['hung'], [], []]);
});

test('R43: what the kernel has to tell interrupts the queue that it is about, and no other', async () => {
  const interrupts = { 3: 0, 4: 0 };
  for (const fd of [3, 4] as const) {
    await watchedQueue(fd);
    platform.onInterrupt(fd, () => {
      interrupts[fd] += 1;
    });
  }
  kernel.tell({ kind: 'interrupt', mmioAddress: mmioAddressOf(4) });
  kernel.tell({ kind: 'interrupt', mmioAddress: mmioAddressOf(5) });
  await settled();
  expect(interrupts).toEqual({ 3: 0, 4: 1 });
});
