// What does a domain get, what is left of it when it fails or ends, and can everything be asked at any moment?
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { limits } from '../../src/base/limits.js';
import { MiB, NS_PER_MS, PAGE_BYTES } from '../../src/base/units.js';
import type { CoprocessorDetails, DomainEntry, VcoprocEntry } from '../../src/coproc/call-results.js';
import { errno } from '../../src/uapi/errno.js';
import { UACCE_CMD_PUT_Q } from '../../src/uapi/ioctl.js';
import { DomainsBench, type DomainsBenchOptions } from './domains-bench.js';

const ALL_FAIR = {
  memory: '32MiB',
  chosen: {
    coprocessors: [
      { id: 'zip0', driver: 'zip', policy: 'fair' },
      { id: 'zip1', driver: 'zip', policy: 'round-robin' },
      { id: 'copy0', driver: 'copy', policy: 'fair' },
    ],
  },
};

const create = (name: string, ...instances: string[]) => ({
  call: 'createDomain',
  name,
  memoryBytes: 2 * MiB,
  coprocessors: Object.fromEntries(instances.map((instance) => [instance, {}])),
});

const pairsOf = (entries: readonly VcoprocEntry[]): string[] =>
  entries.map(({ domain, instance }) => `${domain} ${instance}`).sort();

/** Pairs of domain and instance, asked by domain and by instance (R20). */
function views(bench: DomainsBench): { byDomain: string[]; byInstance: string[] } {
  const list = (filter: object) => bench.ask<VcoprocEntry[]>({ call: 'listVcoprocs', ...filter });
  const domains = bench.ask<DomainEntry[]>({ call: 'listDomains' });
  return {
    byDomain: pairsOf(domains.flatMap(({ name }) => list({ domain: name }))),
    byInstance: pairsOf(bench.framework.instances.flatMap((instance) => list({ instance }))),
  };
}

describe('a domain that is created', () => {
  it('uses none, one or several coprocessors (R7), each pair listed exactly once (R14, R20)', () => {
    const bench = new DomainsBench({ config: ALL_FAIR });
    bench.ask(create('none'));
    bench.ask(create('one', 'zip1'));
    bench.ask(create('three', 'zip0', 'zip1', 'copy0'));
    const { byDomain, byInstance } = views(bench);
    expect(byDomain.filter((pair) => !pair.startsWith('host'))).toEqual(
      ['one zip1', 'three copy0', 'three zip0', 'three zip1'].sort(),
    );
    expect(byInstance).toEqual(byDomain);
    expect(bench.framework.vcoprocsOf(bench.domain('none').id)).toEqual([]);
  });

  it('sees devices of its own and none of others', () => {
    const bench = new DomainsBench({ config: ALL_FAIR });
    const [web, batch] = ['web', 'batch'].map((name) => bench.ask<DomainEntry>(create(name, 'zip0')));
    const user = bench.user(bench.domain('web'));
    expect(user.open(`/dev/${web!.devices.zip0}`)).toBeGreaterThanOrEqual(0);
    expect(user.open(`/dev/${batch!.devices.zip0}`)).toBe(-errno.ENOENT);
  });

  it('is ready to be scheduled, and not switched to before it starts something (R15)', () => {
    const contextOf = () => ({ load: { kind: 'always' } }) as const;
    const bench = new DomainsBench({ contextOf });
    bench.ask(create('web', 'zip0'));
    bench.advance(50 * NS_PER_MS);
    const query = () => bench.framework.query('zip0')._unsafeUnwrap();
    const web = () => query().vcoprocs.find(({ domainId }) => domainId === bench.domain('web').id)!;
    expect([query().switches.entered, web().state]).toEqual([0, 'SLEEPING']);
    bench.worker(bench.domain('web'), 'zip0');
    bench.advance(NS_PER_MS);
    expect([query().switches.entered, web().state]).toEqual([1, 'RUNNING']);
  });

  it('has a name of its own', () => {
    const bench = new DomainsBench();
    bench.ask(create('web', 'zip0'));
    for (const name of ['web', 'host'])
      expect(bench.call(create(name))._unsafeUnwrapErr()).toMatchObject({ argument: 'name', value: name });
  });

  it('waits for the end of the one whose name it takes over', () => {
    const bench = new DomainsBench({ contextOf: () => ({ load: { kind: 'always' } }), stepNs: 1000 });
    bench.ask(create('web', 'zip0'));
    const old = bench.domain('web');
    bench.worker(old, 'zip0');
    bench.advance(NS_PER_MS);
    bench.calls.call({ call: 'destroyDomain', domain: 'web' }, () => {});
    const answers: boolean[] = [];
    for (let times = 0; times < 2; times++)
      bench.calls.call(create('web', 'zip0'), (answer) => answers.push(answer.isOk()));
    expect([answers, bench.domains.changes, old.phase]).toEqual([[], 3, 'ending']);
    bench.advance(NS_PER_MS);
    expect([answers, bench.domains.changes]).toEqual([[true, false], 0]);
    expect(bench.domain('web')).not.toBe(old);
  });

  it('is refused while too many changes are under way', () => {
    const bench = new DomainsBench({ contextOf: () => ({ load: { kind: 'always' } }), stepNs: 1000 });
    bench.ask(create('web', 'zip0'));
    bench.worker(bench.domain('web'), 'zip0');
    bench.advance(NS_PER_MS);
    const refused: string[] = [];
    for (let times = 0; times < limits.DOMAIN_CHANGES_WAITING + 1; times++)
      bench.calls.call({ call: 'detach', domain: 'web', instance: 'zip0' }, (answer) => {
        if (answer.isErr()) refused.push(answer.error.message);
      });
    expect(refused).toHaveLength(1);
    expect(refused[0]).toContain(`${limits.DOMAIN_CHANGES_WAITING} changes`);
  });
});

/** What must be as before: memory, numbers, vcoprocs, devices. */
function remains(bench: DomainsBench) {
  return {
    freeFrames: bench.base.frames.freeFrames,
    hostFrames: bench.base.host.usedFrames,
    domains: bench.ask<DomainEntry[]>({ call: 'listDomains' }),
    ...views(bench),
    contexts: [...bench.hardware.values()].map(({ contexts }) => contexts),
  };
}

describe('a domain whose creation fails (R16)', () => {
  const steps = ['id', 'memory', 'directory', 'vcoproc', 'device'];
  /** The step `failing`, the `times`-th time that it is taken from `isArmed` on. */
  const failing = (step: string, times: number): DomainsBenchOptions & { arm: () => void } => {
    let left = Number.POSITIVE_INFINITY;
    return {
      config: ALL_FAIR,
      arm: () => {
        left = times;
      },
      failsAt: (asked) => {
        if (asked === step) left -= 1;
        return asked === step && left === 0;
      },
    };
  };

  it.each(
    steps.flatMap((step) =>
      step === 'id' || step === 'memory' ? [[step, 1]] : [1, 2, 3].map((n) => [step, n]),
    ),
  )('at step %s, instance %i, leaves nothing behind, and can be tried again', (step, times) => {
    const options = failing(step as string, times as number);
    const bench = new DomainsBench(options);
    const before = remains(bench);
    options.arm();
    const request = create('web', 'zip0', 'zip1', 'copy0');
    expect(bench.call(request).isErr()).toBe(true);
    expect(remains(bench)).toEqual(before);
    const id = bench.ask<DomainEntry>(request).id;
    bench.ask({ call: 'destroyDomain', domain: 'web' });
    expect([id, remains(bench)]).toEqual([1, before]);
  });

  it('for want of memory, at whatever point it is used up, leaves nothing behind', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 40 }), (leftFrames) => {
        const bench = new DomainsBench({ config: ALL_FAIR });
        const { frames } = bench.base;
        // Room for the carve-out, and for this many frames beside it.
        const guest = frames.carve({ frames: 512, owner: 1000, alignFrames: 512 })!;
        while (frames.freeFrames > leftFrames) frames.allocate({ frames: 1, owner: 1 });
        frames.takeBack(guest);
        const before = remains(bench);
        const answer = bench.call(create('web', 'zip0', 'zip1', 'copy0'));
        if (answer.isOk()) bench.ask({ call: 'destroyDomain', domain: 'web' });
        expect(remains(bench)).toEqual(before);
      }),
      { numRuns: 41 },
    );
  });

  it('keeps other domains going', () => {
    const options = failing('device', 2);
    const bench = new DomainsBench({ ...options, contextOf: () => ({ load: { kind: 'always' } }) });
    bench.ask(create('web', 'zip0'));
    bench.worker(bench.domain('web'), 'zip0');
    options.arm();
    expect(bench.call(create('batch', 'zip0', 'zip1')).isErr()).toBe(true);
    bench.advance(NS_PER_MS);
    const [vcoproc] = bench.framework.vcoprocsOf(bench.domain('web').id);
    expect(vcoproc!.state).toBe('RUNNING');
  });
});

describe('a domain that ends', () => {
  const loads = ['given', 'always'] as const;

  it.each(loads)(
    'with load %s and processes in it gives everything back, in the middle of a switch too (R64)',
    (kind) => {
      const contextOf = () => ({ load: kind === 'given' ? { kind } : { kind } }) as const;
      for (let ns = 0; ns < 1000; ns += 100) {
        const bench = new DomainsBench({ config: ALL_FAIR, contextOf, stepNs: 300 });
        bench.worker(bench.domains.host, 'zip0');
        const withHost = remains(bench);
        bench.ask(create('web', 'zip0', 'zip1'));
        bench.worker(bench.domain('web'), 'zip0');
        bench.worker(bench.domain('web'), 'zip1');
        bench.advance(6 * NS_PER_MS + ns);
        bench.ask({ call: 'destroyDomain', domain: 'web' });
        expect(remains(bench)).toEqual(withHost);
      }
    },
  );

  it.each(['exit', 'fork'] as const)('waits for an %s that is under way, and for the child', (call) => {
    const bench = new DomainsBench();
    const before = remains(bench);
    bench.ask(create('web', 'zip0'));
    const { base, domains } = bench;
    const { user } = bench.worker(bench.domain('web'), 'zip0');
    user.write(user.demand(PAGE_BYTES), 1);
    base.holdsInvalidations = true;
    base.threads.holds = true;
    const answers: string[] = [];
    const { pid } = user.process;
    if (call === 'exit') domains.processes.exit(pid, (ret) => answers.push(`exit ${ret}`));
    else domains.processes.fork(pid, 0, (answer) => answers.push(`fork ${typeof answer}`));
    domains.destroy(bench.domain('web'), () => answers.push('destroyed'));
    expect(answers).toEqual([]);
    base.threads.leaveAll();
    base.acknowledge();
    bench.advance(NS_PER_MS);
    expect(answers).toEqual([call === 'exit' ? 'exit 0' : 'fork object', 'destroyed']);
    expect(remains(bench)).toEqual(before);
  });

  it('kills nobody who has the number of a process that had ended', () => {
    const bench = new DomainsBench();
    bench.ask(create('web'));
    const old = bench.user(bench.domain('web'));
    bench.domains.processes.exit(old.process.pid, () => {});
    const other = bench.user(bench.domains.host);
    expect(other.process.pid).toBe(old.process.pid);
    bench.ask({ call: 'destroyDomain', domain: 'web' });
    expect(other.demand(PAGE_BYTES)).toBeGreaterThan(0);
  });

  it('is asked to end twice and ends once; nothing can be attached to it any more', () => {
    const bench = new DomainsBench({ contextOf: () => ({ load: { kind: 'always' } }), stepNs: 1000 });
    bench.ask(create('web', 'zip0'));
    const domain = bench.domain('web');
    bench.worker(domain, 'zip0');
    bench.advance(NS_PER_MS);
    const order: string[] = [];
    bench.domains.destroy(domain, () => order.push('first'));
    bench.domains.destroy(domain, () => order.push('second'));
    bench.domains.attach(domain, 'zip0', {}, (answer) => order.push(answer._unsafeUnwrapErr().code));
    bench.advance(10 * NS_PER_MS);
    expect(order).toEqual(['first', 'second', 'ERR_WD_INVALID_STATE']);
    expect(bench.domains.find('web')).toBeNull();
  });
});

describe("the host's defaults (R12)", () => {
  it('are a vcoproc of everything; they can be taken away and given to another domain without a restart', () => {
    const bench = new DomainsBench();
    expect(views(bench).byInstance).toEqual(['host copy0', 'host zip0']);
    expect(bench.call(create('web', 'copy0'))._unsafeUnwrapErr().message).toContain('null');
    bench.ask({ call: 'detach', domain: 'host', instance: 'copy0' });
    bench.ask(create('web', 'copy0'));
    expect(views(bench).byInstance).toEqual(['host zip0', 'web copy0']);
    bench.ask({ call: 'setPolicy', instance: 'copy0', policy: 'fair' });
    bench.ask({ call: 'attach', domain: 'host', instance: 'copy0' });
    expect(views(bench).byInstance).toEqual(['host copy0', 'host zip0', 'web copy0']);
  });

  it('are changed under load: queues of the instance that is taken away end, all others go on', () => {
    const bench = new DomainsBench({ contextOf: () => ({ load: { kind: 'always' } }) });
    const [onCopy, onZip] = ['copy0', 'zip0'].map((name) => bench.worker(bench.domains.host, name));
    bench.advance(NS_PER_MS);
    bench.ask({ call: 'detach', domain: 'host', instance: 'copy0' });
    expect(bench.hardware.get('zip0')!.executing).not.toBeNull();
    const use = ({ user, fd }: ReturnType<DomainsBench['worker']>): number =>
      user.ioctl(fd, UACCE_CMD_PUT_Q).ret;
    expect([use(onCopy!), use(onZip!)]).toEqual([-errno.ENXIO, 0]);
    expect(bench.hardware.get('copy0')!.contexts).toEqual([]);
  });
});

type Step =
  | { readonly kind: 'create' | 'destroy' | 'work'; readonly name: string; readonly instance: string }
  | { readonly kind: 'attach' | 'detach'; readonly name: string; readonly instance: string }
  | { readonly kind: 'policy'; readonly name: string; readonly instance: string }
  | { readonly kind: 'time'; readonly events: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constantFrom('create', 'destroy', 'attach', 'detach', 'work', 'policy'),
    name: fc.constantFrom('host', 'web', 'batch', 'mail'),
    instance: fc.constantFrom('zip0', 'zip1', 'copy0'),
  }),
  fc.record({ kind: fc.constant('time' as const), events: fc.integer({ min: 1, max: 6 }) }),
);

function take(bench: DomainsBench, taken: Step): void {
  if (taken.kind === 'time') {
    for (let event = 0; event < taken.events; event++) {
      bench.base.clock.step();
      expectConsistent(bench);
    }
    return;
  }
  const { kind, name, instance } = taken;
  const call = (request: object): void => bench.calls.call(request, () => expectConsistent(bench));
  if (kind === 'create') call({ ...create(name, instance), memoryBytes: 4 * MiB });
  else if (kind === 'destroy') call({ call: 'destroyDomain', domain: name });
  else if (kind === 'policy') {
    const policies = { host: 'null', web: 'fair', batch: 'round-robin' } as Record<string, string>;
    call({ call: 'setPolicy', instance, policy: policies[name] ?? 'unknown' });
  } else if (kind !== 'work') call({ call: kind, domain: name, instance });
  else {
    const domain = bench.domains.find(name);
    if (domain?.devices.has(instance) === true) bench.worker(domain, instance);
  }
}

/** Whatever is under way: both views have the same pairs, each once, and every time is accounted for (R21). */
function expectConsistent(bench: DomainsBench): void {
  const { byDomain, byInstance } = views(bench);
  expect(byInstance).toEqual(byDomain);
  expect(new Set(byDomain).size).toBe(byDomain.length);
  for (const instance of bench.framework.instances) {
    const { ledger, vcoprocs, current } = bench.ask<CoprocessorDetails>({
      call: 'queryCoprocessor',
      instance,
    });
    const used = vcoprocs.reduce(
      (sum, { times }) => sum + Object.values(times).reduce((a, b) => a + b, 0),
      0,
    );
    expect(ledger.idleNs + ledger.switchNs + ledger.formerNs + used).toBe(ledger.totalNs);
    if (current !== null) expect(vcoprocs.some(({ id }) => id === current)).toBe(true);
  }
}

/** Ends every domain but the host, every process, and takes everything from the host. */
function strip(bench: DomainsBench): void {
  const { all, host } = bench.domains;
  for (const { name } of all.slice(1)) bench.ask({ call: 'destroyDomain', domain: name });
  bench.domains.processes.exitAll(host, () => {});
  bench.advance(NS_PER_MS);
  for (const instance of [...host.devices.keys()]) bench.ask({ call: 'detach', domain: 'host', instance });
}

describe('at every moment of any story', () => {
  it('everything can be asked and fits together, and in the end nothing is left (R20, R21, R56, S28)', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (story) => {
        const contextOf = () => ({ load: { kind: 'toggling', idleNs: 5000, workNs: 20_000 } }) as const;
        const bench = new DomainsBench({ config: ALL_FAIR, contextOf, stepNs: 700 });
        strip(bench);
        const before = remains(bench);
        for (const instance of bench.framework.instances)
          bench.ask({ call: 'attach', domain: 'host', instance });
        for (const each of story) take(bench, each);
        bench.advance(10_000 * NS_PER_MS);
        expect(bench.domains.changes).toBe(0);
        strip(bench);
        expect(remains(bench)).toEqual(before);
      }),
      { numRuns: 60 },
    );
  });
});
