// Can others read what `warpdrive/zlib` writes, and can it read what others write? fflate is an implementation of its
// own, in JavaScript; gzip is the program of the system.
import { spawnSync } from 'node:child_process';
import * as fflate from 'fflate';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { close } from 'warpdrive';
import ours, { viaOf } from 'warpdrive/zlib';
import { MiB } from '../../src/base/units.js';
import { randomBytes, sampleText } from '../lib/library-bench.js';
import { make, type ZlibStream } from './differential-steps.js';
import { resultOf, within } from './observe.js';
import { NOISE, SIZES, TEXT } from './table-data.js';

beforeAll(async () => {
  await resultOf(ours, 'gzip', TEXT);
});
afterAll(() => close());

/** Function and class of ours, and of fflate, for each format. */
const FORMATS = [
  ['gzip', 'Gzip', 'gunzip', 'Gunzip', fflate.gunzipSync, fflate.gzipSync],
  ['deflate', 'Deflate', 'inflate', 'Inflate', fflate.unzlibSync, fflate.zlibSync],
  ['deflateRaw', 'DeflateRaw', 'inflateRaw', 'InflateRaw', fflate.inflateSync, fflate.deflateSync],
] as const;
const CONTENTS: readonly Buffer[] = [
  ...SIZES.map((bytes) => sampleText(bytes)),
  randomBytes(70_000),
  Buffer.alloc(70_000),
  Buffer.concat([NOISE, TEXT]),
  sampleText(MiB + 1),
];
const LEVELS = [-1, 0, 1, 9];

/** What `stream` makes of `input`, written in three parts with a flush between two of them. */
async function through(stream: ZlibStream, input: Buffer): Promise<Buffer> {
  const third = Math.ceil(input.length / 3);
  stream.write(input.subarray(0, third));
  stream.flush();
  stream.write(input.subarray(third, 2 * third));
  stream.end(input.subarray(2 * third));
  return Buffer.concat(await within(stream.toArray()));
}

describe.each(FORMATS)('%s', (packer, packerClass, unpacker, unpackerClass, decode, encode) => {
  test.each(LEVELS)('fflate reads what is written at level %d', async (level) => {
    for (const input of CONTENTS) {
      const packed = await resultOf(ours, packer, input, { level });
      expect(input.equals(decode(packed))).toBe(true);
      expect(input.equals(decode(await through(make(ours, packerClass, { level }), input)))).toBe(true);
    }
  });

  test('what fflate writes is read', async () => {
    for (const input of CONTENTS)
      for (const level of [0, 1, 9] as const) {
        const packed = Buffer.from(encode(input, { level }));
        for (const name of packer === 'deflateRaw' ? [unpacker] : [unpacker, 'unzip'])
          expect((await resultOf(ours, name, packed)).equals(input)).toBe(true);
        expect((await through(make(ours, unpackerClass), packed)).equals(input)).toBe(true);
      }
  });
});

const withoutGzip = spawnSync('gzip', ['--version']).status !== 0;

test.skipIf(withoutGzip)('the gzip of the system reads what is written, and is read', async () => {
  const pipe = (input: Buffer, ...options: string[]): Buffer =>
    spawnSync('gzip', ['--stdout', ...options], { input, maxBuffer: 16 * MiB }).stdout;
  for (const input of CONTENTS) {
    expect(pipe(await resultOf(ours, 'gzip', input), '--decompress').equals(input)).toBe(true);
    expect(pipe(await through(make(ours, 'Gzip'), input), '--decompress').equals(input)).toBe(true);
    const members = Buffer.concat([pipe(input, '-1'), pipe(TEXT, '-9')]);
    expect((await resultOf(ours, 'gunzip', members)).equals(Buffer.concat([input, TEXT]))).toBe(true);
  }
});

test('it was the device that wrote and read', async () => {
  const packed = await resultOf(ours, 'gzip', TEXT);
  expect([viaOf(packed), viaOf(await resultOf(ours, 'gunzip', packed))]).toMatchObject([
    { path: 'device' },
    { path: 'device' },
  ]);
});
