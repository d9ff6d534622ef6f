/**
 * Does a stream on the device decode as node does it? Any chunks and rooms, input that is cut short, spoilt or followed
 * by something else: request by request against node's own native stream.
 */
import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CONTEXT_OUTPUT_LEFT, dataErrors, type RequestKind, zipStatus } from '../../../drivers/zip/layout.js';
import { noise, prose } from './codec-streams.js';
import { type Answer, HEADS, KINDS, ZipBench } from './device-bench.js';
import { Session } from './device-session.js';
import { NodeHandle, type Written } from './node-handle.js';

const encode = { raw: deflateRawSync, zlib: deflateSync, gzip: gzipSync };
const FLUSH_NONE = 0;
const FLUSH_FINISH = 4;
const NOTHING = new Uint8Array(0);

interface Chunk {
  readonly input: Uint8Array;
  /** Room of the first request, and of those that follow because there was none left. */
  readonly rooms: readonly [number, number];
}

/** How it ended. */
type End = { readonly end: 'ended' | 'truncated' | string; readonly output: Buffer };

/** The same requests to the device and to node; whatever differs fails. */
class Pair {
  readonly #session: Session;
  readonly #node: NodeHandle;
  readonly #parts: Buffer[] = [];

  constructor(kind: RequestKind) {
    this.#session = new Session(new ZipBench(), { op: 'decompress', kind });
    this.#node = new NodeHandle('decompress', kind);
    if (kind !== 'raw') this.#node.write(HEADS[kind], 1, FLUSH_NONE);
  }

  decode(chunks: readonly Chunk[]): End {
    for (const [at, chunk] of chunks.entries()) {
      const end = this.#chunk(chunk, at === chunks.length - 1 ? FLUSH_FINISH : FLUSH_NONE);
      if (end !== null) return { end, output: Buffer.concat(this.#parts) };
    }
    throw new Error('node neither ended nor failed');
  }

  #chunk({ input, rooms }: Chunk, flush: number): string | null {
    let left = input;
    for (let turn = 0; ; turn++) {
      const room = rooms[turn === 0 ? 0 : 1];
      const device = this.#session.send({ input: left, room });
      const node = this.#node.write(left, room, flush);
      if (node.error !== null) return expectSameError(device, node.error);
      this.#expectSame(device, node);
      left = left.subarray(device.consumed);
      if (device.status === zipStatus.STREAM_END) return this.#expectEnd(left);
      if (device.context !== CONTEXT_OUTPUT_LEFT) return this.#expectStarved(left, node, flush);
      expect(node.full).toBe(true);
    }
  }

  #expectSame(device: Answer, node: Written): void {
    expect(device.strayBytes).toBe(0);
    expect([device.consumed, device.produced]).toEqual([node.consumed, node.output.length]);
    expect(device.output.equals(node.output)).toBe(true);
    this.#parts.push(device.output);
  }

  /** Node has ended too: even as the last, another write is no mistake, and moves nothing. */
  #expectEnd(left: Uint8Array): string {
    expect(this.#node.write(left, 64, FLUSH_FINISH)).toMatchObject({ consumed: 0, full: false, error: null });
    return 'ended';
  }

  /** All input is used and nothing is due. Where no room was left node asks once more, and learns the same. */
  #expectStarved(left: Uint8Array, node: Written, flush: number): string | null {
    expect(left.length).toBe(0);
    if (!node.full) return null;
    const again = this.#node.write(NOTHING, 64, flush);
    if (again.error !== null) return expectTruncated(again.error);
    expect(again).toMatchObject({ consumed: 0, full: false });
    expect(again.output.length).toBe(0);
    return null;
  }
}

function expectSameError(device: Answer, error: NonNullable<Written['error']>): string {
  if (device.status === zipStatus.DONE) {
    // What user space sees of a last chunk, all that it needs to say what node says: used up, nothing due, no end.
    expect(device.context).toBe(0);
    return expectTruncated(error);
  }
  expect([zipStatus.BAD_DATA, zipStatus.WRONG_CHECKSUM]).toContain(device.status);
  expect(dataErrors[device.dataError]).toBe(error.message);
  return error.message;
}

function expectTruncated(error: NonNullable<Written['error']>): string {
  expect(error).toEqual({ message: 'unexpected end of file', errno: -5, code: 'Z_BUF_ERROR' });
  return 'truncated';
}

const plainOf = fc
  .tuple(
    fc.constantFrom(prose, noise, (bytes: number) => new Uint8Array(bytes)),
    fc.nat(60_000),
  )
  .map(([make, bytes]) => make(bytes));
const codingOf = fc.record({
  level: fc.integer({ min: 0, max: 9 }),
  strategy: fc.integer({ min: 0, max: 4 }),
});
const room = fc.oneof(fc.integer({ min: 1, max: 80 }), fc.integer({ min: 1, max: 100_000 }));
const cutsOf = fc.array(
  fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    rooms: fc.tuple(
      room,
      room.map((bytes) => bytes + 500),
    ),
  }),
  { minLength: 1, maxLength: 6 },
);
type Cuts = readonly { readonly at: number; readonly rooms: readonly [number, number] }[];

/** `input` cut at the fractions given, the last of which is moved to its end. */
function chunksOf(input: Uint8Array, cuts: Cuts): Chunk[] {
  const ends = cuts.map(({ at }) => Math.round(at * input.length)).sort((a, b) => a - b);
  ends[ends.length - 1] = input.length;
  return cuts.map(({ rooms }, n) => ({ input: input.subarray(ends[n - 1] ?? 0, ends[n]), rooms }));
}

describe.each(KINDS)('decompression of %s, request by request', (kind) => {
  const bodyOf = (plain: Uint8Array, coding: object): Buffer =>
    encode[kind](plain, coding).subarray(HEADS[kind].length);

  it('is that of node for whole streams', () => {
    fc.assert(
      fc.property(plainOf, codingOf, cutsOf, (plain, coding, cuts) => {
        const { end, output } = new Pair(kind).decode(chunksOf(bodyOf(plain, coding), cuts));
        expect([end, output.equals(plain)]).toEqual(['ended', true]);
      }),
      { numRuns: 60 },
    );
  });

  it('is that of node for streams that are cut short: truncated exactly when node says so', () => {
    fc.assert(
      fc.property(
        plainOf,
        codingOf,
        cutsOf,
        fc.double({ min: 0, max: 1, noNaN: true }),
        (plain, coding, cuts, at) => {
          const body = bodyOf(plain, coding);
          const bytes = Math.floor(at * body.length);
          const { end } = new Pair(kind).decode(chunksOf(body.subarray(0, bytes), cuts));
          expect(end).toBe(bytes < body.length ? 'truncated' : 'ended');
        },
      ),
      { numRuns: 60 },
    );
  });

  it('is that of node for streams with a byte that is wrong', () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(
        plainOf,
        codingOf,
        cutsOf,
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (plain, coding, cuts, at, flip) => {
          const body = Uint8Array.from(bodyOf(plain, coding));
          body[at % body.length]! ^= flip;
          seen.add(new Pair(kind).decode(chunksOf(body, cuts)).end);
        },
      ),
      { numRuns: 150 },
    );
    expect(seen.size).toBeGreaterThan(3);
  });

  it('is that of node at every cut of a small stream, with rooms about its size and tiny ones', () => {
    const body = bodyOf(prose(60), {});
    for (let bytes = 0; bytes <= body.length; bytes++) {
      for (const size of [1, 2, 3, 8, 31, 58, 59, 60, 61]) {
        const input = body.subarray(0, bytes);
        const { end } = new Pair(kind).decode([{ input, rooms: [size, size] }]);
        expect(end).toBe(bytes < body.length ? 'truncated' : 'ended');
      }
    }
  });
});

describe('decompression of raw deflate', () => {
  it('leaves what follows the end, as node does', () => {
    fc.assert(
      fc.property(
        plainOf,
        codingOf,
        cutsOf,
        fc.integer({ min: 1, max: 300 }),
        (plain, coding, cuts, bytes) => {
          const input = Buffer.concat([deflateRawSync(plain, coding), noise(bytes)]);
          const { end, output } = new Pair('raw').decode(chunksOf(input, cuts));
          expect([end, output.equals(plain)]).toEqual(['ended', true]);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('of rubbish says what node says', () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 400 }), cutsOf, (input, cuts) => {
        seen.add(new Pair('raw').decode(chunksOf(input, cuts)).end);
      }),
      { numRuns: 300 },
    );
    expect(seen.size).toBeGreaterThan(4);
  });

  it('meets an error that stands behind the room, but in a byte that is consumed, when node does', () => {
    const input = bitsToBytes(
      // A block that is not the last, with codes of its own: 257 for literals, 1 for distances, 18 for lengths.
      '0 01 00000 00000 0111',
      // Lengths of the codes for lengths, in their order: 1 bit each for 18 (many zeros) and for 1.
      '000 000 100 000 000 000 000 000 000 000 000 000 000 000 000 000 000 100',
      // 97 zeros, "a" has 1 bit, 138 and 20 zeros, the end of the block has 1 bit, and so has the one distance.
      '1 0110101 0 1 1111111 1 1001000 0 0',
      // "aa", the end of the block, and a block of a type that there is not.
      '0 0 1 0 11',
    );
    const { end, output } = new Pair('raw').decode([{ input, rooms: [1, 64] }]);
    expect([end, output.toString()]).toEqual(['invalid block type', 'a']);
  });

  it('refuses another window in mid-stream, and goes on', () => {
    const session = new Session(new ZipBench(), { op: 'decompress', kind: 'raw' });
    const packed = deflateRawSync(prose(500));
    const first = session.send({ input: packed.subarray(0, 50) });
    expect(session.send({ input: packed, fields: { windowCut: 2 } }).status).toBe(zipStatus.MALFORMED);
    const last = session.send({ input: packed.subarray(50) });
    expect(Buffer.concat([first.output, last.output]).equals(prose(500))).toBe(true);
  });
});

/** Bits as they follow one another in a stream: numbers with their lowest bit first. Spaces mean nothing. */
function bitsToBytes(...bits: readonly string[]): Uint8Array {
  const all = [...bits.join('').replaceAll(' ', '')];
  const bytes = new Uint8Array(Math.ceil(all.length / 8));
  for (const [at, bit] of all.entries()) bytes[at >> 3]! |= Number(bit) << (at & 7);
  return bytes;
}
