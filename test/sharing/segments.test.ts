// Segments are shorter while an engine serves several queues in turn. Can a program see that in what it gets?
import { expect, test } from 'vitest';
import type { Pool } from '../../lib/pool.js';
import type { Operation, StreamPlan } from '../../lib/user-driver.js';
import { KiB } from '../../src/base/units.js';
import { openLibrary, randomBytes, sampleText } from '../lib/library-bench.js';

const text = sampleText(400_000);

function planOf({ stream, decode }: Operation, input: Buffer): StreamPlan {
  if (decode === undefined) return stream!;
  const head = decode.parseHeader(input, true);
  if (head.kind !== 'skip') throw new Error(`the head of the input is ${head.kind}`);
  return head.stream;
}

/** How much each step of a stream takes and gives, with little room. */
async function steps(pool: Pool, input: Buffer, op: 'compress' | 'decompress'): Promise<number[][]> {
  const stream = pool.openStream(op, { format: 'deflate-raw' })._unsafeUnwrap();
  await stream.begin(planOf(stream.operation, input));
  const seen: number[][] = [];
  for (let rest = input; rest.length > 0; ) {
    const final = op === 'compress' && rest.length <= 128 * KiB;
    const { consumed, output } = await stream.step(rest, { flush: 0, final, roomBytes: 10_000 });
    seen.push([consumed, output.length]);
    rest = rest.subarray(consumed);
    if (consumed === 0 && output.length < 10_000) break;
  }
  stream.close();
  return seen;
}

/** The same while large requests of both directions keep the engine busy. */
async function crowded<T>(pool: Pool, work: () => Promise<T>): Promise<T> {
  let over = false;
  const packed = (await pool.compress(text, { format: 'deflate-raw' }))._unsafeUnwrap().data;
  const floods = [0, 1, 2, 3].map(async (lane) => {
    while (!over) {
      const call = lane < 2 ? pool.compress(text) : pool.decompress(packed, { format: 'deflate-raw' });
      expect((await call).isOk()).toBe(true);
    }
  });
  const result = await work();
  over = true;
  await Promise.all(floods);
  return result;
}

test('not in how far the steps of a stream come, in either direction', async () => {
  const { pool } = await openLibrary();
  const packed = (await pool.compress(text, { format: 'deflate-raw' }))._unsafeUnwrap().data;
  for (const [op, input] of [
    ['compress', text],
    ['decompress', packed],
  ] as const) {
    const alone = await steps(pool, input, op);
    expect(alone.length).toBeGreaterThan(5);
    expect(await crowded(pool, () => steps(pool, input, op))).toEqual(alone);
  }
  await pool.close();
});

test('not in the bytes of any level, stored blocks included', async () => {
  const { pool } = await openLibrary();
  const input = Buffer.concat([text, randomBytes(100_000)]);
  for (const level of [0, 1, 6]) {
    const compress = async () =>
      (await pool.compress(input, { level, format: 'deflate-raw', route: 'device' }))._unsafeUnwrap().data;
    const alone = await compress();
    expect((await crowded(pool, compress)).equals(alone)).toBe(true);
  }
  await pool.close();
});
