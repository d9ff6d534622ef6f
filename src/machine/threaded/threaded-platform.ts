/**
 * A process's door to a threaded machine. System calls are messages to the kernel thread; interrupts come from the
 * engine threads directly; the doorbell of a sleeping engine is a futex.
 */
import type { MessagePort } from 'node:worker_threads';
import { assert } from '../../base/assert.js';
import { NS_PER_MS } from '../../base/units.js';
import type { PhysicalMemory } from '../../hw/physical-memory.js';
import { errno } from '../../uapi/errno.js';
import type { Counters, Platform, SyscallReply, SyscallRequest } from '../../uapi/syscall.js';
import type { MachineWords } from '../machine-words.js';
import { ViewTable } from '../view-table.js';
import type { ProcessNews, ProcessRequest } from './messages.js';

interface Watcher {
  interrupt: (() => void) | null;
  lost: ((reason: string) => void) | null;
}

/** A process of a threaded machine, for the thread that created it. */
export class ThreadedPlatform implements Platform {
  pid = 0;
  readonly concurrent = true;
  readonly #port: MessagePort;
  readonly #words: MachineWords;
  readonly #views: ViewTable;
  readonly #pending = new Map<number, (reply: SyscallReply) => void>();
  /** By MMIO address: who watches the queue, and which device serves it. */
  readonly #watchers = new Map<number, Watcher>();
  readonly #devices = new Map<number, number>();
  readonly #interruptPorts = new Map<number, MessagePort>();
  #sequence = 0;
  #references = 0;
  #goneBecause: string | null = null;
  #exited = false;

  constructor(port: MessagePort, memory: PhysicalMemory, words: MachineWords) {
    this.#port = port;
    this.#words = words;
    this.#views = new ViewTable(memory);
    // The listener comes before unref: attached afterwards it would hold the program open.
    port.on('message', (news: ProcessNews) => this.#hear(news));
    port.on('close', () => this.#kernelGone('the kernel thread ended'));
    port.unref();
  }

  syscall(request: SyscallRequest): Promise<SyscallReply> {
    return this.#ask((sequence) => ({ kind: 'syscall', sequence, request })).then((reply) => {
      this.#views.note(request, reply);
      return reply;
    });
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

  async exit(): Promise<void> {
    await this.#ask((sequence) => ({ kind: 'exit', sequence }));
    this.#exited = true;
    for (const port of this.#interruptPorts.values()) port.close();
    this.#port.close();
  }

  #ask(request: (sequence: number) => ProcessRequest): Promise<SyscallReply> {
    if (this.#goneBecause !== null) return Promise.resolve({ ret: -errno.EIO });
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
    else if (news.kind === 'lost') this.#deviceLost(news.deviceId, news.reason);
  }

  #answered(sequence: number, reply: SyscallReply): void {
    const resolve = this.#pending.get(sequence);
    if (resolve === undefined) return;
    this.#pending.delete(sequence);
    this.unref();
    resolve(reply);
  }

  #served({ mmioAddress, deviceId, port }: ProcessNews & { kind: 'served' }): void {
    this.#devices.set(mmioAddress, deviceId);
    if (port === null) return;
    this.#interruptPorts.set(deviceId, port);
    port.on('message', (of: number) => this.#watchers.get(of)?.interrupt?.());
    port.on('close', () => this.#enginePortClosed(deviceId));
    port.unref();
  }

  /** The engine thread ended, whatever ended it: requests are failed at once, the kernel is told to look. */
  #enginePortClosed(deviceId: number): void {
    if (this.#exited || this.#goneBecause !== null) return;
    this.#send({ kind: 'engineGone', deviceId });
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
