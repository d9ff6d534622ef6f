// R123: is a process of one's own for each application possible, on one physical function? And R119, R124: does code
// that knows an operation only by name find every device that has it?
import { expect, test } from 'vitest';
import copy from '../../drivers/copy/index.js';
import { Pool } from '../../lib/pool.js';
import type { UserDriver } from '../../lib/user-driver.js';
import { GiB, MiB } from '../../src/base/units.js';
import { Machine } from '../../src/entry/sim.js';
import { openLibrary } from './library-bench.js';

test('R123: a thousand processes on one device, all with queues open, are all served', async () => {
  const machine = Machine.create({ drivers: [copy], memoryBytes: 3 * GiB })._unsafeUnwrap();
  const userDrivers = [(await copy.userDriver()) as UserDriver];
  const pools: Pool[] = [];
  for (let i = 0; i < 1000; i++) {
    const platform = (await machine.createProcess())._unsafeUnwrap();
    const source = { platform, userDrivers, memoryLimitBytes: 2 * MiB, end: async () => {} };
    pools.push((await Pool.create(source))._unsafeUnwrap());
  }
  for (let round = 0; round < 2; round++) {
    const calls = pools.map((pool, i) =>
      pool.session({ op: 'copy', route: 'device' })._unsafeUnwrap().run(`round ${round}, process ${i}`),
    );
    for (const [i, result] of (await Promise.all(calls)).entries())
      expect(result._unsafeUnwrap().data.toString()).toBe(`round ${round}, process ${i}`);
  }
  const pasids = await Promise.all(pools.map(async (pool) => (await pool.describe()).pasid));
  expect(new Set(pasids).size).toBe(1000);
}, 60_000);

test('R119, R124: an operation is found on every device that has it, by name alone', async () => {
  const { pool } = await openLibrary({ engines: 3 });
  const { operations, devices } = pool.caps();
  for (const { operation, devices: names } of operations) {
    expect(names.length).toBeGreaterThan(0);
    expect(names.every((name) => devices.some((device) => device.name === name))).toBe(true);
    expect(pool.explain({ op: operation, bytes: 4000 })._unsafeUnwrap().devices).toEqual(names);
  }
  expect(operations.find(({ operation }) => operation === 'compress')?.devices).toHaveLength(3);
  await pool.close();
});
