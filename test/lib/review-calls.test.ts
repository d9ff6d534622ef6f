// Calls as nobody should make them: any value for any option, in the middle of one another, at the end of their pool.
import { setImmediate as turn } from 'node:timers/promises';
import { gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Pool } from '../../lib/pool.js';
import { MiB } from '../../src/base/units.js';
import { runProgram } from '../threaded/threaded-bench.js';
import { openLibrary, sampleText } from './library-bench.js';

const text = sampleText(60_000);

describe('options', () => {
  const names = [
    'route',
    'signal',
    'deadlineMs',
    'whenBusy',
    'onDeviceLoss',
    'verify',
    'into',
    'split',
    'blockBytes',
    'maxOutputLength',
  ];
  const anything = fc.anything({
    withBigInt: true,
    withDate: true,
    withNullPrototype: true,
    withTypedArray: true,
  });

  test('of any value: an answer, and it names what is wrong', async () => {
    const { pool } = await openLibrary();
    const options = fc.oneof(
      anything,
      fc.dictionary(fc.constantFrom(...names, 'level', 'other'), anything, { maxKeys: 3 }),
    );
    await fc.assert(
      fc.asyncProperty(options, anything, async (given, other) => {
        const session = pool.session({ op: 'compress' })._unsafeUnwrap();
        const answers = [
          await pool.compress(text, given as never),
          await pool.decompress(other as never, given as never),
          await session.run('x', given as never),
          await session.batch([other] as never, given as never),
          await pool.batch([{ ...(given as object), op: 'compress', input: 'x' }, other] as never),
          await pool.batch(other as never),
          pool.session(given as never),
          pool.explain({ bytes: 5, op: 'compress', ...(given as object) } as never),
          pool.explain(other as never),
          await pool.ready(given as never),
          await pool.alloc(other as never),
          await pool.domain(other as never, given as never).compress('x'),
        ];
        for (const answer of answers) {
          if (answer.isErr()) expect(answer.error.code).toMatch(/^(ERR_|Z_|ABORT_ERR)/);
        }
      }),
      { numRuns: 150 },
    );
    expect(gunzipSync((await pool.compress(text))._unsafeUnwrap().data).equals(text)).toBe(true);
    await pool.close();
  });

  test.each([
    [{ route: 'software' }],
    [{ level: 3 }],
    [{ deadlinems: 3 }],
    [5],
    ['x'],
    [null],
    [[]],
    [() => {}],
  ])('of a run that are not its own are no options of it, and not passed over: %j', async (options) => {
    const { pool } = await openLibrary();
    const session = pool.session({ op: 'compress' })._unsafeUnwrap();
    expect((await session.run(text, options as never))._unsafeUnwrapErr().kind).toBe('InvalidArgument');
    const [first] = (await session.batch([text], options as never))._unsafeUnwrap();
    expect(first!._unsafeUnwrapErr().kind).toBe('InvalidArgument');
    await pool.close();
  });

  test.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31, '5', 5n, null])(
    'deadlineMs %s is refused',
    async (deadlineMs) => {
      const { pool } = await openLibrary();
      const refused = (await pool.compress('x', { deadlineMs } as never))._unsafeUnwrapErr();
      expect(refused).toMatchObject({ kind: 'InvalidArgument', argument: 'deadlineMs' });
      await pool.close();
    },
  );
});

describe('a batch', () => {
  test('made in the answer of another, and in a subscriber of its traces, is one of its own', async () => {
    const { pool } = await openLibrary();
    const inner = pool
      .batch([{ op: 'compress', input: text }])
      .andThen((outer) => pool.batch([{ op: 'decompress', input: outer[0]!._unsafeUnwrap().data }]));
    const [result] = (await inner)._unsafeUnwrap();
    expect(result!._unsafeUnwrap().data.equals(text)).toBe(true);
    await pool.close();
  });

  test('whose items throw when they are read: the program is told, and later calls go as ever', async () => {
    const { pool } = await openLibrary();
    await pool.ready({ op: 'compress' });
    const hostile = {
      get op(): string {
        throw new Error('of the program');
      },
      input: 'x',
    };
    const item = { op: 'compress', input: text };
    await expect(Promise.resolve(pool.batch([item, hostile, item]))).rejects.toThrow('of the program');
    const results = await Promise.all(Array.from({ length: 50 }, () => pool.compress(text)));
    expect(results.every((result) => result.isOk())).toBe(true);
    expect((await pool.close()).isOk()).toBe(true);
  });
});

test.each([
  ['one request', { route: 'device' }, text],
  ['software', { route: 'software' }, text],
  ['blocks', {}, sampleText(2 * MiB)],
  ['a stream', { split: false }, sampleText(9 * MiB)],
  ['verified', { verify: true }, text],
  ['on the spot', {}, Buffer.from('small')],
] as const)(
  'aborted in the same tick, or in a microtask of it (%s): one answer, and the pool closes',
  async (_way, options, input) => {
    const { pool } = await openLibrary();
    for (const abort of [(act: () => void) => act(), queueMicrotask]) {
      const controller = new AbortController();
      const call = pool.compress(input, { ...options, signal: controller.signal });
      abort(() => controller.abort('enough'));
      const result = await call;
      if (result.isErr()) expect(result.error).toMatchObject({ kind: 'Aborted', reason: 'enough' });
      const before = (
        await pool.compress(input, { ...options, signal: controller.signal })
      )._unsafeUnwrapErr();
      expect(before.kind).toBe('Aborted');
    }
    expect((await pool.close()).isOk()).toBe(true);
  },
);

test('one signal for very many calls of every kind: all answered, none left behind', async () => {
  const { pool } = await openLibrary({ engines: 2 });
  const controller = new AbortController();
  const { signal } = controller;
  const calls = Array.from({ length: 300 }, (_, i) =>
    pool.compress(sampleText(1000 + 500 * i), {
      signal,
      verify: i % 3 === 0,
      route: i % 7 === 0 ? 'software' : 'auto',
    }),
  );
  await turn();
  controller.abort();
  for (const result of await Promise.all(calls))
    if (result.isErr()) expect(result.error.kind).toBe('Aborted');
  expect((await pool.close()).isOk()).toBe(true);
});

describe('close', () => {
  const twoMembers = Buffer.concat([gzipSync(text), gzipSync(text)]);

  test.each([
    ['one request', (pool: Pool) => pool.compress(text, { level: 9 })],
    ['one that goes on another way', (pool: Pool) => pool.decompress(twoMembers, { route: 'device' })],
    [
      'one that needs more room',
      (pool: Pool) => pool.decompress(gzipSync(Buffer.alloc(MiB)), { route: 'device' }),
    ],
    ['blocks', (pool: Pool) => pool.compress(sampleText(3 * MiB))],
    ['a stream', (pool: Pool) => pool.compress(sampleText(9 * MiB), { split: false, level: 1 })],
    ['software', (pool: Pool) => pool.compress(text, { route: 'software' })],
    ['one that is verified', (pool: Pool) => pool.compress(text, { verify: true })],
    ['one with a deadline', (pool: Pool) => pool.compress(text, { deadlineMs: 60_000 })],
  ])('in the middle of %s, at any turn of it: it ends well first', async (_what, call) => {
    for (const turns of [0, 1, 3, 8]) {
      const { pool } = await openLibrary({ engines: 2 });
      const result = call(pool);
      for (let i = 0; i < turns; i++) await turn();
      const closed = pool.close();
      const late = await pool.compress(text);
      expect({ turns, isOk: (await result).isOk() }).toEqual({ turns, isOk: true });
      expect(late._unsafeUnwrapErr().kind).toBe('InvalidState');
      expect([(await closed).isOk(), (await pool.close()).isOk()]).toEqual([true, true]);
    }
  });

  test('in the middle of ready and alloc: each is answered', async () => {
    const { pool } = await openLibrary();
    for (let i = 0; i < 5; i++) await pool.alloc(8 * MiB);
    const [ready, alloc] = [pool.ready({ op: 'compress' }), pool.alloc(8 * MiB)];
    expect((await pool.close()).isOk()).toBe(true);
    for (const answer of [await ready, await alloc]) {
      if (answer.isErr()) expect(['NoDevice', 'Busy', 'InvalidState']).toContain(answer.error.kind);
    }
  });

  test('afterwards everything still answers: what asks, from memory; what acts, InvalidState', async () => {
    const { pool } = await openLibrary();
    const session = pool.session({ op: 'compress' })._unsafeUnwrap();
    (await session.run(text))._unsafeUnwrap();
    await pool.close();
    expect(pool.stats().rows).toHaveLength(1);
    expect(pool.caps().operations.length).toBeGreaterThan(2);
    expect(pool.explain({ op: 'compress', bytes: 5 }).isOk()).toBe(true);
    expect(pool.counters().syscalls).toBeGreaterThan(0);
    expect((await pool.describe()).devices).toHaveLength(2);
    const item = { op: 'compress', input: text };
    const batches = [await session.batch([text]), await pool.batch([item])].map(
      (batch) => batch._unsafeUnwrap()[0]!,
    );
    const acts = [
      await session.run(text),
      session.sync(text),
      await pool.alloc(1),
      await pool.ready(item),
      ...batches,
    ];
    for (const answer of acts) expect(answer._unsafeUnwrapErr().kind).toBe('InvalidState');
    for await (const piece of pool.compressStream([text] as never))
      expect(piece._unsafeUnwrapErr().kind).toBe('InvalidState');
    expect((await pool.domain('late').compress(text))._unsafeUnwrapErr().kind).toBe('InvalidState');
  });
});

test('subscribers of the traces that throw: the program hears of it, the call does not', async () => {
  const program = `
    import { tracingChannel } from 'node:diagnostics_channel';
    import * as wd from 'warpdrive';
    let heard = 0;
    process.on('uncaughtException', () => { heard += 1; });
    const fail = () => { throw new Error('of the subscriber'); };
    tracingChannel('warpdrive:request').subscribe({ start: fail, end: fail, asyncStart: fail, asyncEnd: fail, error: fail });
    const good = await wd.compress('x'.repeat(5000));
    const bad = await wd.decompress('nonsense');
    await wd.close();
    console.log(good.isOk(), bad.isErr(), heard);
  `;
  const { stdout, stderr, code } = await runProgram(program);
  expect([stdout.trim(), stderr, code]).toEqual(['true true 9', '', 0]);
});
