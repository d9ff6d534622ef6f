// Do the calls of the framework do what docs/calls.md says, and nothing else, whatever they are asked?
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import copy from '../../drivers/copy/index.js';
import zip from '../../drivers/zip/index.js';
import { mistakeInShape } from '../../src/base/plain-shape.js';
import { MiB, NS_PER_MS } from '../../src/base/units.js';
import { type CoprocessorEntry, callResults, type VcoprocEntry } from '../../src/coproc/call-results.js';
import { type CallName, calls } from '../../src/coproc/calls.js';
import type { VcoprocSnapshot } from '../../src/coproc/snapshot.js';
import { InlineMachine } from '../../src/machine/inline/inline-machine.js';
import { answersPart, callsPart } from './calls-page.js';
import { DomainsBench } from './domains-bench.js';
import { markedPart } from './page-parts.js';

const names = Object.keys(calls) as CallName[];
const page = readFileSync(new URL('../../docs/calls.md', import.meta.url), 'utf8');

/** Carries out the example of each call and of each of its failures, in the order of the table. */
function story(bench: DomainsBench): Map<CallName, unknown> {
  const answers = new Map<CallName, unknown>();
  for (const name of names) {
    answers.set(name, bench.ask(calls[name].example));
    for (const { code, when, example } of calls[name].failures) {
      expect([name, when, bench.call(example).isErr()]).toEqual([name, when, true]);
      expect([name, when, bench.call(example)._unsafeUnwrapErr().code]).toEqual([name, when, code]);
    }
  }
  return answers;
}

describe('docs/calls.md (R59)', () => {
  it('shows every call, with the answers that its examples get and the codes with which they fail', () => {
    // To bring the page up to date, put between its marks what was expected here.
    expect(markedPart(page, 'calls')).toBe(callsPart(story(new DomainsBench())));
  });

  it('says of what the answers consist', () => {
    expect(markedPart(page, 'answers')).toBe(answersPart());
  });

  it.each(names)('%s answers as it is documented', (name) => {
    const answer = story(new DomainsBench()).get(name);
    const shape = callResults[name];
    if (shape === null) expect(answer).toBeNull();
    else expect(mistakeInShape(shape, answer, 'answer')?.message).toBeUndefined();
    expect(structuredClone(answer)).toEqual(answer);
    expect(JSON.parse(JSON.stringify(answer))).toEqual(answer);
  });

  it('has examples that a machine with devices answers alike', async () => {
    const instances = [
      { id: 'zip0', driver: 'zip', policy: 'fair' },
      { id: 'copy0', driver: 'copy' },
    ];
    const machine = InlineMachine.create({ drivers: [zip, copy], instances })._unsafeUnwrap();
    for (const name of names) {
      expect([name, (await machine.call(calls[name].example)).isOk()]).toEqual([name, true]);
      for (const { code, example } of calls[name].failures) {
        const failed = await machine.call(example);
        expect([name, failed.isErr() && failed.error.code]).toEqual([name, code]);
      }
    }
  });
});

/** Everything that can be asked, of which a failing call must change nothing. */
function stateOf(bench: DomainsBench): unknown {
  return [
    bench.ask({ call: 'listDomains' }),
    bench.ask({ call: 'listVcoprocs' }),
    bench.framework.instances.map((instance) => bench.ask({ call: 'queryCoprocessor', instance })),
    bench.base.frames.freeFrames,
  ];
}

describe('a request', () => {
  const hostile: unknown[] = [
    undefined,
    null,
    5,
    [],
    {},
    'listDomains',
    { call: 5 },
    { call: 'toString' },
    { call: '__proto__' },
    { call: 'listDomains', extra: 1 },
    { call: 'queryCoprocessor' },
    { call: 'queryCoprocessor', instance: 7 },
    { call: 'createDomain', name: 'x', memoryBytes: '4MiB' },
    { call: 'createDomain', name: 'x', memoryBytes: 4 * MiB + 1 },
    { call: 'createDomain', name: 'x', memoryBytes: Number.NaN },
    { call: 'createDomain', name: '', memoryBytes: 4 * MiB },
    { call: 'createDomain', name: 'x', memoryBytes: 4 * MiB, coprocessors: { zip0: { weight: 1.5 } } },
    { call: 'createDomain', name: 'x', memoryBytes: 4 * MiB, coprocessors: ['zip0'] },
    { call: 'setPolicy', instance: 'zip0', policy: 'fair', parameters: JSON.parse('{"__proto__": 5}') },
    { call: 'listDomains', act: () => {} },
    {
      get call(): string {
        throw new Error('a getter of the caller');
      },
    },
    new Proxy({}, { ownKeys: () => fc.pre(false) as never }),
    new Map([['call', 'listDomains']]),
  ];

  it.each(hostile.map((request, index) => [index, request]))(
    'of a wrong shape (%i) is an error and changes nothing',
    (_, request) => {
      const bench = new DomainsBench();
      const before = stateOf(bench);
      expect(bench.call(request)._unsafeUnwrapErr()).toMatchObject({ kind: 'InvalidArgument' });
      expect(stateOf(bench)).toEqual(before);
    },
  );

  it('of any shape is answered once, and a refused one changes nothing', () => {
    const word = fc.constantFrom('zip0', 'copy0', 'host', 'web', 'fair', 'null', 'x');
    const member = fc.oneof(word, fc.jsonValue(), fc.integer(), fc.dictionary(word, fc.integer()));
    const keys = ['name', 'domain', 'instance', 'policy', 'parameters', 'memoryBytes', 'coprocessors'];
    const request = fc
      .tuple(fc.constantFrom(...names), fc.dictionary(fc.constantFrom(...keys), member, { maxKeys: 4 }))
      .map(([call, rest]) => ({ call, ...rest }));
    const bench = new DomainsBench();
    fc.assert(
      fc.property(request, (asked) => {
        const before = stateOf(bench);
        if (bench.call(asked).isErr()) expect(stateOf(bench)).toEqual(before);
      }),
      { numRuns: 500 },
    );
  });

  it('is what it was when it was made, whatever its maker does to it later', () => {
    const bench = new DomainsBench({ contextOf: () => ({ load: { kind: 'always' } }), stepNs: 1000 });
    bench.ask({ call: 'createDomain', name: 'old', memoryBytes: 4 * MiB, coprocessors: { zip0: {} } });
    bench.worker(bench.domain('old'), 'zip0');
    bench.advance(NS_PER_MS);
    bench.calls.call({ call: 'destroyDomain', domain: 'old' }, () => {});
    const request = {
      call: 'createDomain',
      name: 'web',
      memoryBytes: 4 * MiB,
      coprocessors: { zip0: { weight: 5 } },
    };
    bench.calls.call(request, () => {});
    request.name = 'host';
    request.coprocessors.zip0.weight = 0;
    bench.advance(NS_PER_MS);
    expect(bench.domains.all.map(({ name }) => name)).toEqual(['host', 'web']);
  });
});

describe('policies', () => {
  it('are changed, read back, and left as they were by a bad name (R17, R18)', () => {
    const bench = new DomainsBench();
    const read = () => bench.ask<CoprocessorEntry[]>({ call: 'listCoprocessors' })[0]!;
    const set = bench.ask<CoprocessorEntry>({
      call: 'setPolicy',
      instance: 'zip0',
      policy: 'round-robin',
      parameters: { sliceNs: 1_000_000 },
    });
    expect(set).toMatchObject({ policy: 'round-robin', parameters: { sliceNs: 1_000_000 } });
    expect(read()).toEqual(set);
    expect(bench.call({ call: 'setPolicy', instance: 'zip0', policy: 'credit2' }).isErr()).toBe(true);
    expect(bench.call({ call: 'setPolicy', instance: 'zip', policy: 'fair' }).isErr()).toBe(true);
    expect(read()).toEqual(set);
  });

  it('are changed under load, again and again, without a vcoproc or its work being lost (R17)', () => {
    const finished: number[] = [];
    const contextOf = () =>
      ({ load: { kind: 'periodic', periodNs: NS_PER_MS, workNs: NS_PER_MS / 8 } }) as const;
    const bench = new DomainsBench({
      contextOf,
      stepNs: 1000,
      finished: (context) => finished.push(context),
    });
    for (const name of ['web', 'batch', 'mail']) {
      bench.ask({ call: 'createDomain', name, memoryBytes: 2 * MiB, coprocessors: { zip0: {} } });
      bench.worker(bench.domain(name), 'zip0');
    }
    for (let change = 0; change < 100; change++) {
      const policy = change % 2 === 0 ? 'round-robin' : 'fair';
      bench.ask({ call: 'setPolicy', instance: 'zip0', policy });
      bench.advance(0.7 * NS_PER_MS);
    }
    const pairs = bench.ask<VcoprocEntry[]>({ call: 'listVcoprocs', instance: 'zip0' });
    expect(pairs.map(({ domain }) => domain)).toEqual(['host', 'web', 'batch', 'mail']);
    const counts = [...new Set(finished)].map(
      (context) => finished.filter((each) => each === context).length,
    );
    expect(counts).toHaveLength(3);
    for (const count of counts) expect(count).toBeGreaterThan(60);
  });
});

describe('parameters of a domain', () => {
  const zip = { call: 'queryVcoproc', domain: 'web', instance: 'zip0' };
  const web = {
    call: 'createDomain',
    name: 'web',
    memoryBytes: 4 * MiB,
    coprocessors: { zip0: { weight: 512, cooperates: 1 } },
  };
  const fairDefaults = { weight: 256, cap: 0, budgetNs: 0, periodNs: 0, latencyClass: 0, cooperates: 0 };

  it('are told as they are: defaults, what was set last, and under another policy what that one knows', () => {
    const bench = new DomainsBench();
    bench.ask(web);
    const read = () => bench.ask<VcoprocSnapshot>(zip).parameters;
    expect(read()).toEqual({ ...fairDefaults, weight: 512, cooperates: 1 });
    const set = { call: 'setDomainParameters', domain: 'web', instance: 'zip0' };
    bench.ask({ ...set, parameters: { cap: 50, cooperates: 0 } });
    expect(read()).toEqual({ ...fairDefaults, weight: 512, cap: 50 });
    bench.ask({ ...set, parameters: { cooperates: 1 } });
    bench.ask({ call: 'setPolicy', instance: 'zip0', policy: 'round-robin' });
    expect(read()).toEqual({ cooperates: 1 });
    bench.ask({ call: 'setPolicy', instance: 'zip0', policy: 'fair' });
    expect(read()).toEqual({ ...fairDefaults, weight: 512, cap: 50, cooperates: 1 });
    for (const parameters of [
      { cooperates: 2 },
      { cooperates: 0.5 },
      { cooperate: 1 },
      { weight: 1, cap: 101 },
    ]) {
      expect(bench.call({ ...set, parameters }).isErr()).toBe(true);
    }
    expect(read()).toEqual({ ...fairDefaults, weight: 512, cap: 50, cooperates: 1 });
  });

  it('are not those of an instance that is being taken away, whose promises count no longer', () => {
    const bench = new DomainsBench({ contextOf: () => ({ load: { kind: 'always' } }), stepNs: 1000 });
    bench.ask(web);
    bench.worker(bench.domain('web'), 'zip0');
    bench.advance(NS_PER_MS);
    let isDetached = false;
    bench.calls.call({ call: 'detach', domain: 'web', instance: 'zip0' }, () => {
      isDetached = true;
    });
    const parameters = { budgetNs: 8 * NS_PER_MS, periodNs: 10 * NS_PER_MS };
    const set = bench.call({ call: 'setDomainParameters', domain: 'web', instance: 'zip0', parameters });
    expect(isDetached).toBe(false);
    expect(set._unsafeUnwrapErr()).toMatchObject({ argument: 'domainId' });
    bench.advance(NS_PER_MS);
    expect(isDetached).toBe(true);
    bench.ask({ call: 'attach', domain: 'web', instance: 'zip0', parameters });
  });

  it('R21: belong to the policy that is told of with them at any moment, while domains come, change and go', () => {
    const load = { kind: 'periodic', periodNs: NS_PER_MS, workNs: NS_PER_MS / 2 } as const;
    const names: Record<string, string[]> = {
      fair: Object.keys(fairDefaults),
      'round-robin': ['cooperates'],
    };
    const step = fc.oneof(
      fc.record({ weight: fc.integer({ min: 1, max: 9 }), cooperates: fc.nat(1) }),
      fc.constantFrom('create', 'destroy', 'fair', 'round-robin'),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
        const bench = new DomainsBench({ contextOf: () => ({ load }), stepNs: 20_000 });
        bench.worker(bench.domain('host'), 'zip0');
        for (const each of steps) {
          // None of these is waited for.
          if (each === 'create') bench.calls.call(web, () => {});
          else if (each === 'destroy') bench.calls.call({ call: 'destroyDomain', domain: 'web' }, () => {});
          else if (typeof each === 'string')
            bench.calls.call({ call: 'setPolicy', instance: 'zip0', policy: each }, () => {});
          else
            bench.calls.call(
              { call: 'setDomainParameters', domain: 'host', instance: 'zip0', parameters: each },
              () => {},
            );
          for (let times = 0; times < 8; times++) {
            const { policy, vcoprocs } = bench.framework.query('zip0')._unsafeUnwrap();
            for (const { parameters } of vcoprocs)
              expect(Object.keys(parameters).sort()).toEqual([...names[policy]!].sort());
            bench.advance(15_000);
          }
        }
      }),
      { numRuns: 60 },
    );
  });
});
