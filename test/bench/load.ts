/**
 * Closed-loop load: a fixed number of requests in flight, the next one started when one ends. The same loop drives
 * every asynchronous contestant, so its own cost is the same for all.
 *
 * Rates are measured over a time, not over a count, since contestants differ by a factor of a hundred.
 */
import type { Contestant } from './harness.js';

/** Something that answers requests. `T` is what a request settles with. */
export interface Requester<T> {
  /** See Contestant. */
  readonly name: string;
  /** Starts request number `index`, from 0; a rejection ends the measurement. */
  issue(index: number): PromiseLike<T>;
  /** The bytes that came out; throws when `outcome` is a failure. Called for every request. */
  accept(outcome: T): Uint8Array;
  /** Releases threads and memory. */
  close(): Promise<void>;
}

/** Requests between two looks at the clock, which would cost as much as the cheapest request. */
const REQUESTS_PER_LOOK = 32;
/** Samples before the first that counts. */
const WARM_UPS = 2;

/** How much is asked of a requester. */
export interface Load {
  /** Requests in flight. */
  readonly depth: number;
  /** Requests in all. */
  readonly requests: number;
}

/** Throws unless `output` is the right answer to request `index`. */
export type Check = (index: number, output: Uint8Array) => void;

/** Sends the load and waits for its last request. Answers the milliseconds that it took. */
export async function drive<T>(requester: Requester<T>, load: Load): Promise<number> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < load.requests) requester.accept(await requester.issue(next++));
  };
  const startMs = performance.now();
  await Promise.all(Array.from({ length: load.depth }, lane));
  return performance.now() - startMs;
}

/**
 * Measures a rate over a time: half of `sampleMs` passes untimed, as a pool may start its threads again for every
 * sample, then it counts for `sampleMs`. No calibration, so a slow start cannot shorten a sample.
 */
class RateWindow {
  readonly #sampleMs: number;
  readonly #openedMs = performance.now();
  #start: { count: number; ms: number } | null = null;
  #perSecond = 0;

  constructor(sampleMs: number) {
    this.#sampleMs = sampleMs;
  }

  /** Requests per second; known once `over` has answered true. */
  get perSecond(): number {
    return this.#perSecond;
  }

  /** Whether the window is over after `count` requests. To be asked for each request. */
  over(count: number): boolean {
    if (count % REQUESTS_PER_LOOK !== 0) return false;
    const ms = performance.now();
    if (this.#start === null) {
      if (ms - this.#openedMs >= this.#sampleMs / 2) this.#start = { count, ms };
      return false;
    }
    if (ms - this.#start.ms < this.#sampleMs) return false;
    this.#perSecond = ((count - this.#start.count) * 1000) / (ms - this.#start.ms);
    return true;
  }
}

/** Requests per second in steady state at a depth: counted while requests still follow, without the drain. */
export async function driveFor<T>(
  requester: Requester<T>,
  options: { readonly depth: number; readonly sampleMs: number },
): Promise<number> {
  const window = new RateWindow(options.sampleMs);
  let next = 0;
  let over = false;
  const lane = async (): Promise<void> => {
    while (!over) {
      const index = next++;
      if (window.over(index)) over = true;
      else requester.accept(await requester.issue(index));
    }
  };
  await Promise.all(Array.from({ length: options.depth }, lane));
  return window.perSecond;
}

/** The parts of a contestant whose samples are rates. */
function sampled(measured: () => Promise<number>, figure: (perSecond: number) => number) {
  const warmUp = async (): Promise<void> => {
    for (let count = 0; count < WARM_UPS; count++) await measured();
  };
  return { warmUp, measure: async () => figure(await measured()) };
}

/** Sends requests 0 to `count` - 1 and checks each answer. */
export async function verifyAll<T>(
  requester: Requester<T>,
  options: { count: number; check: Check },
): Promise<void> {
  const outcomes = Array.from({ length: options.count }, async (_, index) => {
    options.check(index, requester.accept(await requester.issue(index)));
  });
  await Promise.all(outcomes);
}

/** Options of a contestant that is measured under load. */
interface UnderLoad {
  readonly depth: number;
  /** Aimed-at length of a sample. */
  readonly sampleMs: number;
  /** Requests checked before measuring. */
  readonly count: number;
  readonly check: Check;
  /** A sample from requests per second. */
  readonly figure: (perSecond: number) => number;
}

/** A contestant whose sample is its throughput under load. */
export function throughputOf<T>(requester: Requester<T>, options: UnderLoad): Contestant {
  const measured = (): Promise<number> => driveFor(requester, options);
  return {
    name: requester.name,
    verify: () => verifyAll(requester, options),
    ...sampled(measured, options.figure),
    close: () => requester.close(),
  };
}

/** The same for a call that answers at once, on the calling thread; `depth` has no meaning for it. */
export function throughputOfCalls(
  called: { readonly name: string; call(index: number): Uint8Array },
  options: Omit<UnderLoad, 'depth'>,
): Contestant {
  const measured = async (): Promise<number> => {
    const window = new RateWindow(options.sampleMs);
    for (let index = 0; !window.over(index); index++) called.call(index);
    return window.perSecond;
  };
  return {
    name: called.name,
    verify: async () => {
      for (let index = 0; index < options.count; index++) options.check(index, called.call(index));
    },
    ...sampled(measured, options.figure),
    close: async () => {},
  };
}

/** Round trips of requests one by one, microseconds, for `sampleMs` and until there are `least` of them. */
export async function tripsUs<T>(
  requester: Requester<T>,
  options: { readonly sampleMs: number; readonly least: number },
): Promise<number[]> {
  const trips: number[] = [];
  const endMs = performance.now() + options.sampleMs;
  for (let startMs = performance.now(); startMs < endMs || trips.length < options.least; ) {
    requester.accept(await requester.issue(trips.length));
    const answeredMs = performance.now();
    trips.push((answeredMs - startMs) * 1000);
    startMs = answeredMs;
  }
  return trips;
}

/**
 * Answers what `foreground` answers, which begins when `depth` requests are in flight and one was answered; they are
 * kept in flight until it ends, and all are answered then.
 */
export async function beside<T, R>(
  requester: Requester<T>,
  options: { readonly depth: number; readonly foreground: () => Promise<R> },
): Promise<R> {
  let [over, next] = [false, 0];
  const one = async (): Promise<void> => {
    requester.accept(await requester.issue(next++));
  };
  const lane = async (first: Promise<void>): Promise<void> => {
    await first;
    while (!over) await one();
  };
  const firsts = Array.from({ length: options.depth }, one);
  const lanes = Promise.all(firsts.map(lane));
  // Nobody waits for the lanes yet; what they throw is thrown below.
  lanes.catch(() => {});
  try {
    await Promise.race(firsts);
    return await options.foreground();
  } finally {
    over = true;
    await lanes;
  }
}

/** A contestant whose sample is the median round trip, in microseconds, of `requests` requests one by one. */
export function roundTripOf<T>(requester: Requester<T>, options: { readonly requests: number }): Contestant {
  const tripsUs = new Float64Array(options.requests);
  const measure = async (): Promise<number> => {
    for (let index = 0; index < tripsUs.length; index++) {
      const startMs = performance.now();
      requester.accept(await requester.issue(index));
      tripsUs[index] = (performance.now() - startMs) * 1000;
    }
    return tripsUs.toSorted()[tripsUs.length >> 1];
  };
  return {
    name: requester.name,
    warmUp: async () => {
      await measure();
    },
    measure,
    close: () => requester.close(),
  };
}
