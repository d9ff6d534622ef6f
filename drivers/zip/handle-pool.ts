/**
 * Codecs between requests: opening a native stream costs more than a small request, so finished ones are kept.
 *
 * A codec is reset when it comes back, so nothing of one stream reaches the next, and it serves only requests
 * with its own options, as they are then: one whose coding was changed is a codec of the later coding. A codec with a dictionary is never kept, because a reset sets the dictionary again. The
 * pool is bounded and closes what it drops. It belongs to one context of the device and is closed with it.
 */
import { type DeflateOptions, Deflater, type InflateOptions, Inflater } from './codec.js';

/** What idle lists keep. */
interface Codec {
  reset(): void;
  close(): void;
}

/** Idle codecs of one kind, the longest idle first. */
class IdleList<C extends Codec> {
  readonly #idle: C[] = [];
  readonly #capacity: number;

  constructor(capacity: number) {
    if (!Number.isInteger(capacity) || capacity < 0) {
      throw new Error(`broken invariant: a pool keeps a whole number of handles, not ${capacity}`);
    }
    this.#capacity = capacity;
  }

  get length(): number {
    return this.#idle.length;
  }

  /** The codec that came back last among those that fit, or undefined. */
  take(fits: (codec: C) => boolean): C | undefined {
    const last = this.#idle.at(-1);
    if (last !== undefined && fits(last)) return this.#idle.pop();
    const at = this.#idle.findLastIndex(fits);
    return at < 0 ? undefined : this.#idle.splice(at, 1)[0];
  }

  give(codec: C): void {
    if (this.#idle.includes(codec)) throw new Error('broken invariant: a codec comes back to its pool once');
    codec.reset();
    this.#idle.push(codec);
    if (this.#idle.length > this.#capacity) this.#idle.shift()?.close();
  }

  clear(): void {
    for (const codec of this.#idle.splice(0)) codec.close();
  }
}

export class HandlePool {
  readonly #deflaters: IdleList<Deflater>;
  readonly #inflaters: IdleList<Inflater>;

  /** How many codecs of each kind stay idle. A deflater holds about 270 KB, an inflater about 40 KB. */
  constructor(bounds: { readonly deflaters: number; readonly inflaters: number }) {
    this.#deflaters = new IdleList(bounds.deflaters);
    this.#inflaters = new IdleList(bounds.inflaters);
  }

  /** Codecs that are idle now. */
  get idleCount(): number {
    return this.#deflaters.length + this.#inflaters.length;
  }

  /** A deflater at the beginning of a stream: an idle one with these options, else a new one. */
  takeDeflater(options: DeflateOptions): Deflater {
    const idle =
      options.dictionary === undefined ? this.#deflaters.take((d) => sameDeflate(d.options, options)) : null;
    return idle ?? new Deflater(options);
  }

  /** An inflater at the beginning of a stream: an idle one with these options, else a new one. */
  takeInflater(options: InflateOptions): Inflater {
    const idle =
      options.dictionary === undefined ? this.#inflaters.take((i) => sameInflate(i.options, options)) : null;
    return idle ?? new Inflater(options);
  }

  /** Takes a deflater back, in whatever state. The caller does not use it again. */
  giveDeflater(deflater: Deflater): void {
    if (deflater.options.dictionary === undefined) this.#deflaters.give(deflater);
    else deflater.close();
  }

  /** Takes an inflater back, in whatever state. The caller does not use it again. */
  giveInflater(inflater: Inflater): void {
    if (inflater.options.dictionary === undefined) this.#inflaters.give(inflater);
    else inflater.close();
  }

  /** Closes all idle codecs. Those outside stay their holder's, who closes them. */
  close(): void {
    this.#deflaters.clear();
    this.#inflaters.clear();
  }
}

function sameDeflate(a: DeflateOptions, b: DeflateOptions): boolean {
  return (
    a.level === b.level &&
    a.windowBits === b.windowBits &&
    a.memLevel === b.memLevel &&
    a.strategy === b.strategy &&
    a.engine === b.engine
  );
}

function sameInflate(a: InflateOptions, b: InflateOptions): boolean {
  return a.windowBits === b.windowBits && a.engine === b.engine;
}
