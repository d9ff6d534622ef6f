/**
 * How requests stand in an SQE and results come out of one, for every shape of request. `fill` and `read` are on
 * the hot path: they allocate nothing. SPEC.md section 2.
 */
import {
  limits,
  type Outcome,
  type SqeFormat,
  type StreamPlan,
  type Transfer,
} from '../../lib/driver-api.js';
import { flushKinds } from './codec-types.js';
import {
  codingDefaults,
  compressNsPerByte,
  DECOMPRESS_NS_PER_BYTE,
  dataErrors,
  directions,
  REQUEST_NS,
  type RequestKind,
  requestTypes,
  SQE_TYPE_TAG_HIGH,
  ZIP_STREAM_BUFFER_BYTES,
  zipSqe,
  zipStatus,
} from './layout.js';
import { toDataError } from './user-errors.js';
import type { Coding } from './user-options.js';

const sqe = zipSqe.fields;
/** Handing a request over and getting its completion back. */
const HAND_OVER_NS = 1000;
/** Room of one stateful request: a chunk that does not compress, and output held back from the one before. */
const STREAM_ROOM_BYTES = 2 * limits.STREAM_CHUNK_BYTES;
const DATA_ERRORS = dataErrors.map(toDataError);

type Template = Record<'finish' | 'stateful' | 'flush', number>;

/** A whole input as one stream of its own. */
const WHOLE: Template = { finish: 1, stateful: 0, flush: 0 };
/** A part that ends on a byte boundary, without an end of the stream. */
const BLOCK: Template = { finish: 0, stateful: 0, flush: flushKinds.sync + 1 };
/** A part of a stream that the device keeps; it may hold output back until the last. */
const STREAM: Template = { finish: 0, stateful: 1, flush: flushKinds.none + 1 };

/** Bytes that `inputBytes` bytes compress to at most, at any level and strategy, marker and trailer included. */
function compressedBytesMax(inputBytes: number): number {
  // Fixed codes have up to 9 bits a byte; stored blocks add 5 bytes to every 127 at the smallest memory level.
  return inputBytes + Math.ceil(inputBytes / 8) + Math.ceil(inputBytes / 64) + 128;
}

/** A whole input in one request. */
export function compressWhole(kind: RequestKind, coding: Coding): SqeFormat {
  return compressFormat(kind, coding, WHOLE);
}

/** One of several parts that are compressed apart from one another. */
export function compressBlock(kind: RequestKind, coding: Coding): SqeFormat {
  return compressFormat(kind, coding, BLOCK);
}

/** Part after part of one stream. */
export function compressStream(kind: RequestKind, coding: Coding): StreamPlan {
  return streamPlan({ ...compressFormat(kind, coding, STREAM), fill: fillCompressStream });
}

/** A whole stream in one request. */
export function decompressWhole(kind: RequestKind): SqeFormat {
  return {
    qcType: directions.decompress,
    sqeBytes: zipSqe.bytes,
    template: template(kind, { finish: 1, stateful: 0, flush: 0 }),
    fill,
    read,
    outputRoom: (inputBytes) => Math.max(inputBytes * 4, limits.SEGMENT_OUTPUT_BYTES),
    limitsOutput: true,
    expectedNs: (inputBytes) => HAND_OVER_NS + REQUEST_NS + inputBytes * DECOMPRESS_NS_PER_BYTE,
  };
}

/** Part after part of one stream. */
export function decompressStream(kind: RequestKind): StreamPlan {
  const shape = template(kind, { finish: 0, stateful: 1, flush: 0 });
  return streamPlan({ ...decompressWhole(kind), template: shape, fill: fillStream });
}

function streamPlan(format: SqeFormat): StreamPlan {
  return {
    format,
    stateBytes: ZIP_STREAM_BUFFER_BYTES,
    chunkBytes: limits.STREAM_CHUNK_BYTES,
    roomBytes: STREAM_ROOM_BYTES,
  };
}

function compressFormat(kind: RequestKind, coding: Coding, shape: Template): SqeFormat {
  const words = template(kind, shape);
  const view = new DataView(words.buffer);
  sqe.levelPlusOne.write(view, 0, coding.level + 1);
  sqe.strategy.write(view, 0, coding.strategy);
  sqe.memLevel.write(view, 0, coding.memLevel);
  sqe.windowCut.write(view, 0, codingDefaults.windowBits - coding.windowBits);
  const nsPerByte = compressNsPerByte(coding.level);
  return {
    qcType: directions.compress,
    sqeBytes: zipSqe.bytes,
    template: words,
    fill,
    read,
    outputRoom: compressedBytesMax,
    limitsOutput: true,
    expectedNs: (inputBytes) => HAND_OVER_NS + REQUEST_NS + inputBytes * nsPerByte,
  };
}

function template(kind: RequestKind, shape: Template): Int32Array<ArrayBuffer> {
  const words = new Int32Array(zipSqe.bytes / 4);
  const view = new DataView(words.buffer);
  sqe.sqeType.write(view, 0, SQE_TYPE_TAG_HIGH);
  sqe.requestType.write(view, 0, requestTypes[kind]);
  for (const name of ['finish', 'stateful', 'flush'] as const) sqe[name].write(view, 0, shape[name]);
  return words;
}

function fill(ring: DataView, base: number, transfer: Transfer): void {
  sqe.inputBytes.write(ring, base, transfer.sourceBytes);
  sqe.dictionaryBytes.write(ring, base, transfer.dictionaryBytes);
  sqe.roomBytes.write(ring, base, transfer.destinationBytes);
  sqe.source.write(ring, base, transfer.source);
  sqe.destination.write(ring, base, transfer.destination);
  sqe.tag.write(ring, base, transfer.tag);
}

function fillStream(ring: DataView, base: number, transfer: Transfer): void {
  fill(ring, base, transfer);
  sqe.streamBuffer.write(ring, base, transfer.state);
  sqe.streamNew.write(ring, base, transfer.streamNew ? 1 : 0);
  sqe.finish.write(ring, base, transfer.final ? 1 : 0);
  // For hardware that has no state of its own; this device keeps both itself.
  sqe.totalBytes.write(ring, base, transfer.totalBytes);
  sqe.checksum.write(ring, base, transfer.checksum);
}

function fillCompressStream(ring: DataView, base: number, transfer: Transfer): void {
  fillStream(ring, base, transfer);
  sqe.flush.write(ring, base, transfer.final ? 0 : transfer.flush + 1);
}

function read(ring: DataView, base: number, outcome: Outcome): void {
  outcome.tag = sqe.tag.read(ring, base);
  outcome.consumed = sqe.consumed.read(ring, base);
  outcome.produced = sqe.produced.read(ring, base);
  outcome.checksum = sqe.checksum.read(ring, base);
  outcome.totalBytes = sqe.totalBytes.read(ring, base);
  outcome.status = sqe.status.read(ring, base);
  outcome.dataError = null;
  judge(ring, base, outcome);
}

/** The verdict, from the status and, where that leaves it open, one field more. */
function judge(ring: DataView, base: number, outcome: Outcome): void {
  switch (outcome.status) {
    case zipStatus.DONE:
      // What the two low values say, the hardware says of room too: none at the end, none while decoding.
      outcome.verdict = isRoomState(sqe.context.read(ring, base) & 0xf) ? 'noRoom' : 'ok';
      return;
    case zipStatus.NO_ROOM:
      outcome.verdict = 'noRoom';
      return;
    case zipStatus.STREAM_END:
      outcome.verdict = sqe.lastBlock.read(ring, base) === 1 ? 'ended' : 'ok';
      return;
    default:
      outcome.verdict = 'failed';
      if (outcome.status === zipStatus.WRONG_CHECKSUM || outcome.status === zipStatus.BAD_DATA) {
        outcome.dataError = DATA_ERRORS[sqe.dataError.read(ring, base)] ?? DATA_ERRORS[0]!;
      }
  }
}

function isRoomState(state: number): boolean {
  return state === 1 || state === 2;
}
