// Is what comes out readable by node:zlib, and the same however many engines there are?
import * as zlib from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CompressOptions } from '../../lib/options.js';
import { KiB, MiB } from '../../src/base/units.js';
import { type Library, openLibrary, randomBytes, sampleText } from './library-bench.js';

const DECODERS = { gzip: zlib.gunzipSync, deflate: zlib.inflateSync, 'deflate-raw': zlib.inflateRawSync };
const FORMATS = ['gzip', 'deflate', 'deflate-raw'] as const;

let libraries: Library[];
beforeAll(async () => {
  libraries = await Promise.all([1, 2, 3].map((engines) => openLibrary({ engines, seed: engines })));
});
afterAll(() => Promise.all(libraries.map(({ pool }) => pool.close())));

const pool = (engines: 1 | 2 | 3 = 1) => libraries[engines - 1]!.pool;

async function* inPieces(input: Buffer, pieceBytes: number): AsyncGenerator<Buffer, void, void> {
  for (let from = 0; from < input.length; from += pieceBytes) yield input.subarray(from, from + pieceBytes);
}

async function streamed(
  engines: 1 | 2 | 3,
  input: Buffer,
  options: CompressOptions & { pieceBytes: number },
) {
  const { pieceBytes, ...others } = options;
  const pieces: Buffer[] = [];
  for await (const piece of pool(engines).compressStream(inPieces(input, pieceBytes), others))
    pieces.push(piece._unsafeUnwrap().data);
  return Buffer.concat(pieces);
}

describe.each(FORMATS)('format %s', (format) => {
  test.each([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])('level %d is read back by node:zlib', async (level) => {
    for (const input of [
      Buffer.alloc(0),
      Buffer.of(1),
      sampleText(700),
      randomBytes(70_000),
      Buffer.alloc(300_000),
    ]) {
      const { data } = (await pool().compress(input, { format, level, route: 'device' }))._unsafeUnwrap();
      expect(DECODERS[format](data).equals(input)).toBe(true);
    }
  });

  test('every strategy, memory level and window', async () => {
    const input = Buffer.concat([sampleText(20_000), randomBytes(20_000), Buffer.alloc(20_000)]);
    const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
    const sets = [
      ...numbers(0, 4).map((strategy) => ({ strategy })),
      ...numbers(1, 9).map((memLevel) => ({ memLevel })),
      ...numbers(9, 15).map((windowBits) => ({ windowBits })),
      { level: 1, strategy: 2, memLevel: 1, windowBits: 9 },
    ];
    for (const options of sets) {
      const { data } = (
        await pool().compress(input, { format, route: 'device', ...options })
      )._unsafeUnwrap();
      expect(DECODERS[format](data).equals(input), JSON.stringify(options)).toBe(true);
    }
  });

  test('a large input is cut into the same bytes with 1, 2 and 3 engines, and as a stream', async () => {
    const input = Buffer.concat([
      sampleText(MiB),
      randomBytes(300_000),
      Buffer.alloc(700_000),
      sampleText(MiB, 2),
    ]);
    for (const blockBytes of [64 * KiB, 512 * KiB, undefined]) {
      const options = { format, level: 3, ...(blockBytes === undefined ? {} : { blockBytes }) };
      const outputs = await Promise.all(
        ([1, 2, 3] as const).map(async (engines) =>
          (await pool(engines).compress(input, options))._unsafeUnwrap(),
        ),
      );
      const [first] = outputs;
      for (const { data, via } of outputs) {
        expect(data.equals(first!.data)).toBe(true);
        expect(via.attempts).toBe(Math.ceil(input.length / (blockBytes ?? 512 * KiB)));
      }
      for (const [engines, pieceBytes] of [
        [1, 1 << 16],
        [3, 99_991],
      ] as const)
        expect((await streamed(engines, input, { ...options, pieceBytes })).equals(first!.data)).toBe(true);
      expect(DECODERS[format](first!.data).equals(input)).toBe(true);
    }
  });

  test.each([0, 1, 64 * KiB - 1, 64 * KiB, 64 * KiB + 1, 3 * 64 * KiB])(
    'a stream of %d bytes',
    async (bytes) => {
      const input = sampleText(bytes);
      for (const pieceBytes of [1 << 20, 1000]) {
        const data = await streamed(2, input, { format, pieceBytes, blockBytes: 64 * KiB });
        expect(DECODERS[format](data).equals(input)).toBe(true);
      }
    },
  );
});

test('the library reads back what it wrote, block by block and as a stream', async () => {
  const input = Buffer.concat([sampleText(5 * MiB), randomBytes(MiB)]);
  const { data } = (await pool(2).compress(input, { level: 1 }))._unsafeUnwrap();
  expect((await pool(2).decompress(data, { route: 'device' }))._unsafeUnwrap().data.equals(input)).toBe(true);
  const pieces: Buffer[] = [];
  for await (const piece of pool(2).decompressStream(inPieces(data, 10_007)))
    pieces.push(piece._unsafeUnwrap().data);
  expect(Buffer.concat(pieces).equals(input)).toBe(true);
});

test('a caller that leaves a stream early leaves nothing behind', async () => {
  const input = sampleText(4 * MiB);
  for (let round = 0; round < 10; round++) {
    for await (const piece of pool(2).compressStream(inPieces(input, MiB), {
      level: 1,
      blockBytes: 64 * KiB,
    })) {
      piece._unsafeUnwrap();
      if (round % 2 === 0) break;
    }
  }
  const { queues } = await pool(2).describe();
  expect(queues.every(({ inFlight }) => inFlight === 0)).toBe(true);
});

test('a source that throws ends the stream with that failure, and the pool goes on', async () => {
  async function* broken(): AsyncGenerator<Buffer, void, void> {
    yield sampleText(200_000);
    throw new Error('the disk is gone');
  }
  const drain = async (): Promise<void> => {
    for await (const piece of pool().compressStream(broken())) piece._unsafeUnwrap();
  };
  await expect(drain()).rejects.toThrow('the disk is gone');
  expect((await pool().compress(sampleText(2000))).isOk()).toBe(true);
});
