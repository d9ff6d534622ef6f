/**
 * Checksums and their combination, against each other, against node, and against arithmetic done another way.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { adler32, adler32Combine, crc32, crc32Combine } from '../../../drivers/zip/checksum.js';
import { noise } from './codec-streams.js';

const text = (ascii: string): Uint8Array => new TextEncoder().encode(ascii);
/** Over several blocks; made from three numbers, so that a failure shrinks fast. High bits are often all set. */
const bytes = fc
  .tuple(fc.nat(20_000), fc.nat(), fc.constantFrom(0, 0x80, 0xfe, 0xff))
  .map(([byteCount, seed, set]) => noise(byteCount, seed).map((byte) => byte | set));
const word = fc.integer({ min: 0, max: 0xffff_ffff });
const adler = fc.tuple(fc.nat(65520), fc.nat(65520)).map(([high, low]) => ((high << 16) | low) >>> 0);
/** A length, most of them far beyond 2^32, that can be added to another. */
const length = fc.maxSafeInteger().map((n) => Math.floor(Math.abs(n) / 2));

function join(a: Uint8Array, b: Uint8Array): Uint8Array {
  return Uint8Array.from([...a, ...b]);
}

/** RFC 1950, section 8.2, as it stands there. */
function adlerByDefinition(input: Uint8Array): number {
  let [low, high] = [1, 0];
  for (const byte of input) {
    low = (low + byte) % 65521;
    high = (high + low) % 65521;
  }
  return high * 65536 + low;
}

/** The CRC-32 of `count` zero bytes by doubling a matrix over GF(2). */
function appendZeros(crc: number, count: bigint): number {
  const apply = (matrix: number[], vector: number): number =>
    matrix.reduce((sum, column, bit) => ((vector >>> bit) & 1 ? sum ^ column : sum), 0);
  let matrix = Array.from({ length: 32 }, (_, bit) => (bit === 0 ? 0xedb8_8320 : 1 << (bit - 1)));
  const square = (): number[] => matrix.map((column) => apply(matrix, column));
  for (let n = 0; n < 3; n++) matrix = square();
  let moved = crc;
  for (let rest = count; rest > 0n; rest >>= 1n) {
    if (rest & 1n) moved = apply(matrix, moved);
    matrix = square();
  }
  return moved >>> 0;
}

describe('published values', () => {
  it('are those of the specifications and catalogues', () => {
    expect(crc32(text('123456789'))).toBe(0xcbf43926);
    expect(adler32(text('123456789'))).toBe(0x091e01de);
    expect(adler32(text('Wikipedia'))).toBe(0x11e60398);
    expect(adler32(new Uint8Array(0))).toBe(1);
    expect(crc32(new Uint8Array(0))).toBe(0);
  });

  it('hold for shared memory too', () => {
    const shared = new Uint8Array(new SharedArrayBuffer(9));
    shared.set(text('123456789'));
    expect([crc32(shared), adler32(shared)]).toEqual([0xcbf43926, 0x091e01de]);
  });
});

describe('no bytes', () => {
  it.each([new Uint8Array(0), new Uint8Array(0).subarray(0, 0), new Uint8Array(9).subarray(9)])(
    'leave both checksums as they were, wherever they are not',
    (none) => {
      expect([crc32(none, 0x12345678), adler32(none, 0x00020001)]).toEqual([0x12345678, 0x00020001]);
    },
  );
});

describe('Adler-32', () => {
  it('is that of its definition, for any bytes', () => {
    fc.assert(
      fc.property(bytes, (a) => {
        expect(adler32(a)).toBe(adlerByDefinition(a));
      }),
    );
  });

  it('does not overflow on the worst bytes at any length around its block', () => {
    for (const count of [7, 8, 9, 3839, 3840, 3841, 3848, 5552, 7680, 65521, 100_003]) {
      const worst = new Uint8Array(count).fill(0xff);
      expect(adler32(worst, 0xfff0fff0)).toBe(adler32Combine(0xfff0fff0, adlerByDefinition(worst), count));
      expect(adler32(worst)).toBe(adlerByDefinition(worst));
    }
  });

  it('of zero bytes counts them, whatever their number', () => {
    fc.assert(
      fc.property(adler, length, (a, n) => {
        const zeros = ((n % 65521) * 65536 + 1) >>> 0;
        const high = (BigInt(a >>> 16) + BigInt(n) * BigInt(a & 0xffff)) % 65521n;
        expect(adler32Combine(a, zeros, n)).toBe(Number(high) * 65536 + (a & 0xffff));
      }),
    );
  });
});

describe.each([
  { name: 'Adler-32', sum: adler32, combine: adler32Combine, valid: adler, empty: 1 },
  { name: 'CRC-32', sum: crc32, combine: crc32Combine, valid: word, empty: 0 },
])('$name', ({ sum, combine, valid, empty }) => {
  it('of two pieces, combined, is that of the whole', () => {
    fc.assert(
      fc.property(bytes, bytes, (a, b) => {
        expect(combine(sum(a), sum(b), b.length)).toBe(sum(join(a, b)));
        expect(sum(b, sum(a))).toBe(sum(join(a, b)));
      }),
    );
  });

  it('does not depend on which pieces are combined first, beyond 2^32 bytes too', () => {
    fc.assert(
      fc.property(valid, valid, valid, length, length, (a, b, c, bBytes, cBytes) => {
        const leftFirst = combine(combine(a, b, bBytes), c, cBytes);
        expect(leftFirst).toBe(combine(a, combine(b, c, cBytes), bBytes + cBytes));
      }),
    );
  });

  it('is not changed by an empty piece on either side', () => {
    fc.assert(
      fc.property(valid, length, (a, n) => {
        expect(combine(a, empty, 0)).toBe(a);
        expect(combine(empty, a, n)).toBe(a);
      }),
    );
  });

  it.each([-1, 0.5, Number.NaN, 2 ** 53])('refuses a length of %d', (n) => {
    expect(() => combine(empty, empty, n)).toThrow('byte count');
  });
});

describe('CRC-32 of lengths beyond 2^32', () => {
  it('agrees with the matrix method', () => {
    fc.assert(
      fc.property(word, word, length, (a, b, n) => {
        expect(crc32Combine(a, b, n)).toBe((appendZeros(a, BigInt(n)) ^ b) >>> 0);
      }),
    );
  });

  it('returns after 2^32 - 1 bytes, because that is the order of x', () => {
    fc.assert(
      fc.property(word, word, length, (a, b, n) => {
        expect(crc32Combine(a, b, 2 ** 32 - 1)).toBe((a ^ b) >>> 0);
        expect(crc32Combine(a, b, n + 2 ** 32 - 1)).toBe(crc32Combine(a, b, n));
      }),
    );
  });

  it('of zeros can be reached by doubling, from pieces whose CRC node computes', () => {
    let doubled = crc32(new Uint8Array(4096));
    for (let exponent = 12; exponent < 52; exponent++)
      doubled = crc32Combine(doubled, doubled, 2 ** exponent);
    // The inversions of CRC-32 around 2^52 zero bytes appended to nothing.
    expect(doubled).toBe(~appendZeros(0xffff_ffff, 2n ** 52n) >>> 0);
  });
});
