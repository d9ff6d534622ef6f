// Is a machine that is described in a program, and not in a file, checked as well before anything is built?
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import copy from '../../drivers/copy/index.js';
import zip from '../../drivers/zip/index.js';
import { MiB } from '../../src/base/units.js';
import { InlineMachine, type InlineMachineOptions } from '../../src/machine/inline/inline-machine.js';

const bare = { ...copy, name: 'bare', device: { ...copy.device, name: 'bare', unprotected: true as const } };
const mistakeIn = (options: object) => {
  const all = { drivers: [zip, bare], memoryBytes: 32 * MiB, ...options } as InlineMachineOptions;
  return InlineMachine.create(all)._unsafeUnwrapErr();
};
const fair = (options: object) => ({
  instances: [{ id: 'zip0', driver: 'zip', policy: 'fair', ...options }],
});

describe('a description of a machine', () => {
  it.each([
    [
      'a parameter that the policy does not have',
      fair({ parameters: { speed: 1 } }),
      'parameters of zip0.speed',
    ],
    [
      'a parameter out of range',
      fair({ parameters: { latencyTargetNs: -1 } }),
      'parameters of zip0.latencyTargetNs',
    ],
    [
      'a parameter of a wrong type',
      fair({ parameters: { latencyTargetNs: '5' } }),
      'parameters of zip0.latencyTargetNs',
    ],
    ['nobody who pays', fair({ switchPayer: 'me' }), 'switchPayer of zip0'],
    ['a device that no IOMMU checks (R44)', { instances: [{ id: 'b', driver: 'bare' }] }, 'driver of b'],
    ['an instance of the host that is none', { ...fair({}), host: { zip9: {} } }, 'host'],
    ['a number for a list of instances', { instances: 5 }, 'instances'],
    ['nothing among the instances', { instances: [null] }, 'instances'],
    ['a domain that is none', { domains: [null] }, 'domains'],
    ['a list for the host', { host: [] }, 'host'],
    ['a parameter of the host that is none', { ...fair({}), host: { zip0: { wait: 5 } } }, 'host.zip0.wait'],
  ])('with %s is refused, and its place is named', (_, options, argument) => {
    expect(mistakeIn(options)).toMatchObject({ kind: 'InvalidArgument', argument });
  });

  it('of whatever values is refused or built, and never throws', () => {
    const member = fc.oneof(
      { weight: 3, arbitrary: fc.anything() },
      { weight: 1, arbitrary: fc.constantFrom('zip', 'zip0', 'fair', 1, {}, []) },
    );
    const record = fc.dictionary(
      fc.constantFrom(
        'id',
        'driver',
        'name',
        'policy',
        'parameters',
        'coprocessors',
        'vcpu',
        'memoryBytes',
        'zip0',
      ),
      member,
    );
    const value = fc.oneof(member, record, fc.array(fc.oneof(record, member), { maxLength: 3 }));
    const options = fc.dictionary(
      fc.constantFrom('instances', 'domains', 'host', 'memoryBytes', 'invalidationTimeoutNs'),
      value,
    );
    const property = fc.property(options, (given) => {
      const all = { drivers: [zip, bare], memoryBytes: 32 * MiB, ...given } as InlineMachineOptions;
      const result = InlineMachine.create(all);
      if (result.isErr()) expect(result.error.kind).toMatch(/^(InvalidArgument|InvalidState|Busy)$/);
    });
    fc.assert(property, { numRuns: 300 });
  });
});
