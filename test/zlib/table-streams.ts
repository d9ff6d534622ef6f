/** Streams: order of events, back-pressure, reading in every way, writing in every way. */
import { Readable, Writable } from 'node:stream';
import { randomBytes, sampleText } from '../lib/library-bench.js';
import { CLASSES, drive, make, noteEvents, READER_EVENTS, type Step } from './differential-steps.js';
import { plain, type Row, type Rows, tallyOf, turns, within, type Zlib } from './observe.js';
import { crossed, inputFor, LONG_TEXT, NOISE, prefixed, TEXT } from './table-data.js';

const WRITES: Readonly<Record<string, (input: Buffer) => readonly Step[]>> = {
  'end with all': (input) => [['end', input]],
  'write, end': (input) => [['write', input], ['end']],
  'write, settle, end': (input) => [['write', input], ['settle'], ['end']],
  'many writes': (input) => [...pieces(input, 1000), ['end']],
  'many settled writes': (input) => [
    ...pieces(input, 5000).flatMap((step): Step[] => [step, ['settle']]),
    ['end'],
  ],
  'large pieces': (input) => [...pieces(input, 65_536), ['end']],
  'corked writes': (input) => [['cork'], ...pieces(input, 7000), ['uncork'], ['end']],
  'write after end': (input) => [['write', input], ['end'], ['write', input]],
  'end twice': (input) => [['end', input], ['end'], ['end', input]],
  'pause and resume': (input) => [
    ['write', input],
    ['pause'],
    ['write', input.subarray(0, 0)],
    ['resume'],
    ['end'],
  ],
  'pause and resume with one byte under way': (input) => [
    ['write', input.subarray(0, 1)],
    ['pause'],
    ['resume'],
    ['settle'],
    ['end', input.subarray(1)],
  ],
  'text with an encoding': (input) => [['write', input.toString('hex'), 'hex'], ['end']],
  'text in base64, then utf8': (input) => [
    ['write', input.toString('base64'), 'base64'],
    ['end', 'behind'],
  ],
  'wrong chunks': (input) => [['write', 5], ['write', null], ['write', {}], ['write', input], ['end']],
  'a typed array': (input) => [['write', new Uint8Array(input)], ['end']],
  'a Uint16Array': (input) => [
    ['write', new Uint16Array(new Uint8Array(input.subarray(0, 1000)).buffer)],
    ['end'],
  ],
  'shared memory': (input) => [['write', overShared(input)], ['end']],
};

const stepsOf =
  (className: string, steps: (input: Buffer) => readonly Step[], of: Buffer): Row =>
  async (zlib) => [
    await drive(zlib, className, undefined, steps(inputFor(className, of))),
    await drive(
      zlib,
      className,
      { chunkSize: 1000 },
      steps(inputFor(className, of)).filter(([name]) => name !== 'settle'),
      'late',
    ),
  ];

/** Reads a stream in the given way; tells the chunks and what came after. */
type Reader = (zlib: Zlib, className: string, stream: ReturnType<typeof make>) => Promise<unknown>;
const READERS: Readonly<Record<string, Reader>> = {
  'for await': async (_zlib, _className, stream) => {
    const lengths: number[] = [];
    for await (const chunk of stream) lengths.push(chunk.length);
    return [lengths.reduce((sum, length) => sum + length, 0), stream.destroyed];
  },
  'for await, left early': async (_zlib, _className, stream) => {
    for await (const chunk of stream) return [chunk.length > 0];
    return 'empty';
  },
  'readable and read': (_zlib, _className, stream) =>
    new Promise((resolve) => {
      const chunks: Buffer[] = [];
      stream.on('readable', () => {
        for (let chunk = stream.read(); chunk !== null; chunk = stream.read()) chunks.push(chunk);
      });
      stream.on('close', () => resolve(plain(Buffer.concat(chunks))));
    }),
  'read by number': (_zlib, _className, stream) =>
    new Promise((resolve) => {
      const lengths: number[] = [];
      stream.on('readable', () => {
        for (let chunk = stream.read(100); chunk !== null; chunk = stream.read(100))
          lengths.push(chunk.length);
      });
      stream.on('close', () => resolve(lengths));
    }),
  'as text': (_zlib, _className, stream) =>
    new Promise((resolve) => {
      let text = '';
      stream.setEncoding('hex');
      stream.on('data', (chunk: string) => {
        text += chunk;
      });
      stream.on('close', () => resolve([text.length, plain(Buffer.from(text, 'hex'))]));
    }),
  'to a slow writable': (_zlib, _className, stream) =>
    new Promise((resolve) => {
      const chunks: Buffer[] = [];
      const slow = new Writable({
        highWaterMark: 1,
        write(chunk: Buffer, _encoding, next) {
          chunks.push(chunk);
          setImmediate(next);
        },
      });
      stream
        .pipe(slow)
        .on('close', () => resolve([chunks.map(({ length }) => length), plain(Buffer.concat(chunks))]));
    }),
  toArray: async (_zlib, _className, stream) => plain(Buffer.concat(await stream.toArray())),
};

export const rows: Rows = {
  ...crossed(CLASSES, WRITES, (className, steps) => stepsOf(className, steps, TEXT)),
  ...crossed(['DeflateRaw', 'Gunzip'], prefixed('much', WRITES), (className, steps) =>
    stepsOf(className, steps, LONG_TEXT),
  ),
  ...crossed(CLASSES, READERS, (className, read) => async (zlib) => {
    const options = { chunkSize: 4096 };
    const stream = make(zlib, className, options);
    const log: string[] = [];
    noteEvents(stream, log, READER_EVENTS);
    stream.on('error', () => {});
    const outcome = read(zlib, className, stream);
    stream.end(inputFor(className, LONG_TEXT));
    const what = await within(outcome);
    await turns(2);
    if (stream.readableEnded) tallyOf(zlib)?.stream(className, options, stream);
    return [what, log, stream.bytesWritten];
  }),
  ...crossed(
    CLASSES,
    {
      noise: randomBytes(200_000),
      zeros: Buffer.alloc(400_000),
      'stored twice': Buffer.concat([NOISE, NOISE]),
    },
    (className, bytes) => (zlib) =>
      drive(zlib, className, undefined, [...pieces(inputFor(className, bytes), 30_000), ['end']]),
  ),
  ...crossed(
    CLASSES,
    { 'no write is called back in the turn that made it': 0 },
    (className) => async (zlib) => {
      const early: string[] = [];
      for (const bytes of [0, 1, 2, 700]) {
        const stream = make(zlib, className);
        stream.on('error', () => {});
        let called = false;
        const written = new Promise<void>((resolve) => {
          stream.write(inputFor(className).subarray(0, bytes), () => {
            called = true;
            resolve();
          });
        });
        // Every tick and every promise of this turn, and those that they lead to.
        for (let tick = 0; tick < 50; tick++) await new Promise<void>((resolve) => process.nextTick(resolve));
        if (called) early.push(`of ${bytes} bytes`);
        await within(written);
        stream.destroy();
      }
      return early;
    },
  ),
  'back-pressure: the source is held, and let go again': async (zlib) => {
    const log: string[] = [];
    const source = Readable.from(Array.from({ length: 40 }, (_, index) => randomBytes(4096, index)));
    const gzip = make(zlib, 'Gzip');
    noteEvents(gzip, log);
    const waiting: (() => void)[] = [];
    let written = 0;
    const sink = new Writable({
      highWaterMark: 1,
      write(chunk: Buffer, _encoding, next) {
        written += chunk.length;
        waiting.push(next);
      },
    });
    source.pipe(gzip).pipe(sink);
    await within(untilFull(gzip));
    await turns(50);
    const held = [source.readableEnded, gzip.bytesWritten < 40 * 4096];
    const ended = within(new Promise((resolve) => sink.on('close', resolve)));
    const pump = setInterval(() => waiting.splice(0).forEach((next) => void next()), 0);
    await ended;
    clearInterval(pump);
    return [held, written, log.filter((line) => line === 'drain').length > 0, gzip.bytesWritten];
  },
  'two streams at once do not disturb each other': async (zlib) => {
    const steps: readonly Step[] = [...pieces(sampleText(100_000), 9000), ['end']];
    return Promise.all(
      ['Gzip', 'Deflate', 'DeflateRaw', 'Gzip'].map((name) => drive(zlib, name, undefined, steps)),
    );
  },
  'bytesWritten while it goes': async (zlib) => {
    const stream = make(zlib, 'Gzip');
    const seen: number[] = [stream.bytesWritten];
    stream.resume();
    for (const step of pieces(TEXT, 3000)) {
      await within(new Promise((resolve) => stream.write(step[1], resolve)));
      seen.push(stream.bytesWritten);
    }
    await within(new Promise((resolve) => stream.end(resolve)));
    return [...seen, stream.bytesWritten];
  },
};

async function untilFull(stream: Readable): Promise<void> {
  while (stream.readableLength < stream.readableHighWaterMark) await turns(1);
}

function pieces(bytes: Buffer, width: number): Step[] {
  return Array.from({ length: Math.ceil(bytes.length / width) }, (_, index) => [
    'write',
    bytes.subarray(index * width, (index + 1) * width),
  ]);
}

function overShared(bytes: Buffer): Uint8Array {
  const copy = new Uint8Array(new SharedArrayBuffer(bytes.length));
  copy.set(bytes);
  return copy;
}
