/**
 * The compression accelerator: what the hardware does with an SQE. The specification is SPEC.md beside this file.
 *
 * A request is parsed (device-request.ts). The usual one is served at once (device-at-once.ts); any other gets a
 * stream (device-compress.ts, device-decompress.ts), which is fresh
 * or one that the device has kept (device-stream-table.ts), and is worked through segment by segment on its memory
 * (device-memory.ts). However it ends, its codec goes back to the pool or stays with its stream.
 */
import {
  type DeviceDescription,
  type DeviceModel,
  type Dma,
  type DmaFault,
  limits,
  readAddress,
  type SqeRequest,
} from '../../src/driver-api.js';
import { Deflater } from './codec.js';
import { AtOnce } from './device-at-once.js';
import { CompressStream } from './device-compress.js';
import { DecompressStream } from './device-decompress.js';
import { RequestMemory, ScratchPool } from './device-memory.js';
import { RequestParser, type ZipRequest } from './device-request.js';
import type { ZipStream } from './device-stream.js';
import { type StreamName, StreamTable } from './device-stream-table.js';
import { InflaterPool } from './inflater-pool.js';
import {
  CONTEXT_OUTPUT_LEFT,
  codingDefaults,
  compressNsPerByte,
  DECOMPRESS_NS_PER_BYTE,
  directions,
  REQUEST_NS,
  ZIP_BYTES_MAX,
  zipRegisters,
  zipSqe,
  zipStatus,
} from './layout.js';

const sqe = zipSqe.fields;
const TWO_32 = 0x1_0000_0000;

class ZipDevice implements DeviceModel {
  readonly #streams = new StreamTable();
  readonly #scratch = new ScratchPool();
  readonly #pool = new InflaterPool(limits.ZIP_IDLE_CODECS);
  readonly #atOnce = new AtOnce(this.#pool);
  readonly #parser = new RequestParser();
  #requests = 0;
  #streamsLost = 0;

  *execute(request: SqeRequest, dma: Dma): Generator<number, void, void> {
    this.#requests = (this.#requests + 1) >>> 0;
    clearResults(request.sqe);
    const parsed = this.#parser.parse(request);
    if (parsed === null) return sqe.status.write(request.sqe, 0, zipStatus.MALFORMED);
    if (this.#atOnce.serve(request.sqe, parsed, dma)) return;
    yield* this.#bySegments(request, parsed, dma);
  }

  costNs({ sqe: view, qcType }: SqeRequest): number {
    return (
      REQUEST_NS + segmentNs(view, qcType, Math.min(sqe.inputBytes.read(view, 0), limits.SEGMENT_INPUT_BYTES))
    );
  }

  requestBytes({ sqe: view }: SqeRequest): number {
    return Math.min(sqe.inputBytes.read(view, 0) + sqe.dictionaryBytes.read(view, 0), ZIP_BYTES_MAX);
  }

  /** Where stored blocks end, and how much input a stream has taken when its room is full, follow the segments. */
  showsSegments({ sqe: view, qcType }: SqeRequest): boolean {
    const stores = qcType === directions.compress && sqe.levelPlusOne.read(view, 0) === 1;
    return stores || sqe.stateful.read(view, 0) === 1;
  }

  /** A stream whose request failed is over, also when the request had not begun: it would go on without a part. */
  fail({ sqe: view, qcType, owner }: SqeRequest, _fault: DmaFault): void {
    sqe.status.write(view, 0, zipStatus.ACCESS_FAILED);
    if (sqe.stateful.read(view, 0) === 0) return;
    const compresses = qcType === directions.compress;
    const streamBuffer = readAddress(sqe.streamBuffer, view, 0);
    this.#streams.take({ owner, compresses, streamBuffer })?.release(this.#pool);
  }

  queueStopped(owner: number): void {
    for (const stream of this.#streams.drain(owner)) stream.release(this.#pool);
  }

  liveRegister(name: string): number {
    if (name === 'STREAMS') return this.#streams.count;
    return name === 'STREAMS_LOST' ? this.#streamsLost : this.#requests;
  }

  reset(): void {
    for (const stream of this.#streams.drain()) stream.release(this.#pool);
    this.#atOnce.release();
    this.#pool.close();
    this.#requests = 0;
    this.#streamsLost = 0;
  }

  *#bySegments(request: SqeRequest, parsed: ZipRequest, dma: Dma): Generator<number, void, void> {
    const memory = new RequestMemory(parsed, dma, this.#scratch);
    const { sqe: view, qcType, owner } = request;
    const work: Work = { sqe: view, qcType, owner, parsed, memory };
    try {
      if (parsed.form.stateful) yield* this.#stateful(work);
      else yield* this.#stateless(work);
    } finally {
      memory.release();
    }
  }

  *#stateless(work: Work): Generator<number, void, void> {
    const stream = yield* this.#open(work);
    try {
      yield* advanceStream(work, stream);
      writeResults(work, stream);
    } finally {
      stream.release(this.#pool);
    }
  }

  *#stateful(work: Work): Generator<number, void, void> {
    const { parsed, sqe: view, owner } = work;
    const { compresses, begins } = parsed.form;
    const name: StreamName = { owner, compresses, streamBuffer: parsed.streamBuffer };
    const known = this.#streams.take(name);
    if (begins) known?.release(this.#pool);
    const stream = begins ? yield* this.#open(work) : known;
    if (stream === undefined) return sqe.status.write(view, 0, zipStatus.NO_STREAM);
    const status = refusal(parsed, stream);
    if (status !== null) {
      this.#keep(name, stream);
      return sqe.status.write(view, 0, status);
    }
    yield* this.#continue(work, name, stream);
  }

  /** Ended, failed, faulted or abandoned: the stream goes. Otherwise it is kept for the next request. */
  *#continue(work: Work, name: StreamName, stream: ZipStream): Generator<number, void, void> {
    let goesOn = false;
    try {
      yield* advanceStream(work, stream);
      writeResults(work, stream);
      goesOn = stream.need !== 'nothing';
    } finally {
      if (goesOn) this.#keep(name, stream);
      else stream.release(this.#pool);
    }
  }

  #keep(name: StreamName, stream: ZipStream): void {
    const lost = this.#streams.keep(name, stream);
    if (lost === undefined) return;
    lost.release(this.#pool);
    this.#streamsLost = (this.#streamsLost + 1) >>> 0;
  }

  *#open({ parsed, memory }: Work): Generator<number, ZipStream, void> {
    const { compresses, kind, coding } = parsed.form;
    const dictionary = yield* memory.dictionary();
    if (compresses) return new CompressStream(kind, new Deflater({ ...coding, dictionary }));
    return new DecompressStream(kind, this.#pool.take({ windowBits: coding.windowBits, dictionary }));
  }
}

/** A request while it is executed. */
interface Work extends Omit<SqeRequest, 'progress'> {
  readonly parsed: ZipRequest;
  readonly memory: RequestMemory;
}

/** The status of a request that a stream it names cannot take; null when it can. */
function refusal({ form, inputBytes }: ZipRequest, stream: ZipStream): number | null {
  if (stream.kind !== form.kind) return zipStatus.NO_STREAM;
  if (inputBytes > 0 && !stream.takesInput) return zipStatus.MALFORMED;
  return stream.recode(form.coding) ? null : zipStatus.MALFORMED;
}

/** Steps until the input or the room is used up or the stream is over. Progress is in the SQE after each step. */
function* advanceStream(work: Work, stream: ZipStream): Generator<number, void, void> {
  const { parsed, memory, sqe: view, qcType } = work;
  // Priming a codec takes this thread as long as a segment, though not the hardware: others may go between the two.
  if (parsed.form.dictionaryBytes > 0) yield 0;
  for (;;) {
    const input = yield* memory.input();
    const isLast = input.length === memory.inputLeft;
    const window = memory.window();
    const roomEnds = parsed.form.stateful && window.length === memory.roomLeft;
    stream.step(input, window, { flush: isLast ? parsed.form.flush : 'none', roomEnds });
    yield* memory.commit(stream.consumed, stream.produced);
    writeProgress(work);
    if (!canStep(memory, stream)) return;
    yield segmentNs(view, qcType, memory.segmentBytes);
  }
}

function canStep({ inputLeft, roomLeft }: RequestMemory, { need }: ZipStream): boolean {
  return (need === 'input' && inputLeft > 0) || (need === 'room' && roomLeft > 0);
}

const results = [sqe.consumed, sqe.produced, sqe.dataError, sqe.status, sqe.lastBlock, sqe.context];

function clearResults(view: DataView): void {
  for (const field of results) field.write(view, 0, 0);
}

function writeProgress({ sqe: view, memory }: Work): void {
  sqe.consumed.write(view, 0, memory.consumed);
  sqe.produced.write(view, 0, memory.produced);
}

function writeResults({ sqe: view, parsed }: Work, stream: ZipStream): void {
  const { need, fault, checksum, totalBytes } = stream;
  sqe.checksum.write(view, 0, checksum);
  sqe.totalBytes.write(view, 0, totalBytes % TWO_32);
  if (fault !== null) {
    sqe.status.write(view, 0, fault.status);
    sqe.dataError.write(view, 0, fault.dataError);
  } else if (need === 'room') {
    if (parsed.form.stateful) sqe.context.write(view, 0, CONTEXT_OUTPUT_LEFT);
    else sqe.status.write(view, 0, zipStatus.NO_ROOM);
  } else if (need === 'nothing' && !parsed.form.compresses) {
    sqe.status.write(view, 0, zipStatus.STREAM_END);
    sqe.lastBlock.write(view, 0, 1);
  }
}

/** Virtual cost of a segment of at most `bytes` bytes. Section 7. */
function segmentNs(view: DataView, qcType: number, bytes: number): number {
  if (qcType !== directions.compress) return bytes * DECOMPRESS_NS_PER_BYTE;
  const levelPlusOne = sqe.levelPlusOne.read(view, 0);
  return bytes * compressNsPerByte(levelPlusOne === 0 ? codingDefaults.level : levelPlusOne - 1);
}

/** The compression accelerator as the machine knows it. */
export const zipDevice: DeviceDescription = {
  name: 'zip',
  sqeBytes: zipSqe.bytes,
  preemption: 'park',
  registers: zipRegisters,
  create: () => new ZipDevice(),
};
