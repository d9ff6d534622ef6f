/**
 * Inflate against node's own calls, on both engines: any cut, any window, exact ends, and every way a stream can
 * be bad.
 */
import { constants, inflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Deflater, type InflateError, Inflater } from '../../../drivers/zip/codec.js';
import {
  deflateBy,
  ENGINES,
  inflateBy,
  KiB,
  noise,
  packed,
  plain,
  prose,
  SAMPLES,
  SEGMENT,
} from './codec-streams.js';

interface Outcome {
  data: Buffer | null;
  error: InflateError | null;
}

describe.each(ENGINES)('inflate on the %s engine', (engine) => {
  const open = (windowBits = 15, dictionary?: Uint8Array): Inflater =>
    new Inflater({ windowBits, engine, ...(dictionary && { dictionary }) });

  describe.each(Object.entries(SAMPLES))('of %s', (_, sample) => {
    it('in segments gives the original and stops exactly at the end', () => {
      for (const level of [0, 1, 6, 9]) {
        const stream = packed(sample, { level });
        for (const garbage of [0, 1, 7, 40]) {
          const inflater = open();
          const read = inflateBy(inflater, Buffer.concat([stream, noise(garbage)]));
          expect(read.data.equals(sample)).toBe(true);
          expect(read.consumed).toBe(stream.length);
          expect(inflater.ended).toBe(true);
        }
      }
    });

    it('stops exactly when the output room ends with the stream, or a byte to either side', () => {
      const stream = packed(sample);
      for (const slack of [-65, -64, -63, -2, -1, 0, 1]) {
        for (const garbage of [0, 5]) {
          const inflater = open();
          const sizes = { segment: 1 << 30, window: Math.max(1, sample.length + slack) };
          const read = inflateBy(inflater, Buffer.concat([stream, noise(garbage)]), sizes);
          expect(read.data.equals(sample)).toBe(true);
          expect([read.consumed, inflater.ended]).toEqual([stream.length, true]);
        }
      }
    });
  });

  it('knows at every byte whether the stream is over, with the input cut anywhere', () => {
    for (const level of [0, 1, 9]) {
      const stream = packed(SAMPLES.prose!.subarray(0, 400), { level });
      for (let cut = 0; cut < stream.length; cut++) {
        const inflater = open();
        const head = inflateBy(inflater, stream.subarray(0, cut));
        expect([head.consumed, inflater.needsInput]).toEqual([cut, true]);
        const tail = inflateBy(inflater, Buffer.concat([stream.subarray(cut), noise(3)]));
        expect([tail.consumed, inflater.ended]).toEqual([stream.length - cut, true]);
        expect(Buffer.concat([head.data, tail.data]).equals(SAMPLES.prose!.subarray(0, 400))).toBe(true);
      }
    }
  });

  it('works one byte in and one byte out at a time', () => {
    const sample = SAMPLES.prose!.subarray(0, 600);
    const stream = packed(sample);
    const inflater = open();
    const read = inflateBy(inflater, Buffer.concat([stream, noise(9)]), { segment: 1, window: 1 });
    expect(read.data.equals(sample)).toBe(true);
    expect([read.consumed, inflater.ended]).toEqual([stream.length, true]);
  });

  it('an end that brings no output of its own is found: an empty last block', () => {
    const deflater = new Deflater(plain);
    const head = deflateBy(deflater, SAMPLES.prose!.subarray(0, 500), 'sync');
    const tail = deflateBy(deflater, new Uint8Array(0));
    const inflater = open();
    inflateBy(inflater, head, { segment: SEGMENT, window: 500 });
    expect(inflater.needsInput).toBe(true);
    inflater.write(tail, new Uint8Array(0));
    expect([inflater.consumed, inflater.ended]).toEqual([tail.length, true]);
  });

  it('gives nothing and takes nothing after the end', () => {
    const inflater = open();
    inflateBy(inflater, packed(SAMPLES.prose!));
    inflater.write(noise(10), new Uint8Array(10));
    expect([inflater.consumed, inflater.produced, inflater.ended]).toEqual([0, 0, true]);
  });

  it('survives any cut and any window', () => {
    const sample = fc.uint8Array({ maxLength: 2000, max: 9 });
    const size = fc.integer({ min: 1, max: 300 });
    fc.assert(
      fc.property(sample, size, size, fc.nat(20), (input, segment, window, garbage) => {
        const inflater = open();
        const stream = packed(input);
        const read = inflateBy(inflater, Buffer.concat([stream, noise(garbage)]), { segment, window });
        expect(read.data.equals(input)).toBe(true);
        expect([read.consumed, inflater.ended]).toEqual([stream.length, true]);
        inflater.close();
      }),
      { numRuns: engine === 'handle' ? 200 : 40 },
    );
  });

  it('reads with a dictionary, again after a reset, and not without it', () => {
    const dictionary = prose(4000);
    const sample = dictionary.subarray(1000, 3000);
    const stream = packed(sample, { dictionary });
    const inflater = open(15, dictionary);
    for (let turn = 0; turn < 2; turn++) {
      expect(inflateBy(inflater, stream).data.equals(sample)).toBe(true);
      inflater.reset();
    }
    const without = open();
    inflateBy(without, stream);
    expect(without.error?.message).toBe('invalid distance too far back');
  });

  it('after a reset nothing of the stream before can be reached', () => {
    const inflater = open();
    inflateBy(inflater, packed(SAMPLES.prose!));
    inflater.reset();
    // A last block of fixed codes: a match of length 3 at distance 1, before any byte.
    inflateBy(inflater, new Uint8Array([0x03, 0x02, 0x00]));
    expect(inflater.error?.message).toBe('invalid distance too far back');
  });

  it.each([
    { bad: [0x07], what: 'invalid block type' },
    { bad: [0x00, 0x05, 0x00, 0x00, 0x00], what: 'invalid stored block lengths' },
    { bad: [0x03, 0x02, 0x00], what: 'invalid distance too far back' },
    { bad: [0xfd, 0xff, 0xff], what: 'too many length or distance symbols' },
    { bad: [0x04, 0x00, 0xfe, 0xff], what: 'invalid code lengths set' },
  ])('says what node says: $what', ({ bad, what }) => {
    const inflater = open();
    inflateBy(inflater, new Uint8Array(bad));
    expect(inflater.error).toEqual({ errno: -3, code: 'Z_DATA_ERROR', message: what });
    inflater.write(noise(5), new Uint8Array(5));
    expect([inflater.consumed, inflater.produced]).toEqual([0, 0]);
    expect(inflater.error?.message).toBe(what);
    inflater.reset();
    expect(inflateBy(inflater, packed(SAMPLES.prose!)).data.equals(SAMPLES.prose!)).toBe(true);
  });

  it('agrees with node on every stream with a bit turned over, and never gives a wrong byte before the error', () => {
    const sample = SAMPLES.prose!.subarray(0, 3000);
    const stream = packed(sample);
    fc.assert(
      fc.property(fc.nat(stream.length * 8 - 1), fc.integer({ min: 1, max: 4000 }), (bit, window) => {
        const bad = Uint8Array.from(stream);
        bad[bit >> 3]! ^= 1 << (bit & 7);
        const inflater = open();
        const read = inflateBy(inflater, bad, { segment: SEGMENT, window });
        const expected = outcomeOfNode(bad);
        if (expected.error === null) {
          expect(inflater.error).toBe(null);
          expect(read.data.equals(expected.data!)).toBe(true);
        } else if (expected.error.code === 'Z_BUF_ERROR') expect(inflater.needsInput).toBe(true);
        else {
          expect(inflater.error).toEqual(expected.error);
          const good = goodPart(bad);
          const both = Math.min(good.length, read.data.length);
          expect(read.data.subarray(0, both).equals(good.subarray(0, both))).toBe(true);
        }
        inflater.close();
      }),
      { numRuns: engine === 'handle' ? 300 : 50 },
    );
  });

  it('a stream that stops early is asked to go on, never called ended', () => {
    const inflater = open();
    const stream = packed(SAMPLES.prose!);
    const read = inflateBy(inflater, stream.subarray(0, -1));
    expect([inflater.needsInput, inflater.ended]).toEqual([true, false]);
    expect(read.data.equals(SAMPLES.prose!.subarray(0, read.data.length))).toBe(true);
  });

  it('works in place on shared memory', () => {
    const memory = new SharedArrayBuffer(192 * KiB);
    const source = new Uint8Array(memory, 0, 5000);
    const target = new Uint8Array(memory, 64 * KiB, 8000);
    source.set(SAMPLES.prose!.subarray(0, 5000));
    const deflater = new Deflater({ ...plain, engine });
    deflater.write(source, target, 'finish');
    expect(deflater.ended).toBe(true);
    const back = new Uint8Array(memory, 128 * KiB, 5000);
    const inflater = open();
    inflater.write(target.subarray(0, deflater.produced), back);
    expect([inflater.ended, inflater.produced]).toEqual([true, 5000]);
    expect(Buffer.from(back).equals(source)).toBe(true);
  });

  it('refuses a window as node does, and everything after close', () => {
    expect(() => open(16)).toThrow(RangeError);
    const inflater = open();
    inflater.close();
    inflater.close();
    expect(() => inflater.write(noise(1), new Uint8Array(1))).toThrow('after close');
  });
});

/** Decodes as node does, and tells an error as the codec would. */
function outcomeOfNode(stream: Uint8Array, finishFlush: number = constants.Z_FINISH): Outcome {
  try {
    return { data: inflateRawSync(stream, { finishFlush }), error: null };
  } catch (thrown) {
    const { errno, code, message } = thrown as InflateError;
    return { data: null, error: { errno, code, message } };
  }
}

/** What node decodes of the longest part of `stream` in which it sees no error. */
function goodPart(stream: Uint8Array): Buffer {
  let [good, bad] = [0, stream.length];
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if (outcomeOfNode(stream.subarray(0, middle), constants.Z_SYNC_FLUSH).error === null) good = middle;
    else bad = middle;
  }
  return outcomeOfNode(stream.subarray(0, good), constants.Z_SYNC_FLUSH).data!;
}
