// Sessions, batches, streams, statistics and traces: what the pool offers beside the single call.
import { tracingChannel } from 'node:diagnostics_channel';
import { buffer } from 'node:stream/consumers';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BatchInHand } from '../../lib/batch-in-hand.js';
import type { RequestContext } from '../../lib/diagnostics.js';
import { WdFailure } from '../../lib/failures.js';
import { HandRing } from './hand-ring.js';
import { type Library, openLibrary, randomBytes, sampleText } from './library-bench.js';

let library: Library;
beforeAll(async () => {
  library = await openLibrary({ engines: 2 });
});
afterAll(() => library.pool.close());

const text = sampleText(30_000);

describe('a batch', () => {
  test('answers in the order of its items, each for itself', async () => {
    const items = [
      { op: 'compress', input: text, level: 1 },
      { op: 'decompress', input: randomBytes(5000) },
      { op: 'nope', input: text },
      null,
      { op: 'compress', input: 7 },
      { op: 'compress', input: text, level: 77 },
      { op: 'decompress', input: gzipSync(text) },
    ];
    const results = (await library.pool.batch(items as never))._unsafeUnwrap();
    expect(results.map((result) => (result.isOk() ? 'ok' : result.error.kind))).toEqual([
      'ok',
      'BadData',
      'InvalidArgument',
      'InvalidArgument',
      'InvalidArgument',
      'InvalidArgument',
      'ok',
    ]);
    expect(gunzipSync(results[0]!._unsafeUnwrap().data).equals(text)).toBe(true);
    expect(results[6]!._unsafeUnwrap().data.equals(text)).toBe(true);
  });

  test.each([[undefined], ['text'], [{ length: 3 }]])('of %s is refused', async (items) => {
    expect((await library.pool.batch(items as never))._unsafeUnwrapErr().kind).toBe('InvalidArgument');
  });

  test('of nothing is nothing; of a session, many inputs', async () => {
    expect((await library.pool.batch([]))._unsafeUnwrap()).toEqual([]);
    const session = library.pool.session({ op: 'compress', level: 1 })._unsafeUnwrap();
    const inputs = Array.from({ length: 200 }, (_, i) => randomBytes(1000 + i, i + 1));
    const results = (await session.batch(inputs))._unsafeUnwrap();
    for (const [i, result] of results.entries())
      expect(gunzipSync(result._unsafeUnwrap().data).equals(inputs[i]!)).toBe(true);
  });

  test('rings a queue once, and not before the last of it is there', async () => {
    const ring = new HandRing(64);
    ring.batch = new BatchInHand(40);
    ring.submit(39);
    expect([ring.word('SQ_TAIL'), ring.ctx.filling]).toEqual([0, true]);
    ring.submit(1);
    expect([ring.word('SQ_TAIL'), ring.ctx.filling]).toEqual([40, false]);
    ring.submit(1);
    ring.batch = null;
    expect([ring.word('SQ_TAIL'), ring.ctx.filling]).toEqual([40, false]);
    await Promise.resolve();
    expect(ring.word('SQ_TAIL')).toBe(41);
  });

  test('is told of when all of it is done, and does not wait for another behind it', async () => {
    const ring = new HandRing(64);
    const submit = async (requests: number): Promise<number> => {
      ring.batch = new BatchInHand(requests);
      ring.submit(requests);
      ring.batch = null;
      await Promise.resolve();
      return ring.word('EVENT_INDEX');
    };
    expect(await submit(20)).toBe(20);
    expect(await submit(30)).toBe(20);
    for (let i = 0; i < 20; i++) ring.publish();
    ring.interrupt();
    await Promise.resolve();
    expect(ring.word('EVENT_INDEX')).toBe(20 + 15);
  });

  test('gives one queue its share after the other, so that the first is served meanwhile', async () => {
    await library.pool.ready({ op: 'compress', level: 1 });
    const items = Array.from({ length: 12 }, () => ({ op: 'compress', level: 1, input: randomBytes(600) }));
    const results = (await library.pool.batch(items))._unsafeUnwrap();
    const queues = results
      .map((result) => result._unsafeUnwrap().via)
      .map((via) => `${via.device}/${via.queue}`);
    const share = items.length / new Set(queues).size;
    for (const [i, queue] of queues.entries()) expect(queue).toBe(queues[i - (i % share)]);
  });
});

describe('a session', () => {
  test('on the spot: the same bytes, and it says that it was software', () => {
    const session = library.pool.session({ op: 'compress', level: 9 })._unsafeUnwrap();
    const { data, via } = session.sync(text)._unsafeUnwrap();
    expect(data.equals(gzipSync(text, { level: 9 }))).toBe(true);
    expect(via).toMatchObject({ path: 'software', reason: 'a synchronous call runs on the calling thread' });
    expect(session.sync(5 as never)._unsafeUnwrapErr().kind).toBe('InvalidArgument');
    const device = library.pool.session({ op: 'compress', route: 'device' })._unsafeUnwrap();
    expect(device.sync(text)._unsafeUnwrapErr().kind).toBe('NoDevice');
  });

  test('as a stream of Node and of the web: there and back', async () => {
    const packer = library.pool.session({ op: 'compress', format: 'deflate' })._unsafeUnwrap();
    const unpacker = library.pool.session({ op: 'decompress' })._unsafeUnwrap();
    const packed = packer.nodeStream();
    for (let i = 0; i < 50; i++) packed.write(text);
    packed.end('the end');
    const whole = Buffer.concat([...Array.from({ length: 50 }, () => text), Buffer.from('the end')]);
    expect((await buffer(packed.pipe(unpacker.nodeStream()))).equals(whole)).toBe(true);
    const web = new Blob([whole]).stream().pipeThrough(packer.webStream()).pipeThrough(unpacker.webStream());
    expect(Buffer.from(await new Response(web).arrayBuffer()).equals(whole)).toBe(true);
  });

  test('as a stream that cannot go on: one error, typed', async () => {
    const stream = library.pool.session({ op: 'decompress' })._unsafeUnwrap().nodeStream();
    stream.end(randomBytes(5000));
    const failure = await buffer(stream).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(WdFailure);
    expect(failure).toMatchObject({ code: 'Z_DATA_ERROR', error: { kind: 'BadData' } });
  });
});

describe('statistics', () => {
  test('count what was done, by way and device, and why not', async () => {
    const { pool } = await openLibrary({ engines: 1 });
    await pool.compress(text);
    await pool.compress(text);
    await pool.compress('small');
    await pool.decompress('nonsense');
    const { version, rows, failures, software } = pool.stats();
    expect(version).toBe(1);
    const device = rows.find(({ path }) => path === 'device')!;
    expect(device).toMatchObject({ domain: 'pool', operation: 'compress', requests: 2, inputBytes: 60_000 });
    expect(device.latencyNs.p50).toBeGreaterThan(0);
    expect(device.latencyNs.p50).toBeLessThanOrEqual(device.latencyNs.max);
    expect(failures).toEqual([{ domain: 'pool', operation: 'decompress', kind: 'BadData', requests: 1 }]);
    expect(software).toHaveLength(1);
    expect(JSON.parse(JSON.stringify(pool.stats()))).toEqual(pool.stats());
    await pool.close();
  });
});

describe('traces', () => {
  test('tell each request once, with what it came to', async () => {
    const seen: [string, RequestContext][] = [];
    const note = (event: string) => (context: unknown) => void seen.push([event, context as RequestContext]);
    const listeners = {
      start: note('start'),
      end: note('end'),
      asyncStart: note('asyncStart'),
      asyncEnd: note('asyncEnd'),
      error: note('error'),
    };
    const channel = tracingChannel('warpdrive:request');
    channel.subscribe(listeners);
    await library.pool.compress(text);
    await library.pool.decompress(text);
    channel.unsubscribe(listeners);
    await library.pool.compress(text);
    expect(seen.filter(([, { operation }]) => operation === 'compress').map(([event]) => event)).toEqual([
      'start',
      'end',
      'asyncStart',
      'asyncEnd',
    ]);
    expect(seen[3]![1]).toMatchObject({
      inputBytes: 30_000,
      domain: 'pool',
      result: { via: { path: 'device' } },
    });
    expect(seen.find(([event]) => event === 'error')![1].error?.kind).toBe('BadData');
    expect(new Set(seen.map(([, context]) => context)).size).toBe(2);
  });
});
