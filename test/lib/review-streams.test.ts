// Streams that are not used as they should be: left, destroyed, fed with anything. Does everything come back?

import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setImmediate as turn } from 'node:timers/promises';
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { MiB } from '../../src/base/units.js';
import { openLibrary, randomBytes, sampleText } from './library-bench.js';

const text = sampleText(60_000);

/** Turns of the event loop: what was begun gets to where it waits. */
async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await turn();
}

describe('a stream of Node that is destroyed', () => {
  test.each([
    ['before it was used', 'compress', null],
    ['when it waits for more', 'compress', Buffer.from('some')],
    ['in the middle of blocks', 'compress', randomBytes(3 * MiB)],
    ['in the middle of a member', 'decompress', gzipSync(text).subarray(0, 100)],
    ['with more to decode', 'decompress', gzipSync(randomBytes(3 * MiB))],
  ] as const)('%s gives back what it held: the pool closes (%s)', async (_when, op, bytes) => {
    const { pool } = await openLibrary();
    const stream = pool.session({ op })._unsafeUnwrap().nodeStream();
    if (bytes !== null) stream.write(bytes);
    stream.resume();
    await turns(20);
    stream.destroy();
    expect((await pool.close()).isOk()).toBe(true);
  });

  test('with output that nobody reads, or by an error of the program, likewise', async () => {
    const { pool } = await openLibrary();
    const unread = pool.session({ op: 'compress' })._unsafeUnwrap().nodeStream();
    for (let i = 0; i < 5; i++) unread.write(randomBytes(MiB, i + 1));
    unread.end();
    const failing = pool.session({ op: 'compress' })._unsafeUnwrap().nodeStream();
    const failed = new Promise((resolve) => failing.once('error', resolve));
    failing.write('some');
    await turns(20);
    unread.destroy();
    failing.destroy(new Error('enough'));
    expect(await failed).toMatchObject({ message: 'enough' });
    expect((await pool.close()).isOk()).toBe(true);
  });

  test('as web streams: cancelled on one side, aborted on the other', async () => {
    const { pool } = await openLibrary();
    const { readable, writable } = pool.session({ op: 'compress' })._unsafeUnwrap().webStream();
    const writer = writable.getWriter();
    writer.closed.catch(() => {});
    writer.write(randomBytes(MiB)).catch(() => {});
    await turns(20);
    await Promise.allSettled([readable.cancel('enough'), writer.abort('enough')]);
    expect((await pool.close()).isOk()).toBe(true);
  });
});

describe('pieces', () => {
  async function packed(source: unknown): Promise<Buffer | string> {
    const { pool } = await openLibrary();
    const pieces: Buffer[] = [];
    let error = '';
    for await (const piece of pool.compressStream(source as never)) {
      if (piece.isOk()) pieces.push(piece.value.data);
      else error = `${piece.error.kind} ${piece.error.code}`;
    }
    await pool.close();
    return error === '' ? gunzipSync(Buffer.concat(pieces)) : error;
  }

  test.each([
    ['floats', new Float64Array([1, 2])],
    ['a DataView', new DataView(new ArrayBuffer(9), 1)],
    ['an ArrayBuffer', new ArrayBuffer(8)],
    ['a string', 'h\u00e9llo'],
    ['shared memory', new SharedArrayBuffer(5)],
  ])('of any kind that a single call takes are their bytes (%s)', async (_what, piece) => {
    const bytes =
      typeof piece === 'string'
        ? Buffer.from(piece)
        : Buffer.from(
            ArrayBuffer.isView(piece)
              ? piece.buffer.slice(piece.byteOffset, piece.byteOffset + piece.byteLength)
              : piece.slice(0),
          );
    expect(await packed([piece])).toEqual(bytes);
  });

  test.each([[5], [{}], [null], [undefined], [[1, 2]], [Symbol('x')]])(
    'that are something else are an error, and not left out (%s)',
    async (piece) => {
      expect(await packed([text, piece])).toBe('InvalidArgument ERR_INVALID_ARG_TYPE');
    },
  );

  test.each([[null], [undefined], [5], [{}], [() => {}]])(
    'of what has none are an error (%s)',
    async (source) => {
      expect(await packed(source)).toBe('InvalidArgument ERR_INVALID_ARG_TYPE');
    },
  );

  test('written to a stream of Node that are no bytes are refused as by any other', async () => {
    const { pool } = await openLibrary();
    const stream = pool.session({ op: 'compress' })._unsafeUnwrap().nodeStream();
    expect(() => stream.write({ not: 'bytes' })).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }),
    );
    stream.end(text);
    const whole = Buffer.concat((await stream.toArray()) as Buffer[]);
    expect(gunzipSync(whole).equals(text)).toBe(true);
    expect((await pool.close()).isOk()).toBe(true);
  });
});

test('a stream of Node that has ended before its input takes the rest and passes it over', async () => {
  const { pool } = await openLibrary();
  const chunks: Buffer[] = [];
  const rest = [gzipSync(text), Buffer.alloc(100), ...Array.from({ length: 30 }, () => randomBytes(100_000))];
  const sink = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      chunks.push(chunk);
      done();
    },
  });
  await pipeline(rest, pool.session({ op: 'decompress' })._unsafeUnwrap().nodeStream(), sink);
  expect(Buffer.concat(chunks).equals(text)).toBe(true);
  expect((await pool.close()).isOk()).toBe(true);
});

test.each([
  ['compressStream, left', 'compressStream', (i: number) => randomBytes(MiB, i + 1)],
  ['decompressStream, left', 'decompressStream', () => gzipSync(randomBytes(MiB))],
  ['decompressStream, of nonsense', 'decompressStream', () => randomBytes(100)],
] as const)('%s: the source is closed, so that a file can be', async (_what, method, pieceOf) => {
  const { pool } = await openLibrary();
  let isClosed = false;
  async function* source() {
    try {
      for (let i = 0; ; i++) {
        await turn();
        yield pieceOf(i);
      }
    } finally {
      isClosed = true;
    }
  }
  let pieces = 0;
  for await (const piece of pool[method](source())) if (piece.isOk() && ++pieces === 2) break;
  expect(isClosed).toBe(true);
  expect((await pool.close()).isOk()).toBe(true);
});

test('a stream that is left open beyond the end of its pool: an error, and no byte of anybody else is touched', async () => {
  const { pool, machine } = await openLibrary();
  const stream = pool.openStream('compress')._unsafeUnwrap();
  await stream.begin(stream.operation.stream!);
  await stream.step(text.subarray(0, 1000));
  await pool.close();
  // Whoever comes next has the frames of the queue.
  const next = (await machine.createProcess())._unsafeUnwrap();
  const bytes = 8 * MiB;
  const { ret: address } = await next.syscall({ call: 'mmapAnonymous', kind: 'pool', bytes });
  const view = next.mapRegion(address, bytes);
  view.fill(0x5a);
  await expect(stream.step(text)).rejects.toMatchObject({ code: 'ERR_WD_DEVICE_LOST' });
  stream.close();
  expect(Buffer.compare(view, Buffer.alloc(bytes, 0x5a))).toBe(0);
});
