// Memory of the pool in a caller's hands: is it used where it is, and safe however it is handled?
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { DmaMemory } from '../../lib/dma-memory.js';
import type { PoolBuffer } from '../../lib/pool-buffer.js';
import { limits } from '../../src/base/limits.js';
import { MiB } from '../../src/base/units.js';
import { type Library, openLibrary, sampleText } from './library-bench.js';

let library: Library;
beforeAll(async () => {
  library = await openLibrary({ engines: 2 });
});
afterAll(() => library.pool.close());

const text = sampleText(50_000);
const alloc = async (bytes: number): Promise<PoolBuffer> => (await library.pool.alloc(bytes))._unsafeUnwrap();
async function allocText(): Promise<PoolBuffer> {
  const buffer = await alloc(text.length);
  buffer.bytes.set(text);
  return buffer;
}

test.each(['auto', 'device', 'software'] as const)('with route %s: both ends in the pool', async (route) => {
  const [input, output] = [await allocText(), await alloc(text.length)];
  const packed = (await library.pool.compress(input, { route, into: output }))._unsafeUnwrap();
  expect(packed.data.buffer).toBe(output.bytes.buffer);
  expect(packed.data.byteOffset).toBe(output.bytes.byteOffset);
  expect(gunzipSync(packed.data).equals(text)).toBe(true);
  const again = await alloc(text.length);
  const part = output.subarray(0, packed.data.length);
  const unpacked = (await library.pool.decompress(part, { route, into: again }))._unsafeUnwrap();
  expect(unpacked.data.equals(text)).toBe(true);
  for (const buffer of [input, output, again]) buffer.free();
});

test.each([
  ['small, in software', 200],
  ['one request', 40_000],
  ['cut into blocks', 2 * MiB],
])(
  'into memory that is too small: OutputTooLarge, nothing beyond it is written (%s)',
  async (_what, bytes) => {
    const whole = await alloc(1000);
    whole.bytes.fill(0x5a);
    const input = sampleText(bytes);
    const result = await library.pool.compress(input, { into: whole.subarray(0, 60), level: 0 });
    expect(result._unsafeUnwrapErr()).toMatchObject({ kind: 'OutputTooLarge', limitBytes: 60 });
    expect(whole.bytes.subarray(60).every((byte) => byte === 0x5a)).toBe(true);
    whole.free();
  },
);

test('exactly enough is enough', async () => {
  const { length } = (await library.pool.compress(text))._unsafeUnwrap().data;
  const room = await alloc(length);
  expect((await library.pool.compress(text, { into: room }))._unsafeUnwrap().data.length).toBe(length);
  room.free();
});

test('enough to the byte, and a byte too little, at every boundary of the allocator; nothing beside it changes', async () => {
  const { pool } = library;
  for (const bytes of [700, 1023, 1024, 1025, 4095, 4096, 20_480]) {
    const plain = text.subarray(0, bytes);
    const packed = (await pool.compress(plain))._unsafeUnwrap().data;
    const buffers = await Promise.all([bytes, bytes, bytes - 1, bytes].map(alloc));
    for (const { bytes: memory } of buffers) memory.fill(0x5a);
    const [before, exact, short, after] = buffers as [PoolBuffer, PoolBuffer, PoolBuffer, PoolBuffer];
    const whole = await pool.decompress(packed, { route: 'device', into: exact });
    expect(whole._unsafeUnwrap().data.equals(plain)).toBe(true);
    const cut = await pool.decompress(packed, { route: 'device', into: short });
    expect(cut._unsafeUnwrapErr()).toMatchObject({ kind: 'OutputTooLarge', limitBytes: bytes - 1 });
    const part = await pool.decompress(packed, { route: 'device', into: after.subarray(0, bytes - 1) });
    expect(part._unsafeUnwrapErr()).toMatchObject({ kind: 'OutputTooLarge', limitBytes: bytes - 1 });
    expect(after.bytes.at(-1)).toBe(0x5a);
    expect(before.bytes.every((byte) => byte === 0x5a)).toBe(true);
    for (const buffer of buffers) buffer.free();
  }
});

test('freed while a request uses it: the request ends as if nothing had happened, the next one is refused', async () => {
  const [input, output] = [await allocText(), await alloc(text.length)];
  const call = library.pool.compress(input, { into: output, route: 'device' });
  input.free();
  output.free();
  const other = await alloc(text.length);
  other.bytes.fill(1);
  expect(gunzipSync((await call)._unsafeUnwrap().data).equals(text)).toBe(true);
  expect((await library.pool.compress(input))._unsafeUnwrapErr().kind).toBe('InvalidState');
  expect((await library.pool.compress(text, { into: output }))._unsafeUnwrapErr().kind).toBe('InvalidState');
  expect(() => input.free()).not.toThrow();
  other.free();
});

test('cut into blocks, it is read where it is, and stays until the last block has ended', async () => {
  const bytes = 3 * MiB + 5;
  const input = await alloc(bytes);
  input.bytes.set(sampleText(bytes));
  const wanted = Buffer.from(input.bytes);
  const allocate = vi.spyOn(DmaMemory.prototype, 'allocate');
  const call = library.pool.compress(input, { route: 'device' });
  input.free();
  const blocks = [limits.BLOCK_BYTES, limits.BLOCK_BYTES + limits.DICTIONARY_BYTES];
  const others = await Promise.all([alloc(bytes), alloc(bytes)]);
  for (const other of others) other.bytes.fill(1);
  const { data, via } = (await call)._unsafeUnwrap();
  expect(gunzipSync(data).equals(wanted)).toBe(true);
  expect(via).toMatchObject({ path: 'device', attempts: 7 });
  expect(allocate.mock.calls.filter(([size]) => blocks.includes(size))).toEqual([]);
  allocate.mockRestore();
  const again = library.pool.compress(others[0]!, { signal: AbortSignal.timeout(0) });
  expect((await again)._unsafeUnwrapErr().kind).toBe('Aborted');
  for (const other of others) other.free();
});

test('of another pool: refused by name', async () => {
  const other = (await openLibrary()).pool;
  const buffer = (await other.alloc(5000))._unsafeUnwrap();
  for (const call of [library.pool.compress(buffer), library.pool.compress(text, { into: buffer })])
    expect((await call)._unsafeUnwrapErr().message).toContain('another pool');
  await other.close();
  expect((await other.alloc(10))._unsafeUnwrapErr().kind).toBe('InvalidState');
});

test('a cancelled request gives the memory back only when the device has let go of it', async () => {
  const controller = new AbortController();
  const [input, output] = [await allocText(), await alloc(text.length)];
  const call = library.pool.compress(input, { into: output, route: 'device', signal: controller.signal });
  controller.abort();
  expect((await call)._unsafeUnwrapErr().kind).toBe('Aborted');
  for (const buffer of [input, output]) buffer.free();
  const reused = await alloc(text.length);
  reused.bytes.fill(0x33);
  for (let i = 0; i < 20; i++) await library.pool.describe();
  expect(reused.bytes.every((byte) => byte === 0x33)).toBe(true);
  reused.free();
});

test.each([0, -1, 1.5, Number.NaN, limits.REQUEST_BYTES_MAX + 1, '5', null, undefined, 10n])(
  'alloc(%s) is refused',
  async (bytes) => {
    const refused = (await library.pool.alloc(bytes as number))._unsafeUnwrapErr();
    expect(refused).toMatchObject({ kind: 'InvalidArgument', argument: 'bytes' });
  },
);

test('more than there is: Busy, and after a free there is room again', async () => {
  const { pool } = await openLibrary();
  const taken: PoolBuffer[] = [];
  for (;;) {
    const more = await pool.alloc(8 * MiB);
    if (more.isErr()) {
      expect(more.error).toMatchObject({ kind: 'Busy', retryable: true });
      break;
    }
    taken.push(more.value);
  }
  expect(taken.length).toBeGreaterThan(1);
  taken.pop()!.free();
  expect((await pool.alloc(8 * MiB)).isOk()).toBe(true);
  await pool.close();
});
