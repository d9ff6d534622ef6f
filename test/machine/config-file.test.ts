// Is a start-up configuration what it says, and does every mistake in it have a name and a place?
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import copy from '../../drivers/copy/index.js';
import zip from '../../drivers/zip/index.js';
import { limits } from '../../src/base/limits.js';
import { memberPlace } from '../../src/base/plain-shape.js';
import { MiB } from '../../src/base/units.js';
import { fairPolicy } from '../../src/coproc/policies/fair.js';
import { builtinPolicies } from '../../src/machine/builtin-policies.js';
import { checkConfigFile } from '../../src/machine/config-file.js';
import { InlineMachine } from '../../src/machine/inline/inline-machine.js';
import { almost, config, right } from './config-arbitrary.js';
import { DomainsBench, drivers, known } from './domains-bench.js';

const setupOf = (data: unknown) => checkConfigFile(data, known)._unsafeUnwrap();
const mistakeOf = (data: unknown) => checkConfigFile(data, known)._unsafeUnwrapErr();

describe('a start-up configuration', () => {
  it('says which instances there are, how each is shared, and what domains have (R8, R9, R13)', () => {
    expect(setupOf(config)).toEqual({
      memoryBytes: 256 * MiB,
      instances: [
        {
          id: 'zip0',
          driver: 'zip',
          policy: 'fair',
          parameters: { latencyTargetNs: 2_000_000 },
          switchPayer: 'system',
          faultModel: 'pageRequests',
        },
        {
          id: 'zip1',
          driver: 'zip',
          policy: 'round-robin',
          parameters: {},
          switchPayer: 'to',
          faultModel: 'stall',
        },
        {
          id: 'copy0',
          driver: 'copy',
          policy: 'null',
          parameters: {},
          switchPayer: 'system',
          faultModel: 'pageRequests',
        },
      ],
      host: { zip0: {} },
      domains: [
        {
          name: 'web',
          memoryBytes: 4 * MiB,
          coprocessors: {
            zip0: { weight: 512, budgetNs: 2_000_000, periodNs: 10_000_000, cap: 50, cooperates: 1 },
          },
        },
        {
          name: 'batch',
          memoryBytes: 8 * MiB,
          coprocessors: { zip1: {}, copy0: {} },
          vcpu: { busyNs: 2_000_000, idleNs: 500_000 },
        },
      ],
    });
  });

  it('is what the machine is then: the registry has these instances, policies and vcoprocs (R8, R14)', () => {
    const bench = new DomainsBench({ config: { ...config, memory: '32MiB' } });
    const list = bench.ask<{ instance: string; policy: string; vcoprocs: number }[]>({
      call: 'listCoprocessors',
    });
    expect(list.map(({ instance, policy, vcoprocs }) => [instance, policy, vcoprocs])).toEqual([
      ['zip0', 'fair', 2],
      ['zip1', 'round-robin', 1],
      ['copy0', 'null', 1],
    ]);
  });

  it('of nothing is a machine with one instance of each driver, which the host uses (R12)', () => {
    const { memoryBytes, instances, host, domains } = setupOf({});
    expect(memoryBytes).toBe(limits.MEMORY_BYTES);
    expect(instances.map(({ id, policy }) => [id, policy])).toEqual([
      ['zip0', 'null'],
      ['copy0', 'null'],
    ]);
    expect([host, domains]).toEqual([{ zip0: {}, copy0: {} }, []]);
    expect(setupOf({ chosen: { coprocessors: [] } })).toMatchObject({ instances: [], host: {} });
  });

  it('lets a coprocessor say otherwise than the domain as a whole', () => {
    const web = { memory: '2MiB', weight: 100, coprocessors: { zip0: { weight: 300 } } };
    const { domains } = setupOf({ ...config, domains: { web } });
    expect(domains[0]!.coprocessors).toEqual({ zip0: { weight: 300 } });
  });

  it('is not looked at further than its own keys: names of Object are names', () => {
    const domains = { constructor: { memory: '2MiB', coprocessors: ['toString'] } };
    const chosen = { coprocessors: [{ id: 'toString', driver: 'zip', policy: 'fair' }] };
    expect(setupOf({ chosen, domains }).domains[0]).toMatchObject({ name: 'constructor' });
    expect(mistakeOf(JSON.parse('{"__proto__": {}}')).argument).toBe('__proto__');
    expect(mistakeOf({ domains: JSON.parse('{"__proto__": {"memory": 5}}') }).argument).toBe(
      'domains.__proto__',
    );
    expect(mistakeOf({ chosen, domains: { host: { coprocessors: ['valueOf'] } } }).value).toBe('valueOf');
  });
});

/** The keys that lead to a place. */
function keysTo(place: string): string[] {
  const steps = [...place.matchAll(/\[("(?:[^"\\]|\\.)*"|\d+)\]|([^.[\]]+)/g)];
  return steps.map(([, bracketed, name]) => name ?? String(JSON.parse(bracketed!)));
}

type Keyed = Record<string, unknown>;

/** A copy of `config` with other values at some places; undefined for none. */
function changed(values: Readonly<Record<string, unknown>>): unknown {
  const copied = structuredClone(config) as Keyed;
  for (const [place, value] of Object.entries(values)) {
    const keys = keysTo(place);
    const last = keys.pop()!;
    const owner = keys.reduce((inner, key) => inner[key] as Keyed, copied);
    if (value === undefined) delete owner[last];
    else owner[last] = value;
  }
  return copied;
}

/** What is wrong, the values that make it so, what the message says, and the place, if it is not that of the value. */
type Case = readonly [what: string, values: Readonly<Keyed>, message: RegExp, place?: string];

const first = 'chosen.coprocessors[0]';
const second = 'chosen.coprocessors[1]';

const keys: readonly Case[] = [
  ['an unknown key', { [`${second}.polcy`]: 'fair' }, /did you mean "policy"/],
  ['an unknown key of the whole', { domain: {} }, /did you mean "domains"/],
  ['a key like none', { 'chosen["two words"]': 1 }, /the keys are coprocessors/],
  ['a host with memory', { 'domains.host.memory': '64MiB' }, /there is no such key/],
  ['a name of a domain with a dot', { 'domains["a.b"]': { memory: '2MiB' } }, /its name would have to be/],
  ['chosen of a wrong type', { chosen: [] }, /an object, not an array/],
  ['coprocessors of a wrong type', { 'domains.web.coprocessors': 'zip0' }, /an array.*or an object/],
];

const coprocessors: readonly Case[] = [
  ['no id', { [`${second}.id`]: undefined }, /an object with "id"/, second],
  ['the id of another', { [`${second}.id`]: 'zip0' }, /no other/],
  ['an id with a space', { [`${first}.id`]: 'zip 0' }, /letters, digits/],
  ['an unknown driver', { [`${first}.driver`]: 'sec' }, /one of zip, copy/],
  ['an unknown policy', { [`${second}.policy`]: 'credit' }, /one of null, round-robin, fair, not "credit"/],
  [
    'a parameter of another policy',
    { [`${first}.parameters.sliceNs`]: 5 },
    /policy fair has no parameter "sliceNs"/,
  ],
  ['an unknown payer', { [`${second}.switchPayer`]: 'me' }, /system, from, to/],
  ['an unknown fault model', { [`${second}.faultModel`]: 'ats' }, /pageRequests, stall, none/],
];

const domains: readonly Case[] = [
  ['a misspelt parameter', { 'domains.web.coprocessors.zip0.wieght': 5 }, /did you mean "weight"/],
  [
    'a parameter out of range',
    { 'domains.web.coprocessors.zip0.cap': 101 },
    /from 0 to 100 percent, not 101/,
  ],
  [
    'a promise that is neither made nor not',
    { 'domains.web.coprocessors.zip0.cooperates': 2 },
    /from 0 to 1, not 2/,
  ],
  ['a processor that never runs', { 'domains.batch.vcpu.busy': 0 }, /from 1 to 1000000000000 ns/],
  ['a processor that sleeps too long', { 'domains.batch.vcpu.idle': '1001s' }, /not "1001s"/],
  ['half a pattern', { 'domains.batch.vcpu.idle': undefined }, /with "idle"/, 'domains.batch.vcpu'],
  ['a processor of the host', { 'domains.host.vcpu': { busy: 1, idle: 1 } }, /there is no such key/],
  ['a shorthand out of range', { 'domains.web.weight': 0 }, /from 1 to 65535, not 0/],
  ['a time out of range', { 'domains.web.period': '11s' }, /to 10000000000 ns, not 11000000000/],
  [
    'a shorthand that a policy does not know',
    { 'domains.batch.weight': 5 },
    /policy round-robin of zip1 has no/,
  ],
  [
    'a budget without a period',
    { 'domains.web.period': undefined },
    /budgetNs and periodNs are given together/,
    'domains.web.coprocessors.zip0',
  ],
  [
    'budgets that do not fit together',
    { 'domains.mail': { memory: '2MiB', coprocessors: ['zip0'], budget: '9ms', period: '10ms' } },
    /90 % more do not fit/,
    'domains.mail.coprocessors[0]',
  ],
  ['an unknown instance', { 'domains.batch.coprocessors[1]': 'copy1' }, /one of zip0, zip1, copy0/],
  ['an instance named twice', { 'domains.batch.coprocessors[2]': 'zip1' }, /not name already/],
  [
    'two under a policy that serves one',
    { 'domains.mail': { memory: '2MiB', coprocessors: ['copy0'] } },
    /policy null serves 1 at most/,
    'domains.mail.coprocessors[0]',
  ],
  [
    'a host that has by default what serves one',
    { 'domains.host': undefined },
    /the host counts unless domains\.host says otherwise/,
    'domains.batch.coprocessors[1]',
  ],
];

const memory: readonly Case[] = [
  ['a text without a unit', { memory: '256' }, /such as "2GiB", not "256"/],
  ['no whole number of units', { memory: '32769KiB' }, /steps of 65536 bytes/],
  ['too much', { memory: '4GiB' }, /not "4GiB"/],
  ['a fraction of a byte', { memory: 1e8 + 0.5 }, /a whole number/],
  ['a wrong type', { memory: [1] }, /not an array of 1/],
  ['none for a domain', { 'domains.batch.memory': undefined }, /an object with "memory"/, 'domains.batch'],
  ['no page for a domain', { 'domains.web.memory': 0 }, /from 2097152/],
  [
    'more for a domain than there is',
    { 'domains.batch.memory': '240MiB' },
    /at most \d+ bytes: memory has 268435456/,
  ],
];

describe('a mistake is named by its place, with the value and what would be right', () => {
  it.for([...keys, ...coprocessors, ...domains, ...memory])('%s', ([, values, message, place]) => {
    const mistake = mistakeOf(changed(values));
    expect(mistake).toMatchObject({ kind: 'InvalidArgument', argument: place ?? Object.keys(values)[0] });
    expect(mistake.message).toMatch(message);
  });

  it.each([null, [], 5, 'text', true])('a whole that is %j', (whole) => {
    expect(mistakeOf(whole)).toMatchObject({ argument: 'configuration', value: whole });
  });

  it('a device that the IOMMU does not check is not shared (R44)', () => {
    const fpga = { name: 'fpga', device: { ...drivers[0]!.device, unprotected: true as const } };
    const with_ = { ...known, drivers: [...drivers, fpga] };
    const data = { chosen: { coprocessors: [{ id: 'fpga0', driver: 'fpga' }] } };
    const mistake = checkConfigFile(data, with_)._unsafeUnwrapErr();
    expect(mistake).toMatchObject({ argument: 'chosen.coprocessors[0].driver', value: 'fpga' });
    expect(mistake.message).toMatch(/no IOMMU checks/);
    expect(
      checkConfigFile({}, with_)
        ._unsafeUnwrap()
        .instances.map(({ id }) => id),
    ).toEqual(['zip0', 'copy0']);
  });

  it('a policy that the machine was built without is unknown, the default one too (R10)', () => {
    const without = { drivers, policies: [fairPolicy] };
    const data = { chosen: { coprocessors: [{ id: 'zip0', driver: 'zip' }] } };
    expect(checkConfigFile(data, without)._unsafeUnwrapErr()).toMatchObject({
      argument: 'chosen.coprocessors[0]',
      value: 'null',
    });
    expect(checkConfigFile({}, without)._unsafeUnwrapErr().argument).toBe('configuration');
  });

  it('more domains than an instance has contexts for', () => {
    const coprocessors = [{ id: 'zip0', driver: 'zip', policy: 'fair' }];
    const names = Array.from({ length: limits.CONTEXTS_PER_INSTANCE }, (_, index) => `d${index}`);
    const data = {
      memory: 4 * 1024 * MiB - 2 * MiB,
      chosen: { coprocessors },
      domains: Object.fromEntries(names.map((name) => [name, { memory: '2MiB', coprocessors: ['zip0'] }])),
    };
    expect(mistakeOf(data).argument).toBe(`domains.${names.at(-1)}.coprocessors[0]`);
  });
});

/** What is at a place; `missing` when it leads nowhere. */
function at(data: unknown, place: string): unknown {
  if (place === 'configuration') return { found: data };
  let found = data;
  for (const key of keysTo(place)) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, key)) return 'missing';
    found = (found as Keyed)[key];
  }
  return { found };
}

describe('any data', () => {
  it('gives a setup or an error, whose place is in the data and whose value is there', () => {
    const seen = { setups: 0, mistakes: 0 };
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), almost, right), (data) => {
        checkConfigFile(data, known).match(
          () => (seen.setups += 1),
          ({ argument, value }) => {
            seen.mistakes += 1;
            expect(at(data, argument)).not.toBe('missing');
            expect(JSON.stringify(value)).toBeDefined();
          },
        );
      }),
      { numRuns: 2000 },
    );
    expect(seen.setups).toBeGreaterThan(100);
    expect(seen.mistakes).toBeGreaterThan(100);
  });

  it('that gives a setup gives a machine: nothing is found out later', () => {
    fc.assert(
      fc.property(right, (data) => {
        const checked = checkConfigFile(data, { drivers: [zip, copy], policies: builtinPolicies });
        if (checked.isErr()) return;
        const machine = InlineMachine.create({ ...checked.value, drivers: [zip, copy] })._unsafeUnwrap();
        const names = machine.domains.all.map((each) => each.name);
        expect(names).toEqual(['host', ...Object.keys(data.domains)]);
      }),
      { numRuns: 30 },
    );
  });

  it('is led to by a place that can be followed, whatever the keys', () => {
    fc.assert(
      fc.property(fc.array(fc.string(), { minLength: 1, maxLength: 4 }), (keys) => {
        const data = keys.reduceRight<unknown>((inner, key) => Object.fromEntries([[key, inner]]), 5);
        expect(at(data, keys.reduce(memberPlace, ''))).not.toBe('missing');
      }),
    );
  });
});
