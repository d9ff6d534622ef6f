// What is behind `warpdrive/zlib`: does the work go to the device, does whatever the device cannot or will not do end in
// Node's own hands, and does everything come back? That it behaves as node:zlib is the matter of the differential tests.
import { AsyncLocalStorage } from 'node:async_hooks';
import { promisify } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import node, { type Gzip } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { busy } from '../../lib/failures.js';
import { KINDS } from '../../lib/zlib/kinds.js';
import { zlibOn } from '../../lib/zlib/module.js';
import { promisesOf } from '../../lib/zlib/promises.js';
import { viaOf } from '../../lib/zlib/provenance.js';
import { deviceLost } from '../../src/base/errors.js';
import { limits } from '../../src/base/limits.js';
import { randomBytes, sampleText } from '../lib/library-bench.js';
import {
  type Facade,
  failingSteps,
  failingWith,
  openFacade,
  sharedOf,
  through,
  written,
} from './facade-bench.js';

let facade: Facade;
beforeAll(async () => {
  facade = await openFacade();
});
afterAll(() => facade.pool.close());

const TEXT = sampleText(70_000);
const LOST = deviceLost('hisi_zip-0', 'a test');
const DEVICE = expect.objectContaining({ path: 'device', device: 'hisi_zip-0' });

/** The input that a function of that name takes, made from `bytes`. */
function inputFor(call: (typeof KINDS)[number]['call'], bytes: Buffer): Buffer {
  const packers = {
    inflate: node.deflateSync,
    inflateRaw: node.deflateRawSync,
    gunzip: node.gzipSync,
    unzip: node.gzipSync,
  };
  return call in packers ? packers[call as keyof typeof packers](bytes) : bytes;
}

describe('the work goes to the device', () => {
  test('of all functions with a callback, with the bytes of Node, for nine calls of ten and more', async () => {
    const promises = promisesOf(facade.zlib);
    const nodes = promisesOf(node);
    let device = 0;
    let calls = 0;
    const property = fc.asyncProperty(
      fc.constantFrom(...KINDS),
      fc.integer({ min: 4 * limits.DEVICE_THRESHOLD_BYTES, max: 300_000 }),
      fc.record(
        { level: fc.integer({ min: -1, max: 9 }), strategy: fc.integer({ min: 0, max: 4 }) },
        { requiredKeys: [] },
      ),
      async ({ call }, bytes, options) => {
        const input = inputFor(
          call,
          Buffer.concat([randomBytes(bytes >>> 2), sampleText(bytes - (bytes >>> 2))]),
        );
        const output = await promises[call](input, options);
        expect(output.equals(await nodes[call](input, options))).toBe(true);
        calls += 1;
        if (viaOf(output)?.path === 'device') device += 1;
      },
    );
    await fc.assert(property, { numRuns: 40 });
    expect(device / calls).toBeGreaterThanOrEqual(0.9);
  });

  test.each(KINDS)('of a stream of $stream', async ({ call, stream }) => {
    const input = inputFor(call, TEXT);
    const made = new facade.zlib[stream]();
    expect(viaOf(made)).toBeUndefined();
    expect((await through(made, input, 5000)).equals(node[`${call}Sync`](input))).toBe(true);
    expect(viaOf(made)).toEqual(DEVICE);
  });

  test('in a class of its own making, too', async () => {
    class Counting extends facade.zlib.Gzip {
      chunks = 0;
      override _transform(...args: Parameters<Gzip['_transform']>): void {
        this.chunks += 1;
        super._transform(...args);
      }
    }
    const stream = new Counting({ level: 9 });
    expect(node.gunzipSync(await through(stream, TEXT, 10_000)).equals(TEXT)).toBe(true);
    expect([stream.chunks > 6, stream instanceof node.Gzip, viaOf(stream)]).toEqual([true, true, DEVICE]);
  });

  test('also through util.promisify', async () => {
    const packed = await promisify(facade.zlib.deflate)(TEXT);
    expect([packed.equals(node.deflateSync(TEXT)), viaOf(packed)]).toEqual([true, DEVICE]);
  });
});

describe('Node does, and `via` says why,', () => {
  const reasonOf = async (options: object, input: Buffer = TEXT): Promise<unknown> => {
    const packed = await promisify(facade.zlib.gzip as never as NodeCall)(input, options);
    expect(node.gunzipSync(packed).equals(input)).toBe(true);
    return viaOf(packed);
  };
  type NodeCall = (
    input: Buffer,
    options: object,
    callback: (error: Error | null, result: Buffer) => void,
  ) => void;

  test.each([
    ['what the device has not', { dictionary: Buffer.from('queue') }, "the option dictionary is Node's"],
    ['level 0', { level: 0 }, 'level 0 only copies, which no device does better'],
    ['what is told by a stream', { highWaterMark: 5 }, "the option highWaterMark is one of Node's streams"],
  ])('%s', async (_what, options, reason) => {
    expect(await reasonOf(options)).toEqual({ path: 'software', attempts: 1, reason });
  });

  test('small input', async () => {
    const small = sampleText(limits.DEVICE_THRESHOLD_BYTES - 1);
    expect(await reasonOf({}, small)).toMatchObject({
      path: 'software',
      reason: expect.stringContaining('threshold'),
    });
    expect(await reasonOf({}, sampleText(limits.DEVICE_THRESHOLD_BYTES))).toEqual(DEVICE);
  });

  test('streams with a dictionary, without a device, or with a smaller window than the device', async () => {
    const dictionary = Buffer.from('queue doorbell phase');
    const withIt = new facade.zlib.Deflate({ dictionary });
    const packed = await through(withIt, TEXT);
    expect(packed.equals(node.deflateSync(TEXT, { dictionary }))).toBe(true);
    const without = new (zlibOn(failingWith(LOST)).Gzip)();
    expect((await through(without, TEXT, 1000)).equals(node.gzipSync(TEXT))).toBe(true);
    const window = new facade.zlib.Inflate();
    expect((await through(window, node.deflateSync(TEXT, { windowBits: 12 }), 1)).equals(TEXT)).toBe(true);
    expect([withIt, without, window].map((stream) => viaOf(stream)?.path)).toEqual(Array(3).fill('software'));
  });

  test('a stream that begins with a synchronous write; in the middle of another it is an error with a remedy', async () => {
    type Internal = { _processChunk(chunk: Buffer, flush: number): Buffer };
    const first = new facade.zlib.DeflateRaw();
    const packed = (first as never as Internal)._processChunk(TEXT, node.constants.Z_FINISH);
    expect(node.inflateRawSync(packed).equals(TEXT)).toBe(true);
    const second = new facade.zlib.DeflateRaw();
    second.on('error', () => {});
    await written(second, TEXT);
    const late = (): unknown => (second as never as Internal)._processChunk(TEXT, node.constants.Z_FINISH);
    expect(late).toThrow(
      expect.objectContaining({ code: 'ERR_WD_INVALID_STATE', message: expect.stringContaining('use') }),
    );
    second.destroy();
  });
});

describe('a pool that fails', () => {
  const outcome = (
    zlib: typeof facade.zlib,
    call: 'gzip' | 'gunzip',
    input: Buffer,
    options = {},
  ): Promise<unknown> =>
    new Promise((resolve) => zlib[call](input, options, (error, result) => resolve(error ?? result)));

  test.each([busy('the pool is full', 5), LOST])('leaves a call to Node: $code', async (error) => {
    const packed = (await outcome(zlibOn(failingWith(error)), 'gzip', TEXT)) as Buffer;
    expect(packed.equals(node.gzipSync(TEXT))).toBe(true);
    expect(viaOf(packed)).toMatchObject({ path: 'software', reason: `the pool answered ${error.code}` });
  });

  test.each([0, 100, 40_000])(
    'with an output limit, Node says which of two errors comes first (damage at %d)',
    async (at) => {
      const packed = node.gzipSync(randomBytes(50_000));
      packed[100 + at]! ^= 0xff;
      packed[packed.length - 5]! ^= 0xff;
      for (const maxOutputLength of [1000, 20_000, 100_000]) {
        const [ours, nodes] = await Promise.all(
          [facade.zlib, node].map((zlib) => outcome(zlib, 'gunzip', packed, { maxOutputLength })),
        );
        expect(ours).toBeInstanceOf(Error);
        expect({ ...(ours as Error), message: String(ours) }).toEqual({
          ...(nodes as Error),
          message: String(nodes),
        });
      }
    },
  );

  test.each(['Gzip', 'Deflate', 'Gunzip'] as const)(
    'leaves a stream to Node that has not begun: %s',
    async (name) => {
      const input = name === 'Gunzip' ? node.gzipSync(TEXT) : TEXT;
      const stream = new (zlibOn(failingSteps(facade.pool, LOST, 1))[name])();
      // Byte by byte, the container's head is in many writes, and Node has to get all of them.
      const output = await through(stream, input, name === 'Gunzip' ? 3 : 1000);
      expect(
        output.equals(
          name === 'Gunzip' ? TEXT : name === 'Gzip' ? node.gzipSync(TEXT) : node.deflateSync(TEXT),
        ),
      ).toBe(true);
      expect(viaOf(stream)).toMatchObject({ path: 'software', reason: LOST.message });
    },
  );

  test('ends a stream in its middle with a typed error', async () => {
    const stream = new (zlibOn(failingSteps(facade.pool, LOST, 5)).Gzip)();
    await expect(through(stream, TEXT, 5000)).rejects.toMatchObject({
      code: 'ERR_WD_DEVICE_LOST',
      kind: 'DeviceLost',
      retryable: true,
      message: expect.stringContaining('may be sent again'),
    });
    expect(stream.destroyed).toBe(true);
  });

  test('that is full for a while keeps a stream waiting, and no byte is lost', async () => {
    const stream = new (zlibOn(failingSteps(facade.pool, busy('the pool is full', 1), 3, 4)).Gzip)();
    expect((await through(stream, TEXT, 5000)).equals(node.gzipSync(TEXT))).toBe(true);
  });
});

describe('places on the device', () => {
  const chunk = sampleText(1000);
  const pathOf = (stream: object): string | undefined => viaOf(stream)?.path;

  /** Streams of a zlib, each with one write behind it. */
  async function begun(zlib: typeof facade.zlib, count: number): Promise<Gzip[]> {
    const streams = Array.from({ length: count }, () => zlib.createGzip());
    await Promise.all(streams.map((stream) => written(stream, chunk)));
    return streams;
  }
  const onDevice = (streams: readonly Gzip[]): number =>
    streams.filter((stream) => pathOf(stream) === 'device').length;
  /** More streams than there are places, either among those of a queue or in the memory of such a pool. */
  const MANY = 300;
  const ended = (stream: Gzip, end: (stream: Gzip) => void): Promise<void> =>
    new Promise((resolve) => end(stream.on('close', resolve)));

  test('three hundred open streams work at once, and as many as have a place are on the device', async () => {
    const { zlib, pool } = await openFacade();
    const streams = await begun(zlib, MANY);
    const places = onDevice(streams);
    expect(places).toBeGreaterThan(50);
    expect(places).toBeLessThanOrEqual(limits.STREAMS_PER_CTX);
    const outputs = await Promise.all(streams.map((stream) => through(stream, TEXT, 20_000)));
    const expected = node.gzipSync(Buffer.concat([chunk, TEXT]));
    for (const output of outputs) expect(output.equals(expected)).toBe(true);
    expect(onDevice(await begun(zlib, MANY))).toBe(places);
    await pool.close();
  });

  test.each([
    ['destroyed', (stream: Gzip) => void stream.destroy()],
    ['closed', (stream: Gzip) => stream.close()],
    [
      'destroyed in the middle of a write',
      (stream: Gzip) => {
        stream.write(TEXT);
        stream.destroy();
      },
    ],
  ])('a stream that is %s gives its place back', async (_how, end) => {
    const { zlib, pool } = await openFacade();
    const first = await begun(zlib, MANY);
    await Promise.all(first.map((stream) => ended(stream, end)));
    const second = await begun(zlib, MANY);
    expect(onDevice(second)).toBe(onDevice(first));
    await Promise.all(second.map((stream) => ended(stream, end)));
    expect((await pool.close()).isOk()).toBe(true);
  });

  test('so does one that is dropped without an end', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const { zlib, pool } = await openFacade();
    await begun(zlib, MANY);
    let found = 0;
    for (let round = 0; round < 50 && found === 0; round++) {
      collect();
      await new Promise(setImmediate);
      found = onDevice(await begun(zlib, 1));
    }
    expect(found).toBe(1);
    await pool.close();
  });
});

describe('callbacks and listeners', () => {
  /** What is thrown where nobody catches it: `run` throws it. */
  async function uncaught(run: (fail: () => never) => void): Promise<unknown> {
    const others = process.listeners('uncaughtException');
    const rejected = process.listeners('unhandledRejection');
    process.removeAllListeners('uncaughtException').removeAllListeners('unhandledRejection');
    try {
      return await new Promise((resolve) => {
        process.once('uncaughtException', (error, origin) => resolve([error.message, origin]));
        process.once('unhandledRejection', () => resolve('a rejected promise'));
        run(() => {
          throw new Error('of the caller');
        });
      });
    } finally {
      process.removeAllListeners('uncaughtException').removeAllListeners('unhandledRejection');
      for (const listener of others) process.on('uncaughtException', listener);
      for (const listener of rejected) process.on('unhandledRejection', listener);
    }
  }

  test('what they throw is an uncaught exception', async () => {
    const { zlib } = facade;
    const expected = ['of the caller', 'uncaughtException'];
    expect(await uncaught((fail) => zlib.gzip(TEXT, fail))).toEqual(expected);
    expect(await uncaught((fail) => zlib.gunzip(TEXT, fail))).toEqual(expected);
    expect(await uncaught((fail) => zlib.createGzip().on('data', fail).end(TEXT))).toEqual(expected);
  });

  test.each([
    ['node:zlib', () => node],
    ['ours', () => facade.zlib],
  ] as const)(
    'they run in the asynchronous context of the call, or of the making of the stream: %s',
    async (_name, zlib) => {
      const storage = new AsyncLocalStorage<string>();
      const seen = await new Promise<unknown[]>((resolve) => {
        const stores: unknown[] = [];
        const see = (): void => void stores.push(storage.getStore());
        const stream = storage.run('made', () => zlib().createGzip());
        stream.once('data', see).once('end', () => resolve(stores));
        storage.run('called', () =>
          zlib().gzip(TEXT, () => {
            see();
            storage.run('written', () => stream.end(TEXT));
          }),
        );
      });
      expect(seen).toEqual(['called', 'made']);
    },
  );

  test('a write that is reset under way throws, on every Node, and goes on', async () => {
    const stream = facade.zlib.createDeflate();
    const output = through(stream, TEXT);
    expect(() => stream.reset()).toThrow('Cannot reset zlib stream while a write is in progress');
    expect(node.inflateSync(await output).equals(TEXT)).toBe(true);
  });
});

describe('as promises', () => {
  test('arguments that Node refuses at once are rejections with its errors', async () => {
    const promises = promisesOf(facade.zlib);
    await expect(promises.gzip(TEXT, { level: 99 })).rejects.toMatchObject({ code: 'ERR_OUT_OF_RANGE' });
    await expect(promises.gunzip(5 as never)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
    await expect(promises.gunzip(TEXT)).rejects.toMatchObject({ code: 'Z_DATA_ERROR', errno: -3 });
  });

  test('there is one of each function that has a synchronous twin', () => {
    const twins = Object.keys(node).filter((name) => `${name}Sync` in node);
    expect(Object.keys(promisesOf(zlibOn(sharedOf(facade.pool)))).sort()).toEqual(twins.sort());
  });
});
