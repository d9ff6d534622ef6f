/**
 * Inflaters between requests: opening a native stream costs more than a small request, so finished ones are kept.
 *
 * One is reset when it comes back, so nothing of one stream reaches the next, and serves only requests with its own
 * window. One with a dictionary is never kept, because a reset sets the dictionary again. The pool is bounded and closes
 * what it drops. It belongs to one context of the device and is closed with it.
 *
 * Deflaters are not kept: device-at-once.ts says when one that was reset gives the bytes of a new one.
 */
import { type InflateOptions, Inflater } from './codec.js';

export class InflaterPool {
  /** The longest idle first. */
  readonly #idle: Inflater[] = [];
  readonly #capacity: number;

  /** How many stay idle; each holds about 40 KB. */
  constructor(capacity: number) {
    if (!Number.isInteger(capacity) || capacity < 0) {
      throw new Error(`broken invariant: a pool keeps a whole number of inflaters, not ${capacity}`);
    }
    this.#capacity = capacity;
  }

  /** Inflaters that are idle now. */
  get idleCount(): number {
    return this.#idle.length;
  }

  /** An inflater at the beginning of a stream: the one that came back last with these options, else a new one. */
  take(options: InflateOptions): Inflater {
    if (options.dictionary !== undefined) return new Inflater(options);
    const at = this.#idle.findLastIndex((idle) => isSame(idle.options, options));
    return at < 0 ? new Inflater(options) : this.#idle.splice(at, 1)[0]!;
  }

  /** Takes an inflater back, in whatever state. The caller does not use it again. */
  give(inflater: Inflater): void {
    if (inflater.options.dictionary !== undefined) return inflater.close();
    if (this.#idle.includes(inflater))
      throw new Error('broken invariant: an inflater comes back to its pool once');
    inflater.reset();
    this.#idle.push(inflater);
    if (this.#idle.length > this.#capacity) this.#idle.shift()?.close();
  }

  /** Closes all idle inflaters. Those outside stay their holder's, who closes them. */
  close(): void {
    for (const inflater of this.#idle.splice(0)) inflater.close();
  }
}

function isSame(a: InflateOptions, b: InflateOptions): boolean {
  return a.windowBits === b.windowBits && a.engine === b.engine;
}
