/** Limits of the output, sizes of its chunks, and the option info. */
import { sampleText } from '../lib/library-bench.js';
import { CLASSES, drive } from './differential-steps.js';
import { answered, atOnce, call, plain, type Rows, within } from './observe.js';
import { crossed, FUNCTIONS, inputFor, packedFor, TEXT, UNPACKERS } from './table-data.js';

const around = (bytes: number): number[] => [
  1,
  2,
  63,
  64,
  100,
  16_384,
  bytes - 1,
  bytes,
  bytes + 1,
  2 * bytes,
];
const CHUNKS: Readonly<Record<string, object>> = Object.fromEntries(
  [64, 65, 1000, 16_384, 20_000, 20_001, 1 << 20].map((chunkSize) => [
    `in chunks of ${chunkSize}`,
    { chunkSize },
  ]),
);
const bomb = Buffer.alloc(3_000_000);

export const rows: Rows = {
  ...crossed(FUNCTIONS, { 'at every limit': 0 }, (name) => async (zlib) => {
    const answers: unknown[] = [];
    const input = inputFor(name);
    const whole = (call(zlib, `${name}Sync`, input) as Buffer).length;
    for (const maxOutputLength of around(whole)) {
      answers.push([maxOutputLength - whole, await answered(zlib, name, input, { maxOutputLength })]);
      answers.push(atOnce(zlib, `${name}Sync`, input, { maxOutputLength }));
      answers.push(await answered(zlib, name, input, { maxOutputLength, chunkSize: 64, info: true }));
    }
    return answers;
  }),
  ...crossed(FUNCTIONS, CHUNKS, (name, options) => async (zlib) => [
    await answered(zlib, name, inputFor(name), options),
    await answered(zlib, name, inputFor(name), { ...options, maxOutputLength: 1000 }),
    atOnce(zlib, `${name}Sync`, inputFor(name), options),
  ]),
  ...crossed(
    CLASSES,
    CHUNKS,
    (className, options) => (zlib) =>
      drive(zlib, className, options, [['write', inputFor(className)], ['end']]),
  ),
  ...crossed(UNPACKERS, { 'a bomb is stopped': 0 }, (name) => async (zlib) => [
    await answered(zlib, name, packedFor(name, bomb), { maxOutputLength: 1_000_000 }),
    await answered(zlib, name, packedFor(name, bomb), { maxOutputLength: 2_999_999 }),
    await answered(zlib, name, packedFor(name, bomb), { maxOutputLength: 3_000_000 }),
  ]),
  'a limit and damage: which is told': async (zlib) => {
    const packed = packedFor('gunzip', TEXT);
    packed[packed.length - 6] = 0;
    const cut = packedFor('gunzip', TEXT).subarray(0, 3000);
    const second = Buffer.concat([packedFor('gunzip', TEXT), packed]);
    const answers: unknown[] = [];
    for (const maxOutputLength of [10, 1000, 5000, 19_999, 20_000, 20_001])
      for (const input of [packed, cut, second])
        for (const chunk of [{}, { chunkSize: 64 }, { chunkSize: 20_000 }])
          answers.push(
            await answered(zlib, 'gunzip', input, { maxOutputLength, ...chunk }),
            atOnce(zlib, 'gunzipSync', input, { maxOutputLength, ...chunk }),
          );
    return answers;
  },
  'a limit over several members': async (zlib) => {
    const members = Buffer.concat([packedFor('gunzip', TEXT), packedFor('gunzip', sampleText(5000, 2))]);
    const answers: unknown[] = [];
    for (const maxOutputLength of [19_999, 20_000, 20_001, 24_999, 25_000])
      answers.push(await answered(zlib, 'gunzip', members, { maxOutputLength }));
    return answers;
  },
  'info: the engine and its bytes': async (zlib) => {
    const answers: unknown[] = [];
    for (const name of FUNCTIONS) {
      answers.push(
        await within(
          new Promise((resolve) => {
            call(zlib, name, inputFor(name), { info: true }, (error: unknown, result: InfoResult) =>
              resolve([error, of(result, zlib, name)]),
            );
          }),
        ),
        of(call(zlib, `${name}Sync`, inputFor(name), { info: true }) as InfoResult, zlib, name),
      );
    }
    return answers;
  },
};

interface InfoResult {
  readonly buffer: Buffer;
  readonly engine: { readonly bytesWritten: number; readonly destroyed: boolean; readonly _closed?: boolean };
}

/** What a result with info holds; its engine is a stream of the class that belongs to the function. */
function of({ buffer, engine, ...rest }: InfoResult, zlib: object, name: string): unknown {
  const ofClass = Reflect.get(zlib, name[0]!.toUpperCase() + name.slice(1)) as new () => object;
  return [
    plain(buffer),
    engine.constructor.name,
    engine instanceof ofClass,
    engine.bytesWritten,
    Object.keys(rest),
  ];
}
