/**
 * Stateless requests of the zip device, against node's own calls: every container, level and length, on memory of
 * every temper.
 */
import { deflateRawSync, deflateSync, gunzipSync, gzipSync, inflateRawSync, inflateSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { adler32, crc32 } from '../../../drivers/zip/checksum.js';
import { dataErrors, zipStatus } from '../../../drivers/zip/layout.js';
import { prngStream } from '../../../src/base/prng.js';
import { noise, prose, SAMPLES } from './codec-streams.js';
import { type Answer, HEADS, KINDS, LENGTHS, MEMORIES, ZipBench } from './device-bench.js';

const encode = { raw: deflateRawSync, zlib: deflateSync, gzip: gzipSync };
const decode = { raw: inflateRawSync, zlib: inflateSync, gzip: gunzipSync };
const checksum = { raw: () => 0, zlib: adler32, gzip: crc32 };
type Kind = keyof typeof encode;

/** The stream as the device sees it: without the bytes in front. */
function body(kind: Kind, input: Uint8Array, options = {}): Buffer {
  return encode[kind](input, options).subarray(HEADS[kind].length);
}

function decoded(kind: Kind, output: Buffer): Buffer {
  return decode[kind](Buffer.concat([HEADS[kind], output]));
}

/** What holds for every request that ends well. */
function expectExact(answer: Answer, kind: Kind, plain: Uint8Array): void {
  expect(answer.checksum).toBe(checksum[kind](plain));
  expect(answer.totalBytes).toBe(plain.length);
  expect([answer.context, answer.dataError, answer.strayBytes]).toEqual([0, 0, 0]);
  expect(answer.tag).toBe(0xfeed_beef);
}

describe.each(Object.entries(MEMORIES))('with %s', (_, dma) => {
  const bench = new ZipBench();

  it.each(KINDS)('does %s of any length come out as node would write it, and go back?', (kind) => {
    for (const length of LENGTHS) {
      for (const plain of [prose(length), noise(length)]) {
        const packed = bench.ask({ op: 'compress', kind, input: plain, dma });
        expect(packed.output.equals(body(kind, plain))).toBe(true);
        expect([packed.status, packed.consumed, packed.lastBlock]).toEqual([zipStatus.DONE, length, 0]);
        expectExact(packed, kind, plain);
        const unpacked = bench.ask({ op: 'decompress', kind, input: packed.output, dma });
        expect(unpacked.output.equals(plain)).toBe(true);
        expect([unpacked.status, unpacked.lastBlock]).toEqual([zipStatus.STREAM_END, 1]);
        expect(unpacked.consumed).toBe(packed.produced);
        expectExact(unpacked, kind, plain);
      }
    }
  });
});

describe('compression', () => {
  const bench = new ZipBench();

  it('gives the bytes of node at every level but 0, whatever the coding', () => {
    const coding = fc.record({
      level: fc.integer({ min: 0, max: 9 }),
      strategy: fc.integer({ min: 0, max: 4 }),
      memLevel: fc.integer({ min: 1, max: 9 }),
      windowBits: fc.integer({ min: 9, max: 15 }),
    });
    const plain = fc
      .tuple(fc.constantFrom(prose, noise), fc.nat(70_000))
      .map(([make, length]) => make(length));
    fc.assert(
      fc.property(coding, plain, fc.constantFrom(...KINDS), (chosen, input, kind) => {
        const { level, strategy, memLevel, windowBits } = chosen;
        const fields = { levelPlusOne: level + 1, strategy, memLevel, windowCut: 15 - windowBits };
        const { output, status } = bench.ask({ op: 'compress', kind, input, fields });
        expect(status).toBe(zipStatus.DONE);
        expect(decoded(kind, output).equals(input)).toBe(true);
        if (level > 0) expect(output.equals(body(kind, input, chosen))).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('gives them whatever the device has compressed before, longer and shorter', () => {
    const fields = { levelPlusOne: 2 };
    const random = prngStream(1, 'sizes');
    const words = 'queue doorbell phase tail head slot ring page fault engine'.split(' ');
    const text = (bytes: number): Buffer => {
      const word = (): string => `${words[random.below(words.length)]}${random.below(50)} `;
      return Buffer.from(Array.from({ length: bytes / 5 }, word).join('')).subarray(0, bytes);
    };
    for (let i = 0; i < 600; i++) {
      const plain = text(random.below(8) === 0 ? 16_384 + random.below(60_000) : 500 + random.below(15_000));
      const packed = bench.ask({
        op: 'compress',
        kind: 'raw',
        input: plain,
        room: 60_000,
        dma: { views: true },
        fields,
      });
      expect(packed.output.equals(deflateRawSync(plain, { level: 1 }))).toBe(true);
    }
  });

  it('zero in every extension is level 6 with the usual memory and window', () => {
    const input = prose(50_000);
    expect(bench.ask({ op: 'compress', input }).output.equals(body('gzip', input, { level: 6 }))).toBe(true);
  });

  it('a dictionary right before the source is used, up to 32 KiB of it', () => {
    const all = prose(40_000);
    for (const length of [1, 100, 16_384, 16_385, 32_768]) {
      const dictionary = all.subarray(all.length - length - 2000, all.length - 2000);
      const input = all.subarray(-2000);
      const packed = bench.ask({ op: 'compress', kind: 'raw', input, dictionary, dma: { waits: true } });
      expect(packed.output.equals(deflateRawSync(input, { dictionary }))).toBe(true);
      const unpacked = bench.ask({ op: 'decompress', kind: 'raw', input: packed.output, dictionary });
      expect(unpacked.output.equals(input)).toBe(true);
    }
    expect(bench.ask({ op: 'compress', kind: 'raw', input: all.subarray(-2000) }).output).toEqual(
      deflateRawSync(all.subarray(-2000)),
    );
  });

  it.each([
    { flush: 0, finishFlush: 2 },
    { flush: 3, finishFlush: 2 },
    { flush: 4, finishFlush: 3 },
  ])('without finish ends on a byte boundary, and the parts make a stream: %o', ({ flush, finishFlush }) => {
    const parts = [prose(20_000), new Uint8Array(0), noise(5000), prose(1)];
    const outputs = parts.map((input) => {
      const part = bench.ask({ op: 'compress', kind: 'raw', input, fields: { finish: 0, flush } });
      expect(part.output.equals(deflateRawSync(input, { finishFlush }))).toBe(true);
      expectExact(part, 'raw', input);
      return part.output;
    });
    const whole = Buffer.concat([...outputs, Buffer.from('0300', 'hex')]);
    expect(inflateRawSync(whole).equals(Buffer.concat(parts))).toBe(true);
  });

  it.each(KINDS)('of %s says so when the room is too small, by any number of bytes', (kind) => {
    for (const input of [prose(300), noise(100), noise(70_000)]) {
      const whole = bench.ask({ op: 'compress', kind, input }).output;
      for (let room = 0; room <= whole.length; room += whole.length > 1000 ? 4001 : 1) {
        const { status, produced, consumed, strayBytes } = bench.ask({ op: 'compress', kind, input, room });
        expect(status).toBe(room < whole.length ? zipStatus.NO_ROOM : zipStatus.DONE);
        expect([produced <= room, consumed <= input.length, strayBytes]).toEqual([true, true, 0]);
      }
    }
  });
});

describe('decompression', () => {
  const bench = new ZipBench();

  it('stops at the end and leaves what follows', () => {
    for (const kind of KINDS) {
      for (const plain of Object.values(SAMPLES)) {
        const packed = body(kind, plain);
        for (const garbage of [1, 8, 20_000]) {
          const input = Buffer.concat([packed, noise(garbage)]);
          const answer = bench.ask({ op: 'decompress', kind, input });
          expect([answer.status, answer.consumed]).toEqual([zipStatus.STREAM_END, packed.length]);
          expect(answer.output.equals(plain)).toBe(true);
        }
      }
    }
  });

  it('of an input that ends anywhere before its end consumes all of it and reports no end', () => {
    for (const kind of KINDS) {
      const packed = body(kind, prose(500));
      for (let cut = 0; cut < packed.length; cut++) {
        const answer = bench.ask({ op: 'decompress', kind, input: packed.subarray(0, cut) });
        expect([answer.status, answer.lastBlock, answer.consumed]).toEqual([zipStatus.DONE, 0, cut]);
        expect(answer.output.equals(prose(500).subarray(0, answer.produced))).toBe(true);
      }
    }
  });

  it('fits any room that holds the output, and says so when it does not', () => {
    for (const kind of KINDS) {
      for (const plain of [new Uint8Array(0), prose(200), new Uint8Array(140_000)]) {
        const packed = body(kind, plain);
        const rooms = [0, 1, 63, 64, 65, 65_535, 65_536, plain.length - 65, plain.length - 1, plain.length];
        for (const room of rooms.filter((bytes) => bytes >= 0)) {
          const answer = bench.ask({ op: 'decompress', kind, input: packed, room });
          const fits = room >= plain.length;
          expect(answer.status).toBe(fits ? zipStatus.STREAM_END : zipStatus.NO_ROOM);
          expect([answer.produced, answer.strayBytes]).toEqual([Math.min(room, plain.length), 0]);
        }
      }
    }
  });

  it.each(KINDS)('of %s with one byte wrong fails with the words of node, or not at all', (kind) => {
    const packed = body(kind, prose(120));
    for (let at = 0; at < packed.length; at++) {
      for (const flip of [0x01, 0x80, 0xff]) {
        const input = Uint8Array.from(packed);
        input[at]! ^= flip;
        const answer = bench.ask({ op: 'decompress', kind, input });
        expect(messageOf(answer)).toBe(nodeMessage(kind, input));
        expect([answer.strayBytes, answer.consumed <= input.length]).toEqual([0, true]);
      }
    }
  });

  it('checks the checksum before the length, and both', () => {
    const packed = body('gzip', prose(100));
    const wrongBoth = Uint8Array.from(packed);
    wrongBoth[packed.length - 8]! ^= 1;
    wrongBoth[packed.length - 1]! ^= 1;
    const wrongLength = Uint8Array.from(packed);
    wrongLength[packed.length - 1]! ^= 1;
    expect(bench.ask({ op: 'decompress', input: wrongBoth }).status).toBe(zipStatus.WRONG_CHECKSUM);
    const cut = bench.ask({ op: 'decompress', input: wrongBoth.subarray(0, -1) });
    expect(cut.status).toBe(zipStatus.WRONG_CHECKSUM);
    expect(messageOf(bench.ask({ op: 'decompress', input: wrongLength }))).toBe('incorrect length check');
  });
});

function messageOf({ status, dataError }: Answer): string {
  if (status === zipStatus.STREAM_END) return 'none';
  if (status === zipStatus.DONE) return 'unexpected end of file';
  return dataErrors[dataError]!;
}

function nodeMessage(kind: Kind, input: Uint8Array): string {
  try {
    decoded(kind, Buffer.from(input));
    return 'none';
  } catch (error) {
    return (error as Error).message;
  }
}

describe('cost', () => {
  it('is stated for every segment, and a request never computes longer than one without a yield', () => {
    const bench = new ZipBench();
    bench.ask({ op: 'compress', input: prose(100_000) });
    expect(bench.yields).toEqual([...Array(5).fill(16_384 * 13), (100_000 - 6 * 16_384) * 13]);
    bench.ask({ op: 'decompress', input: body('gzip', new Uint8Array(500_000)) });
    expect(bench.yields.length).toBeGreaterThanOrEqual(Math.floor(500_000 / 65_536));
  });
});
