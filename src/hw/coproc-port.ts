/**
 * Where the kernel and the shared-coprocessor framework meet. The kernel sees a device through a `CoprocPort`, which is a
 * domain's vcoproc, and cannot tell whether it is loaded or shared. What the framework sees of the hardware is in
 * context-hardware.ts.
 *
 * Every call answers through `done`, at once or later, exactly once; nothing here blocks.
 */
import type { DeviceDescription } from './device-model.js';

/** What the hardware must know to serve a queue. Addresses of the machine, never of a process. */
export interface QueueBinding {
  /** Hardware queue number, unique on the instance, below 1,024. */
  readonly queueNumber: number;
  /** PASID of the requests' addresses, or -1 for a queue without one. */
  readonly pasid: number;
  /** Direction, as SET_QP_CTX set it. */
  readonly qcType: number;
  /** Counts the queues ever opened: keys the state that a model keeps for this one, never reused. */
  readonly epoch: number;
  /** Physical address of the queue's MMIO region, page 0. */
  readonly mmioAddress: number;
  /** Physical address of the shared queue context (queue-context.ts). */
  readonly contextAddress: number;
  /** Address of the DUS region in the ring address space of (device, domain): process 0. */
  readonly ringAddress: number;
  readonly sqDepth: number;
  readonly cqDepth: number;
  /** Which user thread waits for this queue's completions, as the host numbers them. */
  readonly waiter: number;
  /** Process that it belongs to: queues of one process share its turns. */
  readonly process: number;
  /** Share of that process among those of its context: turns are this many times as long. At least 1. */
  readonly weight: number;
}

/** Unrequested news from the hardware. */
export type CoprocIrq =
  /** A queue broke a rule of the ring and was stopped; every other queue goes on. */
  | { readonly kind: 'queueError'; readonly queueNumber: number; readonly reason: QueueErrorReason }
  /** Another domain waits for the coproc, and this one asked to be told: it should let its requests end. */
  | { readonly kind: 'pleaseYield' }
  /** What `pleaseYield` asked for was done, or is not wanted any more: whatever was held back may go on. */
  | { readonly kind: 'yieldOver' }
  /** The device model raised an interrupt line; what it means is in the device's SPEC.md. */
  | { readonly kind: 'device'; readonly line: number }
  /** The instance was reset without being asked: it holds no queue any more, and can be used again. */
  | { readonly kind: 'reset'; readonly reason: string }
  /** The instance is gone: its engine thread ended. */
  | { readonly kind: 'lost'; readonly reason: string };

export type QueueErrorReason = 'tail beyond depth' | 'head beyond tail' | 'ring not reachable';

/** Answer of a call: 0, or a negated errno. */
export type Done = (result: number) => void;

export interface CoprocPort {
  /** Instance name, e.g. `zip0`. */
  readonly instance: string;
  /** Requester id of the instance: the RISC-V IOMMU's device_id. */
  readonly deviceId: number;
  readonly description: DeviceDescription;
  /** Makes a queue known; it is served from now on whenever its context runs. */
  attachQueue(binding: QueueBinding, done: Done): void;
  /** Ends a queue: `done` when its last access to memory is over. Requests in flight are dropped. */
  detachQueue(queueNumber: number, done: Done): void;
  /** A store of the queue's hardware doorbell: 8 bytes, as they were stored. */
  ringDoorbell(queueNumber: number, value: Uint8Array): void;
  /** The owner has work: the context may be scheduled from now on. */
  wake(): void;
  /** The owner has none: the context may be switched out. */
  sleep(): void;
  /** Trapping register access, `width` 32 or 64 bits. */
  readRegister(offset: number, width: 32 | 64, done: (value: number) => void): void;
  writeRegister(offset: number, width: 32 | 64, value: number, done: Done): void;
  /** Sets the one receiver of this port's interrupts. */
  onIrq(receive: (irq: CoprocIrq) => void): void;
}
