/**
 * A process's door to an inline machine: system calls are calls, interrupts are calls back.
 */
import { assert } from '../../base/assert.js';
import type { PhysicalMemory } from '../../hw/physical-memory.js';
import type { Counters, Platform, SyscallReply, SyscallRequest } from '../../uapi/syscall.js';
import type { KernelSide } from '../kernel-side.js';
import type { MachineWords } from '../machine-words.js';
import { ViewTable } from '../view-table.js';
import type { Pump } from './pump.js';

export interface InlinePlatformParts {
  readonly pid: number;
  readonly memory: PhysicalMemory;
  readonly words: MachineWords;
  readonly kernelSide: KernelSide;
  readonly pump: Pump;
  readonly nowNs: () => number;
  /** Rings the engine that serves the queue whose MMIO region is at a physical address. */
  readonly ring: (mmioAddress: number) => void;
}

/** A process of an inline machine. Waiting for one of its answers lets the machine go on. */
export class InlinePlatform implements Platform {
  readonly pid: number;
  readonly concurrent = false;
  readonly #parts: InlinePlatformParts;
  readonly #views: ViewTable;
  /** Interrupt handlers by the MMIO address of their queue. */
  readonly #handlers = new Map<number, () => void>();

  constructor(parts: InlinePlatformParts) {
    this.pid = parts.pid;
    this.#parts = parts;
    this.#views = new ViewTable(parts.memory);
  }

  syscall(request: SyscallRequest): Promise<SyscallReply> {
    const { kernelSide, pump } = this.#parts;
    return new Promise((resolve) => {
      kernelSide.kernel.syscall(this.pid, request, (reply) => {
        this.#views.note(request, reply);
        pump.userRuns();
        resolve(reply);
      });
      pump.soon();
    });
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
    if (handler === null) this.#handlers.delete(this.#views.mmioOf(fd) ?? -1);
    else this.#handlers.set(this.#queueOf(fd), handler);
  }

  onLost(): void {}

  ref(): void {}

  unref(): void {}

  counters(): Counters {
    return this.#parts.words.counters();
  }

  nowNs(): number {
    return this.#parts.nowNs();
  }

  exit(): Promise<void> {
    const { kernelSide, pump } = this.#parts;
    return new Promise((resolve) => {
      kernelSide.kernel.exitProcess(this.pid, () => {
        pump.userRuns();
        resolve();
      });
      pump.soon();
    });
  }

  /** The machine delivers a completion interrupt. */
  interrupt(mmioAddress: number): void {
    this.#parts.pump.userRuns();
    this.#handlers.get(mmioAddress)?.();
  }

  #queueOf(fd: number): number {
    const address = this.#views.mmioOf(fd);
    assert(address !== undefined, `file ${fd} is a queue with its MMIO region mapped`);
    return address;
  }
}
