/**
 * Requests of streams of the compression accelerator: an SQE in a few words, and what came back. SPEC.md section 4 of the
 * accelerator. Streams are raw deflate: containers are the user driver's.
 */
import { CONTEXT_OUTPUT_LEFT, requestTypes, SQE_TYPE_TAG_HIGH, zipSqe } from '../../drivers/zip/layout.js';
import { viewOf } from '../hw/ring-mock.js';

export interface StreamRequest {
  /** Address that names the stream. */
  readonly stream: number;
  /** The first of its stream. */
  readonly begins: boolean;
  /** Compress: the stream ends with this input; otherwise all of it is flushed. */
  readonly finish: boolean;
  readonly source: number;
  readonly bytes: number;
  readonly destination: number;
  readonly roomBytes: number;
  readonly tag?: number;
}

const { fields } = zipSqe;

/** The SQE of a request. */
export function streamSqeOf(request: StreamRequest): Uint8Array {
  const sqe = new Uint8Array(zipSqe.bytes);
  const view = viewOf(sqe);
  fields.sqeType.write(view, 0, SQE_TYPE_TAG_HIGH);
  fields.requestType.write(view, 0, requestTypes.raw);
  fields.stateful.write(view, 0, 1);
  fields.streamNew.write(view, 0, Number(request.begins));
  fields.finish.write(view, 0, Number(request.finish));
  fields.streamBuffer.write(view, 0, request.stream);
  fields.source.write(view, 0, request.source);
  fields.inputBytes.write(view, 0, request.bytes);
  fields.destination.write(view, 0, request.destination);
  fields.roomBytes.write(view, 0, request.roomBytes);
  fields.tag.write(view, 0, request.tag ?? 0);
  return sqe;
}

/** What a completed SQE says. */
export interface StreamOutcome {
  readonly tag: number;
  readonly status: number;
  readonly consumed: number;
  readonly produced: number;
  /** More output is due: the request is to be repeated with what is left of its input. */
  readonly isOutputLeft: boolean;
}

/** The results in a completed SQE. */
export function streamOutcomeOf(sqe: Uint8Array): StreamOutcome {
  const view = viewOf(sqe);
  return {
    tag: fields.tag.read(view, 0),
    status: fields.status.read(view, 0),
    consumed: fields.consumed.read(view, 0),
    produced: fields.produced.read(view, 0),
    isOutputLeft: fields.context.read(view, 0) === CONTEXT_OUTPUT_LEFT,
  };
}
