/**
 * CRC-32C (Castagnoli), reflected: SPEC.md section 3, RFC 3720 appendix B.4. node:zlib has the other CRC only.
 */
const POLYNOMIAL = 0x82f63b78;

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit++) rest = rest & 1 ? (rest >>> 1) ^ POLYNOMIAL : rest >>> 1;
  return rest;
});

export class Crc32c {
  #register: number;

  /** Goes on after bytes whose checksum is `value`; 0 = none yet. */
  constructor(value = 0) {
    this.#register = (value ^ 0xffff_ffff) >>> 0;
  }

  add(bytes: Uint8Array): void {
    let register = this.#register;
    for (let i = 0; i < bytes.length; i++)
      register = (register >>> 8) ^ table[(register ^ bytes[i]!) & 0xff]!;
    this.#register = register >>> 0;
  }

  /** The checksum of everything added, unsigned. */
  get value(): number {
    return (this.#register ^ 0xffff_ffff) >>> 0;
  }
}
