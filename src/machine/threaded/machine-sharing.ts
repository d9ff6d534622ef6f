/**
 * One machine for the threads of a program: who owns it, and how the others find it.
 *
 * The main thread is asked first. If it has loaded the library it owns the machine, and starts it for whoever asks; it
 * never attaches itself. Where it has not, the first worker that needs a machine owns it (`machine-owner.ts`). A thread
 * that reaches nobody in time starts a machine of its own, which costs memory and threads and nothing else.
 *
 * Nothing here keeps a thread from ending while nobody waits for an answer.
 */
import { isMainThread } from 'node:worker_threads';
import { limits } from '../../base/limits.js';
import { type AttachedProcess, attachTo, canAttach } from './attach.js';
import { type AttachRequest, attachAnswer, isAttachRequest, THIS_COPY } from './attach-messages.js';
import { MachineOwner } from './machine-owner.js';
import type { ThreadedMachine } from './threaded-machine.js';

const MAIN_THREAD = 0;

/** A thread's part in sharing the machine. One for each thread. */
export class MachineSharing {
  /** Opens what this thread shares, if it is not, and says whether that went well. */
  readonly #open: () => Promise<boolean>;
  readonly #owner = new MachineOwner();
  readonly #hear = (value: unknown): void => {
    if (isAttachRequest(value)) void this.#asked(value);
  };
  #machine: ThreadedMachine | null = null;

  constructor(open: () => Promise<boolean>) {
    this.#open = open;
    if (isMainThread && canAttach) process.on('workerMessage', this.#hear);
  }

  /** A process on another thread's machine; null when this thread shall start one, and say so with `share` or `stop`. */
  async find(): Promise<AttachedProcess | null> {
    if (isMainThread || !canAttach) return null;
    process.on('workerMessage', this.#hear);
    const found = await this.#search();
    if (found !== null) this.stop();
    return found;
  }

  /** The machine of this thread is the one that others may use, until it ends. */
  share(machine: ThreadedMachine): void {
    this.#machine = machine;
    void machine.ended.then(() => {
      if (this.#machine === machine) this.stop();
    });
  }

  /** This thread has no machine for others, now. */
  stop(): void {
    this.#machine = null;
    if (isMainThread) return;
    this.#owner.stop();
    process.off('workerMessage', this.#hear);
  }

  async #search(): Promise<AttachedProcess | null> {
    for (let attempt = 0; attempt < limits.ATTACH_ATTEMPTS; attempt++) {
      let found = await attachTo(MAIN_THREAD);
      if (found === 'absent') {
        const owner = await this.#owner.find();
        if (owner === null) return null;
        found = await attachTo(owner);
      }
      if (typeof found === 'object') return found;
      // Every message between threads passes the main thread: while that is blocked there is nobody else to ask.
      if (found === 'silent') break;
    }
    this.#owner.claim();
    return null;
  }

  async #asked({ copy, answer, port }: AttachRequest): Promise<void> {
    const word = new Int32Array(answer);
    const { NONE, TAKEN, REFUSED } = attachAnswer;
    // A thread that has given up has a machine of its own by now.
    if (Atomics.compareExchange(word, 0, NONE, TAKEN) !== NONE) return port.close();
    const opened = copy === THIS_COPY && (await this.#open());
    if (opened && this.#machine !== null) return this.#machine.letIn(port);
    // Opened, and no machine here: it was found in another thread meanwhile, and can be found there by the asker.
    if (!opened) Atomics.store(word, 0, REFUSED);
    port.close();
  }
}
