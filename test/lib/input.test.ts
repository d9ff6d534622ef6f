// What may be passed as input, and who owns it after the call?
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { limits } from '../../src/base/limits.js';
import { MiB } from '../../src/base/units.js';
import { type Library, openLibrary, sampleText } from './library-bench.js';

let library: Library;
beforeAll(async () => {
  library = await openLibrary();
});
afterAll(() => library.pool.close());

const ROUTES = ['auto', 'device', 'software'] as const;

const arrayBuffer = new ArrayBuffer(64);
const shared = new SharedArrayBuffer(64);
for (const bytes of [new Uint8Array(arrayBuffer), new Uint8Array(shared)])
  for (let i = 0; i < 64; i++) bytes[i] = i;
type View = new (memory: ArrayBufferLike, offset: number, length: number) => NodeJS.ArrayBufferView;
const VIEWS = [
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
  DataView,
] as readonly View[];

const INPUTS: readonly [string, Parameters<Library['pool']['compress']>[0], Uint8Array][] = [
  ['an empty string', '', Buffer.alloc(0)],
  ['a string, as UTF-8', 'Grüße, 世界 \u{1f680} \ud800', Buffer.from('Grüße, 世界 \u{1f680} \ud800')],
  ['a Buffer', Buffer.from('abc'), Buffer.from('abc')],
  ['an ArrayBuffer', arrayBuffer, new Uint8Array(arrayBuffer)],
  ['a SharedArrayBuffer', shared, new Uint8Array(shared)],
  ...VIEWS.flatMap((View): (typeof INPUTS)[number][] => [
    [`a ${View.name} of a part`, new View(arrayBuffer, 8, 3), bytesOf(new View(arrayBuffer, 8, 3))],
    [`a ${View.name} on shared memory`, new View(shared, 16, 2), bytesOf(new View(shared, 16, 2))],
  ]),
];

function bytesOf(view: NodeJS.ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

test.each(INPUTS)('%s is taken on every route', async (_name, input, bytes) => {
  for (const route of ROUTES) {
    const { data } = (await library.pool.compress(input, { route }))._unsafeUnwrap();
    expect(gunzipSync(data).equals(bytes)).toBe(true);
  }
});

test.each([[7], [null], [undefined], [{}], [['a']], [true], [5n], [Symbol('x')], [new Date(0)], [new Map()]])(
  '%s is refused on every operation',
  async (input) => {
    const session = library.pool.session({ op: 'copy' })._unsafeUnwrap();
    const calls = [library.pool.compress, library.pool.decompress].map((call) => call.bind(library.pool));
    for (const call of [...calls, (given: never) => session.run(given)]) {
      const error = (await call(input as never))._unsafeUnwrapErr();
      expect(error).toMatchObject({
        kind: 'InvalidArgument',
        argument: 'input',
        code: 'ERR_INVALID_ARG_TYPE',
      });
      expect(error.message).toContain(
        'a string, Buffer, TypedArray, DataView, ArrayBuffer, SharedArrayBuffer or PoolBuffer',
      );
    }
  },
);

describe('a caller that changes its buffer right after the call changes nothing', () => {
  const SIZES = [1, 511, limits.DEVICE_THRESHOLD_BYTES, 100_000, MiB, 3 * MiB + 1];

  test.each(ROUTES.flatMap((route) => SIZES.map((bytes) => [route, bytes] as const)))(
    'route %s, %d bytes',
    async (route, bytes) => {
      const original = sampleText(bytes);
      const input = Buffer.from(original);
      const call = library.pool.compress(input, { route, level: 1 });
      input.fill(0);
      expect(gunzipSync((await call)._unsafeUnwrap().data).equals(original)).toBe(true);
    },
  );

  test('many at once, so that some wait for memory', async () => {
    const buffer = Buffer.alloc(MiB - 1);
    const session = library.pool.session({ op: 'copy', route: 'device' })._unsafeUnwrap();
    const calls = Array.from({ length: 80 }, (_, index) => session.run(buffer.fill(index)));
    buffer.fill(0xff);
    for (const [index, result] of (await Promise.all(calls)).entries()) {
      const { data } = result._unsafeUnwrap();
      expect(data.length).toBe(MiB - 1);
      expect(data.every((byte) => byte === index)).toBe(true);
    }
  });

  test('an input to be decompressed as well, on the way through a stream too', async () => {
    const original = Buffer.alloc(20 * MiB, 'highly compressible ');
    const packed = (await library.pool.compress(original, { level: 1 }))._unsafeUnwrap().data;
    const call = library.pool.decompress(packed, { route: 'device' });
    packed.fill(0);
    expect((await call)._unsafeUnwrap().data.equals(original)).toBe(true);
  });
});

test("a result is the caller's own memory", async () => {
  const session = library.pool.session({ op: 'copy', route: 'device' })._unsafeUnwrap();
  const first = (await session.run('first result'))._unsafeUnwrap().data;
  first.fill(0x2a);
  const second = (await session.run('second result'))._unsafeUnwrap().data;
  expect([first.toString(), second.toString()]).toEqual(['*'.repeat(12), 'second result']);
});

describe('options that were remembered', () => {
  const text = sampleText(20_000);
  const sizeAt = async (options: object): Promise<number> =>
    (await library.pool.compress(text, { ...options, route: 'device' }))._unsafeUnwrap().data.length;

  test('an options object that the caller changes is taken as it is at each call', async () => {
    const options: { level: number; format?: 'deflate' } = { level: 1 };
    const stored = async () => (await library.pool.compress(text, options))._unsafeUnwrap().data;
    const fast = await stored();
    options.level = 0;
    expect((await stored()).length).toBeGreaterThan(text.length);
    options.level = 1;
    expect((await stored()).equals(fast)).toBe(true);
    options.format = 'deflate';
    expect((await stored()).subarray(0, 2)).toEqual(Buffer.from([0x78, 0x01]));
  });

  test('an option that is undefined, absent or inherited means the same before and after others were used', async () => {
    const usual = await sizeAt({});
    const stored = await sizeAt({ level: 0 });
    expect(await sizeAt({ level: undefined })).toBe(usual);
    for (const level of [3, 0]) {
      const inherits = Object.assign(Object.create({ level }), { route: 'device' });
      const { data } = (await library.pool.compress(text, inherits))._unsafeUnwrap();
      expect(data.length).toBe(level === 0 ? stored : await sizeAt({ level }));
    }
  });

  test('more distinct sets than are remembered, in any order', async () => {
    const expected = new Map<number, number>();
    for (const level of [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]) expected.set(level, await sizeAt({ level }));
    for (const level of [9, 0, 5, 5, 3, 8, 1]) expect(await sizeAt({ level })).toBe(expected.get(level));
  });

  test('a limit of one call is not the limit of another', async () => {
    const limited = await library.pool.compress(text, { maxOutputLength: 10 });
    expect(limited._unsafeUnwrapErr().kind).toBe('OutputTooLarge');
    expect((await library.pool.compress(text)).isOk()).toBe(true);
  });
});
