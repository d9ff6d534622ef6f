/**
 * Access epochs: how the kernel learns that a user thread has left the loads and stores that it had begun before the
 * tables of its process were changed. A user thread walks those tables itself (cpu-memory.ts), so a frame that they
 * named may be given up only when it has.
 *
 * A process has two words: its epoch, written by its user thread alone, odd while that thread is inside an access; and
 * its waiter, written by the kernel side alone, not 0 while the kernel waits for the epoch to move. Nobody blocks: the
 * kernel side looks again at each service, and the user thread wakes it. The argument that no wake-up is lost is in
 * docs/memory-model.md, 3.12.
 */
import { assert } from '../base/assert.js';
import { limits } from '../base/limits.js';

/** Words of a cache line: every epoch has a writer of its own, and so a line of its own. */
const LINE = 16;
/** Process ids are 1 to PROCESSES_MAX; the words of 0 are not used. */
const PIDS = limits.PROCESSES_MAX + 1;
const WAITERS = PIDS * LINE;

/** Words of all processes together, a multiple of a cache line. */
export const ACCESS_EPOCH_WORDS = WAITERS + Math.ceil(PIDS / LINE) * LINE;

const epochWord = (pid: number): number => pid * LINE;
const waiterWord = (pid: number): number => WAITERS + pid;

/** What the user side is made of. */
export interface AccessEpochOptions {
  /** The words of all processes: `ACCESS_EPOCH_WORDS` of them. */
  readonly words: Int32Array;
  readonly pid: number;
  /** Makes the kernel side call `service` soon. */
  readonly wakeKernel: () => void;
}

/** The user thread's side: brackets around its accesses. */
export class AccessEpoch {
  readonly #words: Int32Array;
  readonly #epoch: number;
  readonly #waiter: number;
  readonly #wakeKernel: () => void;

  constructor({ words, pid, wakeKernel }: AccessEpochOptions) {
    this.#words = words;
    this.#epoch = epochWord(pid);
    this.#waiter = waiterWord(pid);
    this.#wakeKernel = wakeKernel;
  }

  /** Begins an access, before its walk. Accesses do not nest. */
  enter(): void {
    const before = Atomics.add(this.#words, this.#epoch, 1);
    assert((before & 1) === 0, 'one access at a time');
  }

  /** Ends the access: nothing that its walk found is used any more. */
  leave(): void {
    Atomics.add(this.#words, this.#epoch, 1);
    // Only now: a waiter that is stored after this load sees the epoch even, and does not wait.
    if (Atomics.load(this.#words, this.#waiter) !== 0) this.#wakeKernel();
  }
}

/** Somebody who waits until a thread has left the access that it was in. */
interface PendingLeave {
  readonly pid: number;
  /** The odd epoch of that access. */
  readonly epoch: number;
  readonly done: () => void;
}

/** The kernel's side, for all processes. */
export class AccessEpochs {
  readonly #words: Int32Array;
  /** Processes with a user thread. One without it holds nothing. */
  readonly #threads = new Set<number>();
  /** As many as the kernel has changes of tables under way. */
  #pending: PendingLeave[] = [];

  constructor(words: Int32Array) {
    this.#words = words;
  }

  /** Whether some thread is waited for. */
  get isWaiting(): boolean {
    return this.#pending.length > 0;
  }

  /** `pid` is a new process, whose user thread has not begun: its words begin anew. */
  attach(pid: number): void {
    assert(!this.#threads.has(pid), `process ${pid} is new`);
    this.#threads.add(pid);
    Atomics.store(this.#words, epochWord(pid), 0);
    Atomics.store(this.#words, waiterWord(pid), 0);
  }

  /**
   * Calls `done`, at once or in a later `service` or `forget`, when the user thread of `pid` has left the access that it
   * may be in now. The tables have been changed before: every access that begins later sees the change.
   */
  leave(pid: number, done: () => void): void {
    if (!this.#threads.has(pid)) {
      done();
      return;
    }
    Atomics.store(this.#words, waiterWord(pid), 1);
    const epoch = Atomics.load(this.#words, epochWord(pid));
    if ((epoch & 1) === 1) {
      this.#pending.push({ pid, epoch, done });
      return;
    }
    this.#stopWaiting(pid);
    done();
  }

  /** Looks at every epoch that is waited for. */
  service(): void {
    this.#complete(({ pid, epoch }) => Atomics.load(this.#words, epochWord(pid)) !== epoch);
  }

  /** The user thread of `pid` has ended, maybe inside an access: nobody waits for it any more. */
  forget(pid: number): void {
    this.#threads.delete(pid);
    this.#complete(({ pid: of }) => of === pid);
  }

  #complete(isOver: (pending: PendingLeave) => boolean): void {
    if (this.#pending.length === 0) return;
    const over: PendingLeave[] = [];
    const left: PendingLeave[] = [];
    for (const pending of this.#pending) (isOver(pending) ? over : left).push(pending);
    this.#pending = left;
    for (const { pid } of over) this.#stopWaiting(pid);
    // Last: whoever is called may ask again.
    for (const { done } of over) done();
  }

  #stopWaiting(pid: number): void {
    if (this.#pending.some(({ pid: of }) => of === pid)) return;
    Atomics.store(this.#words, waiterWord(pid), 0);
  }
}
