// What does a domain of a machine of threads see when another one hangs or kills the engine that they share?
import { afterEach, describe, expect, test } from 'vitest';
import { type MachineDriver, startThreaded, type ThreadedMachine } from 'warpdrive/sim';
import { Pool, poolMemoryLimit } from '../../lib/pool.js';
import { MiB } from '../../src/base/units.js';
import { loadDrivers } from './threaded-bench.js';

const DEADLY = new URL('./fixtures/deadly.mjs', import.meta.url).href;
const NAMES = ['web', 'batch'] as const;
const LOST = { kind: 'DeviceLost', retryable: true };

let machine: ThreadedMachine;
let pools: Pool[];
afterEach(async () => {
  for (const pool of pools) (await pool.close())._unsafeUnwrap();
  await machine.close();
});

async function openPool(driver: MachineDriver, domain: string): Promise<Pool> {
  const platform = (await machine.createProcess({ domain }))._unsafeUnwrap();
  const userDrivers = [(await driver.userDriver()) as never];
  const source = { platform, userDrivers, memoryLimitBytes: poolMemoryLimit(16 * MiB), end: async () => {} };
  return (await Pool.create(source))._unsafeUnwrap();
}

/** One engine that two domains share, each with a queue of it that has served; what runs a request in each. */
async function twoDomains() {
  const domains = NAMES.map((name) => ({
    name,
    memoryBytes: 32 * MiB,
    coprocessors: { deadly0: {} },
  }));
  const instances = [{ id: 'deadly0', driver: 'deadly', policy: 'fair' }];
  const config = { memoryBytes: 128 * MiB, instances, host: {}, domains };
  machine = (await startThreaded({ config, driverUrls: { deadly: DEADLY } }))._unsafeUnwrap();
  const [driver] = await loadDrivers(['deadly']);
  pools = await Promise.all(NAMES.map((name) => openPool(driver!, name)));
  const sessions = pools.map((pool) => pool.session({ op: 'deadly', route: 'device' })._unsafeUnwrap());
  for (const session of sessions) expect((await session.run('hello')).isOk()).toBe(true);
  return sessions.map((session) => (text: string) => session.run(text));
}

type Run = Awaited<ReturnType<typeof twoDomains>>[number];

/** The engine is started again, and queues of it are asked for again by later requests. */
async function comesBack(run: Run): Promise<void> {
  await expect.poll(async () => (await run('back?')).isOk(), { timeout: 30_000 }).toBe(true);
  for (let i = 0; i < 50; i++)
    expect((await run(`request ${i}`))._unsafeUnwrap().data.length).toBeGreaterThan(8);
}

async function failuresOf(domain: string): Promise<number> {
  const answer = await machine.call({ call: 'queryVcoproc', domain, instance: 'deadly0' });
  return answer._unsafeUnwrap().failures;
}

describe('an engine that two domains share', () => {
  test('hangs before the other has work: that one is told, and both are served again (R48, R49)', async () => {
    const [web, batch] = await twoDomains();
    const wedged = web!('wedge');
    // Nobody else had work when it hung: the engine reports none of this one.
    const isWeb = async () => {
      const answer = await machine.call({ call: 'queryVcoproc', domain: 'web', instance: 'deadly0' });
      return answer._unsafeUnwrap().busy;
    };
    await expect.poll(isWeb).toBe(true);
    const late = batch!('after it hung');
    expect((await wedged)._unsafeUnwrapErr()).toMatchObject(LOST);
    expect((await late)._unsafeUnwrapErr()).toMatchObject(LOST);
    // Whoever waits for the engine hears of its end first.
    await expect.poll(() => failuresOf('web'), { timeout: 10_000 }).toBe(1);
    expect(await failuresOf('batch')).toBe(0);
    await comesBack(batch!);
    await comesBack(web!);
  });

  test.each(['throw', 'exit!'])(
    'dies of "%s": requests of both are told or done, and both are served again',
    async (end) => {
      const [web, batch] = await twoDomains();
      const calls = Array.from({ length: 200 }, (_, i) =>
        i === 60 ? web!(end) : (i % 2 === 0 ? web! : batch!)(`request ${i}`),
      );
      for (const [i, result] of (await Promise.all(calls)).entries()) {
        if (result.isErr()) expect(result.error).toMatchObject(LOST);
        else expect(result.value.data.toString()).toBe(`request ${i}`);
      }
      await comesBack(batch!);
      await comesBack(web!);
    },
  );
});
