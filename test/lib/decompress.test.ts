// Does decompression on the device say exactly what node:zlib says, good or bad?
import * as zlib from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MiB } from '../../src/base/units.js';
import { type Library, openLibrary, randomBytes, sampleText } from './library-bench.js';

let library: Library;
beforeAll(async () => {
  library = await openLibrary();
});
afterAll(() => library.pool.close());

type Format = 'auto' | 'gzip' | 'deflate' | 'deflate-raw';
const DECODERS: Readonly<Record<Format, (input: Uint8Array) => Buffer>> = {
  auto: zlib.unzipSync,
  gzip: zlib.gunzipSync,
  deflate: zlib.inflateSync,
  'deflate-raw': zlib.inflateRawSync,
};

type Said = { data: string } | { code: unknown; errno: unknown; message: unknown };

function nodeSays(input: Uint8Array, format: Format): Said {
  try {
    return { data: DECODERS[format](input).toString('base64') };
  } catch (failure) {
    const { code, errno, message } = failure as { code: unknown; errno: unknown; message: unknown };
    return { code, errno, message };
  }
}

async function deviceSays(input: Uint8Array, format: Format): Promise<Said> {
  const result = await library.pool.decompress(input, { format, route: 'device' });
  if (result.isOk()) return { data: result.value.data.toString('base64') };
  const { kind, code, message } = result.error;
  expect([kind, result.error.retryable]).toEqual(['BadData', false]);
  return { code, errno: 'errno' in result.error ? result.error.errno : null, message };
}

const text = sampleText(3000);
const member = zlib.gzipSync(text);
const other = zlib.gzipSync(randomBytes(2000));
const ZEROS = Buffer.alloc(50);
const cat = (...parts: Uint8Array[]): Buffer => Buffer.concat(parts);

const INPUTS: readonly [string, Buffer][] = [
  ['nothing', Buffer.alloc(0)],
  ['one byte', Buffer.of(0x1f)],
  ['two members', cat(member, other)],
  ['five members, one of them empty', cat(member, zlib.gzipSync(''), other, member, other)],
  ['trailing zeros', cat(member, ZEROS)],
  ['two members and trailing zeros', cat(member, other, ZEROS)],
  ['trailing garbage', cat(member, Buffer.from('garbage'))],
  ['trailing garbage after zeros', cat(member, ZEROS, Buffer.from('garbage'))],
  ['half a second member', cat(member, other.subarray(0, 1000))],
  ['the head of a second member', cat(member, other.subarray(0, 5))],
  ['one byte of a second member', cat(member, other.subarray(0, 1))],
  ['a zlib stream', zlib.deflateSync(text)],
  ['a zlib stream and garbage', cat(zlib.deflateSync(text), Buffer.from('garbage'))],
  ['a gzip member, then a zlib stream', cat(member, zlib.deflateSync(text))],
  ['a zlib stream, then a gzip member', cat(zlib.deflateSync(text), member)],
  ['a raw stream', zlib.deflateRawSync(text)],
  ['a raw stream and garbage', cat(zlib.deflateRawSync(text), Buffer.from('garbage'))],
  ['an empty member', zlib.gzipSync('')],
  ['an empty zlib stream', zlib.deflateSync('')],
  ['an empty raw stream', zlib.deflateRawSync('')],
  ['a stream that needs a dictionary', zlib.deflateSync(text, { dictionary: text })],
  ['text', text],
  ['zeros', ZEROS],
  ['stored blocks', zlib.gzipSync(text, { level: 0 })],
  ['a small window', zlib.deflateSync(text, { windowBits: 9 })],
];

describe.each(Object.keys(DECODERS) as Format[])('format %s', (format) => {
  test.each(INPUTS)('%s', async (_name, input) => {
    expect(await deviceSays(input, format)).toEqual(nodeSays(input, format));
  });
});

const WHOLE: readonly [Format, Buffer][] = [
  ['gzip', member],
  ['deflate', zlib.deflateSync(text)],
  ['deflate-raw', zlib.deflateRawSync(text)],
  ['auto', cat(member, other)],
];

describe.each(WHOLE)('%s', (format, whole) => {
  test('cut off after every 7th byte', async () => {
    for (let bytes = 0; bytes < whole.length; bytes += 7) {
      const input = whole.subarray(0, bytes);
      expect(await deviceSays(input, format), `${bytes} bytes`).toEqual(nodeSays(input, format));
    }
  });

  test('with a bit flipped in every 7th byte', async () => {
    for (let at = 0; at < whole.length; at += 7) {
      const input = Buffer.from(whole);
      input[at]! ^= 1 << (at % 8);
      expect(await deviceSays(input, format), `byte ${at}`).toEqual(nodeSays(input, format));
    }
  });
});

describe('output that grows far beyond its input', () => {
  test.each([100_000, 5 * MiB, 8 * MiB, 8 * MiB + 1, 30 * MiB])('%d bytes of zeros', async (bytes) => {
    for (const [format, packed] of [
      ['auto', zlib.gzipSync(Buffer.alloc(bytes))],
      ['deflate-raw', zlib.deflateRawSync(Buffer.alloc(bytes))],
    ] as const) {
      const result = await library.pool.decompress(packed, { format, route: 'device' });
      const { data, via } = result._unsafeUnwrap();
      expect([data.length, data.every((byte) => byte === 0)]).toEqual([bytes, true]);
      expect(via.path).toBe('device');
    }
  });

  test('a member that lies about its length is decoded all the same, or refused as node refuses it', async () => {
    for (const claimed of [0, 1, 1000, 0xffff_ffff]) {
      const input = cat(zlib.gzipSync(Buffer.alloc(200_000, 'lie')));
      input.writeUInt32LE(claimed, input.length - 4);
      expect(await deviceSays(input, 'gzip')).toEqual(nodeSays(input, 'gzip'));
    }
  });

  test('ten thousand members', async () => {
    const input = cat(...Array.from({ length: 10_000 }, () => zlib.gzipSync('ab')));
    const { data } = (await library.pool.decompress(input, { route: 'device' }))._unsafeUnwrap();
    expect(data.toString()).toBe('ab'.repeat(10_000));
  });
});

describe('maxOutputLength', () => {
  const ROUTES = ['device', 'software'] as const;

  test.each(ROUTES)('decompress on %s: the exact size passes, one byte less does not', async (route) => {
    for (const bytes of [1, 600, 100_000, 9 * MiB]) {
      const packed = zlib.gzipSync(sampleText(bytes), { level: 1 });
      const exact = await library.pool.decompress(packed, { route, maxOutputLength: bytes });
      expect(exact._unsafeUnwrap().data.length).toBe(bytes);
      if (bytes === 1) continue;
      const less = await library.pool.decompress(packed, { route, maxOutputLength: bytes - 1 });
      expect(less._unsafeUnwrapErr()).toMatchObject({
        kind: 'OutputTooLarge',
        code: 'ERR_BUFFER_TOO_LARGE',
        limitBytes: bytes - 1,
        message: `Cannot create a Buffer larger than ${bytes - 1} bytes`,
      });
    }
  });

  test.each(ROUTES)('compress on %s: the exact size passes, one byte less does not', async (route) => {
    for (const bytes of [0, 600, 100_000, 2 * MiB]) {
      const input = sampleText(bytes);
      const { length } = (await library.pool.compress(input, { route }))._unsafeUnwrap().data;
      const exact = await library.pool.compress(input, { route, maxOutputLength: length });
      expect(exact._unsafeUnwrap().data.length).toBe(length);
      const less = await library.pool.compress(input, { route, maxOutputLength: length - 1 });
      expect(less._unsafeUnwrapErr()).toMatchObject({ kind: 'OutputTooLarge', limitBytes: length - 1 });
    }
  });

  test('a bomb is stopped at the limit: the device takes no more steps than for an honest input of that size', async () => {
    const { machine, pool } = await openLibrary();
    await pool.ready({ op: 'decompress' });
    const steps = async (input: Buffer, maxOutputLength: number): Promise<number> => {
      const before = machine.events;
      await pool.decompress(input, { route: 'device', maxOutputLength });
      return machine.events - before;
    };
    const honest = await steps(zlib.gzipSync(Buffer.alloc(2 * MiB)), 2 * MiB);
    const bomb = await steps(zlib.gzipSync(Buffer.alloc(200 * MiB), { level: 9 }), MiB);
    expect(bomb).toBeLessThan(honest);
    await pool.close();
  });
});
