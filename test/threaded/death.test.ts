// What does a program see when a thread of the machine dies under it? Each request is told, nothing hangs, and what
// is not broken goes on.
import type { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, test } from 'vitest';
import type { OnDeviceLoss } from 'warpdrive';
import * as wd from 'warpdrive';
import { openPool } from 'warpdrive/sim';
import { loadDrivers, startMachine, type Threaded } from './threaded-bench.js';

let threaded: Threaded;
afterEach(() => threaded.close());

const session = (op: string, route: 'auto' | 'device' = 'device', onDeviceLoss: OnDeviceLoss = 'fail') =>
  threaded.pool.session({ op, route, onDeviceLoss })._unsafeUnwrap();
const LOST = { kind: 'DeviceLost', code: 'ERR_WD_DEVICE_LOST', retryable: true };

describe.each([
  ['throws', 'throw'],
  ['ends its thread', 'exit!'],
])('a device that %s', (_what, command) => {
  test('alone: its requests are told, a new one too, and another device goes on', async () => {
    threaded = await startMachine(['deadly', 'copy']);
    const deadly = session('deadly');
    expect((await deadly.run('hello'))._unsafeUnwrap().data.toString()).toBe('hello');
    const calls = ['one', command, 'two', 'three'].map((text) => deadly.run(text));
    const results = await Promise.all(calls);
    expect(results[1]!._unsafeUnwrapErr()).toMatchObject(LOST);
    for (const result of results) if (result.isErr()) expect(result.error).toMatchObject(LOST);
    expect((await deadly.run('again'))._unsafeUnwrapErr().kind).toBe('DeviceLost');
    for (let i = 0; i < 100; i++) expect((await session('copy').run('still here')).isOk()).toBe(true);
  });

  test('beside another of its kind: the other serves what comes after', async () => {
    threaded = await startMachine(['deadly', 'deadly']);
    await threaded.pool.ready({ op: 'deadly', route: 'device' });
    const deadly = session('deadly');
    expect((await deadly.run(command))._unsafeUnwrapErr()).toMatchObject(LOST);
    for (let i = 0; i < 200; i++) expect((await deadly.run(`request ${i}`)).isOk()).toBe(true);
  });

  test('with hundreds of requests behind it: each is told exactly once', async () => {
    threaded = await startMachine(['deadly', 'deadly', 'copy']);
    await threaded.pool.ready({ op: 'deadly', route: 'device' });
    const deadly = session('deadly');
    let told = 0;
    const calls = Array.from({ length: 1500 }, (_, i) =>
      deadly.run(i === 700 ? command : `request ${i}`).then((result) => {
        told += 1;
        if (result.isOk()) expect(result.value.data.toString()).toBe(`request ${i}`);
        else expect(result.error).toMatchObject(LOST);
      }),
    );
    await Promise.all(calls);
    expect(told).toBe(1500);
  });

  test('as the last of its kind: with route auto the work is done in software', async () => {
    threaded = await startMachine(['deadly', 'copy']);
    const auto = session('deadly', 'auto');
    await session('deadly').run(command);
    const query = { op: 'deadly', bytes: 5000 };
    const { data, via } = (await auto.run(Buffer.alloc(query.bytes, 7)))._unsafeUnwrap();
    expect([data.length, via.path, via.reason]).toEqual([5000, 'software', 'no device is left']);
    expect(threaded.pool.explain(query)._unsafeUnwrap()).toMatchObject({
      path: 'software',
      reason: via.reason,
    });
  });

  test('a new pool on the same machine uses what is left, and the device itself, started again', async () => {
    const names = ['deadly', 'copy'];
    threaded = await startMachine(names);
    expect((await session('deadly').run(command))._unsafeUnwrapErr()).toMatchObject(LOST);
    const next = (await openPool(threaded.machine, await loadDrivers(names)))._unsafeUnwrap();
    for (const op of names) {
      const again = next.session({ op, route: 'device' })._unsafeUnwrap();
      for (let i = 0; i < 100; i++)
        expect((await again.run(`request ${i}`))._unsafeUnwrap().data.toString()).toBe(`request ${i}`);
    }
    (await next.close())._unsafeUnwrap();
  });
});

describe('requests whose device dies with them', () => {
  const requests = (bad: number) =>
    Array.from({ length: 600 }, (_, i) => (i === bad ? 'exit!' : `request ${i}`));

  test('are done again by another one, and all but the one that kills are answered', async () => {
    threaded = await startMachine(['deadly', 'deadly', 'deadly']);
    await threaded.pool.ready({ op: 'deadly', route: 'device' });
    const deadly = session('deadly', 'device', 'replay');
    const results = await Promise.all(requests(100).map((text) => deadly.run(text)));
    const failed = [...results.entries()].filter(([, result]) => result.isErr()).map(([i]) => i);
    expect(failed).toContain(100);
    for (const [i, result] of results.entries())
      if (result.isOk()) expect(result.value.data.toString()).toBe(`request ${i}`);
    expect(threaded.pool.stats().replays).toBeGreaterThan(0);
    // Whoever is lost twice is told; that takes a place beside the killer in two devices.
    for (const i of failed) expect(results[i]!._unsafeUnwrapErr()).toMatchObject(LOST);
  });

  test.each(['replay', 'software'] as const)(
    'with route auto and %s, every one of them is answered',
    async (onDeviceLoss) => {
      threaded = await startMachine(['deadly', 'deadly']);
      await threaded.pool.ready({ op: 'deadly' });
      const deadly = threaded.pool.session({ op: 'deadly', onDeviceLoss })._unsafeUnwrap();
      const long = (text: string): string => text.padEnd(600, '.');
      const results = await Promise.all(requests(-1).map((text) => deadly.run(long(text))));
      const killed = session('deadly').run('exit!');
      const meanwhile = await Promise.all(requests(-1).map((text) => deadly.run(long(text))));
      expect((await killed)._unsafeUnwrapErr()).toMatchObject(LOST);
      for (const [i, result] of [...results, ...meanwhile].entries())
        expect(result._unsafeUnwrap().data.toString()).toBe(long(`request ${i % 600}`));
    },
  );

  test('find it again in the same pool once its engine was started again', async () => {
    threaded = await startMachine(['deadly']);
    const deadly = session('deadly');
    expect((await deadly.run('exit!'))._unsafeUnwrapErr()).toMatchObject(LOST);
    await expect.poll(async () => (await deadly.run('back?')).isOk(), { timeout: 20_000 }).toBe(true);
    for (let i = 0; i < 200; i++) expect((await deadly.run(`request ${i}`)).isOk()).toBe(true);
  });
});

describe('the kernel thread', () => {
  test('dies: requests in flight and later ones are told, and close does not hang', async () => {
    const started: Worker[] = [];
    const note = (worker: Worker): void => void started.push(worker);
    process.on('worker', note);
    threaded = await startMachine(['copy', 'zip']);
    process.off('worker', note);
    const copy = session('copy');
    expect((await copy.run('before')).isOk()).toBe(true);
    const calls = Array.from({ length: 20 }, () => copy.run(Buffer.alloc(8_000_000)));
    await started[0]!.terminate();
    for (const result of await Promise.all(calls))
      if (result.isErr()) expect(result.error).toMatchObject(LOST);
    expect((await copy.run('after'))._unsafeUnwrapErr().kind).toBe('DeviceLost');
    const late = await threaded.pool.compress('x'.repeat(5000), { route: 'device' });
    expect(['DeviceLost', 'NoDevice']).toContain(late._unsafeUnwrapErr().kind);
    for (const bytes of [5000, 3_000_000])
      expect((await threaded.pool.compress('x'.repeat(bytes))).isOk()).toBe(true);
  });
});

test('a pool of the library is one machine: another one does not notice its end', async () => {
  threaded = await startMachine(['deadly']);
  const other = (await wd.open({ engines: 1 }))._unsafeUnwrap();
  await session('deadly').run('throw');
  expect((await other.compress('x'.repeat(5000), { route: 'device' })).isOk()).toBe(true);
  await other.close();
});
