// Does `explain` say what then happens, and does each call go where its options send it?
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import copy from '../../drivers/copy/index.js';
import zip from '../../drivers/zip/index.js';
import { limits } from '../../src/base/limits.js';
import { KiB, MiB } from '../../src/base/units.js';
import { type Library, openLibrary, openMachine, sampleText } from './library-bench.js';

let library: Library;
let softwareOnly: Library;
beforeAll(async () => {
  library = await openLibrary({ engines: 2 });
  softwareOnly = await openMachine({ drivers: [zip, copy], instances: [{ id: 'copy0', driver: 'copy' }] });
});
afterAll(() => Promise.all([library.pool.close(), softwareOnly.pool.close()]));

const THRESHOLD = limits.DEVICE_THRESHOLD_BYTES;
const SIZES = [0, 1, THRESHOLD - 1, THRESHOLD, 100_000, MiB - 1, MiB, 2 * MiB + 1];
const OPTIONS = [
  {},
  { route: 'device' },
  { route: 'software' },
  { route: 'auto', level: 9, format: 'deflate-raw' },
  { blockBytes: 64 * KiB },
  { route: 'device', blockBytes: 4 * MiB },
] as const;

describe.each(OPTIONS)('with %o', (options) => {
  test.each(SIZES)('explain says how %d bytes are compressed', async (bytes) => {
    const said = library.pool.explain({ op: 'compress', bytes, ...options })._unsafeUnwrap();
    const { via } = (await library.pool.compress(sampleText(bytes), options))._unsafeUnwrap();
    expect(via).toMatchObject({ path: said.path, reason: said.reason, attempts: said.requests });
    if (said.path === 'device') expect(said.devices).toContain(via.device);
    else expect([said.devices, via.device, via.queue]).toEqual([[], undefined, undefined]);
  });

  test.each(SIZES)('explain says the same of %d bytes on a machine without such a device', async (bytes) => {
    const said = softwareOnly.pool.explain({ op: 'compress', bytes, ...options })._unsafeUnwrap();
    const result = await softwareOnly.pool.compress(sampleText(bytes), options);
    expect([said.devices, said.requests]).toEqual([
      [],
      'route' in options && options.route === 'device' ? 0 : 1,
    ]);
    if (result.isOk()) expect(result.value.via).toMatchObject({ path: 'software', reason: said.reason });
    else {
      expect('route' in options && options.route).toBe('device');
      expect(result.error).toMatchObject({
        kind: 'NoDevice',
        code: 'ERR_WD_NO_DEVICE',
        message: `${said.reason}; use route 'auto' or 'software' to do it without one`,
      });
    }
  });
});

test.each([100, 5000, 2 * MiB])('explain says how %d bytes are decompressed', async (bytes) => {
  const packed = (await library.pool.compress(sampleText(bytes)))._unsafeUnwrap().data;
  const said = library.pool.explain({ op: 'decompress', bytes: packed.length })._unsafeUnwrap();
  const { via } = (await library.pool.decompress(packed))._unsafeUnwrap();
  expect(via).toMatchObject({ path: said.path, reason: said.reason });
});

test('explain takes nothing: no system call, no request', () => {
  const before = library.pool.counters();
  for (let i = 0; i < 100; i++) library.pool.explain({ op: 'compress', bytes: i * 1000 })._unsafeUnwrap();
  expect(library.pool.counters()).toEqual(before);
});

test.each([
  [{ op: 'compress', bytes: -1 }, 'bytes'],
  [{ op: 'compress', bytes: 1.5 }, 'bytes'],
  [{ op: 'compress', bytes: '5' }, 'bytes'],
  [{ op: 'compress', bytes: Number.NaN }, 'bytes'],
  [{ op: 'compress' }, 'bytes'],
  [{ op: 'shrink', bytes: 5 }, 'op'],
  [{ bytes: 5 }, 'op'],
  [{ op: 'compress', bytes: 5, level: 10 }, 'level'],
  [null, 'query'],
  ['compress', 'query'],
])('explain of %o names %s', (query, argument) => {
  const error = library.pool.explain(query as never)._unsafeUnwrapErr();
  expect(error).toMatchObject({ kind: 'InvalidArgument', argument });
});

describe('sessions', () => {
  test('copy and crc32c, on the device and without one, agree', async () => {
    for (const bytes of [0, 1, 9, 511, 512, 70_000]) {
      const input = sampleText(bytes);
      for (const { pool } of [library]) {
        for (const route of ['device', 'software', 'auto'] as const) {
          const copied = (
            await pool.session({ op: 'copy', route })._unsafeUnwrap().run(input)
          )._unsafeUnwrap();
          expect(copied.data.equals(input)).toBe(true);
          const summed = (
            await pool.session({ op: 'crc32c', route })._unsafeUnwrap().run(input)
          )._unsafeUnwrap();
          expect(summed.data.length).toBe(0);
          expect([copied.checksum >= 0, summed.checksum]).toEqual([true, crc32c(input)]);
        }
      }
    }
  });

  test('crc32c of the published test vector', async () => {
    const session = library.pool.session({ op: 'crc32c', route: 'device' })._unsafeUnwrap();
    // RFC 3720, appendix B.4: the digits 1 to 9 are the customary check; 32 zero bytes are the first vector.
    expect((await session.run('123456789'))._unsafeUnwrap().checksum).toBe(0xe3069283);
    expect((await session.run(Buffer.alloc(32)))._unsafeUnwrap().checksum).toBe(0x8a9136aa);
  });

  test('a session is checked when it is made', () => {
    for (const spec of [
      { op: 'copy', level: 3 },
      { op: 'nothing' },
      { op: 'compress', level: -1 },
      null,
      'copy',
    ])
      expect(library.pool.session(spec as never)._unsafeUnwrapErr().kind).toBe('InvalidArgument');
  });

  test('a session compresses like a call', async () => {
    const session = library.pool.session({ op: 'compress', level: 9 })._unsafeUnwrap();
    const text = sampleText(10_000);
    expect(gunzipSync((await session.run(text))._unsafeUnwrap().data).equals(text)).toBe(true);
  });
});

test('describe tells the process, its PASID, its devices and its queues', async () => {
  const { pool } = await openLibrary({ engines: 2 });
  const before = await pool.describe();
  expect(before).toMatchObject({ devices: ['hisi_zip-0', 'hisi_zip-1', 'wd_copy-2'], queues: [] });
  for (let i = 0; i < 10; i++) (await pool.compress(sampleText(5000)))._unsafeUnwrap();
  const after = await pool.describe();
  expect(after.pid).toBe(before.pid);
  expect(after.pasid).toBeGreaterThan(0);
  expect(after.queues.reduce((sum, { completed }) => sum + completed, 0)).toBe(10);
  expect(after.counters.syscalls).toBeGreaterThan(before.counters.syscalls);
  await pool.close();
});

/** Bit by bit, as the definition has it. */
function crc32c(bytes: Uint8Array): number {
  let register = 0xffff_ffff;
  for (const byte of bytes) {
    register ^= byte;
    for (let bit = 0; bit < 8; bit++) register = (register >>> 1) ^ (register & 1 ? 0x82f6_3b78 : 0);
  }
  return (register ^ 0xffff_ffff) >>> 0;
}
