// Is every wrong option named, with its value and what would have been right, and is none of them ignored?
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkOpenOptions, poolDefaults } from '../../lib/open-options.js';
import type { InvalidArgument, WdError } from '../../src/base/errors.js';
import { limits } from '../../src/base/limits.js';
import { type Library, openLibrary } from './library-bench.js';

let library: Library;
beforeAll(async () => {
  library = await openLibrary();
});
afterAll(() => library.pool.close());

type Operation = 'compress' | 'decompress';
const INPUT = Buffer.alloc(600, 'warpdrive');

async function refusal(op: Operation, options: unknown): Promise<WdError> {
  const result = await library.pool[op](INPUT, options as object);
  if (result.isErr()) return result.error;
  throw new Error(`${op} took ${JSON.stringify(options)}`);
}

const TYPE = 'ERR_INVALID_ARG_TYPE';
const VALUE = 'ERR_INVALID_ARG_VALUE';
const RANGE = 'ERR_OUT_OF_RANGE';
const UNKNOWN = 'ERR_WD_UNKNOWN_OPTION';

const WHOLE_NUMBERS: readonly [Operation, string, number, number][] = [
  ['compress', 'level', 0, 9],
  ['compress', 'strategy', 0, 4],
  ['compress', 'memLevel', 1, 9],
  ['compress', 'windowBits', 9, 15],
  ['compress', 'maxOutputLength', 1, 2 ** 32],
  ['compress', 'blockBytes', limits.BLOCK_BYTES_MIN, limits.BLOCK_BYTES_MAX],
  ['decompress', 'maxOutputLength', 1, 2 ** 32],
  ['decompress', 'blockBytes', limits.BLOCK_BYTES_MIN, limits.BLOCK_BYTES_MAX],
];

describe.each(WHOLE_NUMBERS)('%s with %s', (op, argument, least, most) => {
  const shared = { kind: 'InvalidArgument', argument, retryable: false };

  test.each([least - 1, most + 1, least + 0.5, Number.NaN, Number.POSITIVE_INFINITY, -1e300])(
    '%d',
    async (value) => {
      const error = await refusal(op, { [argument]: value });
      expect(error).toMatchObject({ ...shared, code: RANGE, value });
      expect(error.message).toBe(
        `"${argument}" must be a whole number from ${least} to ${most}, not ${String(value)}`,
      );
    },
  );

  test.each([['5'], [null], [5n], [true], [[]], [{}], [() => 5]])('of the wrong type: %s', async (value) => {
    expect(await refusal(op, { [argument]: value })).toMatchObject({ ...shared, code: TYPE, value });
  });

  test('both ends of the range are taken', async () => {
    for (const value of [least, most]) {
      const result = await library.pool[op](INPUT, { [argument]: value });
      if (result.isErr()) expect(result.error.kind).not.toBe('InvalidArgument');
    }
  });
});

const NAMED: readonly [Operation, Record<string, unknown>, string, string][] = [
  ['compress', { format: 'zip' }, 'format', VALUE],
  ['compress', { format: 'auto' }, 'format', VALUE],
  ['compress', { format: 7 }, 'format', TYPE],
  ['compress', { format: null }, 'format', TYPE],
  ['compress', { format: 'constructor' }, 'format', VALUE],
  ['compress', { route: 'gpu' }, 'route', VALUE],
  ['compress', { route: null }, 'route', VALUE],
  ['compress', { signal: {} }, 'signal', TYPE],
  ['compress', { signal: null }, 'signal', TYPE],
  ['compress', { levle: 9 }, 'levle', UNKNOWN],
  ['compress', { toString: 9 }, 'toString', UNKNOWN],
  ['compress', { finishFlush: 2 }, 'finishFlush', UNKNOWN],
  ['decompress', { format: 'zlib' }, 'format', VALUE],
  ['decompress', { level: 6 }, 'level', UNKNOWN],
  ['decompress', { windowBits: 15 }, 'windowBits', UNKNOWN],
  ['decompress', { route: 'Device' }, 'route', VALUE],
  ['decompress', { signal: 'now' }, 'signal', TYPE],
];

test.each(NAMED)('%s with %o is refused', async (op, options, argument, code) => {
  const error = (await refusal(op, options)) as InvalidArgument;
  expect(error).toMatchObject({ kind: 'InvalidArgument', argument, code, value: options[argument] });
  expect(error.message).toMatch(new RegExp(`^"${argument}" must be .+, not .+`));
});

test.each([[null], ['gzip'], [6], [[]], [true]])(
  'options that are no object are refused: %o',
  async (options) => {
    // Also when the same operation was prepared with the defaults before.
    (await library.pool.compress(INPUT))._unsafeUnwrap();
    expect(await refusal('compress', options)).toMatchObject({
      argument: 'options',
      code: TYPE,
      value: options,
    });
  },
);

test('an option that is undefined is not there', async () => {
  const options = { level: undefined, format: undefined, signal: undefined, anything: undefined };
  expect((await library.pool.compress(INPUT, options)).isOk()).toBe(true);
});

test('whatever is passed as input and options, a call answers; it never throws or rejects', async () => {
  const named = fc.record(
    Object.fromEntries(
      ['level', 'strategy', 'memLevel', 'windowBits', 'format', 'route', 'signal', 'blockBytes'].map(
        (name) => [name, fc.anything()],
      ),
    ),
    { requiredKeys: [] },
  );
  const anything = fc.anything({ withNullPrototype: true, withBigInt: true, withTypedArray: true });
  await fc.assert(
    fc.asyncProperty(anything, fc.oneof(named, anything), async (input, options) => {
      for (const op of ['compress', 'decompress'] as const) {
        const result = await library.pool[op](input as Buffer, options as object);
        if (result.isErr())
          expect(result.error).toMatchObject({ code: expect.stringMatching(/^(ERR|Z|ABORT)_/) });
      }
      library.pool.explain(options as never);
      library.pool.session(options as never);
    }),
    { numRuns: 300 },
  );
});

describe('open', () => {
  test.each([
    [{ engines: 0 }, 'engines', RANGE],
    [{ engines: 17 }, 'engines', RANGE],
    [{ engines: '2' }, 'engines', TYPE],
    [{ memoryBytes: 1024 }, 'memoryBytes', RANGE],
    [{ memoryBytes: 2 ** 32 }, 'memoryBytes', RANGE],
    [{ memoryBytes: 64 * 1024 * 1024 + 1 }, 'memoryBytes', RANGE],
    [{ whenBusy: 'later' }, 'whenBusy', VALUE],
    [{ whenBusy: 0 }, 'whenBusy', VALUE],
    [{ whenBusy: null }, 'whenBusy', VALUE],
    [{ onDeviceLoss: 'wait' }, 'onDeviceLoss', VALUE],
    [{ onDeviceLoss: true }, 'onDeviceLoss', VALUE],
    [{ verify: 'yes' }, 'verify', TYPE],
    [{ verify: 1 }, 'verify', TYPE],
    [{ deadlineMs: 5 }, 'deadlineMs', UNKNOWN],
    [{ threads: 2 }, 'threads', UNKNOWN],
    [null, 'options', TYPE],
    ['fast', 'options', TYPE],
  ])('%o is refused', (options, argument, code) => {
    expect(checkOpenOptions(options)._unsafeUnwrapErr()).toMatchObject({ argument, code });
  });

  test('what is in range is taken', () => {
    const all = [
      ...[undefined, {}, { engines: 16 }, { memoryBytes: limits.MEMORY_BYTES_MIN }, { engines: undefined }],
      ...['wait', 'software', 'fail'].map((whenBusy) => ({ whenBusy })),
      ...['replay', 'software', 'fail'].map((onDeviceLoss) => ({ onDeviceLoss })),
      ...[true, false].map((verify) => ({ verify })),
    ];
    for (const options of all) expect(checkOpenOptions(options).isOk()).toBe(true);
  });

  test('a pool does what its options say, and the usual where they say nothing', () => {
    expect(poolDefaults({})).toEqual({ whenBusy: 'wait', onDeviceLoss: 'replay', verify: false });
    const given = { whenBusy: 'fail', onDeviceLoss: 'software', verify: true } as const;
    expect(poolDefaults({ engines: 2, ...given })).toEqual(given);
  });
});
