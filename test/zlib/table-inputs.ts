/** Input of every type, of every size across the thresholds, and at every level: are the bytes the same? */

import { randomBytes, sampleText } from '../lib/library-bench.js';
import { answered, atOnce, plain, type Rows, type Zlib } from './observe.js';
import {
  crossed,
  FUNCTIONS,
  inputFor,
  NOISE,
  PACKERS,
  packedFor,
  SIZES,
  TEXT,
  UNPACKERS,
} from './table-data.js';

/** The bytes as each type that node takes; the length of TEXT is divisible by 8. */
const AS_TYPES: Readonly<Record<string, (bytes: Buffer) => unknown>> = {
  Buffer: (bytes) => bytes,
  Uint8Array: (bytes) => new Uint8Array(bytes),
  'Uint8Array with an offset': (bytes) =>
    new Uint8Array(Buffer.concat([NOISE, bytes, NOISE]).buffer).subarray(0, 9000),
  Uint8ClampedArray: (bytes) => new Uint8ClampedArray(bytes),
  Int8Array: (bytes) => new Int8Array(copyOf(bytes)),
  Uint16Array: (bytes) => new Uint16Array(copyOf(bytes)),
  Int32Array: (bytes) => new Int32Array(copyOf(bytes)),
  Float32Array: (bytes) => new Float32Array(copyOf(bytes)),
  Float64Array: (bytes) => new Float64Array(copyOf(bytes)),
  BigUint64Array: (bytes) => new BigUint64Array(copyOf(bytes)),
  DataView: (bytes) => new DataView(copyOf(bytes)),
  'DataView of a part': (bytes) => new DataView(copyOf(bytes), 8, 800),
  ArrayBuffer: (bytes) => copyOf(bytes),
  SharedArrayBuffer: (bytes) => shared(bytes).buffer,
  'Uint8Array over shared memory': (bytes) => shared(bytes),
  'Buffer over shared memory': (bytes) => Buffer.from(shared(bytes).buffer),
  'DataView over shared memory': (bytes) => new DataView(shared(bytes).buffer),
  'a subclass of Uint8Array': (bytes) => new (class Bytes extends Uint8Array {})(bytes),
  'text of one byte a character': (bytes) => bytes.toString('latin1'),
  'text of several bytes a character': () => 'Größe 漢字 🧮 '.repeat(500),
  'text with half a pair': () => '\ud83e'.repeat(1000),
};

const LEVELS: Readonly<Record<string, object>> = Object.fromEntries(
  [-1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9].flatMap((level) =>
    [0, 1, 2, 3, 4].map((strategy) => [`at level ${level}, strategy ${strategy}`, { level, strategy }]),
  ),
);
const WINDOWS: Readonly<Record<string, object>> = Object.fromEntries(
  [8, 9, 10, 12, 15].flatMap((windowBits) =>
    [1, 4, 8, 9].map((memLevel) => [
      `with windowBits ${windowBits}, memLevel ${memLevel}`,
      { windowBits, memLevel },
    ]),
  ),
);
const CONTENTS: Readonly<Record<string, Buffer>> = {
  zeros: Buffer.alloc(70_000),
  noise: randomBytes(70_000),
  text: sampleText(70_000),
  'noise, then text': Buffer.concat([NOISE, TEXT, NOISE]),
};
const sizes: Readonly<Record<string, Buffer>> = Object.fromEntries(
  SIZES.flatMap((bytes) => [
    [`${bytes} bytes of text`, sampleText(bytes)],
    [`${bytes} bytes of noise`, randomBytes(bytes)],
  ]),
);

export const rows: Rows = {
  ...crossed(PACKERS, AS_TYPES, (name, as) => (zlib) => both(zlib, name, as(TEXT))),
  ...crossed(UNPACKERS, AS_TYPES, (name, as) => (zlib) => both(zlib, name, as(divisible(inputFor(name))))),
  ...crossed(FUNCTIONS, sizes, (name, bytes) => (zlib) => both(zlib, name, inputFor(name, bytes))),
  ...crossed(PACKERS, CONTENTS, (name, bytes) => async (zlib) => {
    const results = [];
    for (const level of [0, 1, 6]) results.push(await answered(zlib, name, bytes, { level }));
    return results;
  }),
  ...crossed(PACKERS, LEVELS, (name, options) => (zlib) => answered(zlib, name, TEXT, options)),
  ...crossed(PACKERS, WINDOWS, (name, options) => (zlib) => answered(zlib, name, TEXT, options)),
  ...crossed(UNPACKERS, WINDOWS, (name, options) => async (zlib) => [
    await answered(zlib, name, packedFor(name, TEXT, options)),
    await answered(zlib, name, packedFor(name, TEXT, options), {
      windowBits: Reflect.get(options, 'windowBits'),
    }),
    await answered(zlib, name, packedFor(name, TEXT, options), { windowBits: 0 }),
  ]),
  'unzip takes both formats': async (zlib) => [
    await answered(zlib, 'unzip', packedFor('gunzip', TEXT)),
    await answered(zlib, 'unzip', packedFor('inflate', TEXT)),
    await answered(zlib, 'unzip', packedFor('inflateRaw', TEXT)),
    await answered(zlib, 'unzip', NOISE),
    await answered(zlib, 'unzip', Buffer.concat([Buffer.from([0x1f]), NOISE])),
  ],
  'every function reads what the others write, or says why not': async (zlib) => {
    const answers = [];
    for (const writer of ['inflate', 'gunzip', 'inflateRaw', 'none'])
      for (const reader of UNPACKERS) answers.push(await answered(zlib, reader, packedFor(writer, TEXT)));
    return answers;
  },
  'a result is a Buffer of its own': async (zlib) => {
    const [first, second] = await Promise.all(
      [TEXT, TEXT].map(
        (input) => new Promise<Buffer>((resolve) => zlib.gzip(input, (_error, packed) => resolve(packed))),
      ),
    );
    first!.fill(0);
    return [plain(second), Buffer.isBuffer(second), second!.constructor === Buffer];
  },
};

async function both(zlib: Zlib, name: string, input: unknown): Promise<unknown> {
  return [await answered(zlib, name, input), atOnce(zlib, `${name}Sync`, input)];
}

function copyOf(bytes: Buffer): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}

function shared(bytes: Buffer): Uint8Array {
  const copy = new Uint8Array(new SharedArrayBuffer(bytes.length));
  copy.set(bytes);
  return copy;
}

/** `bytes` without the odd ones at the end: a truncated input is as good a question as a whole one. */
function divisible(bytes: Buffer): Buffer {
  return bytes.subarray(0, bytes.length - (bytes.length % 8));
}
