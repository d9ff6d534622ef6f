/** Arguments of the functions with callback and of their synchronous forms: missing, of a wrong type, one too many. */
import { answered, atOnce, call, plain, type Rows, returned, turns } from './observe.js';
import { crossed, FUNCTIONS, inputFor, prefixed, TEXT } from './table-data.js';

const nothing = (): void => {};

/** Arguments in place of input, options and callback; INPUT stands for an input that the function takes. */
const INPUT = Symbol('input');
const MISPLACED: Record<string, readonly unknown[]> = {
  'of nothing': [],
  'of an input alone': [INPUT],
  'of an input and undefined': [INPUT, undefined],
  'of an input and options, no callback': [INPUT, {}],
  'of an input and null for the callback': [INPUT, {}, null],
  'of an input and a text for the callback': [INPUT, {}, 'callback'],
  'of an input and an object for the callback': [INPUT, {}, {}],
  'of a callback alone': [nothing],
  'of a callback and options': [nothing, {}],
  'of null options and no callback': [INPUT, null],
  'of a wrong input and no callback': [5],
  'of a wrong input and wrong options': [5, { level: 99 }, nothing],
  'of wrong options and no callback': [INPUT, { level: 99 }],
};

const WRONG_INPUTS: Record<string, unknown> = {
  null: null,
  undefined,
  number: 5,
  NaN: Number.NaN,
  boolean: true,
  bigint: 5n,
  symbol: Symbol('s'),
  object: {},
  'object with a length': { length: 5 },
  array: [1, 2, 3],
  date: new Date(0),
  map: new Map(),
  function: nothing,
  promise: Promise.resolve(),
  'boxed text': Object('text'),
  'array of buffers': [Buffer.from('a')],
};

const WRONG_OPTIONS: Record<string, unknown> = {
  null: null,
  undefined,
  false: false,
  number: 5,
  text: 'level',
  symbol: Symbol('s'),
  array: [],
  buffer: Buffer.alloc(3),
  'without prototype': Object.create(null),
};

const filled = (name: string, given: readonly unknown[]): unknown[] =>
  given.map((one) => (one === INPUT ? inputFor(name) : one));

export const rows: Rows = {
  ...crossed(FUNCTIONS, MISPLACED, (name, given) => async (zlib) => {
    const what = atOnce(zlib, name, ...filled(name, given));
    await turns(5);
    return what;
  }),
  ...crossed(
    FUNCTIONS.map((name) => `${name}Sync`),
    MISPLACED,
    (name, given) => (zlib) => atOnce(zlib, name, ...filled(name.replace('Sync', ''), given)),
  ),
  ...crossed(FUNCTIONS, prefixed('of input', WRONG_INPUTS), (name, input) => async (zlib) => [
    await answered(zlib, name, input),
    await answered(zlib, name, input, {}),
    atOnce(zlib, `${name}Sync`, input),
  ]),
  ...crossed(FUNCTIONS, prefixed('of options', WRONG_OPTIONS), (name, options) => async (zlib) => [
    await answered(zlib, name, inputFor(name), options),
    atOnce(zlib, `${name}Sync`, inputFor(name), options),
  ]),
  'a callback in place of the options is called, a further one is not': async (zlib) => {
    const called: string[] = [];
    await new Promise<void>((resolve) => {
      const first = (): void => {
        called.push('first');
        resolve();
      };
      call(zlib, 'gzip', TEXT, first, () => void called.push('second'));
    });
    await turns(3);
    return called;
  },
  'what a function with callback returns': (zlib) =>
    FUNCTIONS.map((name) => returned(() => call(zlib, name, inputFor(name), nothing))),
  'functions need no this': async (zlib) => {
    const { gzip, gzipSync } = zlib;
    const packed = await new Promise((resolve) => {
      gzip(TEXT, (_error, result) => resolve(plain(result)));
    });
    return [packed, plain(gzipSync(TEXT))];
  },
  'how many values a callback is given': async (zlib) => {
    const lengths = async (name: string, input: unknown): Promise<number> =>
      new Promise((resolve) => {
        call(zlib, name, input, (...results: unknown[]) => resolve(results.length));
      });
    return [
      await lengths('gzip', TEXT),
      await lengths('gunzip', TEXT),
      await lengths('gunzip', Buffer.alloc(0)),
    ];
  },
  'the this of a callback': async (zlib) => {
    const thisOf = async (name: string, input: unknown): Promise<unknown> =>
      new Promise((resolve) => {
        call(zlib, name, input, function (this: unknown) {
          resolve(plain(this));
        });
      });
    return [await thisOf('gzip', TEXT), await thisOf('gunzip', TEXT), await thisOf('gzip', 'short')];
  },
};
