/**
 * Checksum arithmetic of the zip device: Adler-32 (RFC 1950) and CRC-32 (RFC 1952) of bytes, and of two pieces
 * whose checksums are known but whose bytes are elsewhere.
 *
 * All checksums are unsigned 32-bit numbers. Byte counts are whole numbers from 0 to 2^53 - 1, so pieces may be
 * longer than any buffer. `crc32` is node's native one; node has no Adler-32, so it is written out here.
 */
import { crc32 as nodeCrc32 } from 'node:zlib';

/** Largest prime below 2^16: both halves of an Adler-32 are kept modulo this (RFC 1950, section 8.2). */
const ADLER_BASE = 65521;

/**
 * Bytes summed between two reductions. From two halves below the base, n bytes bring the upper half to at most
 * 255 n (n + 1) / 2 + (n + 1) (base - 1), which stays below 2^31 for n <= 3854: sums remain small integers.
 */
const ADLER_BLOCK_BYTES = 3840;

/** Polynomial of CRC-32, bit-reversed: the coefficient of x^0 is the highest bit (RFC 1952, section 8). */
const CRC_POLYNOMIAL = 0xedb8_8320;

/** The polynomial 1 in that order of bits. */
const CRC_ONE = 0x8000_0000;

/** The CRC-32 of `bytes`, continued from `seed`, the CRC-32 of what came before. */
export function crc32(bytes: Uint8Array, seed = 0): number {
  // Of an empty array whose buffer has no memory node passes a null pointer on, and zlib takes it for a fresh start.
  return bytes.length === 0 ? seed : nodeCrc32(bytes, seed);
}

/** The Adler-32 of `bytes`, continued from `seed`, the Adler-32 of what came before. */
export function adler32(bytes: Uint8Array, seed = 1): number {
  let low = seed & 0xffff;
  let high = seed >>> 16;
  for (let from = 0; from < bytes.length; from += ADLER_BLOCK_BYTES) {
    const to = Math.min(from + ADLER_BLOCK_BYTES, bytes.length);
    let at = from;
    // Eight bytes a turn. The upper half is a weighted sum, so that its additions do not wait for one another.
    for (; at + 8 <= to; at += 8) {
      const b0 = bytes[at]!;
      const b1 = bytes[at + 1]!;
      const b2 = bytes[at + 2]!;
      const b3 = bytes[at + 3]!;
      const b4 = bytes[at + 4]!;
      const b5 = bytes[at + 5]!;
      const b6 = bytes[at + 6]!;
      const b7 = bytes[at + 7]!;
      high = (high + 8 * (low + b0) + 7 * b1 + 6 * b2 + 5 * b3 + 4 * b4 + 3 * b5 + 2 * b6 + b7) | 0;
      low = (low + b0 + b1 + b2 + b3 + b4 + b5 + b6 + b7) | 0;
    }
    for (; at < to; at++) {
      low = (low + bytes[at]!) | 0;
      high = (high + low) | 0;
    }
    low %= ADLER_BASE;
    high %= ADLER_BASE;
  }
  return ((high << 16) | low) >>> 0;
}

/** The Adler-32 of A followed by B, from those of A and of B and the `bytesB` bytes of B. */
export function adler32Combine(adlerA: number, adlerB: number, bytesB: number): number {
  assertByteCount(bytesB);
  // B was summed from 1 where it would have gone on from A's lower half: `shift` too few, once per byte of B.
  const shift = (adlerA & 0xffff) + ADLER_BASE - 1;
  const low = (shift + (adlerB & 0xffff)) % ADLER_BASE;
  const high =
    ((adlerA >>> 16) + (adlerB >>> 16) + (bytesB % ADLER_BASE) * (shift % ADLER_BASE)) % ADLER_BASE;
  return ((high << 16) | low) >>> 0;
}

/** The CRC-32 of A followed by B, from those of A and of B and the `bytesB` bytes of B. */
export function crc32Combine(crcA: number, crcB: number, bytesB: number): number {
  assertByteCount(bytesB);
  // The pre- and post-inversions of A and B cancel: A only has to be moved up by the bits of B.
  return (multiplyModulo(powerOfX8(bytesB), crcA) ^ crcB) >>> 0;
}

function assertByteCount(bytes: number): void {
  if (!Number.isSafeInteger(bytes) || bytes < 0) {
    throw new Error(`broken invariant: a byte count is a whole number from 0 to 2^53 - 1, not ${bytes}`);
  }
}

/** The product of two polynomials over GF(2), modulo the CRC polynomial. */
function multiplyModulo(a: number, b: number): number {
  let product = 0;
  let shifted = b;
  for (let rest = a; rest !== 0; rest <<= 1) {
    if (rest < 0) product ^= shifted;
    shifted = (shifted & 1) === 0 ? shifted >>> 1 : (shifted >>> 1) ^ CRC_POLYNOMIAL;
  }
  return product;
}

/** x^(2^n) for n in [0, 32). Squaring goes round after 32 steps, because the polynomial is irreducible. */
const POWERS_OF_X = powersOfX();

function powersOfX(): Int32Array {
  const powers = new Int32Array(32);
  powers[0] = CRC_ONE >>> 1;
  for (let n = 1; n < powers.length; n++) powers[n] = multiplyModulo(powers[n - 1]!, powers[n - 1]!);
  return powers;
}

/** x^(8 `exponent`) modulo the polynomial: the operator that appends `exponent` zero bytes. */
function powerOfX8(exponent: number): number {
  let power = CRC_ONE | 0;
  let rest = exponent;
  // 8 is 2^3, so bit n of the exponent stands for x^(2^(n + 3)). The exponent has up to 53 bits: no shifts.
  for (let n = 3; rest > 0; n++) {
    if (rest % 2 === 1) power = multiplyModulo(POWERS_OF_X[n & 31]!, power);
    rest = Math.floor(rest / 2);
  }
  return power;
}
