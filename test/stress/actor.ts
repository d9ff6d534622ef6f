/**
 * One process under stress: a region of demand pages, what must be in them, and rounds of everything that moves, hides,
 * shares or takes away pages while copies are in flight.
 *
 * The expected bytes are a plain array. A request in flight holds the pages that it reads or writes, so that one answer
 * is right for each byte; whether their memory comes, goes or changes hands meanwhile is what is tried.
 */
import { Crc32c } from '../../drivers/copy/crc32c.js';
import type { Prng } from '../../src/base/prng.js';
import { PAGE_BYTES } from '../../src/base/units.js';
import { errno } from '../../src/uapi/errno.js';
import type { Platform } from '../../src/uapi/syscall.js';
import { DEVICE_PATHS } from './copy-machine.js';
import { CopyQueue, call } from './copy-queue.js';
import type { Tally } from './tally.js';

/** Pages of a region: more than `QUOTA_FRAMES` leaves room for. */
const REGION_PAGES = 96;
/** Frames of a process: two queues, tables, and about half of its region. */
export const QUOTA_FRAMES = 120;
/** Requests in flight of one process. */
const IN_FLIGHT_MAX = 8;
/** Pages of one operation. */
const SPAN_PAGES_MAX = 6;
/** Pages of a mapping that is taken away under copies into it. */
const VICTIM_PAGES = 16;

/** Pages of the region. */
interface Span {
  readonly first: number;
  readonly pages: number;
}

/** What a process does in one round, those that move bytes more often. */
const DEEDS = [
  'store',
  'store',
  'load',
  'load',
  'copy',
  'copy',
  'copy',
  'copy',
  'copy',
  'checksum',
  'checksum',
  'checksum',
  'pageOut',
  'pageOut',
  'pageOut',
  'forbid',
  'unmap',
  'pin',
] as const;

export class Actor {
  readonly platform: Platform;
  readonly #queues: readonly CopyQueue[];
  readonly #va: number;
  readonly #expected: Uint8Array;
  readonly #prng: Prng;
  readonly #tally: Tally;
  /** By page: copies that read it, and whether one writes it. */
  readonly #readers = new Uint8Array(REGION_PAGES);
  readonly #written = new Uint8Array(REGION_PAGES);
  readonly #inFlight = new Set<Promise<void>>();

  private constructor(of: {
    platform: Platform;
    queues: readonly CopyQueue[];
    va: number;
    expected: Uint8Array;
    prng: Prng;
    tally: Tally;
  }) {
    this.platform = of.platform;
    this.#queues = of.queues;
    this.#va = of.va;
    this.#expected = of.expected;
    this.#prng = of.prng;
    this.#tally = of.tally;
  }

  /** A process with an empty region. */
  static async start(platform: Platform, { prng, tally }: { prng: Prng; tally: Tally }): Promise<Actor> {
    const queues = await openQueues(platform);
    const bytes = REGION_PAGES * PAGE_BYTES;
    const { ret: va } = await call(platform, { call: 'mmapAnonymous', kind: 'demand', bytes });
    return new Actor({ platform, queues, va, expected: new Uint8Array(bytes), prng, tally });
  }

  /** One deed; copies stay in flight. */
  async round(): Promise<void> {
    const deed = DEEDS[this.#prng.below(DEEDS.length)]!;
    await this.#tally.count(`${deed} of process ${this.platform.pid}`, this.#perform(deed));
  }

  #perform(deed: (typeof DEEDS)[number]): Promise<void> {
    switch (deed) {
      case 'store':
        return this.#store();
      case 'load':
        return this.#load(this.#span());
      case 'copy':
        return this.#copy();
      case 'checksum':
        return this.#checksum();
      case 'pageOut':
        return this.#pageOut();
      case 'forbid':
        return this.#forbidWrites();
      case 'unmap':
        return this.#unmapUnderCopies();
      case 'pin':
        return this.#pin();
    }
  }

  /** A child that has the same bytes. Copies in flight are the parent's; what they write, the child may have or not. */
  async fork(): Promise<Actor> {
    const expected = this.#expected.slice();
    const unknown = this.#written.slice();
    const forked = await this.platform.fork();
    if (typeof forked === 'number') throw new Error(`fork answered ${forked}`);
    const queues = await openQueues(forked);
    const prng = this.#prng;
    const child = new Actor({ platform: forked, queues, va: this.#va, expected, prng, tally: this.#tally });
    for (let page = 0; page < REGION_PAGES; page++)
      if (unknown[page] !== 0) await child.#refill({ first: page, pages: 1 });
    return child;
  }

  /** All bytes are looked at, by the process and by its devices. */
  async verify(): Promise<void> {
    await this.settle();
    for (let first = 0; first < REGION_PAGES; first += SPAN_PAGES_MAX) {
      await this.#tally.count(
        'verify',
        this.#load({ first, pages: Math.min(SPAN_PAGES_MAX, REGION_PAGES - first) }),
      );
    }
  }

  async settle(): Promise<void> {
    while (this.#inFlight.size > 0) await Promise.all(this.#inFlight);
  }

  async end(): Promise<void> {
    await this.settle();
    for (const queue of this.#queues) queue.abandon();
    await this.#tally.count('exit', this.platform.exit());
  }

  async #store(): Promise<void> {
    const span = this.#span();
    if (this.#isFree(span)) await this.#refill(span);
  }

  /** New bytes for a span that nothing holds. */
  async #refill(span: Span): Promise<void> {
    const bytes = this.#bytesOf(span);
    for (let at = 0; at < bytes.length; at += 4) bytes.fill(this.#prng.below(256), at, at + 4);
    const ret = await this.platform.store(this.#addressOf(span), bytes);
    if (ret !== bytes.length) throw new Error(`a store of ${bytes.length} bytes answered ${ret}`);
  }

  async #load(span: Span): Promise<void> {
    if (this.#written.subarray(span.first, span.first + span.pages).some((writers) => writers > 0)) return;
    this.#hold(span, this.#readers, 1);
    const found = await this.platform.load(this.#addressOf(span), span.pages * PAGE_BYTES);
    this.#hold(span, this.#readers, -1);
    if (typeof found === 'number') throw new Error(`a load answered ${found}`);
    this.#tally.compare(found, this.#bytesOf(span), `process ${this.platform.pid}, page ${span.first}`);
  }

  /** A copy from one span to another, which the other operations go on around. */
  async #copy(): Promise<void> {
    const [from, to] = [this.#span(), this.#span()];
    const pages = Math.min(from.pages, to.pages);
    const [source, target] = [
      { ...from, pages },
      { ...to, pages },
    ];
    if (overlap(source, target) || !this.#isReadable(source) || !this.#isFree(target)) return;
    this.#hold(target, this.#written, 1);
    await this.#begin(source, () =>
      this.#copied(source, target).finally(() => this.#hold(target, this.#written, -1)),
    );
  }

  /** A checksum: the device looks at the bytes of each segment for as long as it takes to sum them up. */
  async #checksum(): Promise<void> {
    const source = this.#span();
    if (!this.#isReadable(source)) return;
    const checksum = new Crc32c();
    checksum.add(this.#bytesOf(source));
    await this.#begin(source, () => this.#summed(source, checksum.value));
  }

  /** Begins a request that reads `source`, when there is room for it; it stays in flight. */
  async #begin(source: Span, request: () => Promise<void>): Promise<void> {
    this.#hold(source, this.#readers, 1);
    while (this.#inFlight.size >= IN_FLIGHT_MAX) await Promise.race(this.#inFlight);
    const made = request().finally(() => {
      this.#hold(source, this.#readers, -1);
      this.#inFlight.delete(made);
    });
    this.#inFlight.add(made);
    // Whoever settles meets the error; until then nobody listens.
    made.catch(() => {});
  }

  async #summed(source: Span, expected: number): Promise<void> {
    const bytes = source.pages * PAGE_BYTES;
    const request = this.#anyQueue().request({ operation: 'crc32c', source: this.#addressOf(source), bytes });
    const { pid } = this.platform;
    const { status, result, lost } = await this.#tally.count(`checksum of process ${pid}`, request);
    if (lost || status !== 0)
      throw new Error(`a checksum ended with ${lost ? 'its device' : `status ${status}`}`);
    if (result !== expected)
      this.#tally.wrong(1, `the device has read other bytes of process ${pid}, page ${source.first}`);
  }

  async #copied(source: Span, target: Span): Promise<void> {
    const request = this.#anyQueue().request({
      source: this.#addressOf(source),
      destination: this.#addressOf(target),
      bytes: source.pages * PAGE_BYTES,
    });
    const { status, lost } = await this.#tally.count(`copy of process ${this.platform.pid}`, request);
    if (lost || status !== 0)
      throw new Error(`a copy ended with ${lost ? 'its device' : `status ${status}`}`);
    this.#bytesOf(target).set(this.#bytesOf(source));
  }

  /** Pages leave, whatever is in flight there, and the kernel has a use for their frames at once. */
  async #pageOut(): Promise<void> {
    const span = this.#span();
    const bytes = span.pages * PAGE_BYTES;
    const { ret: address } = await call(this.platform, { call: 'mmapAnonymous', kind: 'demand', bytes });
    const source = new Uint8Array(bytes).fill(this.#prng.below(256));
    await Promise.all([
      call(this.platform, { call: 'pageOut', address: this.#addressOf(span), bytes }),
      call(this.platform, { call: 'writeMemory', address, source }),
    ]);
    await call(this.platform, { call: 'munmap', address, bytes });
  }

  /** Nobody may write for a while: what is read goes on, and a copy into it is refused. */
  async #forbidWrites(): Promise<void> {
    const span = this.#span();
    if (!this.#isFree(span)) return;
    this.#hold(span, this.#readers, 1);
    const range = { address: this.#addressOf(span), bytes: span.pages * PAGE_BYTES };
    await call(this.platform, { call: 'mprotect', ...range, protection: 'read' });
    const [stored, { status }] = await Promise.all([
      this.platform.store(range.address, Uint8Array.of(1)),
      this.#anyQueue().request({ operation: 'fill', destination: range.address, bytes: 64, pattern: 1 }),
    ]);
    if (stored !== -errno.EFAULT || status === 0)
      throw new Error(`a page that may only be read was written: ${stored}, status ${status}`);
    await call(this.platform, { call: 'mprotect', ...range, protection: 'readWrite' });
    this.#hold(span, this.#readers, -1);
  }

  /** A mapping goes while copies into it are in flight; then its frames, which are others', are as they should be. */
  async #unmapUnderCopies(): Promise<void> {
    const source = this.#span();
    if (!this.#isReadable(source)) return;
    this.#hold(source, this.#readers, 1);
    const bytes = VICTIM_PAGES * PAGE_BYTES;
    const { ret: address } = await call(this.platform, { call: 'mmapAnonymous', kind: 'demand', bytes });
    const copies = Array.from({ length: 4 }, (_, index) =>
      this.#anyQueue().request({
        source: this.#addressOf(source),
        destination: address + index * 2 * PAGE_BYTES,
        bytes: source.pages * PAGE_BYTES,
      }),
    );
    await call(this.platform, { call: 'munmap', address, bytes });
    const late = await this.platform.store(address, Uint8Array.of(1));
    if (late !== -errno.EFAULT) throw new Error(`a store to what was unmapped answered ${late}`);
    for (const copy of copies) await this.#tally.count('copy into what is unmapped', copy);
    this.#hold(source, this.#readers, -1);
    await this.#expectZeros();
  }

  /** What is handed out reads as zeros, whoever had it. */
  async #expectZeros(): Promise<void> {
    const bytes = 4 * PAGE_BYTES;
    const { ret: address } = await call(this.platform, { call: 'mmapAnonymous', kind: 'demand', bytes });
    const found = await this.platform.load(address, bytes);
    if (typeof found === 'number') throw new Error(`a load of new pages answered ${found}`);
    this.#tally.compare(found, new Uint8Array(bytes), `new pages of process ${this.platform.pid}`);
    await call(this.platform, { call: 'munmap', address, bytes });
  }

  /** Pages that stay, for a few rounds of the others. */
  async #pin(): Promise<void> {
    const span = this.#span();
    const range = { address: this.#addressOf(span), bytes: span.pages * PAGE_BYTES };
    const { ret: pin } = await call(this.platform, { call: 'pin', ...range });
    await this.#pageOut();
    await this.#load(span);
    await call(this.platform, { call: 'unpin', pin });
  }

  #span(): Span {
    const pages = 1 + this.#prng.below(SPAN_PAGES_MAX);
    return { first: this.#prng.below(REGION_PAGES - pages + 1), pages };
  }

  #anyQueue(): CopyQueue {
    return this.#queues[this.#prng.below(this.#queues.length)]!;
  }

  #addressOf({ first }: Span): number {
    return this.#va + first * PAGE_BYTES;
  }

  #bytesOf({ first, pages }: Span): Uint8Array {
    return this.#expected.subarray(first * PAGE_BYTES, (first + pages) * PAGE_BYTES);
  }

  #hold({ first, pages }: Span, holders: Uint8Array, by: 1 | -1): void {
    for (let page = first; page < first + pages; page++) holders[page]! += by;
  }

  #isReadable({ first, pages }: Span): boolean {
    return this.#written.subarray(first, first + pages).every((writers) => writers === 0);
  }

  #isFree(span: Span): boolean {
    const { first, pages } = span;
    return (
      this.#isReadable(span) && this.#readers.subarray(first, first + pages).every((readers) => readers === 0)
    );
  }
}

function overlap(a: Span, b: Span): boolean {
  return a.first < b.first + b.pages && b.first < a.first + a.pages;
}

async function openQueues(platform: Platform): Promise<CopyQueue[]> {
  const queues: CopyQueue[] = [];
  for (const path of DEVICE_PATHS) queues.push(await CopyQueue.open(platform, path));
  return queues;
}
