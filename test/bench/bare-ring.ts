/**
 * The floor: two threads and two rings in shared memory, and nothing else. No kernel, no translation, no
 * descriptors, no protection. What a whole accelerator stack costs is measured against this.
 *
 * The caller learns of completions from a posted message, coalesced by an event index: it stores the count of
 * completions at which it wants a message, half of what is in flight, and then looks once more. As the engine
 * stores its count first and loads the event index second, one of the two always sees the other.
 *
 * Two ways of waking, for a fair comparison with either: `posted`, where every batch of completions is taken in a
 * turn of the event loop of its own, and `looking`, where the caller looks at the count before it sleeps.
 */
import { Worker } from 'node:worker_threads';
import { RING_BYTES, RING_ENTRIES, RING_MASK, type RingWorkerData, ringWord } from './bare-ring-words.js';
import type { Requester } from './load.js';

/** Most completions that wait for one message. */
const COALESCE_MOST = 16;
/** How long a looking caller looks before it relies on a message. */
const LOOK_MS = 0.003;
/** Batches that a looking caller takes without a turn of the event loop: 0.3 ms of them at most. */
const LOOKS_PER_TURN = 100;
/** Idle turns of the engine before it sleeps, about 200 us: a benchmark's caller is back sooner. */
const ENGINE_IDLE_SPINS = 20_000;

const NOTHING = new Uint8Array(0);

/** Options of a bare ring. */
interface BareRingOptions {
  readonly name: string;
  readonly waking: 'posted' | 'looking';
}

class BareRing implements Requester<number> {
  readonly name: string;
  readonly #words = new Int32Array(new SharedArrayBuffer(RING_BYTES));
  readonly #resolvers: ((entry: number) => void)[] = new Array(RING_ENTRIES).fill(() => {});
  readonly #looking: boolean;
  readonly #worker: Worker;
  #submitted = 0;
  #reaped = 0;
  #event = 0;
  #armQueued = false;
  #looksThisTurn = 0;

  constructor(options: BareRingOptions) {
    this.name = options.name;
    this.#looking = options.waking === 'looking';
    const shared = this.#words.buffer as SharedArrayBuffer;
    const workerData: RingWorkerData = { shared, idleSpins: ENGINE_IDLE_SPINS };
    this.#worker = new Worker(new URL('./bare-ring-worker.js', import.meta.url), { workerData });
    this.#worker.on('message', this.#turn);
  }

  /** One empty request; settles with its number. The caller keeps at most RING_ENTRIES in flight. */
  issue(): Promise<number> {
    return new Promise(this.#submit);
  }

  accept(): Uint8Array {
    return NOTHING;
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  #submit = (resolve: (entry: number) => void): void => {
    const number = this.#submitted;
    if (((number - this.#reaped) | 0) >= RING_ENTRIES)
      throw new Error(`over ${RING_ENTRIES} requests in flight`);
    this.#resolvers[number & RING_MASK] = resolve;
    this.#words[ringWord.SUBMISSIONS + (number & RING_MASK)] = number;
    this.#submitted = (number + 1) | 0;
    // A request alone is armed before the engine can see it, so that its completion always posts a message.
    if (number === this.#reaped) this.#storeEvent(this.#submitted);
    Atomics.store(this.#words, ringWord.SUBMITTED, this.#submitted);
    if (Atomics.load(this.#words, ringWord.ASLEEP) === 1) Atomics.notify(this.#words, ringWord.SUBMITTED);
    this.#queueArm();
  };

  #storeEvent(event: number): void {
    this.#event = event;
    Atomics.store(this.#words, ringWord.EVENT_INDEX, event);
  }

  /** Arms once for all submissions of this microtask round. */
  #queueArm(): void {
    if (this.#armQueued) return;
    this.#armQueued = true;
    queueMicrotask(this.#arm);
  }

  #arm = (): void => {
    this.#armQueued = false;
    const inFlight = (this.#submitted - this.#reaped) | 0;
    if (inFlight === 0) return;
    if (this.#looking && this.#look()) this.#reap();
    else this.#armEvent(inFlight);
  };

  #armEvent(inFlight: number): void {
    const event = (this.#reaped + Math.min(COALESCE_MOST, (inFlight + 1) >> 1)) | 0;
    if (event === this.#event) return;
    this.#storeEvent(event);
    // The engine may have passed the event index before it was stored, and posts no message then.
    if (((Atomics.load(this.#words, ringWord.COMPLETED) - event) | 0) >= 0) setImmediate(this.#turn);
  }

  /** Looks until a request is complete, and says whether one is; never when it is time for the event loop. */
  #look(): boolean {
    if (++this.#looksThisTurn > LOOKS_PER_TURN) return false;
    const endMs = performance.now() + LOOK_MS;
    do {
      if (Atomics.load(this.#words, ringWord.COMPLETED) !== this.#reaped) return true;
    } while (performance.now() < endMs);
    return false;
  }

  #turn = (): void => {
    this.#looksThisTurn = 0;
    this.#reap();
  };

  #reap(): void {
    const completed = Atomics.load(this.#words, ringWord.COMPLETED);
    for (let done = this.#reaped; done !== completed; done = this.#reaped) {
      const entry = this.#words[ringWord.COMPLETIONS + (done & RING_MASK)];
      this.#reaped = (done + 1) | 0;
      this.#resolvers[done & RING_MASK](entry);
    }
    // What is still in flight needs an event index of its own even if nothing new is submitted.
    this.#queueArm();
  }
}

/** Starts the engine thread and waits for its first answer. */
export async function openBareRing(options: BareRingOptions): Promise<Requester<number>> {
  const ring = new BareRing(options);
  await ring.issue();
  return ring;
}
