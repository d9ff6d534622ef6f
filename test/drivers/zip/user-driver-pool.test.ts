/**
 * Compression the whole way: library, rings, page tables, device and back, on the inline host.
 */
import { randomBytes } from 'node:crypto';
import { deflateSync, gunzipSync, gzipSync, inflateRawSync, inflateSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import zip from '../../../drivers/zip/index.js';
import { Machine, openPool } from '../../../src/entry/sim.js';
import { noise, prose } from './codec-streams.js';
import { LENGTHS } from './device-bench.js';

const decode = { gzip: gunzipSync, deflate: inflateSync, 'deflate-raw': inflateRawSync };
const FORMATS = ['gzip', 'deflate', 'deflate-raw'] as const;
const MiB = 1024 * 1024;
const device = { route: 'device' } as const;

async function open() {
  const machine = Machine.create({ drivers: [zip] })._unsafeUnwrap();
  return (await openPool(machine, [zip]))._unsafeUnwrap();
}

let pool: Awaited<ReturnType<typeof open>>;
beforeAll(async () => {
  pool = await open();
});
afterAll(async () => {
  (await pool.close())._unsafeUnwrap();
});

describe('on the device', () => {
  it.each(FORMATS)('%s of any length goes there and back', async (format) => {
    for (const length of LENGTHS) {
      const input = prose(length);
      const packed = (await pool.compress(input, { ...device, format }))._unsafeUnwrap();
      expect(packed.via).toMatchObject({ path: 'device', device: 'hisi_zip-0' });
      expect(decode[format](packed.data).equals(input)).toBe(true);
      const back = (await pool.decompress(packed.data, { ...device, format }))._unsafeUnwrap();
      expect(back.data.equals(input)).toBe(true);
    }
  });

  it('large inputs are cut into blocks, and their output is read in one request or many', async () => {
    const input = Buffer.concat([noise(MiB), Buffer.alloc(9 * MiB), prose(MiB)]);
    const packed = (await pool.compress(input, device))._unsafeUnwrap();
    expect(packed.via.attempts).toBeGreaterThan(10);
    expect(gunzipSync(packed.data).equals(input)).toBe(true);
    const back = (await pool.decompress(packed.data, device))._unsafeUnwrap();
    expect(back.data.equals(input)).toBe(true);
  });

  it('input that does not compress fits its room at every size of one request', async () => {
    for (const bytes of [MiB - 1, 700_000]) {
      const packed = (await pool.compress(randomBytes(bytes), { ...device, level: 0 }))._unsafeUnwrap();
      expect(gunzipSync(packed.data).length).toBe(bytes);
    }
  });

  it('members and zlib after them are read as by unzip', async () => {
    const input = Buffer.concat([gzipSync('one '), gzipSync('two '), deflateSync('three')]);
    const back = (await pool.decompress(input, device))._unsafeUnwrap();
    expect(back.data.toString()).toBe('one two three');
  });

  it.each([
    ['truncated', gzipSync('x'.repeat(100)).subarray(0, 20), 'unexpected end of file'],
    ['with garbage behind', Buffer.concat([gzipSync('x'), Buffer.from('xyz')]), 'incorrect header check'],
    ['with a wrong checksum', gzipSync('x').fill(1, 13, 17), 'incorrect data check'],
    ['that is none', Buffer.from('hello'), 'incorrect header check'],
    ['that is empty', Buffer.alloc(0), 'unexpected end of file'],
  ])('an input %s is bad data', async (_, input, message) => {
    const error = (await pool.decompress(input, device))._unsafeUnwrapErr();
    expect(error).toMatchObject({ kind: 'BadData', message });
  });

  it('the limit of the output is kept exactly', async () => {
    const packed = gzipSync(prose(50_000));
    const within = await pool.decompress(packed, { ...device, maxOutputLength: 50_000 });
    expect(within._unsafeUnwrap().data.length).toBe(50_000);
    const beyond = await pool.decompress(packed, { ...device, maxOutputLength: 49_999 });
    expect(beyond._unsafeUnwrapErr()).toMatchObject({ code: 'ERR_BUFFER_TOO_LARGE' });
    const tight = await pool.compress(noise(1000), { ...device, maxOutputLength: 500 });
    expect(tight._unsafeUnwrapErr()).toMatchObject({ code: 'ERR_BUFFER_TOO_LARGE' });
  });
});
