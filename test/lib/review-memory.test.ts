// Memory of the pool at the worst moments: does anybody ever read or write bytes that belong to somebody else?
import { setImmediate as turn } from 'node:timers/promises';
import { gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PoolBuffer } from '../../lib/pool-buffer.js';
import { KiB, MiB } from '../../src/base/units.js';
import { type Library, openLibrary, randomBytes, sampleText } from './library-bench.js';

let library: Library;
beforeAll(async () => {
  library = await openLibrary({ engines: 2 });
});
afterAll(() => library.pool.close());

const text = sampleText(60_000);
const alloc = async (bytes: number): Promise<PoolBuffer> => (await library.pool.alloc(bytes))._unsafeUnwrap();

describe('input and output in the same memory', () => {
  test.each([
    ['the same', 0, 100_000],
    ['output begins inside', 500, 100_000],
    ['input begins inside', -500, 100_000],
    ['one byte', 59_999, 10],
  ])('is refused, whatever the way (%s)', async (_how, from, bytes) => {
    const whole = await alloc(200_000);
    whole.bytes.set(text, 1000);
    const input = whole.subarray(1000, 1000 + text.length);
    const into = whole.subarray(1000 + from, 1000 + from + bytes);
    for (const more of [{ route: 'device' }, { route: 'software' }, { verify: true }] as const) {
      const refused = (await library.pool.compress(input, { into, ...more }))._unsafeUnwrapErr();
      expect(refused).toMatchObject({ kind: 'InvalidArgument', argument: 'into', retryable: false });
    }
    expect(whole.bytes.subarray(1000, 1000 + text.length).equals(text)).toBe(true);
    whole.free();
  });

  test('side by side in one allocation is fine', async () => {
    const whole = await alloc(200_000);
    whole.bytes.set(text);
    const input = whole.subarray(0, text.length);
    const { data } = (
      await library.pool.compress(input, { into: whole.subarray(text.length), verify: true })
    )._unsafeUnwrap();
    expect(gunzipSync(data).equals(text)).toBe(true);
    expect(whole.bytes.subarray(0, text.length).equals(text)).toBe(true);
    whole.free();
  });
});

describe('less room than a device without a field for it would write', () => {
  test('is refused or made larger: the bytes behind it stay as they are', async () => {
    const input = randomBytes(40_000);
    const room = await alloc(50_000);
    room.bytes.fill(0x5a);
    const copying = (more: object) =>
      library.pool.session({ op: 'copy', route: 'device', ...more })._unsafeUnwrap();
    const refused = (await copying({}).run(input, { into: room.subarray(0, 100) }))._unsafeUnwrapErr();
    expect(refused).toMatchObject({ kind: 'OutputTooLarge', limitBytes: 100 });
    expect(room.bytes.every((byte) => byte === 0x5a)).toBe(true);
    // The rooms of these lie side by side.
    const calls = Array.from({ length: 20 }, (_, i) =>
      i % 2 === 0 ? copying({}).run(input) : copying({ maxOutputLength: 100 }).run(input),
    );
    for (const [i, result] of (await Promise.all(calls)).entries()) {
      if (i % 2 === 0) expect(result._unsafeUnwrap().data.equals(input)).toBe(true);
      else expect(result._unsafeUnwrapErr()).toMatchObject({ kind: 'OutputTooLarge', limitBytes: 100 });
    }
    expect(library.pool.stats().replays).toBe(0);
    room.free();
  });
});

describe('freed', () => {
  test('while a request uses it that goes on another way: whoever has the memory next keeps its bytes', async () => {
    const { pool } = await openLibrary();
    await pool.ready({ op: 'decompress' });
    const into = (await pool.alloc(200_000))._unsafeUnwrap();
    // Two members do not fit one request: what follows the first is only seen when it is done.
    const call = pool.decompress(Buffer.concat([gzipSync(text), gzipSync(text)]), { route: 'device', into });
    into.free();
    let isOver = false;
    void call.then(() => {
      isOver = true;
    });
    const next: PoolBuffer[] = [];
    while (!isOver) {
      await turn();
      const other = await pool.alloc(200_000);
      if (other.isOk()) next.push(other.value);
      next.at(-1)?.bytes.fill(0x5a);
    }
    expect((await call)._unsafeUnwrap().data.length).toBe(120_000);
    for (const { bytes } of next) expect(bytes.every((byte) => byte === 0x5a)).toBe(true);
    await pool.close();
  });

  test('is not read on the spot either', async () => {
    const session = library.pool.session({ op: 'compress' })._unsafeUnwrap();
    const buffer = await alloc(5000);
    expect(session.sync(buffer).isOk()).toBe(true);
    buffer.free();
    expect(session.sync(buffer)._unsafeUnwrapErr().kind).toBe('InvalidState');
    const other = (await openLibrary()).pool;
    const foreign = (await other.alloc(5000))._unsafeUnwrap();
    expect(session.sync(foreign)._unsafeUnwrapErr().message).toContain('another pool');
    await other.close();
  });

  test('in any order with its parts, and twice: the memory is given back once', async () => {
    const { pool } = await openLibrary();
    const whole = (await pool.alloc(3000))._unsafeUnwrap();
    const parts = [whole, whole.subarray(5, 10), whole.subarray(0, 0), whole.subarray(-5)];
    for (const part of [...parts, ...parts]) part.free();
    const [one, two] = [(await pool.alloc(3000))._unsafeUnwrap(), (await pool.alloc(3000))._unsafeUnwrap()];
    expect(one.address).not.toBe(two.address);
    for (const part of parts)
      expect((await pool.compress(part))._unsafeUnwrapErr().kind).toBe('InvalidState');
    await pool.close();
    for (const part of [one, two, ...parts]) expect(() => part.free()).not.toThrow();
  });
});

describe('a call that was cancelled', () => {
  test.each(['software', 'auto'] as const)(
    'leaves memory alone that it has not begun to write (route %s)',
    async (route) => {
      const into = await alloc(2 * MiB);
      const controller = new AbortController();
      const call = library.pool.compress(sampleText(MiB), { into, route, signal: controller.signal });
      controller.abort();
      expect((await call)._unsafeUnwrapErr().kind).toBe('Aborted');
      into.bytes.fill(0x33);
      // The next one waits for what is still under way: all are done in their order or before.
      for (let i = 0; i < 4; i++) await library.pool.compress(sampleText(MiB), { route });
      expect(into.bytes.every((byte) => byte === 0x33)).toBe(true);
      into.free();
    },
  );

  test('and waited for memory lets those behind it go', async () => {
    const { pool } = await openLibrary();
    await pool.ready({ op: 'copy' });
    const taken: PoolBuffer[] = [];
    for (const bytes of [8 * MiB - 64 * KiB, 64 * KiB]) {
      for (let more = await pool.alloc(bytes); more.isOk(); more = await pool.alloc(bytes))
        taken.push(more.value);
    }
    taken.pop()!.free();
    const session = pool.session({ op: 'copy', route: 'device' })._unsafeUnwrap();
    const controller = new AbortController();
    const large = session.run(randomBytes(MiB), { signal: controller.signal });
    const small = session.run('small enough');
    await pool.describe();
    controller.abort();
    expect((await large)._unsafeUnwrapErr().kind).toBe('Aborted');
    expect((await small)._unsafeUnwrap().data.toString()).toBe('small enough');
    for (const buffer of taken) buffer.free();
    await pool.close();
  });
});

test('whatever is allocated, cut, used, freed and cancelled in whatever order: every answer is its own', async () => {
  const step = fc.record({
    bytes: fc.integer({ min: 600, max: 40_000 }),
    from: fc.nat(500),
    freeInput: fc.boolean(),
    freeOutput: fc.boolean(),
    room: fc.integer({ min: 1, max: 60_000 }),
    abort: fc.boolean(),
    route: fc.constantFrom('auto', 'device', 'software'),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
      const { pool } = await openLibrary();
      const calls = await Promise.all(
        steps.map(async ({ bytes, from, freeInput, freeOutput, room, abort, route }, i) => {
          const [input, into] = [
            (await pool.alloc(bytes))._unsafeUnwrap(),
            (await pool.alloc(room))._unsafeUnwrap(),
          ];
          const content = randomBytes(bytes, i + 1);
          input.bytes.set(content);
          const controller = new AbortController();
          const session = pool.session({ op: 'copy', route })._unsafeUnwrap();
          const call = session.run(input.subarray(from), { into, signal: controller.signal });
          if (freeInput) input.free();
          if (freeOutput) into.free();
          if (abort) controller.abort();
          // Looked at in the turn of the answer: afterwards freed memory is somebody else's.
          const result = await call.map(({ data }) => data.equals(content.subarray(from)));
          return { result, fits: bytes - from <= room, abort };
        }),
      );
      for (const { result, fits, abort } of calls) {
        if (result.isOk()) expect([result.value, fits]).toEqual([true, true]);
        else expect([abort && 'Aborted', !fits && 'OutputTooLarge']).toContain(result.error.kind);
      }
      expect((await pool.close()).isOk()).toBe(true);
    }),
    { numRuns: 40 },
  );
});
