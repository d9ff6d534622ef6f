// Is a plug-in that is no policy refused at once, and is a parameter complete, whole and in range before a policy sees it?
import { describe, expect, it } from 'vitest';
import { completeParameters, definePolicy, type ParameterSpec } from '../../src/coproc/policy.js';

describe('definePolicy', () => {
  const create = (): never => {
    throw new Error('not called');
  };
  const whole = { name: 'x', parameters: [], vcoprocParameters: [], create };

  it('answers a policy unchanged', () => {
    expect(definePolicy(whole)).toBe(whole);
  });

  it.each([
    null,
    {},
    { ...whole, name: '' },
    { ...whole, name: 5 },
    { ...whole, create: 1 },
    { ...whole, parameters: undefined },
    { ...whole, vcoprocParameters: {} },
  ])('refuses %j', (module) => {
    expect(() => definePolicy(module as never)).toThrow('definePolicy');
  });
});

describe('completeParameters', () => {
  const common = { takesEffect: 'next turn', doc: '' };
  const specs: readonly ParameterSpec[] = [
    { ...common, name: 'sliceNs', unit: 'ns', least: 10, most: 99, default: 50 },
    { ...common, name: 'weight', unit: '1', least: 1, most: 8, default: 2 },
  ];

  it('fills in defaults, and keeps what was given, up to both ends', () => {
    expect(completeParameters(specs, {}, 'x')).toEqual({ sliceNs: 50, weight: 2 });
    expect(completeParameters(specs, { sliceNs: 10, weight: 8 }, 'x')).toEqual({ sliceNs: 10, weight: 8 });
    expect(completeParameters([], {}, 'x')).toEqual({});
  });

  it.each([
    [{ sliceNs: 9 }, 'x.sliceNs', 'a whole number from 10 to 99 ns'],
    [{ sliceNs: 100 }, 'x.sliceNs', 'a whole number from 10 to 99 ns'],
    [{ weight: 1.5 }, 'x.weight', 'a whole number from 1 to 8'],
    [{ weight: Number.NaN }, 'x.weight', 'a whole number from 1 to 8'],
    [{ wait: 1 }, 'x.wait', 'one of sliceNs, weight'],
  ])('refuses %j and names the value', (given, argument, expected) => {
    const mistake = completeParameters(specs, given, 'x');
    expect(mistake).toMatchObject({ kind: 'InvalidArgument' });
    expect(mistake.message).toContain(argument);
    expect(mistake.message).toContain(expected);
  });
});
