/**
 * In which order an engine serves the queues of one context: deficit round robin in bytes, twice. First between the
 * processes that the queues belong to, by their weights, so that opening more queues gains nothing; then between the
 * queues of the process whose turn it is.
 */
import { limits } from '../base/limits.js';
import type { EngineQueue } from './engine-queue.js';

/** Told of a queue that broke a rule, before it is passed over for good. */
export type OnQueueError = (queue: EngineQueue) => void;

/** What takes turns: how much it may still be served in this one. */
interface Sharer {
  readonly ready: boolean;
  readonly deficitBytes: number;
  /** Bytes that one turn adds. */
  readonly quantumBytes: number;
  credit(rounds: number): void;
}

/** The queues of one process. */
class Flow implements Sharer {
  readonly process: number;
  readonly queues: EngineQueue[] = [];
  readonly #onError: OnQueueError;
  weight: number;
  deficitBytes = 0;
  #turn = 0;

  constructor(process: number, weight: number, onError: OnQueueError) {
    this.process = process;
    this.weight = weight;
    this.#onError = onError;
  }

  get quantumBytes(): number {
    return this.weight * limits.QUEUE_QUANTUM_BYTES;
  }

  get ready(): boolean {
    return this.queues.some(({ ready }) => ready);
  }

  /** Credit is not saved up beyond one turn. */
  credit(rounds: number): void {
    this.deficitBytes = Math.min(this.deficitBytes + rounds * this.quantumBytes, this.quantumBytes);
  }

  /** The queue whose turn it is; null when none is ready. */
  pick(): EngineQueue | null {
    return this.#round() ?? (creditWaiting(this.queues) ? this.#round() : null);
  }

  tellErrors(): void {
    for (const queue of this.queues) if (queue.claimError()) this.#onError(queue);
  }

  remove(index: number): void {
    this.queues.splice(index, 1);
    if (index < this.#turn) this.#turn -= 1;
  }

  #round(): EngineQueue | null {
    const count = this.queues.length;
    for (let looked = 0; looked < count; looked++) {
      const queue = this.queues[this.#turn % count]!;
      if (queue.ready && queue.deficitBytes > 0) return queue;
      if (queue.claimError()) this.#onError(queue);
      queue.credit(1);
      this.#turn = (this.#turn + 1) % count;
    }
    return null;
  }
}

/** Lets as many rounds pass at once as the least indebted sharer that waits needs; false when none waits. */
function creditWaiting(sharers: readonly Sharer[]): boolean {
  let rounds = Number.POSITIVE_INFINITY;
  for (const sharer of sharers) {
    if (!sharer.ready) continue;
    const debt = Math.max(0, -sharer.deficitBytes);
    rounds = Math.min(rounds, sharer.deficitBytes > 0 ? 0 : Math.floor(debt / sharer.quantumBytes) + 1);
  }
  if (rounds === Number.POSITIVE_INFINITY) return false;
  if (rounds > 0) for (const sharer of sharers) sharer.credit(rounds);
  return true;
}

export class ServiceOrder {
  readonly #flows: Flow[] = [];
  readonly #onError: OnQueueError;
  #turn = 0;
  #last: EngineQueue | null = null;
  /** Segments since another queue was served. */
  #sinceChange: number = limits.SEGMENTS_UNTIL_ALONE;

  constructor(onError: OnQueueError) {
    this.#onError = onError;
  }

  add(queue: EngineQueue): void {
    const { process, weight } = queue.binding;
    let flow = this.#flows.find((known) => known.process === process);
    if (flow === undefined) {
      flow = new Flow(process, weight, this.#onError);
      this.#flows.push(flow);
    }
    flow.weight = weight;
    flow.queues.push(queue);
  }

  remove(queue: EngineQueue): void {
    if (queue === this.#last) this.#last = null;
    for (const [index, flow] of this.#flows.entries()) {
      const at = flow.queues.indexOf(queue);
      if (at < 0) continue;
      flow.remove(at);
      if (flow.queues.length > 0) return;
      this.#flows.splice(index, 1);
      if (index < this.#turn) this.#turn -= 1;
      return;
    }
  }

  /** The queue to be served next; null when none is ready, and then no broken rule is left untold. */
  pick(): EngineQueue | null {
    const queue = this.#next();
    if (queue === null) for (const flow of this.#flows) flow.tellErrors();
    else this.#note(queue);
    return queue;
  }

  /** Input of the segment that is served next at most, bytes. */
  get segmentBytes(): number {
    const alone = this.#sinceChange >= limits.SEGMENTS_UNTIL_ALONE;
    return alone ? limits.SEGMENT_INPUT_BYTES : limits.SEGMENT_SHARED_BYTES;
  }

  #note(queue: EngineQueue): void {
    this.#sinceChange = queue === this.#last || this.#last === null ? this.#sinceChange + 1 : 0;
    this.#last = queue;
  }

  #next(): EngineQueue | null {
    // The usual case, and then there is nobody to share with.
    if (this.#flows.length === 1) return this.#flows[0]!.pick();
    return this.#round() ?? (creditWaiting(this.#flows) ? this.#round() : null);
  }

  /** `queue` was served `bytes` bytes, which its process has to pay for. */
  charge({ binding }: EngineQueue, bytes: number): void {
    for (const flow of this.#flows) if (flow.process === binding.process) flow.deficitBytes -= bytes;
  }

  #round(): EngineQueue | null {
    const count = this.#flows.length;
    for (let looked = 0; looked < count; looked++) {
      const flow = this.#flows[this.#turn % count]!;
      const queue = flow.deficitBytes > 0 ? flow.pick() : null;
      if (queue !== null) return queue;
      flow.credit(1);
      this.#turn = (this.#turn + 1) % count;
    }
    return null;
  }
}
