/**
 * Samples, and ways to push a whole stream through a codec in cuts and windows of any size.
 */
import { deflateRawSync } from 'node:zlib';
import { expect } from 'vitest';
import type { DeflateOptions, Deflater, FlushKind, Inflater } from '../../../drivers/zip/codec.js';

export const KiB = 1024;
export const SEGMENT = 16 * KiB;
export const ENGINES = ['handle', 'public'] as const;
export const plain = { level: 6, windowBits: 15, memLevel: 8, strategy: 0 };

/** Bytes that neither repeat nor depend on the run. */
export function noise(byteCount: number, seed = 1): Uint8Array {
  let word = seed;
  return new Uint8Array(byteCount).map(() => {
    word = (Math.imul(word, 1664525) + 1013904223) >>> 0;
    return word >>> 24;
  });
}

/** Text-like bytes: words of noise that come again. */
export function prose(byteCount: number): Uint8Array {
  const words = Array.from({ length: 200 }, (_, at) => noise(3 + (at % 9), at + 1).map((b) => 97 + (b % 26)));
  const picks = noise(byteCount, 99);
  const out = Buffer.concat([...picks].map((pick) => words[pick % 200]!));
  return out.subarray(0, byteCount);
}

export const SAMPLES: Record<string, Uint8Array> = {
  empty: new Uint8Array(0),
  'one byte': new Uint8Array([65]),
  prose: prose(100_000),
  incompressible: noise(70_000),
  zeros: new Uint8Array(300_000),
  'one segment': prose(SEGMENT),
};

/** Feeds `input` in segments and collects the output of windows of `windowBytes`. */
export function deflateBy(
  deflater: Deflater,
  input: Uint8Array,
  last: FlushKind = 'finish',
  sizes = { segment: SEGMENT, window: 64 * KiB },
): Buffer {
  const parts: Buffer[] = [];
  const output = new Uint8Array(sizes.window);
  let at = 0;
  do {
    const segment = input.subarray(at, at + sizes.segment);
    deflater.write(segment, output, at + segment.length === input.length ? last : 'none');
    parts.push(Buffer.from(output.subarray(0, deflater.produced)));
    at += deflater.consumed;
  } while (deflater.outputFull || at < input.length);
  return Buffer.concat(parts);
}

interface Inflated {
  data: Buffer;
  consumed: number;
}

/** Decodes until the stream ends, fails or wants more than there is. */
export function inflateBy(
  inflater: Inflater,
  input: Uint8Array,
  sizes = { segment: SEGMENT, window: 64 * KiB },
): Inflated {
  const parts: Buffer[] = [];
  const output = new Uint8Array(sizes.window);
  let at = 0;
  do {
    inflater.write(input.subarray(at, at + sizes.segment), output);
    parts.push(Buffer.from(output.subarray(0, inflater.produced)));
    at += inflater.consumed;
    expectOneCondition(inflater);
  } while (inflater.outputFull || (inflater.needsInput && at < input.length));
  return { data: Buffer.concat(parts), consumed: at };
}

function expectOneCondition({ ended, needsInput, outputFull, error }: Inflater): void {
  expect([ended, needsInput, outputFull, error !== null].filter(Boolean)).toHaveLength(1);
}

export function packed(input: Uint8Array, options: Partial<DeflateOptions> = {}): Buffer {
  return deflateRawSync(input, { ...plain, ...options });
}
