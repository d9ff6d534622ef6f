// Does what the environment says become an option, does an option of the program win, and is a wrong text named?
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { withEnvironment } from '../../lib/environment.js';
import { checkOpenOptions } from '../../lib/open-options.js';
import { limits } from '../../src/base/limits.js';
import { GiB, KiB, MiB } from '../../src/base/units.js';

const RANGE = 'ERR_OUT_OF_RANGE';
const VALUE = 'ERR_INVALID_ARG_VALUE';

describe('a variable', () => {
  test.each([
    ['WD_ENGINES', '1', { engines: 1 }],
    ['WD_ENGINES', '16', { engines: 16 }],
    ['WD_MEMORY', '33554432', { memoryBytes: 32 * MiB }],
    ['WD_MEMORY', '65536K', { memoryBytes: 64 * MiB }],
    ['WD_MEMORY', '512M', { memoryBytes: 512 * MiB }],
    ['WD_MEMORY', '512m', { memoryBytes: 512 * MiB }],
    ['WD_MEMORY', '2G', { memoryBytes: 2 * GiB }],
    ['WD_MEMORY', '4094M', { memoryBytes: limits.MEMORY_BYTES_MAX }],
    ['WD_WHEN_BUSY', 'wait', { whenBusy: 'wait' }],
    ['WD_WHEN_BUSY', 'software', { whenBusy: 'software' }],
    ['WD_WHEN_BUSY', 'fail', { whenBusy: 'fail' }],
  ])('%s=%s is an option', (name, text, options) => {
    expect(withEnvironment({}, { [name]: text })._unsafeUnwrap()).toEqual(options);
  });

  test.each([
    ['WD_ENGINES', '0', RANGE, 'a whole number from 1 to 16'],
    ['WD_ENGINES', '17', RANGE, 'a whole number from 1 to 16'],
    ['WD_ENGINES', '-1', VALUE, 'a whole number from 1 to 16'],
    ['WD_ENGINES', '2.5', VALUE, 'a whole number from 1 to 16'],
    ['WD_ENGINES', ' 2', VALUE, 'a whole number from 1 to 16'],
    ['WD_ENGINES', 'all', VALUE, 'a whole number from 1 to 16'],
    ['WD_ENGINES', '0x4', VALUE, 'a whole number from 1 to 16'],
    ['WD_ENGINES', '9'.repeat(400), RANGE, 'a whole number from 1 to 16'],
    ['WD_MEMORY', '31M', RANGE, 'from 32M to 4094M'],
    ['WD_MEMORY', '4G', RANGE, 'from 32M to 4094M'],
    ['WD_MEMORY', '33554433', RANGE, 'in whole mebibytes'],
    ['WD_MEMORY', '1T', VALUE, 'K, M or G'],
    ['WD_MEMORY', '1.5G', VALUE, 'K, M or G'],
    ['WD_MEMORY', '512MiB', VALUE, 'K, M or G'],
    ['WD_MEMORY', 'M', VALUE, 'K, M or G'],
    ['WD_MEMORY', '-64M', VALUE, 'K, M or G'],
    ['WD_WHEN_BUSY', 'Wait', VALUE, "'wait', 'software' or 'fail'"],
    ['WD_WHEN_BUSY', 'toString', VALUE, "'wait', 'software' or 'fail'"],
  ])('%s=%s is refused by its name, with its text and what would be right', (name, text, code, expected) => {
    const error = withEnvironment({}, { [name]: text })._unsafeUnwrapErr();
    expect(error).toMatchObject({ kind: 'InvalidArgument', argument: name, value: text, code });
    expect(error.message).toContain(`"${name}" must be`);
    expect(error.message).toContain(expected);
  });

  test('that is empty, or not there, says nothing; others are not looked at', () => {
    const environment = { WD_ENGINES: '', WD_MEMORY: undefined, WD_SPEED: 'fast', ENGINES: '0' };
    expect(withEnvironment({}, environment)._unsafeUnwrap()).toEqual({});
  });

  test('whose option the program gives is not looked at, right or wrong', () => {
    const given = { engines: 2, memoryBytes: 64 * MiB, whenBusy: 'fail', verify: true } as const;
    for (const text of ['3', 'nonsense']) {
      const environment = { WD_ENGINES: text, WD_MEMORY: text, WD_WHEN_BUSY: text };
      expect(withEnvironment(given, environment)._unsafeUnwrap()).toEqual(given);
    }
    const undefinedIsNotGiven = { engines: undefined } as never;
    expect(withEnvironment(undefinedIsNotGiven, { WD_ENGINES: '3' })._unsafeUnwrap()).toEqual({ engines: 3 });
  });
});

test('whatever the environment holds, the answer is options that open takes, or the name of a variable', () => {
  const text = fc.oneof(
    fc.string(),
    fc.integer().map(String),
    fc
      .tuple(fc.nat(), fc.constantFrom('', 'K', 'M', 'G', 'g', 'T'))
      .map(([count, unit]) => `${count}${unit}`),
    fc.constantFrom('wait', 'software', 'fail', ''),
  );
  const environment = fc.record(
    { WD_ENGINES: text, WD_MEMORY: text, WD_WHEN_BUSY: text },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(environment, (variables) => {
      const complete = withEnvironment({}, variables);
      if (complete.isOk()) expect(checkOpenOptions(complete.value).isOk()).toBe(true);
      else expect(Object.keys(variables)).toContain(complete.error.argument);
    }),
  );
});

test('every size that open takes can be written, in each unit that divides it', () => {
  const size = fc.integer({
    min: limits.MEMORY_BYTES_MIN / MiB,
    max: limits.MEMORY_BYTES_MAX / MiB,
  });
  fc.assert(
    fc.property(size, (mebibytes) => {
      const memoryBytes = mebibytes * MiB;
      for (const [unit, bytes] of [
        ['', 1],
        ['K', KiB],
        ['M', MiB],
      ] as const) {
        const complete = withEnvironment({}, { WD_MEMORY: `${memoryBytes / bytes}${unit}` });
        expect(complete._unsafeUnwrap()).toEqual({ memoryBytes });
      }
    }),
  );
});
