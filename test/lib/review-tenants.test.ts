// Tenants closed, opened again and given work at the same moments: does each call still get its own answer?
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import * as wd from 'warpdrive';

const text = Buffer.from('Each to their own, and none to another.\n'.repeat(5000));

let pool: wd.Pool;
beforeEach(async () => {
  pool = (await wd.open({ engines: 1, memoryBytes: 256 * 2 ** 20 }))._unsafeUnwrap();
});
afterEach(() => pool.close());

test('input may be changed right after the call, the first one too', async () => {
  const tenant = pool.domain('one');
  for (let call = 0; call < 3; call++) {
    const [input, item] = [Buffer.from(text), Buffer.from(text)];
    const answers = [tenant.compress(input), tenant.batch([{ op: 'compress', input: item }])] as const;
    for (const bytes of [input, item]) bytes.fill(0);
    const [result] = (await answers[1])._unsafeUnwrap();
    for (const output of [(await answers[0])._unsafeUnwrap(), result!._unsafeUnwrap()])
      expect(gunzipSync(output.data).equals(text)).toBe(true);
  }
});

describe.each(['queue', 'context'] as const)('with isolation %s', (isolation) => {
  test('closed under load: what was called before is done, on its device, even if the pool closes too', async () => {
    const tenant = pool.domain('busy', { isolation });
    (await tenant.compress(text))._unsafeUnwrap();
    const calls = Array.from({ length: 30 }, () => tenant.compress(text, { level: 9, route: 'device' }));
    const closing = tenant.close();
    // The name is taken over before the first one has ended: it is not forgotten for that.
    const next = pool.domain('busy', { isolation });
    expect(next).not.toBe(tenant);
    await pool.close();
    for (const result of await Promise.all(calls))
      expect(gunzipSync(result._unsafeUnwrap().data).equals(text)).toBe(true);
    expect((await closing).isOk()).toBe(true);
    expect((await next.compress(text))._unsafeUnwrapErr().kind).toBe('InvalidState');
  });

  test('closed and opened again at once, again and again: the next one waits for the name', async () => {
    for (let round = 0; round < 4; round++) {
      const tenant = pool.domain('again', { isolation });
      const call = tenant.compress(text);
      void tenant.close().then(() => {});
      const result = await pool.domain('again', { isolation }).compress(text);
      expect([(await call).isOk(), result.isOk()]).toEqual([true, true]);
      await pool.domain('again', { isolation }).close();
    }
  });
});

test('what a tenant has counted stays when it is closed', async () => {
  const tenant = pool.domain('counted');
  expect(tenant.stats()).toBeNull();
  (await tenant.compress(text))._unsafeUnwrap();
  await tenant.close();
  expect(tenant.stats()?.rows).toMatchObject([{ domain: 'counted', requests: 1 }]);
  expect(pool.stats().rows).toMatchObject([{ domain: 'counted', requests: 1 }]);
});
