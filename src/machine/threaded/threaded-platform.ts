/**
 * A process's door to a threaded machine. System calls are messages to the kernel thread; interrupts come from the
 * engine threads directly; the doorbell of a sleeping engine is a futex; loads and stores are made right here.
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { assert } from '../../base/assert.js';
import { NS_PER_MS } from '../../base/units.js';
import { AccessEpoch } from '../../hw/access-epoch.js';
import { CpuMemory } from '../../hw/cpu-memory.js';
import type { PhysicalMemory } from '../../hw/physical-memory.js';
import { errno } from '../../uapi/errno.js';
import type { Counters, Platform, SyscallReply, SyscallRequest } from '../../uapi/syscall.js';
import type { CreatedProcess } from '../kernel-side.js';
import type { MachineWords } from '../machine-words.js';
import { UserMemory } from '../user-memory.js';
import { ViewTable } from '../view-table.js';
import type { ProcessNews, ProcessRequest } from './messages.js';

interface Watcher {
  interrupt: (() => void) | null;
  lost: ((reason: string) => void) | null;
}

/** A process of a threaded machine, for the thread that created it. */
export class ThreadedPlatform implements Platform {
  #pid = 0;
  readonly concurrent = true;
  /** Resolves when the kernel has ended, whoever ended it, before any request is told so. Never after `exit`. */
  readonly ended: Promise<void>;
  readonly #port: MessagePort;
  readonly #memory: PhysicalMemory;
  readonly #words: MachineWords;
  #views: ViewTable;
  readonly #pending = new Map<number, (reply: SyscallReply) => void>();
  /** By MMIO address: who watches the queue, and which device serves it. */
  readonly #watchers = new Map<number, Watcher>();
  readonly #devices = new Map<number, number>();
  /** By device: the port to its present engine thread. */
  readonly #interruptPorts = new Map<number, MessagePort>();
  #userMemory: UserMemory | null = null;
  #sequence = 0;
  #references = 0;
  #goneBecause: string | null = null;
  #exit: Promise<void> | null = null;
  #exited = false;
  #tellEnd: () => void = () => {};
  #mappedBytes = 0;

  /**
   * The door to a process that `ask` makes the kernel create: it sends the port on. A negated errno when it was refused,
   * EIO when the kernel ended first, or when `abandoned` fires.
   */
  static async connect(
    memory: PhysicalMemory,
    words: MachineWords,
    ask: (port: MessagePort) => void,
    abandoned?: AbortSignal,
  ): Promise<ThreadedPlatform | number> {
    const { port1, port2 } = new MessageChannel();
    const platform = new ThreadedPlatform(port1, memory, words);
    abandoned?.addEventListener('abort', () => port1.close(), { once: true });
    const answered = new Promise<ProcessNews | null>((resolve) => {
      port1.once('message', resolve);
      port1.once('close', () => resolve(null));
    });
    port1.ref();
    ask(port2);
    const news = await answered;
    port1.unref();
    if (news?.kind === 'created') {
      platform.#created(news.process);
      return platform;
    }
    port1.close();
    return news?.kind === 'refused' ? news.ret : -errno.EIO;
  }

  private constructor(port: MessagePort, memory: PhysicalMemory, words: MachineWords) {
    this.#port = port;
    this.#memory = memory;
    this.#words = words;
    this.#views = new ViewTable(memory);
    this.ended = new Promise((resolve) => {
      this.#tellEnd = resolve;
    });
    // The listener comes before unref: attached afterwards it would hold the program open.
    port.on('message', (news: ProcessNews) => this.#hear(news));
    port.on('close', () => this.#kernelGone('the kernel thread ended'));
    port.unref();
  }

  #created({ pid, rootTable, secondStageRoot, pools }: CreatedProcess): void {
    this.#pid = pid;
    this.#views = new ViewTable(this.#memory, pools);
    const wakeKernel = (): void => this.#words.wake(this.#words.kernelWake);
    this.#userMemory = new UserMemory({
      memory: new CpuMemory({ memory: this.#memory, rootTable, secondStageRoot }),
      epoch: new AccessEpoch({ words: this.#words.accessEpochs, pid, wakeKernel }),
      pageFault: async (address, access) => (await this.syscall({ call: 'pageFault', address, access })).ret,
    });
  }

  get pid(): number {
    return this.#pid;
  }

  /** Bytes of anonymous memory that the process has been given, returned ones included. */
  get mappedBytes(): number {
    return this.#mappedBytes;
  }

  syscall(request: SyscallRequest): Promise<SyscallReply> {
    return this.#ask((sequence) => ({ kind: 'syscall', sequence, request })).then((reply) => {
      this.#views.note(request, reply);
      if (request.call === 'mmapAnonymous' && reply.ret >= 0) this.#mappedBytes += request.bytes;
      return reply;
    });
  }

  load(address: number, bytes: number): Promise<Uint8Array | number> {
    return this.#ownMemory().load(address, bytes);
  }

  store(address: number, source: Uint8Array): Promise<number> {
    return this.#ownMemory().store(address, source);
  }

  mapRegion(address: number, bytes: number): Uint8Array {
    return this.#views.view(address, bytes);
  }

  wake(fd: number): void {
    const deviceId = this.#devices.get(this.#queueOf(fd));
    if (deviceId !== undefined) this.#words.wake(this.#words.engineWake(deviceId));
  }

  onInterrupt(fd: number, handler: (() => void) | null): void {
    if (handler !== null) this.#watcher(fd).interrupt = handler;
    else this.#stopWatching(fd);
  }

  onLost(fd: number, handler: (reason: string) => void): void {
    this.#watcher(fd).lost = handler;
  }

  ref(): void {
    this.#references += 1;
    if (this.#references === 1) this.#port.ref();
  }

  unref(): void {
    assert(this.#references > 0, 'each unref has its ref');
    this.#references -= 1;
    if (this.#references === 0) this.#port.unref();
  }

  counters(): Counters {
    return this.#words.counters();
  }

  nowNs(): number {
    return performance.now() * NS_PER_MS;
  }

  fork(): Promise<ThreadedPlatform | number> {
    if (this.#goneBecause !== null) return Promise.resolve(-errno.EIO);
    if (this.#exit !== null) return Promise.resolve(-errno.ESRCH);
    return ThreadedPlatform.connect(this.#memory, this.#words, (port) => {
      this.#port.postMessage({ kind: 'fork', port } satisfies ProcessRequest, [port]);
      this.#words.wake(this.#words.kernelWake);
    });
  }

  exit(): Promise<void> {
    this.#exit ??= this.#end();
    return this.#exit;
  }

  async #end(): Promise<void> {
    // Before the kernel hears of it: its tables go away without waiting for this thread again.
    this.#userMemory?.end(-errno.ESRCH);
    await this.#ask((sequence) => ({ kind: 'exit', sequence }));
    this.#exited = true;
    for (const sequence of [...this.#pending.keys()]) this.#answered(sequence, { ret: -errno.ESRCH });
    for (const port of this.#interruptPorts.values()) port.close();
    this.#port.close();
  }

  #ownMemory(): UserMemory {
    assert(this.#userMemory !== null, 'the process was created');
    return this.#userMemory;
  }

  #ask(request: (sequence: number) => ProcessRequest): Promise<SyscallReply> {
    if (this.#goneBecause !== null) return Promise.resolve({ ret: -errno.EIO });
    if (this.#exited) return Promise.resolve({ ret: -errno.ESRCH });
    const sequence = ++this.#sequence;
    this.ref();
    return new Promise((resolve) => {
      this.#pending.set(sequence, resolve);
      this.#send(request(sequence));
    });
  }

  #send(request: ProcessRequest): void {
    this.#port.postMessage(request);
    this.#words.wake(this.#words.kernelWake);
  }

  #hear(news: ProcessNews): void {
    if (news.kind === 'reply') this.#answered(news.sequence, news.reply);
    else if (news.kind === 'served') this.#served(news);
    else if (news.kind === 'interrupt') this.#watchers.get(news.mmioAddress)?.interrupt?.();
    else if (news.kind === 'lost') this.#deviceLost(news.deviceId, news.reason);
  }

  #answered(sequence: number, reply: SyscallReply): void {
    const resolve = this.#pending.get(sequence);
    if (resolve === undefined) return;
    this.#pending.delete(sequence);
    this.unref();
    resolve(reply);
  }

  #served({ mmioAddress, deviceId, incarnation, port }: ProcessNews & { kind: 'served' }): void {
    this.#devices.set(mmioAddress, deviceId);
    if (port === null) return;
    this.#interruptPorts.set(deviceId, port);
    port.on('message', (of: number) => this.#watchers.get(of)?.interrupt?.());
    port.on('close', () => {
      // The kernel may have told of the end long before, and a new thread may serve the device by now.
      if (this.#interruptPorts.get(deviceId) === port) this.#enginePortClosed(deviceId, incarnation);
    });
    port.unref();
  }

  /** The engine thread ended, whatever ended it: requests are failed at once, the kernel is told to look. */
  #enginePortClosed(deviceId: number, incarnation: number): void {
    this.#interruptPorts.delete(deviceId);
    if (this.#exited || this.#goneBecause !== null) return;
    this.#send({ kind: 'engineGone', deviceId, incarnation });
    this.#deviceLost(deviceId, 'its engine thread ended');
  }

  #deviceLost(deviceId: number, reason: string): void {
    for (const [mmioAddress, of] of [...this.#devices])
      if (of === deviceId) this.#queueLost(mmioAddress, reason);
  }

  #queueLost(mmioAddress: number, reason: string): void {
    this.#devices.delete(mmioAddress);
    const watcher = this.#watchers.get(mmioAddress);
    this.#watchers.delete(mmioAddress);
    watcher?.lost?.(reason);
  }

  #kernelGone(reason: string): void {
    if (this.#exited || this.#goneBecause !== null) return;
    this.#goneBecause = reason;
    // First: who sends a request again on hearing of its loss must not send it to the same machine.
    this.#tellEnd();
    this.#userMemory?.end(-errno.EIO);
    for (const sequence of [...this.#pending.keys()]) this.#answered(sequence, { ret: -errno.EIO });
    for (const mmioAddress of [...this.#devices.keys()]) this.#queueLost(mmioAddress, reason);
  }

  #queueOf(fd: number): number {
    const address = this.#views.mmioOf(fd);
    assert(address !== undefined, `file ${fd} is a queue with its MMIO region mapped`);
    return address;
  }

  /** Also after the file was closed: an ending ctx need not know. */
  #stopWatching(fd: number): void {
    const watcher = this.#watchers.get(this.#views.mmioOf(fd) ?? -1);
    if (watcher !== undefined) watcher.interrupt = null;
  }

  #watcher(fd: number): Watcher {
    const address = this.#queueOf(fd);
    const known = this.#watchers.get(address);
    if (known !== undefined) return known;
    const watcher: Watcher = { interrupt: null, lost: null };
    this.#watchers.set(address, watcher);
    return watcher;
  }
}
