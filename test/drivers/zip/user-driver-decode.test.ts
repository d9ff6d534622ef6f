/**
 * Decoding with the zip user driver and its device, against node: the same output or the same error, for every
 * container, cut, and wrong byte.
 */
import {
  crc32,
  deflateRawSync,
  deflateSync,
  gunzipSync,
  gzipSync,
  inflateRawSync,
  inflateSync,
  unzipSync,
} from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { noise, prose, SAMPLES } from './codec-streams.js';
import { prepared, UserBench } from './user-bench.js';

const node = { auto: unzipSync, gzip: gunzipSync, deflate: inflateSync, 'deflate-raw': inflateRawSync };
type Format = keyof typeof node;
const FORMATS = Object.keys(node) as Format[];
const bench = new UserBench();
const operations = Object.fromEntries(FORMATS.map((format) => [format, prepared('decompress', { format })]));
const SIZES = { cut: 7, room: 50 };

interface Result {
  readonly data?: string;
  readonly message?: string;
  readonly code?: string;
  readonly errno?: number;
}

function resultOf(decode: () => Buffer): Result {
  try {
    return { data: decode().toString('hex') };
  } catch (error) {
    const { message, code, errno } = error as Error & Result;
    return { message, ...(code && { code }), ...(errno && { errno }) };
  }
}

/** One request a member, and many: both answer what node answers. */
function expectAsNode(format: Format, input: Uint8Array): void {
  const wanted = resultOf(() => node[format](input));
  expect(resultOf(() => bench.decode(operations[format]!, input))).toEqual(wanted);
  expect(resultOf(() => bench.decodeStream(operations[format]!, input, SIZES))).toEqual(wanted);
}

/** A gzip member with every optional field. */
function richGzip(plain: Uint8Array): Buffer {
  const head = Buffer.concat([
    Buffer.from('1f8b081f000000000003', 'hex'),
    Buffer.from([5, 0, 1, 0, 2, 0, 3]),
    Buffer.from('name\0and a comment\0', 'latin1'),
  ]);
  const checksum = Buffer.alloc(2);
  checksum.writeUInt16LE(crc32(head) & 0xffff);
  return Buffer.concat([head, checksum, gzipSync(plain).subarray(10)]);
}

const text = prose(60);
const containers: Record<string, Buffer> = {
  gzip: gzipSync(text),
  'gzip with all fields': richGzip(text),
  zlib: deflateSync(text),
  'zlib of a small window': deflateSync(text, { windowBits: 9 }),
  'zlib with a dictionary': deflateSync(text, { dictionary: Buffer.from('abc') }),
  raw: deflateRawSync(text),
  'two members': Buffer.concat([gzipSync(text), richGzip(text)]),
  'a member and padding': Buffer.concat([gzipSync(text), Buffer.alloc(5)]),
  'a member and garbage': Buffer.concat([gzipSync(text), Buffer.from('xyz')]),
  'a member and zlib': Buffer.concat([gzipSync(text), deflateSync(text)]),
  'a member, zlib and a member': Buffer.concat([gzipSync(text), deflateSync(text), gzipSync(text)]),
  'zlib and a member': Buffer.concat([deflateSync(text), gzipSync(text)]),
  'raw and garbage': Buffer.concat([deflateRawSync(text), noise(9)]),
  nothing: Buffer.alloc(0),
  'one byte of gzip': Buffer.from([0x1f]),
};

describe.each(FORMATS)('as %s', (format) => {
  it.each(Object.entries(containers))('%s is read as node reads it', (_, input) => {
    expectAsNode(format, input);
  });

  it.each(Object.entries(containers))('%s cut anywhere ends as in node', (_, input) => {
    for (let cut = 0; cut < input.length; cut++) expectAsNode(format, input.subarray(0, cut));
  });

  it.each(['gzip with all fields', 'zlib', 'raw'])('%s with any byte wrong ends as in node', (name) => {
    const input = containers[name]!;
    for (let at = 0; at < input.length; at++) {
      for (const flip of [0x01, 0x20, 0xff]) {
        const wrong = Uint8Array.from(input);
        wrong[at]! ^= flip;
        expectAsNode(format, wrong);
      }
    }
  });

  it('any bytes end as in node', () => {
    const magic = fc.constantFrom([], [0x1f], [0x1f, 0x8b], [0x1f, 0x8b, 8], [0x78, 0x9c], [0x78]);
    fc.assert(
      fc.property(magic, fc.uint8Array({ maxLength: 40 }), (start, rest) => {
        expectAsNode(format, Uint8Array.from([...start, ...rest]));
      }),
      { numRuns: 300 },
    );
  });

  it('large outputs come whole', () => {
    for (const plain of Object.values(SAMPLES)) {
      for (const input of [gzipSync(plain), deflateSync(plain), deflateRawSync(plain)]) {
        const wanted = resultOf(() => node[format](input));
        expect(resultOf(() => bench.decode(operations[format]!, input))).toEqual(wanted);
      }
    }
  });
});

describe('the room that a decoder asks for', () => {
  const room = (input: Uint8Array): number => operations.auto!.decode!.room(input);

  it('is what gzip says, so that one request is enough', () => {
    for (const bytes of [0, 5000, 300_000])
      expect(room(gzipSync(new Uint8Array(bytes)))).toBe(Math.max(16_384, bytes + 1));
  });

  it('is never what a lie says, and never nothing', () => {
    const liar = gzipSync(prose(100));
    liar.writeUInt32LE(0xffff_ffff, liar.length - 4);
    expect(room(liar)).toBe(16_384);
    expect([room(new Uint8Array(0)), room(Buffer.from([0x1f, 0x8b]))]).toEqual([16_384, 16_384]);
    expect(room(deflateSync(noise(50_000)))).toBeGreaterThan(50_000);
  });
});

describe('a header that has not all arrived', () => {
  it.each(['gzip', 'gzip with all fields', 'zlib'])(
    'of %s asks for more until it has, and no longer',
    (name) => {
      const input = containers[name]!;
      const { parseHeader } = operations.auto!.decode!;
      const kinds = Array.from(input, (_, length) => parseHeader(input.subarray(0, length), false).kind);
      const whole = kinds.indexOf('skip');
      expect(whole).toBeGreaterThan(0);
      expect(kinds.every((kind, length) => kind === (length < whole ? 'more' : 'skip'))).toBe(true);
      const verdict = parseHeader(input, true);
      expect(verdict.kind === 'skip' && verdict.bytes).toBe(whole);
    },
  );
});
