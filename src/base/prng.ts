/**
 * Seeded randomness. Every nondeterministic choice of the simulated machine draws from a stream named after its
 * purpose, so that adding a draw in one place does not shift the numbers of another.
 *
 * Generator: xoshiro128** (Blackman and Vigna), seeded by splitmix32 over the seed and the stream's name.
 */
export interface Prng {
  /** The next 32 random bits, as an unsigned number. */
  next(): number;
  /** A whole number in [0, bound); `bound` from 1 to 2^32. */
  below(bound: number): number;
}

function rotateLeft(x: number, k: number): number {
  return (x << k) | (x >>> (32 - k));
}

function splitmix32(initial: number): () => number {
  let state = initial | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = state ^ (state >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x735a2d97);
    return mixed ^ (mixed >>> 15);
  };
}

/** FNV-1a over the UTF-16 units of `text`. */
function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash;
}

/** The stream called `name` under `seed`: the same pair gives the same numbers. */
export function prngStream(seed: number, name: string): Prng {
  const mix = splitmix32(seed ^ hashText(name));
  let [a, b, c, d] = [mix(), mix(), mix(), mix()];
  const next = (): number => {
    const result = Math.imul(rotateLeft(Math.imul(b, 5), 7), 9);
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = rotateLeft(d, 11);
    return result >>> 0;
  };
  return { next, below: (bound) => Math.floor((next() / 0x1_0000_0000) * bound) };
}
