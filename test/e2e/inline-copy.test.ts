// Does a request go the whole way on the inline host, from the library through the rings to the device and back?
import { expect, test } from 'vitest';
import copy from '../../drivers/copy/index.js';
import { Machine, openPool } from '../../src/entry/sim.js';

test('a copy comes back through a uacce queue, with no system call while data moves (C10, R107)', async () => {
  const machine = Machine.create({ drivers: [copy] })._unsafeUnwrap();
  const pool = (await openPool(machine, [copy]))._unsafeUnwrap();
  const session = pool.session({ op: 'copy', route: 'device' })._unsafeUnwrap();
  const first = (await session.run('warm up'))._unsafeUnwrap();
  expect(first.data.toString()).toBe('warm up');
  expect(first.via).toMatchObject({ path: 'device', device: 'wd_copy-0' });
  const before = pool.counters();
  for (const bytes of [0, 1, 4095, 4096, 4097, 100_000]) {
    const input = Buffer.alloc(bytes, 'warpdrive');
    const { data } = (await session.run(input))._unsafeUnwrap();
    expect(data.equals(input)).toBe(true);
  }
  expect(pool.counters()).toEqual(before);
  (await pool.close())._unsafeUnwrap();
});
