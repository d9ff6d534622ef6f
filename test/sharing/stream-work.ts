/**
 * Streams of one domain on the compression accelerator: one queue in each direction, on which several streams take turns,
 * one request of a stream at a time. What comes out of a stream is compared with what went in; how it is cut into
 * requests is the test's choice.
 */
import { Buffer } from 'node:buffer';
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import { directions, ZIP_STREAM_BUFFER_BYTES, zipStatus } from '../../drivers/zip/layout.js';
import { KiB } from '../../src/base/units.js';
import { prose } from '../drivers/zip/codec-streams.js';
import type { MockPool, MockProcess, RingMock } from '../hw/ring-mock.js';
import type { SharingBench } from './sharing-bench.js';
import { type StreamOutcome, streamOutcomeOf, streamSqeOf } from './stream-requests.js';

export type Direction = keyof typeof directions;
export const DIRECTIONS: readonly Direction[] = ['compress', 'decompress'];

/** Longest input and largest room of one request. */
export const TURN_BYTES_MAX = 24 * KiB;
/** A stream's memory: input of one request, room of one request, and the buffer whose address names it. */
const STREAM_BYTES = 2 * TURN_BYTES_MAX + ZIP_STREAM_BUFFER_BYTES;
const TEXT = Buffer.from(prose(72 * KiB));

/** How much of its input a request brings, and for how much output it has room; bytes. */
export interface Turn {
  readonly bytes: number;
  readonly roomBytes: number;
}

/** One stream, from its first request to its end. */
export class Stream {
  readonly direction: Direction;
  /** Of the text that it is about. */
  readonly text: Buffer;
  /** Status of the request with which it failed; null while none has. */
  failedWith: number | null = null;
  /** Status of a request that came after that one. */
  afterFailure: number | null = null;
  isUnderWay = false;
  readonly #memory: MockPool;
  readonly #at: number;
  #left: Buffer;
  #output = Buffer.alloc(0);
  #begun = false;
  #ended = false;
  /** The request under way, or the one to be repeated because output is due. */
  #turn = { bytes: 0, finish: false };
  #isRepeated = false;

  constructor(direction: Direction, memory: MockPool, index: number, text: Buffer) {
    this.direction = direction;
    this.text = text;
    this.#memory = memory;
    this.#at = index * STREAM_BYTES;
    this.#left = direction === 'compress' ? text : deflateRawSync(text);
  }

  /** Nothing more is to be asked for. */
  get isOver(): boolean {
    return this.#ended || this.afterFailure !== null;
  }

  /** The next request. One that leaves output behind is repeated with what is left of its input. */
  next({ bytes, roomBytes }: Turn, tag: number): Uint8Array {
    if (!this.#isRepeated) {
      const length = Math.min(bytes, this.#left.length);
      this.#turn = {
        bytes: length,
        finish: this.direction === 'compress' && length === this.#left.length,
      };
    }
    this.isUnderWay = true;
    const begins = !this.#begun;
    this.#begun = true;
    this.#memory.view.set(this.#left.subarray(0, this.#turn.bytes), this.#at);
    const base = this.#memory.address + this.#at;
    return streamSqeOf({
      stream: base + 2 * TURN_BYTES_MAX,
      begins,
      finish: this.#turn.finish,
      source: base,
      bytes: this.#turn.bytes,
      destination: base + TURN_BYTES_MAX,
      roomBytes,
      tag,
    });
  }

  /** Its request has come back. */
  take({ status, consumed, produced, isOutputLeft }: StreamOutcome): void {
    this.isUnderWay = false;
    if (this.failedWith !== null) this.afterFailure = status;
    else if (status === zipStatus.DONE || status === zipStatus.STREAM_END) {
      const from = this.#at + TURN_BYTES_MAX;
      this.#output = Buffer.concat([this.#output, this.#memory.view.subarray(from, from + produced)]);
      this.#left = this.#left.subarray(consumed);
      this.#turn.bytes -= consumed;
      this.#isRepeated = isOutputLeft;
      this.#ended =
        this.direction === 'compress' ? this.#turn.finish && !isOutputLeft : status === zipStatus.STREAM_END;
    } else this.failedWith = status;
  }

  /** What was put out, as text: the whole of it, or as far as the stream came. */
  get outputText(): Buffer {
    if (this.direction === 'decompress') return this.#output;
    if (this.#ended) return inflateRawSync(this.#output);
    return inflateRawSync(this.#output, { finishFlush: constants.Z_SYNC_FLUSH });
  }
}

interface Launched {
  readonly stream: Stream | null;
  readonly tag: number;
}

/** One process of a domain with a queue in each direction. */
export class StreamWorker {
  readonly process: MockProcess;
  readonly queues: Readonly<Record<Direction, RingMock>>;
  readonly streams: Readonly<Record<Direction, readonly Stream[]>>;
  readonly #launched: Readonly<Record<Direction, Launched[]>> = { compress: [], decompress: [] };
  #tag = 0;

  private constructor(
    process: MockProcess,
    queues: StreamWorker['queues'],
    streams: StreamWorker['streams'],
  ) {
    this.process = process;
    this.queues = queues;
    this.streams = streams;
  }

  /** A worker with `count` streams in each direction, each about another part of the text. */
  static async start(bench: SharingBench, domain: string, count: number): Promise<StreamWorker> {
    const process = bench.process(domain);
    const queues = {
      compress: await bench.queue(process, domain, 'zip0', directions.compress),
      decompress: await bench.queue(process, domain, 'zip0', directions.decompress),
    };
    const memory = await process.pool(DIRECTIONS.length * count * STREAM_BYTES);
    const streamsOf = (direction: Direction, first: number): Stream[] =>
      Array.from({ length: count }, (_, index) => {
        const text = TEXT.subarray((first + index) * 5 * KiB, (first + index) * 5 * KiB + 48 * KiB);
        return new Stream(direction, memory, first + index, text);
      });
    const streams = { compress: streamsOf('compress', 0), decompress: streamsOf('decompress', count) };
    return new StreamWorker(process, queues, streams);
  }

  get all(): readonly Stream[] {
    return DIRECTIONS.flatMap((direction) => this.streams[direction]);
  }

  /** Submits the next request of a stream, unless one is under way or none is left. */
  submit(stream: Stream, turn: Turn): void {
    if (stream.isUnderWay || stream.isOver) return;
    const tag = ++this.#tag;
    this.queues[stream.direction].submit(stream.next(turn, tag));
    this.#launched[stream.direction].push({ stream, tag });
  }

  /** Submits a request that is of no stream of this worker; its tag is the test's. */
  submitOther(direction: Direction, sqe: Uint8Array, tag: number): void {
    this.queues[direction].submit(sqe);
    this.#launched[direction].push({ stream: null, tag });
  }

  /** Takes what is completed. Each completion is of the oldest request of its queue, or an error is thrown. */
  collect(): void {
    for (const direction of DIRECTIONS) {
      for (const { sqe } of this.queues[direction].completions()) {
        const outcome = streamOutcomeOf(sqe);
        const oldest = this.#launched[direction].shift();
        if (oldest?.tag !== outcome.tag)
          throw new Error(`completion of ${outcome.tag} where ${oldest?.tag} is due`);
        oldest.stream?.take(outcome);
      }
    }
  }

  /** The next request of every stream that can have one. */
  submitAll(turn: Turn): void {
    for (const stream of this.all) this.submit(stream, turn);
  }

  /** Something is completed and was not taken. */
  get hasAnswer(): boolean {
    return DIRECTIONS.some((direction) => this.queues[direction].published());
  }

  /** Every stream is over. */
  get isOver(): boolean {
    return this.all.every(({ isOver }) => isOver);
  }
}
