/**
 * One powered-on zip device on a bench: a small memory, a `Dma` that can be as unkind as the real one, and requests
 * written in a line.
 *
 * What `Dma` lends is spoilt as soon as the device yields or accesses memory again, so a view that is kept too
 * long shows up as wrong output.
 */

import { zipDevice } from '../../../drivers/zip/device.js';
import { directions, type RequestKind, requestTypes, zipSqe } from '../../../drivers/zip/layout.js';
import { limits } from '../../../src/base/limits.js';
import {
  type DeviceModel,
  type Dma,
  type DmaAddress,
  DmaFault,
  type SqeRequest,
} from '../../../src/hw/device-model.js';

const PAGE = 4096;
const SPOILT = 0xee;

/** The progress of a request that begins. */
export function noProgress(): DataView {
  return new DataView(new ArrayBuffer(limits.REQUEST_PROGRESS_BYTES));
}

export interface DmaOptions {
  /** Lend memory in place where the contract allows it; otherwise copies, and no writable view; or by turns. */
  readonly views?: boolean | 'by turns';
  /** Every access waits once, as for a page. */
  readonly waits?: boolean;
  /** Accesses that touch the page of this address fail. */
  readonly faultAt?: number;
}

/** A range that was accessed: [from, to). */
type Range = readonly [from: number, to: number];

export class BenchDma implements Dma {
  readonly segmentBytes = limits.SEGMENT_INPUT_BYTES;
  readonly memory: Uint8Array;
  readonly options: DmaOptions;
  readonly reads: Range[] = [];
  readonly written: Range[] = [];
  #lent: Uint8Array | null = null;
  #turn = 0;

  constructor(memory: Uint8Array, options: DmaOptions = {}) {
    this.memory = memory;
    this.options = options;
  }

  *read(address: DmaAddress, bytes: number): Generator<number, Uint8Array, void> {
    yield* this.#enter();
    const at = this.#reach(address, bytes, 'read');
    this.reads.push([at, at + bytes]);
    const there = this.memory.subarray(at, at + bytes);
    if (this.#lendsInPlace()) return there;
    this.#lent = there.slice();
    return this.#lent;
  }

  *write(address: DmaAddress, source: Uint8Array): Generator<number, void, void> {
    yield* this.#enter();
    let done = 0;
    while (done < source.length) {
      const part = Math.min(source.length - done, PAGE - ((Number(address) + done) % PAGE));
      const at = this.#reach(Number(address) + done, part, 'write');
      this.written.push([at, at + part]);
      this.memory.set(source.subarray(done, done + part), at);
      done += part;
    }
  }

  readableView(address: DmaAddress, bytes: number): Uint8Array | null {
    const kind = !this.options.waits && this.#lendsInPlace();
    if (!kind || !this.#reachable(address, bytes)) return null;
    this.reads.push([Number(address), Number(address) + bytes]);
    return this.memory.subarray(Number(address), Number(address) + bytes);
  }

  writableView(address: DmaAddress, bytes: number): Uint8Array | null {
    if (!this.#lendsInPlace() || !this.#reachable(address, bytes)) return null;
    this.written.push([Number(address), Number(address) + bytes]);
    return this.memory.subarray(Number(address), Number(address) + bytes);
  }

  /** What was lent is not valid any more. */
  spoil(): void {
    this.#lent?.fill(SPOILT);
    this.#lent = null;
  }

  #lendsInPlace(): boolean {
    this.#turn = (this.#turn + 1) % 3;
    return this.options.views === 'by turns' ? this.#turn === 0 : this.options.views === true;
  }

  *#enter(): Generator<number, void, void> {
    this.spoil();
    if (this.options.waits) yield -1;
  }

  #reach(address: DmaAddress, bytes: number, access: 'read' | 'write'): number {
    if (!this.#reachable(address, bytes)) throw new DmaFault(address, access, 13);
    return Number(address);
  }

  #reachable(address: DmaAddress, bytes: number): boolean {
    if (typeof address !== 'number' || address < 0 || address + bytes > this.memory.length) return false;
    const { faultAt } = this.options;
    if (faultAt === undefined) return true;
    const faultPage = Math.floor(faultAt / PAGE);
    return Math.floor(address / PAGE) > faultPage || Math.floor((address + bytes - 1) / PAGE) < faultPage;
  }
}

type SqeFields = Partial<Record<keyof typeof zipSqe.fields, number>>;

/** A request, its input and room as bytes; `fields` overrides anything. */
export interface Ask {
  readonly op: keyof typeof directions;
  readonly kind?: RequestKind;
  readonly input?: Uint8Array;
  /** Bytes that stand right before the input. */
  readonly dictionary?: Uint8Array;
  readonly room?: number;
  readonly fields?: SqeFields;
  readonly owner?: number;
  readonly dma?: DmaOptions;
}

/** What came back. */
export type Answer = Record<keyof typeof zipSqe.fields, number> & {
  readonly output: Buffer;
  /** Bytes outside the room that changed. */
  readonly strayBytes: number;
};

/** Runs a request to its end as the engine does, the fault included. Answers the yields. */
export function drive(device: DeviceModel, request: SqeRequest, dma: BenchDma): number[] {
  const yields: number[] = [];
  try {
    for (const cost of device.execute(request, dma)) {
      yields.push(cost);
      dma.spoil();
    }
  } catch (error) {
    if (!(error instanceof DmaFault)) throw error;
    device.fail(request, error);
  }
  return yields;
}

const ROOM = 1 << 20;
/** Odd on purpose: nothing is aligned. */
const SOURCE = 40_001;

export class ZipBench {
  readonly device = zipDevice.create({ interrupt: () => {} });
  /** Yields of the last request. */
  yields: number[] = [];

  /** Where the last request's room began. */
  destination = 0;

  ask(ask: Ask): Answer {
    const { input = new Uint8Array(0), dictionary = new Uint8Array(0), room = ROOM } = ask;
    this.destination = SOURCE + input.length + 5003;
    const memory = new Uint8Array(this.destination + room + PAGE).fill(0xa5);
    memory.set(dictionary, SOURCE - dictionary.length);
    memory.set(input, SOURCE);
    const before = memory.slice();
    const request = {
      sqe: this.#sqe(ask),
      qcType: directions[ask.op],
      owner: ask.owner ?? 1,
      progress: noProgress(),
    };
    this.yields = drive(this.device, request, new BenchDma(memory, ask.dma ?? { views: true }));
    const answer = {} as Record<keyof typeof zipSqe.fields, number>;
    for (const [name, field] of Object.entries(zipSqe.fields)) {
      answer[name as keyof typeof answer] = field.read(request.sqe, 0);
    }
    const output = Buffer.from(memory.subarray(this.destination, this.destination + answer.produced));
    before.set(memory.subarray(this.destination, this.destination + room), this.destination);
    return { ...answer, output, strayBytes: Buffer.compare(before, memory) === 0 ? 0 : 1 };
  }

  #sqe({ kind = 'gzip', input, dictionary, room = ROOM, fields }: Ask): DataView {
    const view = new DataView(new ArrayBuffer(zipSqe.bytes));
    const values: SqeFields = {
      sqeType: 3,
      requestType: requestTypes[kind],
      finish: 1,
      inputBytes: input?.length ?? 0,
      dictionaryBytes: dictionary?.length ?? 0,
      roomBytes: room,
      source: SOURCE,
      destination: this.destination,
      tag: 0xfeed_beef,
      ...fields,
    };
    for (const [name, value] of Object.entries(values)) {
      zipSqe.fields[name as keyof SqeFields].write(view, 0, value);
    }
    return view;
  }
}

/** Bytes before the deflate stream, as a user driver writes them. */
export const HEADS: Readonly<Record<RequestKind, Buffer>> = {
  raw: Buffer.alloc(0),
  zlib: Buffer.from('789c', 'hex'),
  gzip: Buffer.from('1f8b0800000000000003', 'hex'),
};

export const KINDS = ['raw', 'zlib', 'gzip'] as const;

/** All ways in which memory may behave. */
export const MEMORIES: Readonly<Record<string, DmaOptions>> = {
  'memory in place': { views: true },
  'memory in place that must be waited for': { views: true, waits: true },
  copies: { views: false },
  'memory in place and copies by turns': { views: 'by turns' },
  'copies that must be waited for': { views: false, waits: true },
};

/** Lengths around every edge that the device has. */
export const LENGTHS = [
  0, 1, 2, 127, 128, 4095, 4096, 4097, 16_383, 16_384, 16_385, 32_768, 65_535, 65_536, 65_537, 200_001,
];
