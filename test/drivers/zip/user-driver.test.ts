/**
 * The zip user driver with its device, against node: containers, blocks, streams, parameters and software.
 */
import { deflateRawSync, deflateSync, gunzipSync, gzipSync, inflateRawSync, inflateSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { adler32Combine, crc32Combine } from '../../../drivers/zip/checksum.js';
import zip from '../../../drivers/zip/index.js';
import { zipUserDriver } from '../../../drivers/zip/user-driver.js';
import { noise, prose, SAMPLES } from './codec-streams.js';
import { LENGTHS } from './device-bench.js';
import { prepared, UserBench } from './user-bench.js';

const encode = { gzip: gzipSync, deflate: deflateSync, 'deflate-raw': deflateRawSync };
const decode = { gzip: gunzipSync, deflate: inflateSync, 'deflate-raw': inflateRawSync };
const FORMATS = ['gzip', 'deflate', 'deflate-raw'] as const;
const LIMIT = { maxOutputBytes: 2 ** 32 };

const coding = fc.record(
  {
    level: fc.integer({ min: 0, max: 9 }),
    strategy: fc.integer({ min: 0, max: 4 }),
    memLevel: fc.integer({ min: 1, max: 9 }),
    windowBits: fc.integer({ min: 9, max: 15 }),
  },
  { requiredKeys: [] },
);
const plain = fc
  .tuple(fc.constantFrom(prose, noise), fc.oneof(fc.constantFrom(...LENGTHS), fc.nat(70_000)))
  .map(([make, length]) => make(length));
const format = fc.constantFrom(...FORMATS);

describe('one request', () => {
  const bench = new UserBench();

  it('gives the very bytes of node, the header included, at every level but 0', () => {
    fc.assert(
      fc.property(format, coding, plain, (chosen, options, input) => {
        const output = bench.encode(prepared('compress', { format: chosen, ...options }), input);
        expect(decode[chosen](output).equals(input)).toBe(true);
        const wanted = encode[chosen](input, options);
        if (options.level !== 0) expect(output.equals(wanted)).toBe(true);
        expect(output.subarray(0, 10).equals(wanted.subarray(0, 10)) || options.level === 0).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('has the header of node for every level, strategy and window', () => {
    for (const chosen of ['gzip', 'deflate'] as const) {
      for (let level = 0; level <= 9; level++) {
        for (let strategy = 0; strategy <= 4; strategy++) {
          for (let windowBits = 9; windowBits <= 15; windowBits++) {
            const options = { level, strategy, windowBits };
            const { header } = prepared('compress', { format: chosen, ...options });
            const wanted = encode[chosen](Buffer.alloc(0), options).subarray(0, header.length);
            expect(Buffer.from(header).equals(wanted)).toBe(true);
          }
        }
      }
    }
  });

  it('is gzip at level 6 when nothing is said', () => {
    expect(bench.encode(prepared('compress'), prose(5000)).equals(gzipSync(prose(5000)))).toBe(true);
  });

  it('is its room large enough for input that does not compress, at any coding?', () => {
    fc.assert(
      fc.property(format, coding, fc.nat(40_000), fc.nat(255), (chosen, options, length, low) => {
        const operation = prepared('compress', { format: chosen, ...options });
        // Bytes from 144 on take 9 bits in fixed codes.
        const input = noise(length).map((byte) => Math.max(byte, low));
        expect(decode[chosen](bench.encode(operation, input)).equals(input)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('is the largest input compressible into the largest room?', () => {
    const operation = prepared('compress', { level: 0 });
    expect(operation.oneShot.outputRoom(operation.requestBytesMax)).toBeLessThanOrEqual(8 * 1024 * 1024);
    expect(operation.requestBytesMax).toBeGreaterThanOrEqual(4 * 1024 * 1024);
  });
});

describe('blocks', () => {
  const bench = new UserBench();

  it('put together are one stream that node reads, however many there are', () => {
    const blockBytes = fc.integer({ min: 1000, max: 70_000 });
    fc.assert(
      fc.property(format, coding, plain, blockBytes, (chosen, options, input, bytes) => {
        const operation = prepared('compress', { format: chosen, ...options });
        expect(decode[chosen](bench.encodeBlocks(operation, input, bytes)).equals(input)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it.each(FORMATS)('none at all are a valid %s of nothing', (chosen) => {
    const output = bench.encodeBlocks(prepared('compress', { format: chosen }), new Uint8Array(0), 1000);
    expect(decode[chosen](output).length).toBe(0);
  });

  it('use what stands before them', () => {
    const input = Buffer.concat([noise(20_000), noise(20_000)]);
    const operation = prepared('compress', { format: 'deflate-raw' });
    expect(bench.encodeBlocks(operation, input, 20_000).length).toBeLessThan(21_000);
  });

  it('beyond 2^32 bytes have the trailer of their sum', () => {
    const parts = Array.from({ length: 9 }, (_, n) => ({ inputBytes: 2 ** 29 + n, checksum: 0x1234 + n }));
    const sum = (combine: typeof crc32Combine, empty: number): number =>
      parts.reduce((total, { checksum, inputBytes }) => combine(total, checksum, inputBytes), empty);
    const trailer = (chosen: string): Buffer =>
      Buffer.from(prepared('compress', { format: chosen }).blocks!.trailer(parts));
    expect(trailer('gzip').readUInt32LE(2)).toBe(sum(crc32Combine, 0));
    expect(trailer('gzip').readUInt32LE(6)).toBe(2 ** 29 + 36);
    expect(trailer('deflate').readUInt32BE(2)).toBe(sum(adler32Combine, 1));
    expect(trailer('deflate-raw').toString('hex')).toBe('0300');
  });
});

describe('a stream of requests', () => {
  const bench = new UserBench();

  it('gives the bytes of node however it is cut', () => {
    for (const chosen of FORMATS) {
      for (const input of Object.values(SAMPLES)) {
        for (const cut of [5000, 131_072]) {
          const output = bench.encodeStream(prepared('compress', { format: chosen }), input, cut);
          expect(output.equals(encode[chosen](input))).toBe(true);
        }
      }
    }
  });

  it('goes on with the SQEs of another coding, and ends whatever flush is named with the end', () => {
    const [plain, stored] = [6, 0].map((level) => prepared('compress', { format: 'deflate-raw', level }));
    const [one, other] = [prose(3000), prose(900)];
    const stream = { state: 64, final: false };
    const first = bench.send(plain!.stream!.format, one, { ...stream, streamNew: true, flush: 2 });
    const last = bench.send(stored!.stream!.format, other, { ...stream, final: true, flush: 4 });
    expect([first.verdict, last.verdict]).toEqual(['ok', 'ok']);
    expect(last.output.includes(Buffer.from(other))).toBe(true);
    const whole = inflateRawSync(Buffer.concat([first.output, last.output]));
    expect(whole.equals(Buffer.concat([one, other]))).toBe(true);
  });
});

describe('a parameter', () => {
  it.each([
    ['compress', { level: 10 }, 'ERR_OUT_OF_RANGE', 'level'],
    ['compress', { level: -1 }, 'ERR_OUT_OF_RANGE', 'level'],
    ['compress', { level: 1.5 }, 'ERR_OUT_OF_RANGE', 'level'],
    ['compress', { level: '6' }, 'ERR_INVALID_ARG_TYPE', 'level'],
    ['compress', { level: null }, 'ERR_INVALID_ARG_TYPE', 'level'],
    ['compress', { strategy: 5 }, 'ERR_OUT_OF_RANGE', 'strategy'],
    ['compress', { memLevel: 0 }, 'ERR_OUT_OF_RANGE', 'memLevel'],
    ['compress', { memLevel: 10 }, 'ERR_OUT_OF_RANGE', 'memLevel'],
    ['compress', { windowBits: 8 }, 'ERR_OUT_OF_RANGE', 'windowBits'],
    ['compress', { windowBits: 16 }, 'ERR_OUT_OF_RANGE', 'windowBits'],
    ['compress', { format: 'zip' }, 'ERR_INVALID_ARG_VALUE', 'format'],
    ['compress', { format: 'auto' }, 'ERR_INVALID_ARG_VALUE', 'format'],
    ['compress', { format: 'toString' }, 'ERR_INVALID_ARG_VALUE', 'format'],
    ['compress', { format: 3 }, 'ERR_INVALID_ARG_TYPE', 'format'],
    ['compress', { levle: 3 }, 'ERR_WD_UNKNOWN_OPTION', 'levle'],
    ['decompress', { level: 3 }, 'ERR_WD_UNKNOWN_OPTION', 'level'],
    ['decompress', { format: 'zlib' }, 'ERR_INVALID_ARG_VALUE', 'format'],
    ['decompress', { format: null }, 'ERR_INVALID_ARG_TYPE', 'format'],
  ])('%s with %o is refused with %s and named', (op, parameters, code, argument) => {
    const error = zipUserDriver.prepare({ op, parameters })._unsafeUnwrapErr();
    expect([error.code, error.argument, error.retryable]).toEqual([code, argument, false]);
    expect(error.message).toContain(`"${argument}" must be`);
  });
});

describe('software', () => {
  it.each(FORMATS)('gives %s that the device reads, and reads what the device gives', async (chosen) => {
    const bench = new UserBench();
    const compress = prepared('compress', { format: chosen, level: 9 });
    const decompress = prepared('decompress', { format: chosen });
    for (const input of Object.values(SAMPLES)) {
      const now = compress.softwareSync(input, LIMIT)._unsafeUnwrap().data;
      const later = (await compress.software(input, LIMIT))._unsafeUnwrap().data;
      expect(Buffer.compare(now, later)).toBe(0);
      expect(bench.decode(decompress, now).equals(input)).toBe(true);
      const packed = bench.encode(compress, input);
      expect(Buffer.compare(decompress.softwareSync(packed, LIMIT)._unsafeUnwrap().data, input)).toBe(0);
      expect(Buffer.compare((await decompress.software(packed, LIMIT))._unsafeUnwrap().data, input)).toBe(0);
    }
  });

  it('answers bad input and too much output as typed errors, in both forms', async () => {
    const operation = prepared('decompress');
    const packed = gzipSync(prose(1000));
    const truncated = packed.subarray(0, 100);
    const small = { maxOutputBytes: 999 };
    for (const answer of [
      await operation.software(truncated, LIMIT),
      operation.softwareSync(truncated, LIMIT),
    ]) {
      const error = answer._unsafeUnwrapErr();
      expect(error).toMatchObject({ kind: 'BadData', code: 'Z_BUF_ERROR', errno: -5 });
      expect(error.message).toBe('unexpected end of file');
    }
    for (const answer of [await operation.software(packed, small), operation.softwareSync(packed, small)]) {
      const error = answer._unsafeUnwrapErr();
      expect(error).toMatchObject({ kind: 'OutputTooLarge', code: 'ERR_BUFFER_TOO_LARGE', limitBytes: 999 });
    }
    expect(operation.softwareSync(packed, { maxOutputBytes: 1000 }).isOk()).toBe(true);
  });
});

describe('the module', () => {
  it('announces the hardware whose descriptors it takes, and drives it', async () => {
    expect(zip.kernelDriver).toMatchObject({ deviceName: 'hisi_zip', api: 'hisi_qm_v3' });
    expect(zip.kernelDriver.algorithms).toEqual(['zlib', 'gzip', 'deflate']);
    const driver = await zip.userDriver();
    expect(driver).toBe(zipUserDriver);
    expect([zipUserDriver.drives('hisi_qm_v3'), zipUserDriver.drives('wd_copy_v1')]).toEqual([true, false]);
  });

  it('spends longer on more bytes and higher levels, and says so', () => {
    const cost = (level: number, bytes: number): number =>
      prepared('compress', { level }).oneShot.expectedNs(bytes);
    expect([0, 1, 6, 9].map((level) => cost(level, 1000))).toEqual([4000, 11_000, 16_000, 28_000]);
  });
});
