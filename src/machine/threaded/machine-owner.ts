/**
 * Which worker owns the machine that workers share, when the main thread has none. Nobody keeps a list: who wants to know
 * asks all threads at once, and whoever owns a machine answers. No answer in time means that there is no owner, and the
 * asker is it from then on.
 *
 * Of several that ask at the same time the one with the lowest thread id goes on, and the others take it for the owner:
 * so no two wait for each other.
 */
import { BroadcastChannel, threadId } from 'node:worker_threads';
import { limits } from '../../base/limits.js';
import { type OwnerAnswer, type OwnerQuestion, THIS_COPY } from './attach-messages.js';

const CHANNEL = 'warpdrive';

type Said = OwnerQuestion | OwnerAnswer;

export class MachineOwner {
  #channel: BroadcastChannel | null = null;
  /** While this thread asks: ends the asking with the owner that was found. */
  #found: ((owner: number) => void) | null = null;

  /** The thread that owns a machine, or is about to; null when this one does, until `stop`. */
  async find(): Promise<number | null> {
    const channel = this.#opened();
    const owner = await new Promise<number | null>((resolve) => {
      // Keeps the thread from ending, which the channel does not.
      const timer = setTimeout(() => resolve(null), limits.OWNER_ANSWER_MS);
      this.#found = (found) => {
        clearTimeout(timer);
        resolve(found);
      };
      channel.postMessage({ kind: 'who', copy: THIS_COPY, from: threadId } satisfies OwnerQuestion);
    });
    this.#found = null;
    if (owner !== null) this.stop();
    return owner;
  }

  /** This thread owns a machine, whoever else does. */
  claim(): void {
    this.#opened();
  }

  /** This thread owns none. */
  stop(): void {
    this.#channel?.close();
    this.#channel = null;
  }

  #opened(): BroadcastChannel {
    if (this.#channel !== null) return this.#channel;
    const channel = new BroadcastChannel(CHANNEL);
    // The listener comes before unref: attached afterwards it would hold the program open.
    channel.onmessage = (event: unknown) => this.#hear((event as { data: Said }).data);
    channel.unref();
    this.#channel = channel;
    return channel;
  }

  /** Anybody can use a channel of this name. */
  #hear(said: Said | null | undefined): void {
    if (said?.copy !== THIS_COPY) return;
    if (said.kind === 'I') {
      if (said.to === threadId) this.#found?.(said.from);
      return;
    }
    // Whoever asks later and has the lower number goes first, unless this thread owns the machine already.
    if (this.#found !== null && said.from < threadId) this.#found(said.from);
    else this.#answer(said.from);
  }

  #answer(to: number): void {
    this.#channel?.postMessage({ kind: 'I', copy: THIS_COPY, from: threadId, to } satisfies OwnerAnswer);
  }
}
