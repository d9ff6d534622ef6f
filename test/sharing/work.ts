/**
 * Requests of the copy and the compression accelerator as plain data, the queues of one domain that execute them, and
 * what a machine with nobody else on it makes of each: the answer that sharing must not change.
 */
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { inflateRawSync } from 'node:zlib';
import { type CopyOperation, copySqe } from '../../drivers/copy/layout.js';
import {
  directions,
  type RequestKind,
  requestTypes,
  SQE_TYPE_TAG_HIGH,
  zipSqe,
} from '../../drivers/zip/layout.js';
import { KiB } from '../../src/base/units.js';
import { prose } from '../drivers/zip/codec-streams.js';
import { copyOutcome, copySqeOf, patternOf } from '../hw/copy-requests.js';
import { type MockPool, type MockProcess, type RingMock, viewOf } from '../hw/ring-mock.js';
import { SharingBench } from './sharing-bench.js';

export const INPUT_BYTES_MAX = 96 * KiB;
const ROOM_BYTES = 112 * KiB;

export type Work =
  | { readonly on: 'copy0'; readonly operation: CopyOperation; readonly at: number; readonly bytes: number }
  | { readonly on: 'zip0'; readonly kind: RequestKind; readonly at: number; readonly bytes: number };

/** What came of one request: a digest of its output, and its results without tag and addresses. */
export interface WorkOutcome {
  readonly results: readonly number[];
  readonly output: string;
}

const digest = (bytes: Uint8Array): string => createHash('sha1').update(bytes).digest('base64');

/** What an output room holds before its request: what stands there afterwards was not touched. */
const UNTOUCHED = Buffer.alloc(ROOM_BYTES, 0xa5);
const isUntouched = (bytes: Uint8Array): boolean => UNTOUCHED.subarray(0, bytes.length).equals(bytes);

/** What follows the deflate stream: SPEC.md section 2 of the accelerator. The header is the user driver's. */
const TRAILER_BYTES = { raw: 0, zlib: 4, gzip: 8 } as const;

/** What a compressed room says: its content, its trailer, and whether the rest of it was left alone. */
function readPacked(kind: RequestKind, room: Uint8Array, produced: number): string {
  const trailer = produced - TRAILER_BYTES[kind];
  const content = digest(inflateRawSync(room.subarray(0, trailer)));
  return `${content} ${digest(room.subarray(trailer, produced))} ${isUntouched(room.subarray(produced))}`;
}

/** Text and noise: what every domain works on. */
const INPUT = Buffer.concat([prose(64 * KiB), patternOf(32 * KiB)]);

const sqe = zipSqe.fields;

function zipSqeOf(
  kind: RequestKind,
  source: number,
  bytes: number,
  destination: number,
  tag: number,
): Uint8Array {
  const request = new Uint8Array(zipSqe.bytes);
  const view = viewOf(request);
  sqe.sqeType.write(view, 0, SQE_TYPE_TAG_HIGH);
  sqe.requestType.write(view, 0, requestTypes[kind]);
  sqe.finish.write(view, 0, 1);
  sqe.levelPlusOne.write(view, 0, 2);
  sqe.inputBytes.write(view, 0, bytes);
  sqe.roomBytes.write(view, 0, ROOM_BYTES);
  sqe.source.write(view, 0, source);
  sqe.destination.write(view, 0, destination);
  sqe.tag.write(view, 0, tag);
  return request;
}

interface Launched {
  readonly work: Work;
  readonly slot: number;
  readonly tag: number;
}

/** How many outputs one worker has room for: requests in flight on one queue. */
const IN_FLIGHT_MAX = 3;

/** One process of a domain with a queue of each accelerator. */
export class Worker {
  readonly process: MockProcess;
  readonly outcomes: { readonly work: Work; readonly outcome: WorkOutcome }[] = [];
  readonly launched = { copy0: [] as Launched[], zip0: [] as Launched[] };
  readonly #queues: { readonly copy0: RingMock; readonly zip0: RingMock };
  readonly #input: MockPool;
  readonly #rooms: { readonly copy0: MockPool; readonly zip0: MockPool };
  #tag = 0;

  private constructor(
    process: MockProcess,
    queues: { copy0: RingMock; zip0: RingMock },
    input: MockPool,
    rooms: { copy0: MockPool; zip0: MockPool },
  ) {
    this.process = process;
    this.#queues = queues;
    this.#input = input;
    this.#rooms = rooms;
    input.view.set(INPUT);
  }

  static async start(bench: SharingBench, domain: string): Promise<Worker> {
    const process = bench.process(domain);
    const queues = {
      copy0: await bench.queue(process, domain, 'copy0'),
      zip0: await bench.queue(process, domain, 'zip0', directions.compress),
    };
    const input = await process.pool(INPUT.length);
    const rooms = {
      copy0: await process.pool(IN_FLIGHT_MAX * ROOM_BYTES),
      zip0: await process.pool(IN_FLIGHT_MAX * ROOM_BYTES),
    };
    return new Worker(process, queues, input, rooms);
  }

  /** Submits a request, unless its queue has no room. */
  submit(work: Work): boolean {
    const launched = this.launched[work.on];
    if (launched.length >= IN_FLIGHT_MAX) return false;
    const slot = [0, 1, 2].find((free) => launched.every((other) => other.slot !== free))!;
    const tag = ++this.#tag;
    this.#room(work.on, slot).set(UNTOUCHED);
    const source = this.#input.address + work.at;
    const destination = this.#rooms[work.on].address + slot * ROOM_BYTES;
    const { bytes } = work;
    this.#queues[work.on].submit(
      work.on === 'copy0'
        ? copySqeOf({ operation: work.operation, source, destination, bytes, pattern: 7, tag })
        : zipSqeOf(work.kind, source, bytes, destination, tag),
    );
    launched.push({ work, slot, tag });
    return true;
  }

  /** Takes what is completed. Each completion is of the request that is the oldest of its queue, or an error is thrown. */
  collect(): void {
    for (const on of ['copy0', 'zip0'] as const) {
      for (const completion of this.#queues[on].completions()) {
        const oldest = this.launched[on].shift();
        const tag =
          on === 'copy0' ? copyOutcome(completion.sqe).tag : sqe.tag.read(viewOf(completion.sqe), 0);
        if (oldest?.tag !== tag) throw new Error(`completion of ${tag} where ${oldest?.tag} is due`);
        this.outcomes.push({ work: oldest.work, outcome: this.#outcome(oldest, completion.sqe) });
      }
    }
  }

  #outcome({ work, slot }: Launched, completed: Uint8Array): WorkOutcome {
    const view = viewOf(completed);
    const room = this.#room(work.on, slot);
    if (work.on === 'copy0') {
      const { status, result, processed } = copySqe.fields;
      return {
        results: [status, result, processed].map((field) => field.read(view, 0)),
        output: digest(room),
      };
    }
    const produced = sqe.produced.read(view, 0);
    return {
      results: [sqe.status, sqe.consumed, sqe.checksum, sqe.totalBytes].map((field) => field.read(view, 0)),
      // How an input is cut while it is compressed depends on what is translated already, with nobody else there, too,
      // and the compressed bytes on how it is cut: what counts is what they say, and that nothing stands behind them.
      output: readPacked(work.kind, room, produced),
    };
  }

  #room(on: 'copy0' | 'zip0', slot: number): Uint8Array {
    return this.#rooms[on].view.subarray(slot * ROOM_BYTES, (slot + 1) * ROOM_BYTES);
  }
}

/** A machine of one domain, which answers what a request gives when nobody else is there. */
export class Solo {
  readonly #known = new Map<string, WorkOutcome>();
  readonly #bench: SharingBench;
  readonly #worker: Worker;

  private constructor(bench: SharingBench, worker: Worker) {
    this.#bench = bench;
    this.#worker = worker;
  }

  static async start(): Promise<Solo> {
    const bench = new SharingBench({ policy: 'null' });
    bench.domain('only');
    return new Solo(bench, await Worker.start(bench, 'only'));
  }

  outcome(work: Work): WorkOutcome {
    const key = JSON.stringify(work);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    this.#worker.submit(work);
    this.#bench.rest();
    this.#worker.collect();
    const { outcome } = this.#worker.outcomes.pop()!;
    this.#known.set(key, outcome);
    return outcome;
  }
}
