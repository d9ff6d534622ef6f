/**
 * Control messages between the threads of a machine. Structured objects, because none of them is on the data path:
 * requests, completions, page responses and invalidations move through shared words.
 *
 * Every post to the kernel thread or an engine thread is followed by a wake of that thread's futex: neither of them
 * returns to its event loop while it sleeps.
 */
import type { MessagePort } from 'node:worker_threads';
import type { CoprocIrq, QueueBinding } from '../../hw/coproc-port.js';
import type { SyscallReply, SyscallRequest } from '../../uapi/syscall.js';
import type { MachineConfig } from '../machine-config.js';

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
  readonly driverUrl: string;
  readonly port: MessagePort;
}

/** Owner of the machine to the kernel thread. */
export type MachineRequest =
  | { readonly kind: 'createProcess'; readonly port: MessagePort }
  | { readonly kind: 'shutdown' };

/** Kernel thread to the owner of the machine. */
export type MachineNews =
  | { readonly kind: 'ready'; readonly threadId: number | null }
  | { readonly kind: 'failed'; readonly reason: string };

/** A process to the kernel thread. */
export type ProcessRequest =
  | { readonly kind: 'syscall'; readonly sequence: number; readonly request: SyscallRequest }
  | { readonly kind: 'exit'; readonly sequence: number }
  /** The port over which an engine sent interrupts has closed: the thread behind it ended. */
  | { readonly kind: 'engineGone'; readonly deviceId: number };

/** Kernel thread to a process. */
export type ProcessNews =
  | { readonly kind: 'created'; readonly pid: number }
  | { readonly kind: 'refused' }
  | { readonly kind: 'reply'; readonly sequence: number; readonly reply: SyscallReply }
  /** A queue is served from now on; its interrupts come over `port`, or over the one already known for the device. */
  | {
      readonly kind: 'served';
      readonly mmioAddress: number;
      readonly deviceId: number;
      readonly port: MessagePort | null;
    }
  | { readonly kind: 'lost'; readonly deviceId: number; readonly reason: string };

/** Kernel thread to an engine thread. */
export type EngineRequest =
  | {
      readonly kind: 'attach';
      readonly sequence: number;
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
  | { readonly kind: 'start' | 'stop' | 'reset'; readonly sequence: number }
  | { readonly kind: 'read'; readonly sequence: number; readonly offset: number }
  | { readonly kind: 'write'; readonly sequence: number; readonly offset: number; readonly value: number }
  | { readonly kind: 'shutdown' };

/** Engine thread to the kernel thread. */
export type EngineNews =
  | { readonly kind: 'ready' }
  | { readonly kind: 'answer'; readonly sequence: number; readonly value: number }
  | { readonly kind: 'irq'; readonly irq: CoprocIrq }
  | { readonly kind: 'crashed'; readonly reason: string };
