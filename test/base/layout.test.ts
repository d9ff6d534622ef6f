// Does a table of bytes mean what a datasheet would mean by it?
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { defineLayout, describeLayout, dumpLayout, type FieldSpec } from '../../src/base/layout.js';

const BYTES = 16;

/** One field of any kind that fits 16 bytes. */
const anyField: fc.Arbitrary<FieldSpec> = fc
  .record({
    width: fc.constantFrom(8, 16, 32, 64),
    place: fc.nat(15),
    low: fc.nat(31),
    span: fc.nat(31),
    whole: fc.boolean(),
  })
  .map(({ width, place, low, span, whole }) => {
    const at = Math.floor((place * 8) / width) * (width / 8);
    const field = { at: Math.min(at, BYTES - width / 8), width: width as 8 | 16 | 32 | 64, doc: '' };
    if (whole || width === 64) return field;
    const first = low % width;
    return { ...field, bits: [first, Math.min(width - 1, first + span)] as const };
  });

function bitsOf({ at, width = 32, bits }: FieldSpec): { low: number; high: number } {
  const [low, high] = bits ?? [0, width - 1];
  return { low: at * 8 + low, high: at * 8 + high };
}

function asNumber(bytes: Uint8Array): bigint {
  return bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

describe('a field', () => {
  it('holds any value that fits, exactly in its own bits, and leaves every other bit alone', () => {
    const property = fc.property(
      anyField,
      fc.uint8Array({ minLength: BYTES, maxLength: BYTES }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (spec, bytes, share) => {
        const { x } = defineLayout('t', BYTES, 'test', { x: spec }).fields;
        const view = new DataView(bytes.buffer, bytes.byteOffset, BYTES);
        const value = Math.floor(share * Math.min(x.max, 2 ** 53 - 1));
        const { low, high } = bitsOf(spec);
        const mask = (1n << BigInt(high - low + 1)) - 1n;
        const before = asNumber(bytes);
        x.write(view, 0, value);
        expect(x.read(view, 0)).toBe(value);
        expect(asNumber(bytes)).toBe((before & ~(mask << BigInt(low))) | (BigInt(value) << BigInt(low)));
      },
    );
    fc.assert(property, { numRuns: 500 });
  });

  it('refuses a value that does not fit instead of storing another, and stores nothing then', () => {
    const property = fc.property(anyField, (spec) => {
      const { x } = defineLayout('t', BYTES, 'test', { x: spec }).fields;
      const view = new DataView(new ArrayBuffer(BYTES));
      const tooLarge = spec.width === 64 ? 2 ** 65 : x.max + 1;
      for (const value of [-1, tooLarge, 0.5, Number.NaN]) {
        expect(() => x.write(view, 0, value)).toThrow('broken invariant: x holds');
      }
      expect(asNumber(new Uint8Array(view.buffer))).toBe(0n);
    });
    fc.assert(property);
  });

  it('lies at its offset from any base', () => {
    const { x } = defineLayout('t', 4, 'test', { x: { at: 2, width: 16, doc: '' } }).fields;
    const view = new DataView(new ArrayBuffer(12));
    x.write(view, 5, 0xabcd);
    expect([...new Uint8Array(view.buffer)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0xcd, 0xab, 0, 0, 0]);
  });
});

describe('a table', () => {
  const bad: readonly [string, FieldSpec][] = [
    ['beyond the structure', { at: 14, doc: '' }],
    ['before it', { at: -4, doc: '' }],
    ['bits beyond the word', { at: 0, width: 16, bits: [8, 16], doc: '' }],
    ['bits the wrong way round', { at: 0, bits: [3, 2], doc: '' }],
    ['bits in a 64-bit word', { at: 0, width: 64, bits: [0, 3], doc: '' }],
  ];
  it.each(bad)('with a field %s is refused', (_what, spec) => {
    expect(() => defineLayout('t', BYTES, 'test', { x: spec })).toThrow('broken invariant');
  });

  it('can be dumped and described', () => {
    const layout = defineLayout('t', 8, 'test', {
      low: { at: 0, bits: [0, 3], doc: 'four bits' },
      word: { at: 4, width: 16, doc: 'a word' },
    });
    const view = new DataView(Uint8Array.of(0xfe, 0, 0, 0, 0x34, 0x12, 0, 0).buffer);
    expect(dumpLayout(layout, view, 0)).toEqual({ low: 0xe, word: 0x1234 });
    expect(describeLayout(layout).split('\n').slice(2)).toEqual([
      '| 0 | 32 | 3:0 | low | four bits |',
      '| 4 | 16 | 15:0 | word | a word |',
    ]);
  });
});
