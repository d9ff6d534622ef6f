// Is a machine that is described in a program, and not in a file, checked as well before anything is built?
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
    ['a parameter of the host that is none', { ...fair({}), host: { zip0: { wait: 5 } } }, 'host.zip0.wait'],
  ])('with %s is refused, and its place is named', (_, options, argument) => {
    expect(mistakeIn(options)).toMatchObject({ kind: 'InvalidArgument', argument });
  });
});
