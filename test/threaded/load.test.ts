// Are results right with real threads, under bursts, mixtures and a caller that blocks?
import * as zlib from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Pool } from 'warpdrive';
import * as wd from 'warpdrive';
import { prngStream } from '../../src/base/prng.js';
import { randomBytes, sampleText } from '../lib/library-bench.js';

let pool: Pool;
beforeAll(async () => {
  pool = (await wd.open({ engines: 2 }))._unsafeUnwrap();
}, 120_000);
afterAll(async () => {
  await pool.close();
});

test('thirty thousand small compressions at once all succeed', async () => {
  const inputs = Array.from({ length: 16 }, (_, i) => sampleText(600 + i * 30, i));
  const calls = Array.from({ length: 30_000 }, (_, i) => pool.compress(inputs[i % 16]!, { level: 1 }));
  const expected: (Buffer | undefined)[] = [];
  for (const [i, result] of (await Promise.all(calls)).entries()) {
    const { data, via } = result._unsafeUnwrap();
    expect(via.path).toBe('device');
    const first = expected[i % 16];
    if (first !== undefined) expect(data.equals(first)).toBe(true);
    else expect(zlib.gunzipSync(data).equals(inputs[i % 16]!)).toBe(true);
    expected[i % 16] ??= data;
  }
});

const ENCODERS = { gzip: zlib.gzipSync, deflate: zlib.deflateSync, 'deflate-raw': zlib.deflateRawSync };
const DECODERS = { gzip: zlib.gunzipSync, deflate: zlib.inflateSync, 'deflate-raw': zlib.inflateRawSync };
const FORMATS = ['gzip', 'deflate', 'deflate-raw'] as const;
const SIZE_MAX = 300 * 1024;

test('a mixture of sizes, formats, levels and both directions agrees with node:zlib', async () => {
  const seed = 20;
  const random = prngStream(seed, 'mixture');
  const source = Buffer.concat([sampleText(SIZE_MAX), randomBytes(SIZE_MAX), Buffer.alloc(SIZE_MAX)]);
  const one = async (index: number): Promise<void> => {
    const from = random.below(2 * SIZE_MAX);
    const bytes = random.below(4) === 0 ? random.below(2000) : random.below(SIZE_MAX);
    const input = source.subarray(from, from + bytes);
    const format = FORMATS[random.below(3)]!;
    const level = random.below(7);
    const route = random.below(2) === 0 ? 'auto' : 'device';
    const what = `seed ${seed}, request ${index}: ${format}, level ${level}, ${bytes} bytes, ${route}`;
    if (random.below(2) === 0) {
      const { data } = (await pool.compress(input, { format, level, route }))._unsafeUnwrap();
      expect(DECODERS[format](data).equals(input), what).toBe(true);
    } else {
      const packed = ENCODERS[format](input, { level });
      const { data } = (await pool.decompress(packed, { format, route }))._unsafeUnwrap();
      expect(data.equals(input), what).toBe(true);
    }
  };
  for (let from = 0; from < 600; from += 60) {
    await Promise.all(Array.from({ length: 60 }, (_, i) => one(from + i)));
  }
});

describe('a caller that blocks its thread for 200 ms', () => {
  const block = (): void => {
    const endMs = performance.now() + 200;
    while (performance.now() < endMs);
  };

  test('with requests in flight loses nothing', async () => {
    const text = sampleText(20_000);
    for (let round = 0; round < 5; round++) {
      const calls = Array.from({ length: 100 }, () => pool.compress(text, { level: 1 }));
      if (round % 2 === 0) await new Promise(setImmediate);
      block();
      for (const result of await Promise.all(calls))
        expect(zlib.gunzipSync(result._unsafeUnwrap().data).equals(text)).toBe(true);
    }
  });
});

test('a large input over both engines, back again through a stream of requests', async () => {
  const input = Buffer.concat([sampleText(12_000_000), randomBytes(3_000_000)]);
  const { data } = (await pool.compress(input, { level: 1 }))._unsafeUnwrap();
  expect(zlib.gunzipSync(data).equals(input)).toBe(true);
  expect((await pool.decompress(data))._unsafeUnwrap().data.equals(input)).toBe(true);
});
