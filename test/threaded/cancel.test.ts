// Deadlines and signals against devices that really are at work meanwhile.
import { setTimeout as pause } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import * as wd from 'warpdrive';
import { randomBytes } from '../lib/library-bench.js';

let pool: wd.Pool;
beforeAll(async () => {
  pool = (await wd.open({ engines: 1 }))._unsafeUnwrap();
});
afterAll(() => pool.close());

/** Takes a device some tenths of a second. */
const slow = randomBytes(6_000_000);
const slowly = { level: 9, split: false, route: 'device' } as const;

test('a deadline ends the request that runs and those that wait, and says which it was', async () => {
  const calls = Array.from({ length: 4 }, () => pool.compress(slow, { ...slowly, deadlineMs: 15 }));
  for (const result of await Promise.all(calls))
    expect(result._unsafeUnwrapErr()).toMatchObject({
      kind: 'DeadlineExceeded',
      code: 'ERR_WD_DEADLINE',
      deadlineMs: 15,
      retryable: true,
    });
  expect((await pool.compress('x'.repeat(5000), { deadlineMs: 60_000 })).isOk()).toBe(true);
});

test('whoever comes after a cancelled request gets the device, with hundreds cancelled before', async () => {
  for (let round = 0; round < 200; round++) {
    const controller = new AbortController();
    const call = pool.compress(slow, { ...slowly, signal: controller.signal });
    if (round % 3 === 0) await pause(1);
    controller.abort();
    expect((await call)._unsafeUnwrapErr().kind).toBe('Aborted');
  }
  const text = Buffer.from('the device is free again '.repeat(400));
  const { data, via } = (await pool.compress(text))._unsafeUnwrap();
  expect([gunzipSync(data).equals(text), via.path]).toEqual([true, 'device']);
});
