/** What the module exports: names, shapes, constants, checksums, and the functions that are only passed on. */
import { CLASSES } from './differential-steps.js';
import { answered, atOnce, plain, type Rows, returned, settled } from './observe.js';
import { TEXT } from './table-data.js';

const CRC_INPUTS: readonly unknown[] = [
  '',
  'text',
  'Größe 漢字',
  TEXT,
  new Uint8Array([1, 2, 3]),
  new Uint16Array([1, 2, 3]),
  new DataView(new ArrayBuffer(5)),
  new ArrayBuffer(5),
  new SharedArrayBuffer(5),
  5,
  null,
  undefined,
  {},
  [1, 2],
];
const CRC_VALUES: readonly unknown[] = [
  undefined,
  0,
  1,
  0xffff_ffff,
  2 ** 32,
  -1,
  1.5,
  Number.NaN,
  '1',
  null,
  true,
  5n,
];

const descriptor = (of: object, name: string | symbol): unknown => {
  const { value, get, ...rest } = Object.getOwnPropertyDescriptor(of, name)!;
  return [String(name), typeof value, get === undefined ? 'value' : 'getter', rest];
};

export const rows: Rows = {
  'names, in their order': (zlib) => Object.keys(zlib),
  'own keys with their descriptors': (zlib) => Reflect.ownKeys(zlib).map((name) => descriptor(zlib, name)),
  'prototype and text': (zlib) => [
    Object.prototype.toString.call(zlib),
    Object.getPrototypeOf(zlib) === Object.prototype,
    [Object.isFrozen(zlib), Object.isExtensible(zlib)],
  ],
  'functions have the lengths of node': (zlib) =>
    Object.entries(zlib).map(([name, of]) => [name, typeof of, typeof of === 'function' ? of.length : 0]),
  'names of functions': (zlib) =>
    Object.entries(zlib).map(([name, of]) => [name, typeof of === 'function' ? of.name : '']),
  constants: (zlib) => [
    plain(zlib.constants),
    Object.isFrozen(zlib.constants),
    Object.getPrototypeOf(zlib.constants) === null,
  ],
  codes: (zlib) => {
    const { codes } = zlib as unknown as { codes: object };
    return [plain(codes), Object.isFrozen(codes)];
  },
  'constants cannot be changed': (zlib) => [
    returned(() => Reflect.set(zlib.constants, 'Z_OK', 5)),
    returned(() => Reflect.set(zlib, 'codes', {})),
    returned(() => Reflect.deleteProperty(zlib.constants, 'Z_OK')),
  ],
  'an export can be replaced, as tools that watch do': (zlib) => {
    const { gzip } = zlib;
    const replacement = (() => 5) as unknown as typeof gzip;
    const can = Reflect.set(zlib, 'gzip', replacement);
    const is = zlib.gzip === replacement;
    Reflect.set(zlib, 'gzip', gzip);
    return [can, is, zlib.gzip === gzip];
  },
  'own keys of the classes': (zlib) =>
    CLASSES.map((name) =>
      Reflect.ownKeys(Reflect.get(zlib, name) as object).map((key) =>
        descriptor(Reflect.get(zlib, name) as object, key),
      ),
    ),
  'own keys of the prototypes': (zlib) =>
    CLASSES.map((name) => {
      const { prototype } = Reflect.get(zlib, name) as { prototype: object };
      return [Reflect.ownKeys(prototype).map((key) => descriptor(prototype, key)), Object.keys(prototype)];
    }),
  crc32: (zlib) =>
    CRC_INPUTS.flatMap((input) => CRC_VALUES.map((value) => atOnce(zlib, 'crc32', input, value))),
  'crc32 in parts': (zlib) => {
    const crc32 = Reflect.get(zlib, 'crc32') as (data: Buffer, value?: number) => number;
    return [crc32(TEXT), crc32(TEXT.subarray(1000), crc32(TEXT.subarray(0, 1000)))];
  },
  brotli: async (zlib) => {
    const packed = zlib.brotliCompressSync(TEXT);
    const options = { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 4 } };
    return [
      plain(packed),
      await answered(zlib, 'brotliCompress', TEXT, options),
      await answered(zlib, 'brotliDecompress', packed),
      await answered(zlib, 'brotliDecompress', TEXT),
      atOnce(zlib, 'brotliDecompressSync', packed.subarray(0, 20)),
      atOnce(zlib, 'brotliCompressSync', TEXT, { params: { 999: 1 } }),
      await settled(zlib.createBrotliCompress(options).end(TEXT).toArray()),
      zlib.createBrotliDecompress() instanceof zlib.BrotliDecompress,
    ];
  },
  'zstd, where node has it': async (zlib) => {
    if (!Object.hasOwn(zlib, 'zstdCompressSync'))
      return Object.keys(zlib).filter((name) => /zstd/i.test(name));
    const packed = Reflect.apply(Reflect.get(zlib, 'zstdCompressSync') as () => Buffer, zlib, [TEXT]);
    return [
      plain(packed),
      await answered(zlib, 'zstdCompress', TEXT),
      await answered(zlib, 'zstdDecompress', packed),
      await answered(zlib, 'zstdDecompress', TEXT),
      atOnce(zlib, 'zstdDecompressSync', packed.subarray(0, 20)),
    ];
  },
};
