/**
 * Decoding around the device: which container it is, where its deflate stream begins, what may follow its end. As
 * node:zlib does it, where `auto` is its unzip.
 *
 * A plan holds nothing of a call. What one member decides for those after it (an input that began as gzip goes on
 * with members, one that began as zlib ends with its first) is in the plan that the member's verdict names.
 */

import type { DecodePlan, HeaderVerdict, TailVerdict } from '../../lib/driver-api.js';
import type { RequestKind } from './layout.js';
import { headErrors } from './user-errors.js';
import { gzipHeadLength, type HeadLength, isGzip, zlibHeadLength } from './user-header.js';
import { decompressStream, decompressWhole } from './user-sqe.js';

/** Costs no more than less, and rooms of one size are taken again while they are still in a cache. */
const ROOM_BYTES_MIN = 16_384;
/** What an input grows to when nothing better is known. */
const USUAL_GROWTH = 4;
/** No deflate stream grows more: 258 bytes from two bits. */
const GROWTH_MAX = 1032;
const GZIP_BYTES_MIN = 18;

const formats = {
  raw: { oneShot: decompressWhole('raw'), stream: decompressStream('raw') },
  zlib: { oneShot: decompressWhole('zlib'), stream: decompressStream('zlib') },
  gzip: { oneShot: decompressWhole('gzip'), stream: decompressStream('gzip') },
};

function verdictOf(
  length: HeadLength,
  member: { kind: RequestKind; ended: boolean; next: DecodePlan },
): HeaderVerdict {
  const { kind, ended, next } = member;
  if (length === 'more') return ended ? { kind: 'bad', error: headErrors.truncated } : { kind: 'more' };
  if (typeof length !== 'number') return { kind: 'bad', error: length };
  return { kind: 'skip', bytes: length, ...formats[kind], next };
}

const finished = (): TailVerdict => 'finished';

/** Padding ends the input; anything else is taken for another member. */
function gzipTail(rest: Uint8Array): TailVerdict {
  return rest[0] === 0 ? 'finished' : 'again';
}

function usualRoom(input: Uint8Array): number {
  return Math.max(ROOM_BYTES_MIN, input.length * USUAL_GROWTH);
}

/** The length that the last member claims, if it is one that the input can have; with a byte more, no room is full to the end. */
function gzipRoom(input: Uint8Array): number {
  if (input.length < GZIP_BYTES_MIN) return ROOM_BYTES_MIN;
  const trailer = new DataView(input.buffer, input.byteOffset + input.length - 4, 4);
  const claimed = trailer.getUint32(0, true);
  return claimed > input.length * GROWTH_MAX ? usualRoom(input) : Math.max(ROOM_BYTES_MIN, claimed + 1);
}

const rawPlan: DecodePlan = {
  parseHeader: (_head, ended) => verdictOf(0, { kind: 'raw', ended, next: rawPlan }),
  afterEnd: finished,
  room: usualRoom,
  truncated: headErrors.truncated,
};

const zlibPlan: DecodePlan = {
  ...rawPlan,
  parseHeader: (head, ended) => verdictOf(zlibHeadLength(head), { kind: 'zlib', ended, next: zlibPlan }),
};

const gzipPlan: DecodePlan = {
  parseHeader: (head, ended) => verdictOf(gzipHeadLength(head), { kind: 'gzip', ended, next: gzipPlan }),
  afterEnd: gzipTail,
  room: gzipRoom,
  truncated: headErrors.truncated,
};

const autoPlan: DecodePlan = {
  ...zlibPlan,
  parseHeader: (head, ended) => (isGzip(head) ? laterMember : zlibPlan).parseHeader(head, ended),
  room: (input) => (isGzip(input) ? gzipRoom : usualRoom)(input),
};

/** After a first member that was gzip, node's unzip takes either container, and goes on after both. */
const laterMember: DecodePlan = {
  ...gzipPlan,
  parseHeader(head, ended) {
    const member = { ended, next: laterMember };
    if (isGzip(head)) return verdictOf(gzipHeadLength(head), { ...member, kind: 'gzip' });
    return verdictOf(zlibHeadLength(head), { ...member, kind: 'zlib' });
  },
};

/** The plan for each container that a caller may name. */
export const decodePlans: Readonly<Record<RequestKind | 'auto', DecodePlan>> = {
  raw: rawPlan,
  zlib: zlibPlan,
  gzip: gzipPlan,
  auto: autoPlan,
};
