/**
 * A process's door to an inline machine: system calls are calls, interrupts are calls back.
 */
import { assert } from '../../base/assert.js';
import type { Vcpu } from '../../coproc/vcpu.js';
import { AccessEpoch } from '../../hw/access-epoch.js';
import { CpuMemory } from '../../hw/cpu-memory.js';
import type { PhysicalMemory } from '../../hw/physical-memory.js';
import { errno } from '../../uapi/errno.js';
import type { Counters, Platform, SyscallReply, SyscallRequest } from '../../uapi/syscall.js';
import type { CreatedProcess, KernelSide } from '../kernel-side.js';
import type { MachineWords } from '../machine-words.js';
import { UserMemory } from '../user-memory.js';
import { ViewTable } from '../view-table.js';
import type { Pump } from './pump.js';

export interface InlinePlatformParts {
  readonly process: CreatedProcess;
  /** The processor of its domain: answers reach the process when it runs, interrupts wake it. */
  readonly vcpu: Vcpu;
  readonly memory: PhysicalMemory;
  readonly words: MachineWords;
  readonly kernelSide: KernelSide;
  readonly pump: Pump;
  readonly nowNs: () => number;
  /** Rings the engine that serves the queue whose MMIO region is at a physical address. */
  readonly ring: (mmioAddress: number) => void;
  /** Makes the kernel side look soon. */
  readonly wakeKernel: () => void;
  /** Makes the door to a child of process `pid`, or answers a negated errno. */
  readonly fork: (pid: number, done: (child: InlinePlatform | number) => void) => void;
  /** The process is no more: nothing is delivered to it. */
  readonly exited: () => void;
}

/** A process of an inline machine. Waiting for one of its answers lets the machine go on. */
export class InlinePlatform implements Platform {
  readonly pid: number;
  readonly concurrent = false;
  readonly #parts: InlinePlatformParts;
  readonly #views: ViewTable;
  readonly #userMemory: UserMemory;
  /** Interrupt handlers by the MMIO address of their queue. */
  readonly #handlers = new Map<number, () => void>();
  /** Likewise, who is told when the queue is lost. */
  readonly #lostHandlers = new Map<number, (reason: string) => void>();

  constructor(parts: InlinePlatformParts) {
    const { process, memory, words, wakeKernel } = parts;
    const { pid, rootTable, secondStageRoot, pools } = process;
    this.pid = pid;
    this.#parts = parts;
    this.#views = new ViewTable(memory, pools);
    this.#userMemory = new UserMemory({
      memory: new CpuMemory({ memory, rootTable, secondStageRoot }),
      epoch: new AccessEpoch({ words: words.accessEpochs, pid, wakeKernel }),
      pageFault: async (address, access) => (await this.syscall({ call: 'pageFault', address, access })).ret,
    });
  }

  syscall(request: SyscallRequest): Promise<SyscallReply> {
    const { kernelSide, pump } = this.#parts;
    return new Promise((resolve) => {
      kernelSide.kernel.syscall(this.pid, request, (reply) =>
        this.#whenRunning(() => {
          this.#views.note(request, reply);
          resolve(reply);
        }),
      );
      pump.soon();
    });
  }

  load(address: number, bytes: number): Promise<Uint8Array | number> {
    return this.#userMemory.load(address, bytes);
  }

  store(address: number, source: Uint8Array): Promise<number> {
    return this.#userMemory.store(address, source);
  }

  mapRegion(address: number, bytes: number): Uint8Array {
    return this.#views.view(address, bytes);
  }

  wake(fd: number): void {
    this.#parts.ring(this.#queueOf(fd));
    this.#parts.pump.soon();
  }

  onInterrupt(fd: number, handler: (() => void) | null): void {
    // Removed also after the file was closed: an ending ctx need not know.
    if (handler === null) this.#stopWatching(this.#views.mmioOf(fd) ?? -1);
    else this.#handlers.set(this.#queueOf(fd), handler);
  }

  onLost(fd: number, handler: (reason: string) => void): void {
    this.#lostHandlers.set(this.#queueOf(fd), handler);
  }

  ref(): void {}

  unref(): void {}

  counters(): Counters {
    return this.#parts.words.counters();
  }

  nowNs(): number {
    return this.#parts.nowNs();
  }

  fork(): Promise<InlinePlatform | number> {
    const { fork, pump } = this.#parts;
    return new Promise((resolve) => {
      fork(this.pid, (child) => this.#whenRunning(() => resolve(child)));
      pump.soon();
    });
  }

  exit(): Promise<void> {
    const { kernelSide, pump } = this.#parts;
    this.#userMemory.end(-errno.ESRCH);
    this.#handlers.clear();
    this.#lostHandlers.clear();
    return new Promise((resolve) => {
      kernelSide.exitProcess(this.pid, () => {
        this.#parts.exited();
        this.#whenRunning(resolve);
      });
      pump.soon();
    });
  }

  /** The machine delivers an interrupt of a queue. */
  interrupt(mmioAddress: number): void {
    const { vcpu, pump } = this.#parts;
    vcpu.interrupt(() => {
      pump.userRuns();
      this.#handlers.get(mmioAddress)?.();
    });
  }

  /** The machine has reset the device that served the queue. */
  lost(mmioAddress: number, reason: string): void {
    const handler = this.#lostHandlers.get(mmioAddress);
    if (handler === undefined) return;
    this.#lostHandlers.delete(mmioAddress);
    const { vcpu, pump } = this.#parts;
    vcpu.interrupt(() => {
      pump.userRuns();
      handler(reason);
    });
  }

  #stopWatching(mmioAddress: number): void {
    this.#handlers.delete(mmioAddress);
    this.#lostHandlers.delete(mmioAddress);
  }

  #whenRunning(act: () => void): void {
    const { vcpu, pump } = this.#parts;
    vcpu.whenRunning(() => {
      pump.userRuns();
      act();
    });
  }

  #queueOf(fd: number): number {
    const address = this.#views.mmioOf(fd);
    assert(address !== undefined, `file ${fd} is a queue with its MMIO region mapped`);
    return address;
  }
}
