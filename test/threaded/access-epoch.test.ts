// Does the kernel thread wait for a user thread that is inside an access, and for none that has ended? The user threads
// here are made by hand, so that they can stop where no program can be made to stop.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { AccessEpoch } from '../../src/hw/access-epoch.js';
import { PhysicalMemory } from '../../src/hw/physical-memory.js';
import type { CreatedProcess } from '../../src/machine/kernel-side.js';
import { MachineWords } from '../../src/machine/machine-words.js';
import type { KernelThreadInit, MachineRequest, ProcessNews } from '../../src/machine/threaded/messages.js';
import type { SyscallRequest } from '../../src/uapi/syscall.js';

const require = createRequire(import.meta.url);
const KERNEL_WORKER = new URL('./kernel-worker.js', pathToFileURL(require.resolve('warpdrive/sim')));
const PAGE = 4096;

/** A process whose user thread is the test. */
class BareProcess {
  readonly port: MessagePort;
  readonly pid: number;
  readonly epoch: AccessEpoch;
  /** Replies in the order in which they came, by sequence number. */
  readonly replies: number[] = [];
  readonly #kernel: BareKernel;
  readonly #waiting = new Map<number, (ret: number) => void>();
  #sequence = 0;

  constructor(kernel: BareKernel, port: MessagePort, { pid }: CreatedProcess) {
    this.#kernel = kernel;
    this.port = port;
    this.pid = pid;
    const wakeKernel = (): void => kernel.wake();
    this.epoch = new AccessEpoch({ words: kernel.words.accessEpochs, pid, wakeKernel });
    port.on('message', (news: ProcessNews) => {
      if (news.kind !== 'reply') return;
      this.replies.push(news.sequence);
      this.#waiting.get(news.sequence)?.(news.reply.ret);
    });
  }

  /** The number under which a reply will come, and its `ret`. */
  call(request: SyscallRequest): { sequence: number; ret: Promise<number> } {
    const sequence = ++this.#sequence;
    const ret = new Promise<number>((resolve) => this.#waiting.set(sequence, resolve));
    this.port.postMessage({ kind: 'syscall', sequence, request });
    this.#kernel.wake();
    return { sequence, ret };
  }

  /** A page of memory that is there. */
  async page(): Promise<number> {
    const address = await this.call({ call: 'mmapAnonymous', kind: 'demand', bytes: PAGE }).ret;
    expect(await this.call({ call: 'pageFault', address, access: 'write' }).ret).toBe(0);
    return address;
  }

  /** Comes back when the kernel thread has looked at everything twice more. */
  async twoLooks(): Promise<void> {
    for (let look = 0; look < 2; look++) await this.call({ call: 'getpid' }).ret;
  }
}

/** A kernel thread without devices, and the machine's owner by hand. */
class BareKernel {
  readonly memory = PhysicalMemory.create(32 * 1024 * 1024);
  readonly words = new MachineWords();
  readonly #channel = new MessageChannel();
  readonly #worker: Worker;
  readonly #ready: Promise<unknown>;

  constructor() {
    const { port1, port2 } = this.#channel;
    this.#ready = new Promise((resolve) => port1.once('message', resolve));
    const workerData: KernelThreadInit = {
      memory: this.memory.buffer,
      words: this.words.buffer,
      config: { memoryBytes: this.memory.bytes, instances: [] },
      driverUrls: {},
      engineWorkerUrl: '',
      port: port2,
    };
    this.#worker = new Worker(KERNEL_WORKER, { workerData, transferList: [port2] });
  }

  wake(): void {
    this.words.wake(this.words.kernelWake);
  }

  async start(): Promise<void> {
    expect(await this.#ready).toMatchObject({ kind: 'ready' });
  }

  /** A new process, and the port of its user thread. */
  async create(): Promise<{ port: MessagePort; process: CreatedProcess }> {
    const { port1: port, port2 } = new MessageChannel();
    const created = new Promise<ProcessNews>((resolve) => port.once('message', resolve));
    this.#send({ kind: 'createProcess', settings: {}, port: port2 }, [port2]);
    const news = await created;
    expect(news.kind).toBe('created');
    return { port, process: (news as ProcessNews & { kind: 'created' }).process };
  }

  async process(): Promise<BareProcess> {
    const { port, process } = await this.create();
    return new BareProcess(this, port, process);
  }

  /** Comes back when the number of an ended process is given to a new one: numbers that came back go out first. */
  async untilReused(pid: number): Promise<void> {
    while ((await this.create()).process.pid !== pid);
  }

  async close(): Promise<void> {
    const exited = new Promise((resolve) => this.#worker.once('exit', resolve));
    this.#send({ kind: 'shutdown' }, []);
    await exited;
    this.#channel.port1.close();
  }

  #send(request: MachineRequest, transfer: MessagePort[]): void {
    this.#channel.port1.postMessage(request, transfer);
    this.wake();
  }
}

let kernel: BareKernel;
beforeEach(async () => {
  kernel = new BareKernel();
  await kernel.start();
});
afterEach(() => kernel.close());

test('memory that a thread may be in is given up when it has left, and other processes do not wait', async () => {
  const [user, other] = [await kernel.process(), await kernel.process()];
  const [address, elsewhere] = [await user.page(), await other.page()];
  user.epoch.enter();
  const unmapped = user.call({ call: 'munmap', address, bytes: PAGE });
  await user.twoLooks();
  expect(user.replies).not.toContain(unmapped.sequence);
  expect(await other.call({ call: 'munmap', address: elsewhere, bytes: PAGE }).ret).toBe(0);
  expect(user.replies).not.toContain(unmapped.sequence);
  user.epoch.leave();
  expect(await unmapped.ret).toBe(0);
});

test('a thread whose port closes inside an access is not waited for: its process ends', async () => {
  const user = await kernel.process();
  const address = await user.page();
  user.epoch.enter();
  const unmapped = user.call({ call: 'munmap', address, bytes: PAGE });
  await user.twoLooks();
  expect(user.replies).not.toContain(unmapped.sequence);
  user.port.close();
  await kernel.untilReused(user.pid);
});

test('a thread that is terminated inside an access is not waited for, however busy the kernel is', async () => {
  const { port, process } = await kernel.create();
  const busy = await kernel.process();
  const { words } = kernel;
  const thread = new Worker(
    `const { parentPort, workerData: { words, epoch, wake, port, request } } = require('node:worker_threads');
    Atomics.add(words, epoch, 1);
    port.postMessage(request);
    Atomics.add(words, wake, 1);
    Atomics.notify(words, wake);
    parentPort.postMessage('inside');
    for (;;);`,
    {
      eval: true,
      workerData: {
        words: words.all,
        epoch: words.accessEpochs.byteOffset / 4 + process.pid * 16,
        wake: words.kernelWake,
        port,
        // Its own end waits for itself.
        request: { kind: 'exit', sequence: 1 },
      },
      transferList: [port],
    },
  );
  await new Promise((resolve) => thread.once('message', resolve));
  await busy.twoLooks();
  await thread.terminate();
  let reused = false;
  const seen = kernel.untilReused(process.pid).then(() => {
    reused = true;
  });
  while (!reused) await busy.call({ call: 'getpid' }).ret;
  await seen;
});
