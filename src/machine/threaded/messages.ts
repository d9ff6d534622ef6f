/**
 * Control messages between the threads of a machine. Structured objects, because none of them is on the data path:
 * requests, completions, page responses and invalidations move through shared words.
 *
 * Every post to the kernel thread or an engine thread is followed by a wake of that thread's futex: neither of them
 * returns to its event loop while it sleeps.
 */
import type { MessagePort } from 'node:worker_threads';
import type { Result } from 'neverthrow';
import type { CallError } from '../../coproc/framework.js';
import type { ContextIrq, RegisterImage, RegisterReplay, StepAnswer } from '../../hw/context-hardware.js';
import type { QueueBinding } from '../../hw/coproc-port.js';
import type { FaultModel } from '../../hw/fault-model.js';
import type { SyscallReply, SyscallRequest } from '../../uapi/syscall.js';
import type { CallAnswer } from '../domain-calls.js';
import type { CreatedProcess } from '../kernel-side.js';
import type { MachineConfig } from '../machine-config.js';
import type { ProcessSettings } from '../process-settings.js';

/** What the kernel worker is started with. */
export interface KernelThreadInit {
  readonly memory: SharedArrayBuffer;
  readonly words: SharedArrayBuffer;
  readonly config: MachineConfig;
  /** Driver modules by name: URLs whose default export is a DriverModule. */
  readonly driverUrls: Readonly<Record<string, string>>;
  readonly engineWorkerUrl: string;
  /** The machine's own port, for MachineRequest and MachineNews. */
  readonly port: MessagePort;
}

/** What an engine worker is started with. */
export interface EngineThreadInit {
  readonly memory: SharedArrayBuffer;
  readonly words: SharedArrayBuffer;
  readonly deviceId: number;
  readonly faultModel: FaultModel;
  readonly driverUrl: string;
  readonly port: MessagePort;
}

/** Owner of the machine to the kernel thread. */
export type MachineRequest =
  | {
      readonly kind: 'createProcess';
      readonly settings: ProcessSettings;
      readonly port: MessagePort;
      /** Names the process in a later `threadEnded`; absent for a process of the owner's own thread. */
      readonly creation?: number;
    }
  /** The thread of that process has ended: its port has closed too, but the kernel thread hears no events in its sleep. */
  | { readonly kind: 'threadEnded'; readonly creation: number }
  /** A call of the framework; the answer carries its sequence number. */
  | { readonly kind: 'call'; readonly sequence: number; readonly request: unknown }
  | { readonly kind: 'shutdown' };

/** A Result as plain data. */
export type PlainAnswer =
  | { readonly value: CallAnswer extends Result<infer Value, unknown> ? Value : never }
  | { readonly error: CallError };

/** Kernel thread to the owner of the machine. */
export type MachineNews =
  | { readonly kind: 'ready'; readonly threadId: number | null }
  | { readonly kind: 'answer'; readonly sequence: number; readonly answer: PlainAnswer }
  | { readonly kind: 'failed'; readonly reason: string };

/** A process to the kernel thread. */
export type ProcessRequest =
  | { readonly kind: 'syscall'; readonly sequence: number; readonly request: SyscallRequest }
  | { readonly kind: 'exit'; readonly sequence: number }
  /** The child speaks over `port`, which hears `created` or `refused` first. */
  | { readonly kind: 'fork'; readonly port: MessagePort }
  /** The port over which an engine sent interrupts has closed: the thread behind it ended. */
  | { readonly kind: 'engineGone'; readonly deviceId: number; readonly incarnation: number };

/** Kernel thread to a process. */
export type ProcessNews =
  | { readonly kind: 'created'; readonly process: CreatedProcess }
  /** `ret` is a negated errno. */
  | { readonly kind: 'refused'; readonly ret: number }
  | { readonly kind: 'reply'; readonly sequence: number; readonly reply: SyscallReply }
  /**
   * A queue is served from now on, by the engine thread of that incarnation; its interrupts come over `port`, or over the
   * one already known for the device.
   */
  | {
      readonly kind: 'served';
      readonly mmioAddress: number;
      readonly deviceId: number;
      /** Counts the threads that hosted the device, this one included. */
      readonly incarnation: number;
      readonly port: MessagePort | null;
    }
  /** The kernel has something to tell the process that waits for the queue: it looks at its words. */
  | { readonly kind: 'interrupt'; readonly mmioAddress: number }
  /** The device serves none of the process's queues any more. */
  | { readonly kind: 'lost'; readonly deviceId: number; readonly reason: string };

/** Kernel thread to an engine thread. */
export type EngineRequest =
  | {
      readonly kind: 'attach';
      readonly sequence: number;
      readonly context: number;
      readonly binding: QueueBinding;
      /** Present the first time that a waiter is named: where its interrupts go. */
      readonly port: MessagePort | null;
    }
  | { readonly kind: 'detach'; readonly sequence: number; readonly queueNumber: number }
  | {
      readonly kind: 'doorbell';
      readonly sequence: number;
      readonly queueNumber: number;
      readonly value: Uint8Array;
    }
  | {
      readonly kind: 'createContext' | 'destroyContext' | 'save' | 'resetContext';
      readonly sequence: number;
      readonly context: number;
    }
  | {
      readonly kind: 'start';
      readonly sequence: number;
      readonly context: number;
      readonly accesses: readonly RegisterReplay[];
    }
  | { readonly kind: 'stop'; readonly sequence: number }
  | { readonly kind: 'share'; readonly sequence: number; readonly shared: boolean }
  | { readonly kind: 'read'; readonly sequence: number; readonly offset: number }
  | { readonly kind: 'write'; readonly sequence: number; readonly offset: number; readonly value: number }
  | { readonly kind: 'shutdown' };

/** 0 or a value, or a negated errno; how a step of a switch ended; a register image. */
export type EngineAnswer = number | StepAnswer | RegisterImage;

/** Engine thread to the kernel thread. */
export type EngineNews =
  | { readonly kind: 'ready' }
  | { readonly kind: 'answer'; readonly sequence: number; readonly value: EngineAnswer }
  | { readonly kind: 'irq'; readonly irq: ContextIrq }
  | { readonly kind: 'crashed'; readonly reason: string };
