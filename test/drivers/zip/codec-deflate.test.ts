/**
 * Deflate against node's own calls, on both engines: any cut of the input, any window of the output, every flush.
 */
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type DeflateOptions, Deflater, type FlushKind, Inflater } from '../../../drivers/zip/codec.js';
import { handleIsUsable } from '../../../drivers/zip/codec-handle.js';
import { deflateBy, ENGINES, inflateBy, packed, plain, prose, SAMPLES, SEGMENT } from './codec-streams.js';

it('the shape of the internal handle is known on this version of node', () => {
  expect(handleIsUsable()).toBe(true);
});

describe.each(ENGINES)('deflate on the %s engine', (engine) => {
  const open = (options: Partial<DeflateOptions> = {}): Deflater =>
    new Deflater({ ...plain, ...options, engine });

  describe.each(Object.entries(SAMPLES))('of %s', (_, sample) => {
    it.each([1, 2, 3, 4, 5, 6, 7, 8, 9, -1])('in segments gives the bytes of node at level %d', (level) => {
      const deflater = open({ level });
      expect(deflateBy(deflater, sample).equals(packed(sample, { level }))).toBe(true);
      expect(deflater.ended).toBe(true);
    });

    it('survives level 0', () => {
      expect(inflateRawSync(deflateBy(open({ level: 0 }), sample)).equals(sample)).toBe(true);
    });

    it('does not depend on the window of the output', () => {
      const deflater = open();
      const expected = packed(sample);
      for (const window of [1, 15, 16, 17, 1000, expected.length, expected.length + 1]) {
        deflater.reset();
        const sizes = { segment: SEGMENT, window };
        expect(deflateBy(deflater, sample, 'finish', sizes).equals(expected)).toBe(true);
      }
    });
  });

  it.each([
    { strategy: constants.Z_FILTERED },
    { strategy: constants.Z_HUFFMAN_ONLY },
    { strategy: constants.Z_RLE },
    { strategy: constants.Z_FIXED },
    { windowBits: 8 },
    { windowBits: 9 },
    { windowBits: 12, memLevel: 1 },
    { memLevel: 9 },
    { dictionary: prose(5000) },
    { dictionary: prose(100_000) },
    { dictionary: new Uint8Array(0) },
  ])('honours %o, again after a reset', (options) => {
    const deflater = open(options);
    const expected = packed(SAMPLES.prose!, options);
    expect(deflateBy(deflater, SAMPLES.prose!).equals(expected)).toBe(true);
    deflater.reset();
    expect(deflateBy(deflater, SAMPLES.prose!).equals(expected)).toBe(true);
  });

  it.each(['sync', 'full', 'partial'] as const)('%s: all that was written can be read after it', (flush) => {
    const deflater = open();
    const inflater = new Inflater({ windowBits: 15, engine });
    for (let at = 0; at < 50_000; at += 5000) {
      const piece = SAMPLES.prose!.subarray(at, at + 5000);
      const read = inflateBy(inflater, deflateBy(deflater, piece, flush));
      expect(read.data.equals(piece)).toBe(true);
      expect(inflater.needsInput).toBe(true);
    }
    inflateBy(inflater, deflateBy(deflater, new Uint8Array(0)));
    expect(inflater.ended).toBe(true);
  });

  it.each(['sync', 'full'] as const)(
    '%s gives the bytes of node, its marker once, in any window',
    (flush) => {
      const finishFlush = flush === 'sync' ? constants.Z_SYNC_FLUSH : constants.Z_FULL_FLUSH;
      for (const sample of [SAMPLES.empty!, SAMPLES.prose!.subarray(0, 3000), SAMPLES['one byte']!]) {
        const expected = deflateRawSync(sample, { ...plain, finishFlush });
        for (let window = 1; window < expected.length + 20; window += window < 30 ? 1 : 97) {
          const actual = deflateBy(open(), sample, flush, { segment: SEGMENT, window });
          expect(actual.toString('hex')).toBe(expected.toString('hex'));
        }
      }
    },
  );

  it('a window that a flush fills exactly is not followed by a second marker', () => {
    const sample = SAMPLES.prose!.subarray(0, 3000);
    const expected = deflateRawSync(sample, { ...plain, finishFlush: constants.Z_SYNC_FLUSH });
    const deflater = open();
    const output = new Uint8Array(expected.length);
    let at = 0;
    for (let turn = 0; turn < 5; turn++) {
      deflater.write(turn === 0 ? sample : new Uint8Array(0), output.subarray(at), 'sync');
      at += deflater.produced;
    }
    expect(at).toBe(expected.length);
    expect(deflater.outputFull).toBe(false);
    deflater.write(new Uint8Array(0), new Uint8Array(100), 'sync');
    expect(deflater.produced).toBe(0);
  });

  it('a full flush forgets: what follows can be read without what came before', () => {
    const deflater = open();
    deflateBy(deflater, SAMPLES.prose!.subarray(0, 9000), 'full');
    const tail = deflateBy(deflater, SAMPLES.prose!.subarray(0, 9000));
    expect(inflateRawSync(tail).equals(SAMPLES.prose!.subarray(0, 9000))).toBe(true);
  });

  it('survives any cut, any window and any flushes', () => {
    const step = fc.record({
      piece: fc.uint8Array({ maxLength: 300, max: 7 }),
      flush: fc.constantFrom<FlushKind>('none', 'partial', 'sync', 'full', 'block'),
      window: fc.integer({ min: 1, max: 200 }),
    });
    const level = fc.integer({ min: -1, max: 9 });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), level, (steps, ofLevel) => {
        const deflater = open({ level: ofLevel });
        const parts = steps.map(({ piece, flush, window }) =>
          deflateBy(deflater, piece, flush, { segment: 100, window }),
        );
        const all = Buffer.concat([...parts, deflateBy(deflater, new Uint8Array(0))]);
        const expected = Buffer.concat(steps.map(({ piece }) => piece));
        expect(inflateRawSync(all).equals(expected)).toBe(true);
        deflater.close();
      }),
    );
  });

  it('survives changes of the coding anywhere, in any windows, and is then a codec of the last one', () => {
    const step = fc.record({
      piece: fc.uint8Array({ maxLength: 300, max: 7 }),
      flush: fc.constantFrom<FlushKind>('none', 'partial', 'sync', 'full', 'block'),
      window: fc.integer({ min: 1, max: 200 }),
      params: fc.tuple(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 4 })),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 8 }), fc.boolean(), (steps, finishes) => {
        const deflater = open();
        const parts = steps.map(({ piece, flush, window, params }) => {
          deflater.params(...params);
          return deflateBy(deflater, piece, flush, { segment: 100, window });
        });
        if (finishes) {
          const all = Buffer.concat([...parts, deflateBy(deflater, new Uint8Array(0))]);
          const expected = Buffer.concat(steps.map(({ piece }) => piece));
          expect(inflateRawSync(all).equals(expected)).toBe(true);
        }
        const [level, strategy] = steps.at(-1)!.params;
        expect(deflater.options).toMatchObject({ level, strategy });
        deflater.reset();
        const sample = SAMPLES.prose!.subarray(0, 5000);
        expect(deflateBy(deflater, sample).equals(packed(sample, { level, strategy }))).toBe(true);
        deflater.close();
      }),
      { numRuns: 60 },
    );
  });

  it('a change that no write has met before a reset holds after it', () => {
    const deflater = open();
    deflater.write(SAMPLES.prose!.subarray(0, 3000), new Uint8Array(10), 'none');
    deflater.params(1, 2);
    deflater.reset();
    const expected = packed(SAMPLES.prose!, { level: 1, strategy: 2 });
    expect(deflateBy(deflater, SAMPLES.prose!).equals(expected)).toBe(true);
    deflater.close();
    expect(() => deflater.reset()).toThrow('after close');
  });

  it('a finished stream refuses more input, and a closed one everything', () => {
    const deflater = open();
    deflateBy(deflater, SAMPLES.prose!);
    deflater.write(new Uint8Array(0), new Uint8Array(9), 'finish');
    expect([deflater.ended, deflater.produced]).toEqual([true, 0]);
    expect(() => deflater.write(new Uint8Array(1), new Uint8Array(9), 'finish')).toThrow('finished');
    deflater.close();
    deflater.close();
    expect(() => deflater.reset()).toThrow('after close');
    expect(() => open().write(new Uint8Array(1), new Uint8Array(0), 'finish')).not.toThrow();
  });

  it.each([{ level: 10 }, { windowBits: 16 }, { memLevel: 0 }, { strategy: 5 }])(
    'refuses %o as node does',
    (bad) => {
      expect(() => open(bad)).toThrow(RangeError);
    },
  );
});
