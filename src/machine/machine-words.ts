/**
 * The machine's own shared words, outside physical memory: the IOMMU's registers, the counters, the futexes that
 * threads sleep on, each instance's wires, and the access epochs of user threads. No device can reach them, and no user library is handed them.
 *
 * docs/memory-model.md says who writes each word and in which order.
 */
import { limits } from '../base/limits.js';
import { ACCESS_EPOCH_WORDS } from '../hw/access-epoch.js';
import { ALL_INSTANCE_WORDS } from '../hw/instance-words.js';
import { IOMMU_REGISTER_WORDS, IommuRegisterFile } from '../hw/iommu/registers.js';
import type { Counters } from '../uapi/syscall.js';

/** Words of a cache line: words of different writers stand on lines of their own. */
const LINE = 16;
const lines = (words: number): number => Math.ceil(words / LINE) * LINE;

/** Index of the first word of each part. */
const part = {
  SYSCALLS: 0,
  PAGE_REQUESTS: LINE,
  WAKEUPS: 2 * LINE,
  TICKS: 3 * LINE,
  /** Futex of the kernel thread: changed by whoever has something for it. */
  KERNEL_WAKE: 4 * LINE,
  /** Which engine spins long before it sleeps: its device id + 1, or 0. */
  LONG_SPINNER: 5 * LINE,
  /** A test holds the kernel thread while this is 1. */
  KERNEL_GATE: 6 * LINE,
  /** Futexes of the engine threads, a line each. */
  ENGINE_WAKE: 7 * LINE,
} as const;
const IOMMU = part.ENGINE_WAKE + limits.INSTANCES_MAX * LINE;
const INSTANCES = lines(IOMMU + IOMMU_REGISTER_WORDS);
const ACCESS_EPOCHS = lines(INSTANCES + ALL_INSTANCE_WORDS);
const TOTAL = ACCESS_EPOCHS + ACCESS_EPOCH_WORDS;

export class MachineWords {
  readonly buffer: SharedArrayBuffer;
  readonly all: Int32Array;
  /** The block of instance words, as DmaPort and the wires use it. */
  readonly instances: Int32Array;
  /** The words of all processes, as both sides of an access epoch use them. */
  readonly accessEpochs: Int32Array;
  readonly iommuRegisters: IommuRegisterFile;
  readonly kernelWake = part.KERNEL_WAKE;
  readonly kernelGate = part.KERNEL_GATE;
  readonly longSpinner = part.LONG_SPINNER;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(TOTAL * 4)) {
    this.buffer = buffer;
    this.all = new Int32Array(buffer);
    this.instances = this.all.subarray(INSTANCES);
    this.accessEpochs = this.all.subarray(ACCESS_EPOCHS);
    this.iommuRegisters = new IommuRegisterFile(this.all, IOMMU);
  }

  /** Index of the futex of the engine thread that hosts `deviceId`. */
  engineWake(deviceId: number): number {
    return part.ENGINE_WAKE + deviceId * LINE;
  }

  /** Changes a futex and wakes whoever sleeps on it. Never suppressed: a notify too many costs little, one too few all. */
  wake(futex: number): void {
    Atomics.add(this.all, futex, 1);
    Atomics.notify(this.all, futex);
  }

  /** The engine of `deviceId` does not spin long any more: it says so itself, or its thread has ended. */
  releaseLongSpin(deviceId: number): void {
    Atomics.compareExchange(this.all, this.longSpinner, deviceId + 1, 0);
  }

  count(name: keyof Counters): void {
    Atomics.add(this.all, counterIndex[name], 1);
  }

  counters(): Counters {
    const read = (name: keyof Counters): number => Atomics.load(this.all, counterIndex[name]) >>> 0;
    return {
      syscalls: read('syscalls'),
      pageRequests: read('pageRequests'),
      wakeups: read('wakeups'),
      ticks: read('ticks'),
    };
  }
}

const counterIndex: Readonly<Record<keyof Counters, number>> = {
  syscalls: part.SYSCALLS,
  pageRequests: part.PAGE_REQUESTS,
  wakeups: part.WAKEUPS,
  ticks: part.TICKS,
};
