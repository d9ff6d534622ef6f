/** The classes themselves: with and without new, subclasses of both kinds, prototypes, members, synchronous use. */
import { inherits } from 'node:util';
import { CLASSES, drive, make, type ZlibStream } from './differential-steps.js';
import { call, plain, type Rows, returned, turns, within, type Zlib } from './observe.js';
import { crossed, inputFor, TEXT } from './table-data.js';

type StreamClass = (new (options?: object) => ZlibStream) & ((options?: object) => ZlibStream);
const classOf = (zlib: Zlib, name: string): StreamClass => Reflect.get(zlib, name) as StreamClass;

/** What a stream puts out for `input`. */
async function through(stream: ZlibStream, input: Buffer): Promise<unknown> {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => void chunks.push(chunk));
  await within(
    new Promise((resolve) => {
      stream.on('close', resolve).on('error', (error) => void chunks.push(Buffer.from(error.message)));
      stream.end(input);
    }),
  );
  return plain(Buffer.concat(chunks));
}

/** Names of the classes above an object, the nearest first. */
function chain(value: object | null): string[] {
  const names: string[] = [];
  for (let at = value; at !== null; at = Object.getPrototypeOf(at)) names.push(at.constructor?.name ?? '?');
  return names;
}

export const rows: Rows = {
  ...crossed(CLASSES, { 'without new': 0 }, (name) => async (zlib) => {
    const StreamOf = classOf(zlib, name);
    const stream = StreamOf({ chunkSize: 100 });
    return [stream instanceof StreamOf, await through(stream, inputFor(name))];
  }),
  'the constructor of a stream is its class': (zlib) =>
    CLASSES.map((name) => make(zlib, name).destroy().constructor === classOf(zlib, name)),
  ...crossed(CLASSES, { 'by its create function': 0 }, (name) => async (zlib) => {
    const stream = call(zlib, `create${name}`, { chunkSize: 100 }) as ZlibStream;
    return [stream instanceof classOf(zlib, name), await through(stream, inputFor(name))];
  }),
  ...crossed(CLASSES, { 'create function with wrong options': 0 }, (name) => (zlib) => [
    returned(() => call(zlib, `create${name}`, { windowBits: 99 })),
    returned(() => call(zlib, `create${name}`, { chunkSize: 'x' })),
    returned(() => Reflect.construct(Reflect.get(zlib, `create${name}`), []) instanceof classOf(zlib, name)),
  ]),
  ...crossed(CLASSES, { 'extended by class': 0 }, (name) => async (zlib) => {
    const seen: string[] = [];
    class Counting extends classOf(zlib, name) {
      readonly mine = 5;
      override _transform(chunk: unknown, encoding: BufferEncoding, next: () => void): void {
        seen.push(`transform ${(chunk as Buffer).length}`);
        super._transform(chunk, encoding, next);
      }
      override _flush(next: () => void): void {
        seen.push('flush');
        super._flush(next);
      }
      override _destroy(error: Error | null, next: () => void): void {
        seen.push('destroy');
        super._destroy(error, next);
      }
    }
    const stream = new Counting({ level: 9 });
    return [
      stream instanceof classOf(zlib, name),
      chain(stream),
      stream.mine,
      await through(stream, inputFor(name)),
      seen,
    ];
  }),
  ...crossed(CLASSES, { 'extended by inherits': 0 }, (name) => async (zlib) => {
    function Old(this: ZlibStream, options: object): void {
      Reflect.apply(classOf(zlib, name), this, [options]);
    }
    inherits(Old, classOf(zlib, name));
    const stream = Reflect.construct(Old, [{ level: 1 }]) as ZlibStream;
    return [
      stream instanceof Old,
      stream instanceof classOf(zlib, name),
      await through(stream, inputFor(name)),
    ];
  }),
  ...crossed(CLASSES, { 'its shape': 0 }, (name) => (zlib) => {
    const StreamOf = classOf(zlib, name);
    const stream = make(zlib, name);
    const own = Object.keys(stream).sort();
    const texts = [Object.prototype.toString.call(stream), StreamOf.name, StreamOf.length];
    const members = ['write', 'flush', 'params', 'reset', 'close', '_processChunk', '_transform'].map(
      (member) => typeof Reflect.get(stream, member),
    );
    stream.close();
    return [
      chain(stream),
      own,
      texts,
      members,
      Object.getOwnPropertyNames(StreamOf.prototype),
      chain(StreamOf),
    ];
  }),
  ...crossed(CLASSES, { '_processChunk at once': 0 }, (name) => (zlib) => {
    const stream = make(zlib, name);
    const processChunk = Reflect.get(stream, '_processChunk') as (chunk: Buffer, flush: number) => Buffer;
    const what = [
      returned(() => processChunk.call(stream, inputFor(name), zlib.constants.Z_SYNC_FLUSH)),
      returned(() => processChunk.call(stream, Buffer.alloc(0), zlib.constants.Z_FINISH)),
      stream.bytesWritten,
    ];
    stream.close();
    return what;
  }),
  ...crossed(CLASSES, { 'properties that can be set': 0 }, (name) => (zlib) => {
    const stream = make(zlib, name);
    Reflect.set(stream, 'bytesWritten', 5);
    const set = [stream.bytesWritten, Reflect.get(stream, '_closed'), Reflect.get(stream, '_outOffset')];
    stream.close();
    return [set, Reflect.get(stream, '_closed'), Reflect.get(stream, '_handle') === null];
  }),
  'streams of one class are no instances of another': (zlib) =>
    CLASSES.map((name) => CLASSES.map((other) => make(zlib, name).destroy() instanceof classOf(zlib, other))),
  'a stream that is made and forgotten': async (zlib) => {
    for (let round = 0; round < 300; round++) make(zlib, CLASSES[round % CLASSES.length]!);
    await turns(3);
    return drive(zlib, 'Gzip', undefined, [['end', TEXT]]);
  },
  'three hundred streams at once': async (zlib) => {
    const streams = Array.from({ length: 300 }, (_, index) => make(zlib, 'Gzip', { level: 1 + (index % 9) }));
    const all = await Promise.all(streams.map((stream) => through(stream, TEXT)));
    return [new Set(all.map((one) => JSON.stringify(one))).size, all[0], all[299]];
  },
};
