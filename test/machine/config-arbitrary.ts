/**
 * A start-up configuration, and any number of others that are right or almost so.
 */
import fc from 'fast-check';
import { MiB } from '../../src/base/units.js';

/** A machine with two kinds of sharing, as a file would say it. */
export const config = {
  memory: '256MiB',
  chosen: {
    coprocessors: [
      { id: 'zip0', driver: 'zip', policy: 'fair', parameters: { latencyTargetNs: 2_000_000 } },
      { id: 'zip1', driver: 'zip', policy: 'round-robin', switchPayer: 'to', faultModel: 'stall' },
      { id: 'copy0', driver: 'copy' },
    ],
  },
  domains: {
    host: { coprocessors: ['zip0'] },
    web: {
      memory: 4 * MiB,
      coprocessors: { zip0: { cap: 50, cooperates: 1 } },
      weight: 512,
      budget: '2ms',
      period: '10ms',
    },
    batch: {
      memory: '8MiB',
      coprocessors: ['zip1', 'copy0'],
      vcpu: { busy: '2ms', idle: 500_000 },
    },
  },
};

const name = fc.constantFrom(
  'zip0',
  'zip1',
  'copy0',
  'web',
  'host',
  'zip',
  'copy',
  'fair',
  'null',
  'round-robin',
  'é',
  '',
);
const bytes = fc.constantFrom<unknown>(
  '32MiB',
  '2MiB',
  '4MiB',
  '64KiB',
  '1GiB',
  2 * MiB,
  3 * MiB + 1,
  0,
  null,
  '2 MiB',
);
const parameters = fc.dictionary(
  fc.constantFrom('weight', 'cap', 'budgetNs', 'periodNs', 'sliceNs', 'minRunNs', 'cooperates', 'x y'),
  fc.constantFrom<unknown>(0, 1, 50, 500_000, 2_000_000, -1, 0.5, '1'),
  { maxKeys: 2 },
);
const partly = <T>(model: { [Key in keyof T]: fc.Arbitrary<T[Key]> }) =>
  fc.record(model, { requiredKeys: [] });
const uses = fc.oneof(
  fc.array(fc.constantFrom('zip0', 'zip1', 'copy0', 'none'), { maxLength: 3 }),
  fc.dictionary(fc.constantFrom('zip0', 'zip1', 'copy0', 'none'), parameters, { maxKeys: 3 }),
);
const domain = partly<Record<string, unknown>>({
  memory: bytes,
  coprocessors: uses,
  weight: fc.constantFrom(1, 300, 70_000),
  cap: fc.constantFrom(0, 60, 200),
  budget: fc.constantFrom('2ms', '9ms', 1_000_000, 'no'),
  period: fc.constantFrom('10ms', 10_000_000),
  vcpu: partly<Record<string, unknown>>({
    busy: fc.constantFrom<unknown>('1ms', 5, 0),
    idle: fc.constantFrom<unknown>('1s', 0, '1h'),
  }),
});
const coprocessor = (id: string, driver: string) =>
  fc.record(
    {
      id: fc.oneof({ weight: 9, arbitrary: fc.constant(id) }, name),
      driver: fc.oneof({ weight: 9, arbitrary: fc.constant(driver) }, name),
      policy: fc.oneof({ weight: 9, arbitrary: fc.constantFrom('fair', 'round-robin', 'null') }, name),
      parameters,
      switchPayer: fc.constantFrom('system', 'from', 'to', 'nobody'),
      faultModel: fc.constantFrom('pageRequests', 'stall', 'none', 'all'),
    },
    { requiredKeys: ['id', 'driver'] },
  );
/** Configurations, most of them with few mistakes. */
export const almost = partly<Record<string, unknown>>({
  memory: fc.constantFrom<unknown>('32MiB', 32 * MiB, '48MiB', '4GiB', 5),
  chosen: fc.record({
    coprocessors: fc.tuple(
      coprocessor('zip0', 'zip'),
      coprocessor('zip1', 'zip'),
      coprocessor('copy0', 'copy'),
    ),
  }),
  domains: fc.oneof(
    partly<Record<string, unknown>>({ host: partly({ coprocessors: uses }), web: domain, batch: domain }),
    fc.dictionary(name, domain, { maxKeys: 3 }),
  ),
});

/** Configurations in which most names and ranges are right. */
export const right = fc.record({
  memory: fc.constantFrom('32MiB', '36MiB'),
  chosen: fc.record({
    coprocessors: fc.tuple(
      ...['zip0', 'zip1', 'copy0'].map((id) =>
        fc.record({
          id: fc.constant(id),
          driver: fc.constant(id.slice(0, -1)),
          policy: fc.constantFrom('fair', 'fair', 'round-robin'),
        }),
      ),
    ),
  }),
  domains: fc.dictionary(
    fc.constantFrom('web', 'batch', 'mail'),
    fc.record(
      {
        memory: fc.constantFrom('2MiB', '4MiB', '6MiB', 3 * MiB),
        coprocessors: fc.uniqueArray(fc.constantFrom('zip0', 'zip1', 'copy0')),
      },
      { requiredKeys: ['memory'] },
    ),
  ),
});
