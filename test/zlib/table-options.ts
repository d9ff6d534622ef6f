/** Options of functions and classes: each one over its range, beyond it and of wrong types; where they come from. */
import { constants } from 'node:zlib';
import { sampleText } from '../lib/library-bench.js';
import { CLASSES, drive, make } from './differential-steps.js';
import { answered, atOnce, plain, type Rows, returned, type Zlib } from './observe.js';
import { crossed, FUNCTIONS, packedFor, TEXT } from './table-data.js';

/** Large enough for the device when it is compressed, and no larger: it is compressed some ten thousand times. */
const SHORT = sampleText(2500);
const inputFor = (name: string): Buffer => packedFor(name, SHORT);

const ODD = [Number.NaN, Infinity, -Infinity, 1.5, -0, '5', null, true, {}, [], 5n];
const VALUES: Readonly<Record<string, readonly unknown[]>> = {
  level: [-2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0.5, -0.5, 8.9, ...ODD],
  windowBits: [7, 8, 9, 10, 14, 15, 16, 0, -9, -15, 24, 31, 47, 9.5, 8.5, ...ODD],
  memLevel: [0, 1, 2, 8, 9, 10, 1.5, 9.5, ...ODD],
  strategy: [-1, 0, 1, 2, 3, 4, 5, 0.5, ...ODD],
  chunkSize: [0, 1, 63, 64, 65, 100, 1000, 64.5, 16384, 1 << 20, ...ODD],
  flush: [-1, 0, 1, 2, 3, 4, 5, 6, 2.5, ...ODD],
  finishFlush: [-1, 0, 1, 2, 3, 4, 5, 6, 2.5, ...ODD],
  maxOutputLength: [-1, 0, 1, 2500, 2 ** 31, 2 ** 53, 1.5, ...ODD],
  dictionary: [
    Buffer.from('queue doorbell'),
    new Uint8Array(3),
    new ArrayBuffer(8),
    new DataView(new ArrayBuffer(4)),
    new Uint16Array(4),
    Buffer.alloc(0),
    'text',
    ...ODD,
  ],
  info: [true, false, 1, 0, 'yes', null, {}],
  objectMode: [true, false, 1],
  readableObjectMode: [true],
  writableObjectMode: [true],
  encoding: ['utf8', 'hex', 'nonsense', 5],
  highWaterMark: [1, 100, 1 << 20, 0, -1, 1.5, 'x'],
  autoDestroy: [false, true],
  emitClose: [false, true],
  decodeStrings: [false],
  defaultEncoding: ['hex', 'nonsense'],
  rejectGarbageAfterEnd: [true, false, 5],
  reset: [true],
  params: [true],
};

const MIXES: Readonly<Record<string, object>> = {
  'two wrong: level, windowBits': { level: 99, windowBits: 99 },
  'two wrong: windowBits, level': { windowBits: 99, level: 99 },
  'two wrong: chunkSize, flush': { chunkSize: 1, flush: 99 },
  'two wrong: finishFlush, flush': { finishFlush: 99, flush: 99 },
  'two wrong: maxOutputLength, level': { maxOutputLength: 0, level: 99 },
  'two wrong: strategy, memLevel': { strategy: 99, memLevel: 99 },
  'two wrong: dictionary, strategy': { dictionary: 'a', strategy: 99 },
  'wrong type and out of range': { level: '5', memLevel: 0 },
  'all at their least': { level: -1, windowBits: 9, memLevel: 1, strategy: 0, chunkSize: 64 },
  'all at their most': { level: 9, windowBits: 15, memLevel: 9, strategy: 4, chunkSize: 1 << 20 },
  'raw with small windows': { windowBits: 9, memLevel: 1, level: 9 },
  'unknown names': { speed: 5, Level: 99, format: 'zip' },
  inherited: Object.create({ level: 9, memLevel: 1 }),
  'inherited and wrong': Object.create({ level: 99 }),
  frozen: Object.freeze({ level: 1 }),
  getters: {
    get level() {
      return 9;
    },
  },
  'a getter that throws': {
    get level(): number {
      throw new RangeError('no level today');
    },
  },
  'null level and undefined memLevel': { level: null, memLevel: undefined },
  'no flush given by name': { flush: constants.Z_NO_FLUSH, finishFlush: constants.Z_FINISH },
};

/** What the class makes of the options: what it throws, or what the stream then is. */
function constructed(zlib: Zlib, className: string, options: unknown): unknown {
  return returned(() => {
    const stream = make(zlib, className, options);
    const { readableHighWaterMark, writableHighWaterMark, readableObjectMode, writableObjectMode } = stream;
    const { readableEncoding } = stream;
    const marks = [readableHighWaterMark, writableHighWaterMark];
    const own = [
      '_level',
      '_strategy',
      '_chunkSize',
      '_defaultFlushFlag',
      '_finishFlushFlag',
      '_maxOutputLength',
      '_info',
    ];
    const values = own.map((name) => plain(Reflect.get(stream, name)));
    stream.destroy();
    return [marks, readableObjectMode, writableObjectMode, readableEncoding, values];
  });
}

const named: Record<string, object> = { ...MIXES };
for (const [option, values] of Object.entries(VALUES))
  for (const value of values) named[`${option} ${typeof value} ${show(value)}`] = { [option]: value };

/** Options that decide how bytes go through a stream. */
const STREAM_OPTIONS: Readonly<Record<string, object>> = {
  objectMode: { objectMode: true },
  'readableObjectMode and encoding': { readableObjectMode: true, encoding: 'hex' },
  highWaterMark: { highWaterMark: 100 },
  'small chunks': { chunkSize: 64 },
  'decodeStrings false': { decodeStrings: false },
  'info true': { info: true },
  'maxOutputLength is not for streams': { maxOutputLength: 64 },
};

export const rows: Rows = {
  ...crossed(FUNCTIONS, named, (name, options) => async (zlib) => [
    await answered(zlib, name, inputFor(name), options),
    atOnce(zlib, `${name}Sync`, inputFor(name), options),
  ]),
  ...crossed(CLASSES, named, (className, options) => (zlib) => constructed(zlib, className, options)),
  ...crossed(
    CLASSES,
    STREAM_OPTIONS,
    (className, options) => (zlib) =>
      drive(zlib, className, options, [
        ['write', inputFor(className).subarray(0, 50)],
        ['end', inputFor(className).subarray(50)],
      ]),
  ),
  'options are not changed, and may be used again': async (zlib) => {
    const options = { level: 9, chunkSize: 100, info: undefined };
    const before = JSON.stringify(options);
    const results = [
      await answered(zlib, 'gzip', TEXT, options),
      await answered(zlib, 'gzip', TEXT, options),
    ];
    return [results, before === JSON.stringify(options), Object.keys(options)];
  },
  'options that change between two calls are looked at again': async (zlib) => {
    const options: { level: unknown } = { level: 1 };
    const first = await answered(zlib, 'deflate', TEXT, options);
    options.level = 9;
    const second = await answered(zlib, 'deflate', TEXT, options);
    options.level = '9';
    return [first, second, await answered(zlib, 'deflate', TEXT, options)];
  },
  'options that change while the call is under way change nothing': async (zlib) => {
    const options: { level: unknown } = { level: 9 };
    const answer = answered(zlib, 'deflate', TEXT, options);
    options.level = 99;
    return answer;
  },
};

function show(value: unknown): string {
  if (ArrayBuffer.isView(value)) return `${value.constructor.name} of ${value.byteLength} bytes`;
  if (typeof value === 'object' && value !== null) return value.constructor.name;
  return Object.is(value, -0) ? '-0' : String(value);
}
