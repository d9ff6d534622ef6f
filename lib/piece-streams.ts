/**
 * Streams of any length through a pool: pieces in, pieces out, with the `via` of the request behind each. They are
 * admitted as a whole and hold memory for a bounded number of blocks.
 */
import { err, ok, type Result } from 'neverthrow';
import { type InvalidArgument, invalidArgument, type WdError } from '../src/base/errors.js';
import type { Admission } from './admission.js';
import { encodeBlocks } from './block-run.js';
import { errorOf, WdFailure } from './failures.js';
import { INPUT_TYPES, inputBytes } from './input.js';
import type { Prepared } from './prepared.js';
import { LOST_REASON } from './recovery.js';
import type { Requests } from './requests.js';
import { decodeStream } from './stream-run.js';
import { softwareVia, type Via } from './via.js';

/** One piece of output, or the error that ended the stream. */
export type PieceResult = Result<{ readonly data: Buffer; readonly via: Via }, WdError>;

export interface PieceParts {
  readonly prepared: Prepared;
  readonly requests: Requests;
  readonly admission: Admission;
}

const REASON = 'streams go to the device';

export async function* compressPieces(
  parts: Result<PieceParts, WdError>,
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<PieceResult, void, void> {
  yield* whole(parts, async function* ({ prepared, requests }) {
    let via: Via = { path: 'device', attempts: 0, reason: REASON };
    const run = requests.blockRun(prepared, (carrier) => {
      via = carrier?.via(REASON, 1) ?? softwareVia(LOST_REASON);
    });
    for await (const data of encodeBlocks(bytesOf(source), run)) yield { data, via };
  });
}

export async function* decompressPieces(
  parts: Result<PieceParts, WdError>,
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<PieceResult, void, void> {
  yield* whole(parts, async function* ({ prepared, requests }) {
    const { operation } = prepared;
    const place = await requests.place(prepared);
    const wiring = { ...place, onRequest: () => {} };
    for await (const data of decodeStream(bytesOf(source), operation.decode!, wiring))
      yield { data, via: place.ctx.via(REASON, 1) };
  });
}

/** The pieces of `source` as bytes. Throws WdFailure where it has none, or one that is something else. */
async function* bytesOf(source: AsyncIterable<unknown>): AsyncGenerator<Uint8Array, void, void> {
  if (!isIterable(source)) throw new WdFailure(wrongSource(source));
  for await (const piece of source) {
    const bytes = inputBytes(piece);
    if (bytes === null) throw new WdFailure(wrongSource(piece));
    yield bytes;
  }
}

function isIterable(source: unknown): boolean {
  if (typeof source !== 'object' || source === null) return false;
  return Symbol.asyncIterator in source || Symbol.iterator in source;
}

function wrongSource(value: unknown): InvalidArgument {
  const expected = `an iterable of pieces, each ${INPUT_TYPES}`;
  return invalidArgument({ argument: 'source', value, expected, code: 'ERR_INVALID_ARG_TYPE' });
}

type Piece = { readonly data: Buffer; readonly via: Via };

async function* whole(
  parts: Result<PieceParts, WdError>,
  pieces: (parts: PieceParts) => AsyncGenerator<Piece, void, void>,
): AsyncGenerator<PieceResult, void, void> {
  if (parts.isErr()) return yield err(parts.error);
  const { admission } = parts.value;
  const busy = admission.enter(0);
  if (busy !== null) return yield err(busy);
  try {
    for await (const piece of pieces(parts.value)) yield ok(piece);
  } catch (failure) {
    yield err(errorOf(failure));
  } finally {
    admission.leave(0);
  }
}
