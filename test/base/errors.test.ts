// Does an error say what happened, with which value, and what would have been right?
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assert, InvariantError } from '../../src/base/assert.js';
import { defineDriver } from '../../src/base/define-driver.js';
import { deviceLost, invalidArgument, invalidState, showValue } from '../../src/base/errors.js';
import { errno, errnoName } from '../../src/uapi/errno.js';

describe('values in messages', () => {
  it('are short, on one line, and never throw, whatever the value', () => {
    const property = fc.property(
      fc.anything({ withNullPrototype: true, withBigInt: true, withDate: true }),
      (value) => {
        const shown = showValue(value);
        expect(shown.length).toBeLessThan(200);
        expect(shown).not.toContain('\n');
      },
    );
    fc.assert(property, { numRuns: 500 });
  });

  it.each([
    ['a\nb', '"a\\nb"'],
    ['x'.repeat(100), `"${'x'.repeat(57)}..."`],
    [5n, '5'],
    [Symbol('s'), 'Symbol(s)'],
    [Object.create(null), 'an instance of Object'],
    [[1, 2], 'an array of 2'],
    [new Uint8Array(1), 'an instance of Uint8Array'],
    [() => {}, 'a function'],
    [null, 'null'],
  ])('%s', (value, shown) => expect(showValue(value)).toBe(shown));

  it('an object whose constructor is hostile is shown all the same', () => {
    const name = {
      get: (): string => {
        throw new Error('no');
      },
    };
    const hostile = [
      { constructor: 5 },
      { constructor: { name: 'x\ny'.repeat(100) } },
      Object.defineProperty({}, 'constructor', name),
      new Proxy(
        {},
        {
          get: () => {
            throw new Error('no');
          },
        },
      ),
    ];
    for (const value of hostile) {
      const shown = showValue(value);
      expect(shown).toMatch(/^an instance of \S{1,60}$/);
    }
  });
});

describe('errors', () => {
  it('name argument, value and remedy, with the code that Node would use', () => {
    const error = invalidArgument({ argument: 'level', value: 99, expected: 'a whole number from 0 to 9' });
    expect(error).toEqual({
      kind: 'InvalidArgument',
      code: 'ERR_INVALID_ARG_VALUE',
      message: '"level" must be a whole number from 0 to 9, not 99',
      retryable: false,
      argument: 'level',
      value: 99,
    });
    expect(invalidArgument({ argument: 'a', value: 1, expected: 'b', code: 'ERR_X' }).code).toBe('ERR_X');
  });

  it('say whether a retry can help', () => {
    expect(invalidState('closed').retryable).toBe(false);
    expect(deviceLost('zip0', 'exit')).toMatchObject({ retryable: true, device: 'zip0' });
  });

  it('a broken invariant is another kind: it stops, and says so', () => {
    expect(() => assert(false, 'two is two')).toThrow(new InvariantError('broken invariant: two is two'));
    assert(true, '');
  });

  it('every errno has its name, with either sign, and an unknown one its number', () => {
    for (const [name, value] of Object.entries(errno)) {
      expect([errnoName(value), errnoName(-value)]).toEqual([name, name]);
    }
    expect(errnoName(-999)).toBe('errno 999');
    expect(new Set(Object.values(errno)).size).toBe(Object.keys(errno).length);
  });
});

describe('a driver module', () => {
  const right = { name: 'zip', device: {}, kernelDriver: {}, userDriver: async () => ({}) };

  it('of the right shape is answered unchanged', () => {
    expect(defineDriver(right)).toBe(right);
  });

  it.each([
    ['no object', null, 'must be an object'],
    ['a bad name', { ...right, name: 'Zip!' }, '"name"'],
    ['no device', { ...right, device: undefined }, '"device" of zip'],
    ['no kernel driver', { ...right, kernelDriver: null }, '"kernelDriver" of zip'],
    ['a user driver that is loaded already', { ...right, userDriver: {} }, '"userDriver" of zip'],
  ])('with %s is refused, and told what is missing', (_what, module, message) => {
    expect(() => defineDriver(module as never)).toThrow(message);
  });
});
