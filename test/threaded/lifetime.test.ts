// Does a pool give back every thread and hold nothing open, and does the zero-configuration face keep one machine?
import { gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import * as wd from 'warpdrive';
import { sampleText } from '../lib/library-bench.js';
import { threadCount, until } from './threaded-bench.js';

const text = sampleText(30_000);

test('the example of the first page', async () => {
  const packed = await wd.compress(text, { format: 'gzip', level: 6 });
  const { data, via } = packed._unsafeUnwrap();
  expect(gunzipSync(data).equals(text)).toBe(true);
  expect(via).toMatchObject({ path: 'device', device: expect.stringMatching(/^hisi_zip-\d+$/), attempts: 1 });
  expect((await wd.decompress(data))._unsafeUnwrap().data.equals(text)).toBe(true);
  await wd.close();
});

test('first calls at the same time start one machine; after close the next call starts another', async () => {
  const workers: unknown[] = [];
  const note = (worker: unknown): void => void workers.push(worker);
  process.on('worker', note);
  for (let round = 1; round <= 2; round++) {
    const calls = Array.from({ length: 50 }, () => wd.compress(text, { level: 1 }));
    const explained = wd.explain({ op: 'compress', bytes: 5000 });
    for (const result of await Promise.all(calls)) expect(result.isOk()).toBe(true);
    expect((await explained)._unsafeUnwrap().path).toBe('device');
    // Engine threads are children of the kernel thread: only that one is ours.
    expect(workers.length).toBe(round);
    await wd.close();
  }
  process.off('worker', note);
});

test('input of the first call may be changed while the machine starts', async () => {
  const input = Buffer.from(text);
  const call = wd.compress(input);
  input.fill(0);
  expect(gunzipSync((await call)._unsafeUnwrap().data).equals(text)).toBe(true);
  expect((await wd.compress(5 as never))._unsafeUnwrapErr().kind).toBe('InvalidArgument');
  await wd.close();
});

test('close right after the first call waits for it', async () => {
  const call = wd.compress(text);
  await wd.close();
  expect((await call).isOk()).toBe(true);
  await wd.close();
});

test('two pools at the same time do not know of each other', async () => {
  const [one, two] = (await Promise.all([wd.open({ engines: 1 }), wd.open({ engines: 1 })])).map((opened) =>
    opened._unsafeUnwrap(),
  );
  const calls = Array.from({ length: 200 }, (_, i) =>
    (i % 2 === 0 ? one! : two!).compress(text, { level: 1 }),
  );
  for (const result of await Promise.all(calls)) expect(result.isOk()).toBe(true);
  await one!.close();
  expect((await two!.compress(text)).isOk()).toBe(true);
  await two!.close();
});

test('twenty machines, one after the other, leave no thread and nothing that holds the program open', async () => {
  const cycle = async (): Promise<void> => {
    const pool = (await wd.open({ engines: 2, memoryBytes: 64 * 1024 * 1024 }))._unsafeUnwrap();
    expect((await pool.compress(text, { route: 'device' })).isOk()).toBe(true);
    expect((await pool.decompress((await pool.compress(text))._unsafeUnwrap().data)).isOk()).toBe(true);
    await pool.close();
  };
  await cycle();
  const threads = threadCount();
  const resources = process.getActiveResourcesInfo().sort();
  for (let i = 0; i < 20; i++) await cycle();
  if (threads !== null) await until(() => threadCount()! <= threads);
  await until(() => process.getActiveResourcesInfo().length <= resources.length + 1);
  const ports = process
    .getActiveResourcesInfo()
    .filter((name) => name === 'MessagePort' || name === 'Worker');
  expect(ports.length).toBeLessThanOrEqual(resources.filter((name) => name === 'MessagePort').length);
}, 120_000);

test.each([
  [{ memoryBytes: 1 }, 'memoryBytes'],
  [{ memoryBytes: 48.5 * 1024 * 1024 }, 'memoryBytes'],
  [{ engines: 0 }, 'engines'],
  [{ cores: 4 }, 'cores'],
])('open with %o is refused and starts nothing', async (options, argument) => {
  const threads = threadCount();
  const error = (await wd.open(options as object))._unsafeUnwrapErr();
  expect(error).toMatchObject({ kind: 'InvalidArgument', argument });
  expect(threadCount()).toBe(threads);
});

test('the smallest machine there is serves requests larger than its memory is wide', async () => {
  const pool = (await wd.open({ engines: 1, memoryBytes: 32 * 1024 * 1024 }))._unsafeUnwrap();
  const input = sampleText(40_000_000);
  const { data } = (await pool.compress(input, { level: 1 }))._unsafeUnwrap();
  expect((await pool.decompress(data))._unsafeUnwrap().data.equals(input)).toBe(true);
  await pool.close();
});
