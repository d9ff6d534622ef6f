// Does a signal end its own request, at once, and nothing else?
import { getEventListeners } from 'node:events';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { MiB } from '../../src/base/units.js';
import { type Library, openLibrary, sampleText } from './library-bench.js';

let library: Library;
beforeAll(async () => {
  library = await openLibrary();
});
afterAll(() => library.pool.close());

const text = sampleText(100_000);
let controller: AbortController;
beforeEach(() => {
  controller = new AbortController();
});
const listeners = () => getEventListeners(controller.signal, 'abort').length;
const expectAborted = (error: unknown, reason: unknown) =>
  expect(error).toMatchObject({ kind: 'Aborted', code: 'ABORT_ERR', reason, retryable: false });

test('a signal that fired before the call: nothing is sent', async () => {
  await library.pool.ready({ op: 'compress' });
  const before = (await library.pool.describe()).queues;
  const signal = AbortSignal.abort('too late');
  for (const route of ['auto', 'device', 'software'] as const) {
    expectAborted((await library.pool.compress(text, { signal, route }))._unsafeUnwrapErr(), 'too late');
  }
  const session = library.pool.session({ op: 'copy' })._unsafeUnwrap();
  expectAborted((await session.run(text, { signal }))._unsafeUnwrapErr(), 'too late');
  expect((await library.pool.describe()).queues).toEqual(before);
});

test('a request in flight: told at once, its memory comes back with the completion', async () => {
  await library.pool.ready({ op: 'compress' });
  const eventsBefore = library.machine.events;
  const call = library.pool.compress(text, { signal: controller.signal, route: 'device' });
  expect((await library.pool.describe()).queues[0]!.inFlight).toBe(1);
  controller.abort(new Error('changed my mind'));
  expectAborted((await call)._unsafeUnwrapErr(), controller.signal.reason);
  expect((await library.pool.describe()).queues[0]!.inFlight).toBeLessThanOrEqual(1);
  expect((await library.pool.compress(text)).isOk()).toBe(true);
  expect((await library.pool.describe()).queues[0]!.inFlight).toBe(0);
  expect(library.machine.events).toBeGreaterThan(eventsBefore);
  expect(listeners()).toBe(0);
});

test('a request that waits never reaches a device', async () => {
  // No queue is open yet in a new pool, so everything waits.
  const { pool } = await openLibrary();
  const doomed = Array.from({ length: 10 }, () => pool.compress(text, { signal: controller.signal }));
  const others = Array.from({ length: 3 }, () => pool.compress(text));
  controller.abort();
  for (const result of await Promise.all(doomed))
    expectAborted(result._unsafeUnwrapErr(), controller.signal.reason);
  for (const result of await Promise.all(others))
    expect(gunzipSync(result._unsafeUnwrap().data).equals(text)).toBe(true);
  expect((await pool.describe()).queues[0]!.completed).toBe(3);
  await pool.close();
});

test('one signal of a thousand requests has one listener, and none when they are done', async () => {
  const session = library.pool.session({ op: 'copy', route: 'device' })._unsafeUnwrap();
  const calls = Array.from({ length: 1000 }, (_, i) => session.run(`${i}`, { signal: controller.signal }));
  expect(listeners()).toBe(1);
  const results = await Promise.all(calls);
  expect(results.every((result) => result.isOk())).toBe(true);
  expect(listeners()).toBe(0);
  controller.abort();
  expect((await session.run('next')).isOk()).toBe(true);
});

test('a signal in the middle of many aborts its own and nobody else', async () => {
  const session = library.pool.session({ op: 'copy', route: 'device' })._unsafeUnwrap();
  const calls = Array.from({ length: 600 }, (_, i) =>
    session.run(`request ${i}`, i % 3 === 0 ? { signal: controller.signal } : {}),
  );
  await calls[1];
  controller.abort();
  for (const [i, result] of (await Promise.all(calls)).entries()) {
    if (result.isOk()) expect(result.value.data.toString()).toBe(`request ${i}`);
    else expect([i % 3, result.error.kind]).toEqual([0, 'Aborted']);
  }
  expect(listeners()).toBe(0);
});

describe('every way a call can take', () => {
  const packed = () => library.pool.compress(sampleText(9 * MiB), { level: 1 });
  test.each([
    ['blocks', (signal: AbortSignal) => library.pool.compress(sampleText(3 * MiB), { signal, level: 1 })],
    ['software', (signal: AbortSignal) => library.pool.compress(text, { signal, route: 'software' })],
  ])('%s', async (_way, start) => {
    const call = start(controller.signal);
    controller.abort('stop');
    expectAborted((await call)._unsafeUnwrapErr(), 'stop');
    expect(listeners()).toBe(0);
    expect((await library.pool.compress(text)).isOk()).toBe(true);
  });

  test('a stream of requests', async () => {
    const input = (await packed())._unsafeUnwrap().data;
    const call = library.pool.decompress(input, { signal: controller.signal, route: 'device' });
    setImmediate(() => controller.abort('stop'));
    expectAborted((await call)._unsafeUnwrapErr(), 'stop');
    expect(listeners()).toBe(0);
  });
});

test('after many aborted requests the pool still has all of its memory', async () => {
  for (let round = 0; round < 40; round++) {
    const aborting = new AbortController();
    const { signal } = aborting;
    const calls = Array.from({ length: 6 }, () =>
      library.pool.compress(text, { signal, route: 'device', level: 1 }),
    );
    if (round % 2 === 1) await new Promise(setImmediate);
    aborting.abort();
    await Promise.all(calls);
  }
  const session = library.pool.session({ op: 'copy', route: 'device' })._unsafeUnwrap();
  const large = Buffer.alloc(8 * MiB, 7);
  const results = await Promise.all(Array.from({ length: 6 }, () => session.run(large)));
  for (const result of results) expect(result._unsafeUnwrap().data.equals(large)).toBe(true);
});
