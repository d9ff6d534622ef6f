// Where are the bounds of a pool, and what happens at them and after its end?
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { limits } from '../../src/base/limits.js';
import { MiB } from '../../src/base/units.js';
import { openLibrary, randomBytes, sampleText } from './library-bench.js';

describe('Busy', () => {
  test('the 65,537th request is refused, with nothing changed, and all others end', async () => {
    const { pool } = await openLibrary();
    const session = pool.session({ op: 'copy', route: 'device' })._unsafeUnwrap();
    const calls = Array.from({ length: limits.POOL_REQUESTS_MAX }, () => session.run(''));
    for (let i = 0; i < 3; i++) {
      expect((await session.run(''))._unsafeUnwrapErr()).toMatchObject({
        kind: 'Busy',
        code: 'ERR_WD_BUSY',
        retryable: true,
        message: expect.stringContaining('65536 requests'),
      });
    }
    const results = await Promise.all(calls);
    expect(results.every((result) => result.isOk())).toBe(true);
    expect((await session.run('room again')).isOk()).toBe(true);
    await pool.close();
  }, 120_000);

  test('more than 256 MiB of input are refused; one request is taken however large', async () => {
    const { pool } = await openLibrary();
    const session = pool.session({ op: 'copy', route: 'device' })._unsafeUnwrap();
    const large = Buffer.alloc(8 * MiB, 1);
    const calls = Array.from({ length: limits.POOL_INPUT_BYTES_MAX / large.length }, () =>
      session.run(large),
    );
    const refused = (await session.run('x'))._unsafeUnwrapErr();
    expect(refused).toMatchObject({ kind: 'Busy', message: expect.stringContaining('268435456 bytes') });
    expect((await session.run('')).isOk()).toBe(true);
    const results = await Promise.all(calls);
    expect(results.every((result) => result.isOk() && result.value.data.equals(large))).toBe(true);
    await pool.close();
  }, 120_000);
});

describe('close', () => {
  test('waits for what is in flight, then every call answers InvalidState', async () => {
    const { pool } = await openLibrary();
    const text = sampleText(50_000);
    const calls = Array.from({ length: 40 }, () => pool.compress(text));
    const closed = pool.close();
    const late = { kind: 'InvalidState', code: 'ERR_WD_INVALID_STATE' };
    expect((await pool.compress(text))._unsafeUnwrapErr()).toMatchObject(late);
    for (const result of await Promise.all(calls))
      expect(gunzipSync(result._unsafeUnwrap().data).equals(text)).toBe(true);
    expect((await closed).isOk()).toBe(true);
    expect((await pool.decompress(text))._unsafeUnwrapErr()).toMatchObject(late);
    expect((await pool.ready({ op: 'compress' }))._unsafeUnwrapErr()).toMatchObject(late);
    const session = pool.session({ op: 'copy' }).andThen(() => pool.session({ op: 'crc32c' }));
    if (session.isOk()) expect((await session.value.run('x'))._unsafeUnwrapErr()).toMatchObject(late);
    for await (const piece of pool.compressStream(pieces(text)))
      expect(piece._unsafeUnwrapErr()).toMatchObject(late);
  });

  test('twice, and at the same time, is fine', async () => {
    const { pool } = await openLibrary();
    const results = await Promise.all([pool.close(), pool.close()]);
    expect([...results, await pool.close()].every((result) => result.isOk())).toBe(true);
  });

  test('while queues are still being opened', async () => {
    const { pool } = await openLibrary();
    const call = pool.compress(randomBytes(1000));
    await pool.close();
    expect((await call).isOk()).toBe(true);
  });

  test('gives everything back: thirty pools on one machine, one after the other', async () => {
    const { machine, pool } = await openLibrary();
    await pool.close();
    const { openPool } = await import('../../src/entry/sim.js');
    const zip = (await import('../../drivers/zip/index.js')).default;
    for (let i = 0; i < 30; i++) {
      const next = (await openPool(machine, [zip]))._unsafeUnwrap();
      expect((await next.compress(randomBytes(2000, i))).isOk()).toBe(true);
      await next.close();
    }
  });
});

describe('memory', () => {
  test('compression and copies that together need more than there is take turns', async () => {
    const { pool } = await openLibrary({ engines: 2 });
    const session = pool.session({ op: 'copy', route: 'device' })._unsafeUnwrap();
    const large = Buffer.alloc(7 * MiB, 'turns');
    const text = sampleText(900_000);
    const calls = Array.from({ length: 30 }, (_, i) =>
      i % 2 === 0 ? session.run(large) : pool.compress(text, { level: 1, route: 'device' }),
    );
    for (const [i, result] of (await Promise.all(calls)).entries()) {
      const { data } = result._unsafeUnwrap();
      expect(i % 2 === 0 ? data.equals(large) : gunzipSync(data).equals(text)).toBe(true);
    }
    await pool.close();
  });

  test('a large input beside many small ones', async () => {
    const { pool } = await openLibrary({ engines: 2 });
    const large = sampleText(40 * MiB);
    const small = sampleText(3000);
    const calls = [large, ...Array.from({ length: 200 }, () => small)].map((input) =>
      pool.compress(input, { level: 1 }),
    );
    for (const [i, result] of (await Promise.all(calls)).entries())
      expect(gunzipSync(result._unsafeUnwrap().data).equals(i === 0 ? large : small)).toBe(true);
    await pool.close();
  });
});

async function* pieces(...parts: Buffer[]): AsyncGenerator<Buffer, void, void> {
  yield* parts;
}
