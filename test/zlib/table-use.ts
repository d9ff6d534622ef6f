/** How programs use the module: promises, pipelines with files and servers, contexts, errors in callbacks, order. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex, PassThrough, Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { randomBytes, sampleText } from '../lib/library-bench.js';
import { make } from './differential-steps.js';
import { call, plain, type Rows, resultOf, settled, uncaught, within, type Zlib } from './observe.js';
import { crossed, FUNCTIONS, flipped, inputFor, LONG_TEXT, NOISE, packedFor, TEXT } from './table-data.js';

/** Runs `use` with a folder of its own. */
async function withFolder<Value>(use: (folder: string) => Promise<Value>): Promise<Value> {
  const folder = await mkdtemp(join(tmpdir(), 'warpdrive-zlib-'));
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** A server that answers once with what `respond` writes; tells what a client gets. */
async function overHttp(
  respond: (response: Writable) => void,
  read: (message: IncomingMessage) => Promise<unknown>,
) {
  const server = createServer((_request, response) => respond(response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const { port } = server.address() as AddressInfo;
    const message = await new Promise<IncomingMessage>((resolve) =>
      get({ port, host: '127.0.0.1', agent: false }, resolve),
    );
    return await within(read(message));
  } finally {
    server.close();
  }
}

/** What `act` raises where nobody catches it, the first time that it does. */
const raised = (act: () => void): Promise<unknown> =>
  uncaught((tell) => {
    const first = new Promise((resolve) => tell(resolve));
    act();
    return within(first);
  }).then(({ raised: errors }) => errors);

/** Calls one, then the other. */
const both = (first: () => void, second: () => void) => () => {
  first();
  second();
};

const storage = new AsyncLocalStorage<string>();

export const rows: Rows = {
  ...crossed(FUNCTIONS, { promisified: 0 }, (name) => async (zlib) => {
    const promised = promisify(Reflect.get(zlib, name)) as (...given: unknown[]) => Promise<unknown>;
    return [
      await settled(promised(inputFor(name))),
      await settled(promised(inputFor(name), { level: 1 })),
      await settled(promised(inputFor(name).subarray(0, 700))),
      await settled(promised(5).then(undefined, Promise.reject.bind(Promise))),
    ];
  }),
  'promisify finds nothing special': (zlib) =>
    FUNCTIONS.map((name) => Object.getOwnPropertySymbols(Reflect.get(zlib, name)).map(String)),
  'files, compressed and read again': (zlib) =>
    withFolder(async (folder) => {
      const [source, packed, again] = ['source', 'packed', 'again'].map((name) => join(folder, name)) as [
        string,
        string,
        string,
      ];
      await writeFile(source, LONG_TEXT);
      await pipeline(createReadStream(source), zlib.createGzip(), createWriteStream(packed));
      await pipeline(
        createReadStream(packed, { highWaterMark: 777 }),
        zlib.createGunzip(),
        createWriteStream(again),
      );
      return [plain(await readFile(packed)), (await readFile(again)).equals(LONG_TEXT)];
    }),
  'both in one pipeline': async (zlib) => {
    const chunks: Buffer[] = [];
    const sink = new Writable({
      write(chunk, _encoding, next) {
        chunks.push(chunk);
        next();
      },
    });
    await within(
      pipeline(
        Readable.from([LONG_TEXT, NOISE, TEXT]),
        zlib.createDeflate(),
        zlib.createInflate(),
        zlib.createGzip(),
        zlib.createUnzip(),
        sink,
      ),
    );
    return plain(Buffer.concat(chunks));
  },
  'a pipeline whose source fails': async (zlib) => {
    async function* source() {
      yield TEXT;
      throw new Error('the source is gone');
    }
    const gzip = zlib.createGzip();
    return [await settled(pipeline(source, gzip, new PassThrough().resume())), gzip.destroyed];
  },
  'a pipeline whose sink fails': async (zlib) => {
    const sink = new Writable({ write: (_chunk, _encoding, next) => next(new Error('the sink is full')) });
    const gzip = zlib.createGzip();
    return [await settled(pipeline(Readable.from([NOISE, NOISE, NOISE]), gzip, sink)), gzip.destroyed];
  },
  'a pipeline with damaged input': async (zlib) => {
    const answers: unknown[] = [];
    for (const input of [
      flipped(packedFor('gunzip', LONG_TEXT), 30_000),
      packedFor('gunzip', LONG_TEXT).subarray(0, 20_000),
      NOISE,
    ])
      answers.push(
        await settled(pipeline(Readable.from([input]), zlib.createGunzip(), new PassThrough().resume())),
      );
    return answers;
  },
  'a pipeline with a signal': async (zlib) => {
    const controller = new AbortController();
    const endless = Readable.from(
      (function* () {
        for (;;) yield NOISE;
      })(),
    );
    const sink = new Writable({
      write(_chunk, _encoding, next) {
        controller.abort();
        next();
      },
    });
    return settled(pipeline(endless, zlib.createGzip(), sink, { signal: controller.signal }));
  },
  'turned to a web stream': async (zlib) => {
    const web = Duplex.toWeb(zlib.createDeflate());
    const written = new Blob([TEXT]).stream().pipeThrough(web as never);
    return plain(Buffer.from(await new Response(written as never).arrayBuffer()));
  },
  'a server that compresses, a client that reads': (zlib) =>
    overHttp(
      (response) => {
        const gzip = zlib.createGzip();
        gzip.pipe(response);
        gzip.write(TEXT);
        gzip.flush(() => gzip.end(NOISE));
      },
      async (message) => plain(Buffer.concat(await message.pipe(zlib.createGunzip()).toArray())),
    ),
  'a connection that ends too early, read as clients do': (zlib) =>
    overHttp(
      (response) => void response.end(packedFor('gunzip', LONG_TEXT).subarray(0, 30_000)),
      async (message) => {
        const { Z_SYNC_FLUSH } = zlib.constants;
        const gunzip = zlib.createGunzip({ flush: Z_SYNC_FLUSH, finishFlush: Z_SYNC_FLUSH });
        return plain(Buffer.concat(await message.pipe(gunzip).toArray()));
      },
    ),
  'lines that arrive one by one are read one by one': async (zlib) => {
    const gzip = zlib.createGzip({ flush: zlib.constants.Z_SYNC_FLUSH });
    const gunzip = gzip.pipe(zlib.createGunzip());
    const seen: string[] = [];
    for (const line of ['first\n', 'second\n', 'third\n']) {
      const arrived = new Promise<void>((resolve) =>
        gunzip.once('data', (chunk: Buffer) => {
          seen.push(chunk.toString());
          resolve();
        }),
      );
      gzip.write(line);
      await within(arrived);
    }
    gzip.end();
    return seen;
  },
  ...crossed(FUNCTIONS, { 'keeps the context of its caller': 0 }, (name) => async (zlib) => {
    const contextOf = (input: unknown): Promise<unknown> =>
      new Promise((resolve) =>
        storage.run(`of ${name}`, () => call(zlib, name, input, () => resolve(storage.getStore()))),
      );
    return Promise.all([
      contextOf(inputFor(name)),
      contextOf(Buffer.alloc(1000, 7)),
      contextOf(Buffer.alloc(5)),
    ]);
  }),
  'contexts in the listeners of a stream': async (zlib) => {
    const seen: string[] = [];
    const note = (what: string) => () => void seen.push(`${what} in ${storage.getStore()}`);
    const stream = storage.run('made', () => make(zlib, 'Gzip'));
    storage.run('listening', () => {
      for (const event of ['data', 'finish', 'end', 'close']) stream.on(event, note(event));
    });
    const step = (context: string, act: (done: () => void) => void): Promise<void> =>
      within(new Promise((resolve) => storage.run(context, () => act(resolve))));
    await step('writing', (done) => stream.write(TEXT, both(note('written'), done)));
    await step('flushing', (done) => stream.flush(both(note('flushed'), done)));
    await within(
      new Promise((resolve) => storage.run('ending', () => stream.on('close', resolve).end(note('ended')))),
    );
    return seen;
  },
  'an error in a callback is nobody’s but the caller’s': async (zlib) => {
    const answers: unknown[] = [];
    for (const name of FUNCTIONS)
      for (const input of [inputFor(name), Buffer.alloc(600, 7)])
        answers.push(
          await raised(() =>
            call(zlib, name, input, () => {
              throw new Error('of the callback');
            }),
          ),
        );
    return answers;
  },
  'an error in a listener, and an error event without one': async (zlib) => [
    await raised(() => {
      make(zlib, 'Gzip')
        .on('data', () => {
          throw new Error('of the listener');
        })
        .end(TEXT);
    }),
    await raised(() => void make(zlib, 'Gunzip').resume().end(NOISE)),
    await raised(() => {
      make(zlib, 'Gzip')
        .resume()
        .write(TEXT, () => {
          throw new Error('of the write');
        });
    }),
  ],
  'a callback after an error in another': async (zlib) => {
    const first = await raised(() =>
      call(zlib, 'gzip', TEXT, () => {
        throw new Error('first');
      }),
    );
    return [first, plain(await resultOf(zlib, 'gzip', TEXT))];
  },
  'a small call is answered before a large one that was made first': async (zlib) => {
    const order: string[] = [];
    await Promise.all([
      resultOf(zlib, 'gzip', randomBytes(8_000_000)).then(() => order.push('large')),
      resultOf(zlib, 'gzip', sampleText(600)).then(() => order.push('small')),
    ]);
    return order;
  },
  'many calls at once, each with its own answer': async (zlib) => {
    const inputs = Array.from({ length: 200 }, (_, index) => sampleText(500 + 37 * index, index % 5));
    return Promise.all(
      inputs.map(async (input) => plain(await resultOf(zlib, 'gunzip', await resultOf(zlib, 'gzip', input)))),
    );
  },
  'a callback comes after promises and ticks that were there': async (zlib) => {
    const order: string[] = [];
    const answer = new Promise<void>((resolve) => {
      call(zlib, 'gzip', TEXT, () => {
        order.push('callback');
        resolve();
      });
    });
    process.nextTick(() => order.push('tick'));
    queueMicrotask(() => order.push('promise'));
    await answer;
    return order;
  },
  'input that changes after the call': (zlib) => changedInput(zlib),
};

/** Node may read the old or the new bytes; what comes out must be a file of one length, and never a crash. */
async function changedInput(zlib: Zlib): Promise<unknown> {
  const input = Buffer.from(LONG_TEXT);
  const answer = resultOf(zlib, 'gzip', input);
  input.fill(0);
  return (await resultOf(zlib, 'gunzip', await answer)).length;
}
