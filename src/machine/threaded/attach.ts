/**
 * How a thread gets a process on the machine of another thread of the program. Only the control path begins there: once
 * attached it has a port to the kernel thread, and data moves between its own queues and the engines.
 *
 * The other thread need not answer: it may have no machine, be blocked, or end. Nothing is waited for without a limit.
 */
import * as workerThreads from 'node:worker_threads';
import { limits } from '../../base/limits.js';
import { PhysicalMemory } from '../../hw/physical-memory.js';
import { errno } from '../../uapi/errno.js';
import { MachineWords } from '../machine-words.js';
import {
  type AttachedRequest,
  type AttachNews,
  type AttachRequest,
  attachAnswer,
  THIS_COPY,
} from './attach-messages.js';
import { ThreadedPlatform } from './threaded-platform.js';

const { MessageChannel } = workerThreads;
type MessagePort = workerThreads.MessagePort;

/** A process on another thread's machine, for the thread that asked for it. */
export interface AttachedProcess {
  readonly platform: ThreadedPlatform;
  /** Tells the owner of the machine that the process has exited; called once. */
  readonly detach: () => void;
}

/** Why there is no process: no machine there, or no room on it; no answer in time; or the machine ended meanwhile. */
export type NotAttached = 'absent' | 'silent' | 'gone';

/** Node has it from 20.19 and 22.5 on. */
const postMessageToThread: typeof workerThreads.postMessageToThread | undefined =
  workerThreads.postMessageToThread;

/** Whether threads of this program can reach each other. */
export const canAttach = postMessageToThread !== undefined;

/** A new process on the machine of thread `threadId`. */
export async function attachTo(threadId: number): Promise<AttachedProcess | NotAttached> {
  const attempt = new Attempt();
  const machine = await attempt.ask(threadId);
  if (machine === null) return attempt.end();
  const platform = await attempt.connect(machine);
  if (platform === null) return attempt.end();
  return { platform, detach: attempt.succeed() };
}

/** One attempt to attach. While it is under way its port keeps the thread from ending. */
class Attempt {
  readonly #answer = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  readonly #abandoned = new AbortController();
  #timer: NodeJS.Timeout;
  readonly #port: MessagePort;
  readonly #theirs: MessagePort;
  #why: NotAttached = 'gone';
  /** It has come to its end, one or the other. */
  #ended = false;

  constructor() {
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    this.#theirs = port2;
    this.#timer = this.#within(limits.ATTACH_HEARD_MS);
  }

  /** Asks to be let in; null when that did not happen. */
  ask(threadId: number): Promise<AttachNews | null> {
    const request: AttachRequest = {
      kind: 'warpdrive attach',
      copy: THIS_COPY,
      answer: this.#answer.buffer as SharedArrayBuffer,
      port: this.#theirs,
    };
    const answered = new Promise<AttachNews | null>((resolve) => {
      this.#port.once('message', resolve);
      this.#port.once('close', () => resolve(null));
    });
    // A listener of ours takes the request before it is reported as delivered: any other means that nobody of ours is there.
    postMessageToThread!(threadId, request, [this.#theirs])
      .catch(() => {})
      .then(() => this.#delivered());
    return answered;
  }

  /** A process of the machine; null when it was refused, or the machine ended. */
  async connect({ memory, words }: AttachNews): Promise<ThreadedPlatform | null> {
    this.#port.once('close', () => this.#giveUp('gone'));
    const ask = (port: MessagePort): void =>
      this.#port.postMessage({ kind: 'createProcess', settings: {}, port } satisfies AttachedRequest, [port]);
    const parts = [new PhysicalMemory(memory), new MachineWords(words)] as const;
    const platform = await ThreadedPlatform.connect(...parts, ask, this.#abandoned.signal);
    if (this.#abandoned.signal.aborted) return null;
    if (typeof platform !== 'number') return platform;
    if (platform !== -errno.EIO) this.#why = 'absent';
    return null;
  }

  /** Why it failed. Nothing of it is left. */
  end(): NotAttached {
    if (Atomics.load(this.#answer, 0) === attachAnswer.REFUSED) this.#why = 'absent';
    this.#giveUp(this.#why);
    return this.#why;
  }

  /** The port stays open and holds nothing; answers what closes it. */
  succeed(): () => void {
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#port.unref();
    return () => this.#port.close();
  }

  #delivered(): void {
    if (Atomics.load(this.#answer, 0) !== attachAnswer.TAKEN) return this.#giveUp('absent');
    if (this.#ended) return;
    clearTimeout(this.#timer);
    this.#timer = this.#within(limits.ATTACH_DONE_MS);
  }

  #within(ms: number): NodeJS.Timeout {
    return setTimeout(() => this.#giveUp('silent'), ms);
  }

  #giveUp(why: NotAttached): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#why = why;
    // An owner that looks later must not start a machine for nobody.
    Atomics.compareExchange(this.#answer, 0, attachAnswer.NONE, attachAnswer.GIVEN_UP);
    this.#abandoned.abort();
    this.#port.close();
  }
}
