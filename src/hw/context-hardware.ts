/**
 * A coprocessor instance with several contexts, as the shared-coprocessor framework drives it. A context is what one
 * domain's instance of the device consists of: its registers, its queues, the state of its requests. One context is
 * loaded at a time; only its queues are served and only its registers can be reached.
 *
 * Every call answers through `done`, at once or later, exactly once. A host that has lost the device answers `failed`.
 */
import type { CoprocIrq, Done, QueueBinding } from './coproc-port.js';
import type { DeviceDescription } from './device-model.js';

/** How a step of a context switch ended. */
export type StepAnswer =
  | { readonly kind: 'done' }
  /** Not now; worth another attempt in so many ns. The context goes on with what it cannot leave. */
  | { readonly kind: 'retryIn'; readonly ns: number }
  | { readonly kind: 'failed'; readonly reason: string };

/** Values of all registers, in the order of the device's table, read without side effects. */
export type RegisterImage = readonly number[];

/** An access with an effect that a context's owner made while the context was not loaded. */
export interface RegisterReplay {
  /** `read` is a read that cleared the register; its value was answered long ago. */
  readonly op: 'write' | 'read';
  readonly offset: number;
  /** Value written; 0 for a read. */
  readonly value: number;
}

export interface ContextHardware {
  /** Instance name, e.g. `zip0`. */
  readonly instance: string;
  /** Requester id of the instance: the RISC-V IOMMU's device_id. */
  readonly deviceId: number;
  readonly description: DeviceDescription;
  /** A new context in the state after power-on. `context` is below CONTEXTS_PER_INSTANCE and not in use. */
  createContext(context: number, done: Done): void;
  /** Ends a context that is not loaded: its queues, its requests, everything it held. */
  destroyContext(context: number, done: Done): void;
  /**
   * With more than one owner: reports (`work`, `idle`) when a context gets work and when the loaded one has none left.
   * With one nothing is reported, and nobody is woken.
   */
  share(shared: boolean): void;
  /** Asks the loaded context to stop where it can. After `done` it executes nothing and touches no memory. */
  stop(done: (answer: StepAnswer) => void): void;
  /** Registers of a context that is stopped. */
  saveRegisters(context: number, done: (image: RegisterImage) => void): void;
  /** Replays `accesses` in order and lets the queues of `context` execute. Also takes a denied stop back. */
  start(context: number, accesses: readonly RegisterReplay[], done: (answer: StepAnswer) => void): void;
  /** Drops every request of a context, whatever its state: they fail. Its queues go on. */
  resetContext(context: number, done: (answer: StepAnswer) => void): void;
  /** Back to the state after power-on: no context is loaded, every queue is gone. By force, if it must be. */
  resetDevice(done: (answer: StepAnswer) => void): void;
  attachQueue(context: number, binding: QueueBinding, done: Done): void;
  /** Ends a queue: `done` when its last access to memory is over. Requests in flight are dropped. */
  detachQueue(queueNumber: number, done: Done): void;
  ringDoorbell(queueNumber: number, value: Uint8Array): void;
  /** Registers of the loaded context. */
  readRegister(offset: number, width: 32 | 64, done: (value: number) => void): void;
  writeRegister(offset: number, width: 32 | 64, value: number, done: Done): void;
  onIrq(receive: (irq: ContextIrq) => void): void;
}

/** Unrequested news of the hardware: which context it is about, or the instance as a whole. */
export type ContextIrq =
  | Extract<CoprocIrq, { kind: 'reset' | 'lost' }>
  | (Extract<CoprocIrq, { kind: 'queueError' | 'device' }> & { readonly context: number })
  /** A context that had nothing to do has: a doorbell rang. */
  | { readonly kind: 'work'; readonly context: number }
  /** The loaded context has nothing left to do. */
  | { readonly kind: 'idle'; readonly context: number };
