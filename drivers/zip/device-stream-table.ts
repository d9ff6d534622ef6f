/**
 * The streams that the device keeps between stateful requests. SPEC.md section 4.
 *
 * A stream that is being worked on is not in the table, so nothing can drop it under its request. The table is
 * bounded, and who has most gives first: one queue's streams cannot push out another's that has fewer.
 */
import { type DmaAddress, limits } from '../../src/driver-api.js';
import type { ZipStream } from './device-stream.js';

/** What names a stream. */
export interface StreamName {
  /** Queue and process, as the engine counts them. */
  readonly owner: number;
  readonly compresses: boolean;
  readonly streamBuffer: DmaAddress;
}

interface Entry {
  readonly owner: number;
  readonly stream: ZipStream;
}

function keyOf({ owner, compresses, streamBuffer }: StreamName): string {
  return `${owner} ${compresses} ${streamBuffer}`;
}

export class StreamTable {
  /** The least recently used first. */
  readonly #entries = new Map<string, Entry>();
  readonly #countByOwner = new Map<number, number>();

  /** Streams kept now. */
  get count(): number {
    return this.#entries.size;
  }

  /** Takes a stream out; undefined when it is not kept. */
  take(name: StreamName): ZipStream | undefined {
    return this.#remove(keyOf(name));
  }

  /** Puts a stream in, as the one used last. Answers the one that had to go for it. */
  keep(name: StreamName, stream: ZipStream): ZipStream | undefined {
    const { owner } = name;
    this.#entries.set(keyOf(name), { owner, stream });
    this.#countByOwner.set(owner, (this.#countByOwner.get(owner) ?? 0) + 1);
    return this.count > limits.ZIP_STREAMS_MAX ? this.#remove(this.#mostDispensable()) : undefined;
  }

  /** Takes out all streams of an owner, or all there are. */
  drain(owner?: number): ZipStream[] {
    const keys = [...this.#entries].filter(([, entry]) => owner === undefined || entry.owner === owner);
    return keys.map(([key]) => this.#remove(key)!);
  }

  #mostDispensable(): string {
    const most = Math.max(...this.#countByOwner.values());
    for (const [key, { owner }] of this.#entries) if (this.#countByOwner.get(owner) === most) return key;
    throw new Error('broken invariant: a full table has an owner with most streams');
  }

  #remove(key: string): ZipStream | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    const count = this.#countByOwner.get(entry.owner)! - 1;
    if (count === 0) this.#countByOwner.delete(entry.owner);
    else this.#countByOwner.set(entry.owner, count);
    return entry.stream;
  }
}
