/**
 * One context of the simulated coprocessor (sim-hardware.ts): its registers, what it has to do, how far it came, and how
 * it takes a request to stop.
 *
 * Time is not cut into steps: what was executed in a stretch of time is worked out at the end of it, with the moment at
 * which each request was over.
 */
import { assert } from '../base/assert.js';
import type { RegisterFile } from '../hw/register-map.js';
import type { SimLoad } from './sim-load.js';

/** How a context takes being asked to stop, while it has something to do. */
export type SimStop =
  | { readonly kind: 'atOnce' }
  /** Its requests have parts of `partNs`, which cannot be left: it denies, with the exact hint, and begins no other part. */
  | { readonly kind: 'afterPart'; readonly partNs: number }
  /** Goes on and denies for `forNs` each time, with `hintNs` as a hint. */
  | { readonly kind: 'denies'; readonly forNs: number; readonly hintNs: number }
  /** Goes on and denies for ever. */
  | { readonly kind: 'never'; readonly hintNs: number }
  /** Goes on, and answers after `afterNs`. */
  | { readonly kind: 'late'; readonly afterNs: number }
  /** Goes on and never answers. */
  | { readonly kind: 'silent' };

/** What a context is like. */
export interface SimContextOptions {
  readonly load: SimLoad;
  /** `atOnce` unless said otherwise. */
  readonly stop?: SimStop;
}

/** A request that is not over. */
interface SimRequest {
  readonly arrivedNs: number;
  /** Over when the context has executed this much since it was created, ns. */
  readonly endNs: number;
}

/** A request is over: when it had come, and when it ended. */
export type SimFinished = (arrivedNs: number, finishedNs: number) => void;

/** See the top of this file. */
export class SimContext {
  readonly number: number;
  readonly load: SimLoad;
  readonly stop: SimStop;
  readonly registers: RegisterFile;
  readonly queues = new Set<number>();
  /** Since when it has been denying to stop, and what it can execute until it is started again. */
  denyingSinceNs: number | null = null;
  allowedNs = Number.POSITIVE_INFINITY;
  /** Its requests were dropped: it denies nothing until it is started again. */
  isReset = false;
  cancelArrival: () => void = () => {};
  #requests: SimRequest[] = [];
  #executedNs = 0;
  /** Executed time at which all that has come is done. */
  #endNs = 0;

  constructor(
    number: number,
    { load, stop = { kind: 'atOnce' } }: SimContextOptions,
    registers: RegisterFile,
  ) {
    this.number = number;
    this.load = load;
    this.stop = stop;
    this.registers = registers;
  }

  /** What it has to do, ns. */
  get workNs(): number {
    return this.#endNs - this.#executedNs;
  }

  /** How much it executes before it is done, or may go no further, ns. */
  get stretchNs(): number {
    return Math.min(this.workNs, this.allowedNs);
  }

  give(workNs: number, nowNs: number): void {
    this.#endNs += workNs;
    if (Number.isFinite(workNs)) this.#requests.push({ arrivedNs: nowNs, endNs: this.#endNs });
  }

  /** It executed for `ns`, from `fromNs` on. */
  execute(ns: number, fromNs: number, finished: SimFinished): void {
    assert(ns <= this.stretchNs, 'a context executes what it has to do, and no more');
    const before = this.#executedNs;
    this.#executedNs += ns;
    this.allowedNs -= ns;
    let count = 0;
    for (const { arrivedNs, endNs } of this.#requests) {
      if (endNs > this.#executedNs) break;
      finished(arrivedNs, fromNs + endNs - before);
      count += 1;
    }
    if (count > 0) this.#requests.splice(0, count);
  }

  /** What it is asked to stop in the middle of: how long that takes, ns; 0 when it can stop. */
  leftNs(nowNs: number): number {
    if (this.workNs === 0 || this.isReset) return 0;
    const { stop } = this;
    this.denyingSinceNs ??= nowNs;
    if (stop.kind === 'never') return stop.hintNs;
    if (stop.kind === 'denies') {
      return Math.min(stop.hintNs, Math.max(0, this.denyingSinceNs + stop.forNs - nowNs));
    }
    if (stop.kind !== 'afterPart') return 0;
    if (this.allowedNs === Number.POSITIVE_INFINITY) {
      const partNs = stop.partNs - (this.#executedNs % stop.partNs);
      this.allowedNs = partNs === stop.partNs ? 0 : partNs;
    }
    return this.stretchNs;
  }

  /** Drops all requests; one that always has more has new ones at once. */
  drop(): void {
    this.#requests = [];
    if (Number.isFinite(this.#endNs)) this.#endNs = this.#executedNs;
    this.isReset = true;
  }

  /** It may execute again. */
  resume(): void {
    this.denyingSinceNs = null;
    this.allowedNs = Number.POSITIVE_INFINITY;
    this.isReset = false;
  }
}
