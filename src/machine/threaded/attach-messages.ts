/**
 * What a thread of the program that would use the machine of another one says to that thread, and hears from it.
 *
 * The first message goes with `postMessageToThread`, which every listener of `workerMessage` in that thread hears; so it
 * says whose it is. Everything after it goes over the port that came with it.
 */
import { MessagePort } from 'node:worker_threads';
import type { ProcessSettings } from '../process-settings.js';

/** A thread asks the owner of a machine to be let in. */
export interface AttachRequest {
  readonly kind: 'warpdrive attach';
  /** URL of this module in the thread that asks: words and messages may differ between two copies of the package. */
  readonly copy: string;
  /** One word: docs/memory-model.md, 3.15. */
  readonly answer: SharedArrayBuffer;
  /** Lives as long as the thread is attached: its closing tells either side of the other's end. */
  readonly port: MessagePort;
}

/** States of the word of a request. */
export const attachAnswer = {
  NONE: 0,
  /** A listener of ours has the request: the port will bring a machine, or close. */
  TAKEN: 1,
  /** No machine will come, now or later; before the port is closed. */
  REFUSED: 2,
  /** The asking thread does not wait any more. */
  GIVEN_UP: 3,
} as const;

/** This copy of the package. */
export const THIS_COPY = import.meta.url;

/** Owner to attached thread, once. A thread that is not let in sees the port close. */
export interface AttachNews {
  readonly kind: 'machine';
  readonly memory: SharedArrayBuffer;
  readonly words: SharedArrayBuffer;
}

/** Attached thread to owner: passed on to the kernel thread, which answers over `port`. */
export interface AttachedRequest {
  readonly kind: 'createProcess';
  readonly settings: ProcessSettings;
  readonly port: MessagePort;
}

/** Thread to all threads, over a BroadcastChannel: who owns a machine? */
export interface OwnerQuestion {
  readonly kind: 'who';
  readonly copy: string;
  readonly from: number;
}

/** Thread to thread `to`, over the same channel: `from` owns one, or is about to. */
export interface OwnerAnswer {
  readonly kind: 'I';
  readonly copy: string;
  readonly from: number;
  readonly to: number;
}

/** Whether something that came as `workerMessage` is an AttachRequest: other parts of a program send what they like. */
export function isAttachRequest(value: unknown): value is AttachRequest {
  if (typeof value !== 'object' || value === null) return false;
  const { kind, answer, port } = value as Partial<Record<keyof AttachRequest, unknown>>;
  return kind === 'warpdrive attach' && isWord(answer) && port instanceof MessagePort;
}

function isWord(value: unknown): boolean {
  return value instanceof SharedArrayBuffer && value.byteLength === Int32Array.BYTES_PER_ELEMENT;
}
