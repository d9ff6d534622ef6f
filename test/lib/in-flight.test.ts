// A bound on what the queues of a pool hold: is it kept by all kinds of work, and does nobody wait for ever behind it?
import { gzipSync, inflateSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import zip from '../../drivers/zip/index.js';
import { InFlightWindow } from '../../lib/in-flight-window.js';
import { Pool } from '../../lib/pool.js';
import type { PoolStream } from '../../lib/pool-stream.js';
import type { UserDriver } from '../../lib/user-driver.js';
import { KiB, MiB } from '../../src/base/units.js';
import { Machine } from '../../src/entry/sim.js';
import { randomBytes, sampleText } from './library-bench.js';

const LIMIT_BYTES = 200 * KiB;
const text = sampleText(600_000);
let heldMost = 0;

beforeEach(() => {
  heldMost = 0;
  let held = 0;
  const { add, remove } = InFlightWindow.prototype;
  vi.spyOn(InFlightWindow.prototype, 'add').mockImplementation(function (this: InFlightWindow, bytes) {
    held += bytes;
    heldMost = Math.max(heldMost, held);
    add.call(this, bytes);
  });
  vi.spyOn(InFlightWindow.prototype, 'remove').mockImplementation(function (this: InFlightWindow, bytes) {
    held -= bytes;
    remove.call(this, bytes);
  });
});
afterEach(() => vi.restoreAllMocks());

async function openPool(memoryLimitBytes = 64 * MiB): Promise<Pool> {
  const instances = ['zip0', 'zip1'].map((id) => ({ id, driver: 'zip' }));
  const machine = Machine.create({ drivers: [zip], instances })._unsafeUnwrap();
  const platform = (await machine.createProcess())._unsafeUnwrap();
  const userDrivers = [(await zip.userDriver()) as UserDriver];
  const source = { platform, userDrivers, memoryLimitBytes, maxInFlightBytes: LIMIT_BYTES };
  return (await Pool.create({ ...source, end: async () => {} }))._unsafeUnwrap();
}

async function openStream(pool: Pool): Promise<PoolStream> {
  const stream = pool.openStream('compress', { format: 'deflate' })._unsafeUnwrap();
  await stream.begin(stream.operation.stream!);
  return stream;
}

const part = { flush: 0, final: false, roomBytes: 128 * KiB };

/** Input through a stream, step by step; what came out. */
async function compressed(stream: PoolStream, input: Buffer): Promise<Buffer> {
  const pieces = [Buffer.from(stream.operation.header)];
  for (let rest = input, more = true; more; ) {
    const final = rest.length <= 128 * KiB;
    const { consumed, output, verdict } = await stream.step(rest, { ...part, final });
    pieces.push(Buffer.from(output));
    rest = rest.subarray(consumed);
    more = rest.length > 0 || verdict === 'noRoom';
  }
  stream.close();
  return Buffer.concat(pieces);
}

test('single calls, blocks, serial streams and streams step by step keep to it together, and all end', async () => {
  const pool = await openPool();
  const packed = gzipSync(randomBytes(500_000));
  const singles = Array.from({ length: 20 }, (_, i) => pool.compress(text.subarray(i, i + 60_000)));
  const blocks = pool.compress(Buffer.concat([text, text, text, text]), { blockBytes: 128 * KiB });
  const serial = Array.from({ length: 4 }, () => pool.decompress(packed, { route: 'device' }));
  const streams = Array.from({ length: 6 }, async () => compressed(await openStream(pool), text));
  for (const result of await Promise.all([...singles, blocks, ...serial])) expect(result.isOk()).toBe(true);
  for (const output of await Promise.all(streams)) expect(inflateSync(output).equals(text)).toBe(true);
  // One may always go, however large.
  expect(heldMost).toBeLessThanOrEqual(Math.max(LIMIT_BYTES, packed.length));
  expect(heldMost).toBeGreaterThan(LIMIT_BYTES / 2);
  await pool.close();
});

test('a call larger than the bound has its turn, however busy the streams are; and they theirs behind such calls', async () => {
  const pool = await openPool();
  const streams = await Promise.all(Array.from({ length: 5 }, () => openStream(pool)));
  let over = false;
  const steps = streams.map(async (stream) => {
    let count = 0;
    for (; !over; count++) await stream.step(text.subarray(0, 100 * KiB), part);
    stream.close();
    return count;
  });
  for (let i = 0; i < 5; i++)
    expect((await pool.compress(text, { route: 'device' }))._unsafeUnwrap().via.path).toBe('device');
  over = true;
  for (const count of await Promise.all(steps)) expect(count).toBeGreaterThan(1);
  await pool.close();
});

test('a call that waits for the memory of streams does not keep them from ending', async () => {
  const pool = await openPool(8 * MiB);
  const streams = await Promise.all(Array.from({ length: 14 }, () => openStream(pool)));
  const large = pool.compress(randomBytes(3 * MiB), { route: 'device', blockBytes: 4 * MiB });
  await new Promise(setImmediate);
  const outputs = await Promise.all(streams.map((stream) => compressed(stream, text)));
  for (const output of outputs) expect(inflateSync(output).equals(text)).toBe(true);
  expect((await large).isOk()).toBe(true);
  await pool.close();
});
