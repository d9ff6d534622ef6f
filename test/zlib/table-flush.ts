/** flush, params and reset: between writes, with nothing pending, in a row, after the end; wrong values. */
import { constants, inflateRawSync, unzipSync } from 'node:zlib';
import { CLASSES, COMPRESSORS, drive, make, type Step } from './differential-steps.js';
import { plain, type Row, type Rows, within } from './observe.js';
import { crossed, inputFor, LONG_TEXT, NOISE, prefixed, TEXT } from './table-data.js';

const { Z_NO_FLUSH, Z_PARTIAL_FLUSH, Z_SYNC_FLUSH, Z_FULL_FLUSH, Z_FINISH, Z_BLOCK } = constants;
const KINDS = { Z_NO_FLUSH, Z_PARTIAL_FLUSH, Z_SYNC_FLUSH, Z_FULL_FLUSH, Z_FINISH, Z_BLOCK };

const FLUSHES: Record<string, readonly Step[]> = {
  'default kind': [['write', TEXT], ['flush'], ['write', TEXT], ['end']],
  'default kind, settled': [
    ['write', TEXT],
    ['settle'],
    ['flush'],
    ['settle'],
    ['write', TEXT],
    ['settle'],
    ['flush'],
    ['settle'],
    ['end'],
  ],
  'nothing pending': [['flush'], ['settle'], ['flush'], ['settle'], ['end']],
  'twice in a row': [['write', TEXT], ['flush'], ['flush'], ['settle'], ['flush'], ['end', NOISE]],
  'many, not settled': [
    ['write', TEXT],
    ['flush', 2],
    ['write', NOISE],
    ['flush', 3],
    ['write', TEXT],
    ['flush', 1],
    ['flush', 2],
    ['end'],
  ],
  'after end': [['write', TEXT], ['end'], ['flush'], ['settle'], ['flush']],
  'after close': [['write', TEXT], ['settle'], ['close'], ['flush'], ['settle'], ['flush']],
  'after destroy': [['write', TEXT], ['destroy'], ['flush']],
  'before the first write': [['flush', 2], ['write', TEXT], ['end']],
  'wrong kinds': [['flush', 99], ['settle'], ['flush', -1], ['settle'], ['write', TEXT], ['end']],
};
for (const [name, kind] of Object.entries(KINDS)) {
  FLUSHES[`${name} in mid-stream`] = [
    ['write', LONG_TEXT],
    ['flush', kind],
    ['settle'],
    ['write', TEXT],
    ['flush', kind],
    ['settle'],
    ['end', NOISE],
  ];
  FLUSHES[`${name} after each small write`] = Array.from({ length: 8 }, (_, index): Step[] => [
    ['write', TEXT.subarray(index * 100, index * 100 + 100)],
    ['flush', kind],
    ['settle'],
  ]).flat();
}

/**
 * Each change of parameters is settled before anything else is written: node starts the next write before it changes
 * them, so that its two threads race, and its output is then a matter of chance.
 */
const PARAMS: Readonly<Record<string, readonly Step[]>> = {
  'before the first write': [['params', 9, 0], ['settle'], ['write', LONG_TEXT], ['end']],
  'between writes': [
    ['write', LONG_TEXT],
    ['settle'],
    ['params', 1, 0],
    ['settle'],
    ['write', LONG_TEXT],
    ['end'],
  ],
  'behind a write under way': [
    ['write', TEXT],
    ['params', 9, 0],
    ['settle'],
    ['write', NOISE],
    ['params', 1, 3],
    ['settle'],
    ['end', TEXT],
  ],
  'to stored and back': [
    ['write', TEXT],
    ['params', 0, 0],
    ['settle'],
    ['write', TEXT],
    ['settle'],
    ['params', 6, 0],
    ['settle'],
    ['end', TEXT],
  ],
  'the same again': [['write', TEXT], ['params', -1, 0], ['settle'], ['write', TEXT], ['end']],
  'every strategy': [0, 1, 2, 3, 4].flatMap((strategy): Step[] => [
    ['write', TEXT],
    ['params', 5, strategy],
    ['settle'],
  ]),
  'every level': [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, -1]
    .flatMap((level): Step[] => [['write', TEXT], ['params', level, 0], ['settle']])
    .concat([['end']]),
  'level out of range': [
    ['write', TEXT],
    ['params', 10, 0],
    ['params', -2, 0],
    ['params', '5', 0],
    ['params', Number.NaN, 0],
    ['settle'],
    ['end'],
  ],
  'strategy out of range': [
    ['write', TEXT],
    ['params', 5, 5],
    ['params', 5, -1],
    ['params', 5, '1'],
    ['params', 5, undefined],
    ['settle'],
    ['end'],
  ],
  'level with a fraction': [['write', TEXT], ['params', 1.5, 0], ['settle'], ['write', TEXT], ['end']],
  'after close': [['write', TEXT], ['settle'], ['close'], ['params', 9, 0]],
  'and flush': [
    ['write', TEXT],
    ['params', 9, 2],
    ['settle'],
    ['flush', 2],
    ['settle'],
    ['write', TEXT],
    ['flush'],
    ['settle'],
    ['params', 1, 0],
    ['settle'],
    ['end', TEXT],
  ],
};

const RESETS: Readonly<Record<string, readonly Step[]>> = {
  'before the first write': [['reset'], ['write', TEXT], ['end']],
  'between two streams': [['write', TEXT], ['flush', 4], ['settle'], ['reset'], ['write', NOISE], ['end']],
  'in mid-stream': [['write', LONG_TEXT], ['settle'], ['reset'], ['write', TEXT], ['end']],
  'after a flush': [['write', TEXT], ['flush'], ['settle'], ['reset'], ['write', TEXT], ['end']],
  'several times': [
    ['write', TEXT],
    ['settle'],
    ['reset'],
    ['reset'],
    ['write', TEXT],
    ['settle'],
    ['reset'],
    ['write', TEXT],
    ['end'],
  ],
  'after params': [
    ['params', 9, 0],
    ['settle'],
    ['write', TEXT],
    ['settle'],
    ['reset'],
    ['write', TEXT],
    ['end'],
  ],
  'after close': [['write', TEXT], ['settle'], ['close'], ['reset']],
  'after destroy': [['destroy'], ['reset']],
};

const replaced = (steps: readonly Step[], className: string): Step[] =>
  steps.map((step) =>
    (step[0] === 'write' || step[0] === 'end') && Buffer.isBuffer(step[1])
      ? [step[0], inputFor(className, step[1])]
      : step,
  );

const driven =
  (className: string, steps: readonly Step[]): Row =>
  (zlib) =>
    drive(zlib, className, undefined, replaced(steps, className));

/** A reset in mid-write: refused from Node 22 on. Node 20 lets it race with its own thread, and there is no telling what comes. */
const REFUSED: Readonly<Record<string, readonly Step[]>> = {
  'in mid-write': [['write', LONG_TEXT], ['reset'], ['settle'], ['reset'], ['write', TEXT], ['end']],
};
const refusesReset = Number(process.versions.node.split('.')[0]) >= 22;

/** What the output of a compressor says, and not how: for bytes of which it was shown that they must differ. */
const decoded =
  (className: string, { options, steps }: { options: object; steps: readonly Step[] }): Row =>
  async (zlib) => {
    const stream = make(zlib, className, options);
    const chunks = stream.toArray();
    for (const [name, ...given] of steps)
      await within(
        new Promise((resolve) =>
          Reflect.apply(Reflect.get(stream, name) as () => void, stream, [...given, resolve]),
        ),
      );
    const packed = Buffer.concat(await within(chunks));
    return plain(className === 'DeflateRaw' ? inflateRawSync(packed) : unzipSync(packed));
  };

/**
 * At level 0 zlib cuts its blocks by the room that each call of it finds. An engine works in segments of its own and has
 * no room of 64 bytes; a stream that begins at another level cannot leave it for software when it is to store.
 */
const STORED = {
  'bytes may differ: stored in small chunks': {
    options: { chunkSize: 64, memLevel: 1 },
    steps: [
      ['write', TEXT],
      ['params', 0, 0],
      ['write', NOISE],
      ['flush'],
      ['write', LONG_TEXT],
      ['params', 6, 0],
      ['end', TEXT],
    ],
  },
} as const;

export const rows: Rows = {
  ...crossed(COMPRESSORS, STORED, decoded),
  ...crossed(CLASSES, prefixed('flush', FLUSHES), driven),
  ...crossed(COMPRESSORS, prefixed('params', PARAMS), driven),
  ...crossed(
    ['Inflate', 'Gunzip'],
    prefixed('params', { 'of a class without': PARAMS['between writes']! }),
    driven,
  ),
  ...crossed(CLASSES, prefixed('reset', RESETS), driven),
  ...crossed(refusesReset ? CLASSES : [], prefixed('reset', REFUSED), driven),
  ...crossed(CLASSES, { 'option flush': 0 }, (className) => async (zlib) => {
    const answers: unknown[] = [];
    for (const flush of Object.values(KINDS))
      for (const steps of [FLUSHES['many, not settled']!, FLUSHES['nothing pending']!])
        answers.push([flush, await drive(zlib, className, { flush }, replaced(steps, className))]);
    return answers;
  }),
  ...crossed(CLASSES, { 'option finishFlush': 0 }, (className) => async (zlib) => {
    const answers: unknown[] = [];
    for (const finishFlush of Object.values(KINDS))
      answers.push([
        finishFlush,
        await drive(zlib, className, { finishFlush }, replaced([['write', TEXT], ['end']], className)),
      ]);
    return answers;
  }),
};
