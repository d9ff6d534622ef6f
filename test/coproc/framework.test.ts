// Does the framework stand on its own, and is a mistake in a call an error that names the value and changes nothing?
import { describe, expect, it } from 'vitest';
import { limits } from '../../src/base/limits.js';
import { NS_PER_MS } from '../../src/base/units.js';
import { Framework, HOST_DOMAIN } from '../../src/coproc/framework.js';
import { fairPolicy } from '../../src/coproc/policies/fair.js';
import { nullPolicy } from '../../src/coproc/policies/null.js';
import { roundRobinPolicy } from '../../src/coproc/policies/round-robin.js';
import { definePolicy } from '../../src/coproc/policy.js';
import { SimHardware } from '../../src/coproc/sim-hardware.js';
import { SimMemory } from '../../src/coproc/sim-memory.js';
import type { Vcoproc } from '../../src/coproc/vcoproc.js';
import { VirtualClock } from '../../src/hw/clock.js';
import type { QueueBinding } from '../../src/hw/coproc-port.js';
import { sumOf } from './bench.js';

const MS = NS_PER_MS;

/** Memory of several instances: each vcoproc's goes to that of its own. */
function newFramework(...instances: string[]) {
  const clock = new VirtualClock();
  const memories = new Map<string, SimMemory>();
  const memoryOf = ({ instance }: Vcoproc): SimMemory => memories.get(instance)!;
  const framework = new Framework({
    clock,
    counters: { wakeup: () => {}, tick: () => {} },
    memory: {
      enter: (vcoproc, done) => memoryOf(vcoproc).enter(vcoproc, done),
      leave: (vcoproc, done) => memoryOf(vcoproc).leave(vcoproc, done),
    },
  });
  const newHardware = (instance: string, deviceId: number): SimHardware => {
    const memory = new SimMemory(clock);
    memories.set(instance, memory);
    return new SimHardware({
      clock,
      memory,
      instance,
      deviceId,
      contextOf: () => ({ load: { kind: 'always' } }),
    });
  };
  const hardware = instances.map((instance, deviceId) => newHardware(instance, deviceId));
  for (const each of hardware) framework.register(each, { policy: roundRobinPolicy })._unsafeUnwrap();
  const runFor = (ns: number): void => {
    const endNs = clock.nowNs() + ns;
    clock.alarm(ns, () => {});
    while (clock.nowNs() < endNs) clock.step();
  };
  const create = (instance: string, domainId: number): Vcoproc =>
    framework.createVcoproc({ instance, domainId })._unsafeUnwrap();
  const start = (instance: string, domainId: number): Vcoproc => {
    const vcoproc = create(instance, domainId);
    vcoproc.attachQueue({ queueNumber: domainId } as QueueBinding, () => {});
    vcoproc.wake();
    return vcoproc;
  };
  return { framework, hardware, newHardware, runFor, create, start };
}

describe('registration', () => {
  it('R19, R135: works without any kernel, and lists what was registered', () => {
    const { framework } = newFramework('zip0', 'zip1', 'copy0');
    expect(framework.instances).toEqual(['zip0', 'zip1', 'copy0']);
  });

  it('takes no name and no device id twice, and no parameter that the policy does not know', () => {
    const { framework, newHardware } = newFramework('zip0');
    expect(framework.register(newHardware('zip0', 5), { policy: nullPolicy }).isErr()).toBe(true);
    expect(framework.register(newHardware('zip1', 0), { policy: nullPolicy }).isErr()).toBe(true);
    const wrong = framework.register(newHardware('zip2', 7), {
      policy: nullPolicy,
      parameters: { slice: 1 },
    });
    expect(wrong._unsafeUnwrapErr().message).toContain('slice');
    expect(framework.instances).toEqual(['zip0']);
  });
});

describe('a vcoproc of a domain', () => {
  it('F4: is one of the instance with that whole name: a part of one, or more than one, names nothing', () => {
    const { framework, create } = newFramework('zip1', 'zip10', 'zip');
    for (const instance of ['zi', 'z', '', 'zip100', 'zip1/queue', 'ZIP1', '__proto__']) {
      const refused = framework.createVcoproc({ instance, domainId: 1 });
      expect(refused._unsafeUnwrapErr().message).toContain('one of zip1, zip10, zip');
      expect(framework.query(instance).isErr()).toBe(true);
      expect(framework.setPolicy(instance, fairPolicy).isErr()).toBe(true);
    }
    expect(['zip', 'zip1', 'zip10'].map((instance) => create(instance, 1).instance)).toEqual([
      'zip',
      'zip1',
      'zip10',
    ]);
  });

  it('F7: there are exactly as many as there are contexts, and a place that became free is given again', () => {
    const { framework, create } = newFramework('zip0');
    const all = Array.from({ length: limits.CONTEXTS_PER_INSTANCE }, (_, index) => create('zip0', index));
    const oneMore = framework.createVcoproc({ instance: 'zip0', domainId: 5000 });
    expect(oneMore._unsafeUnwrapErr().message).toContain(String(limits.CONTEXTS_PER_INSTANCE));
    framework.destroyVcoproc(all[0]!, () => {});
    framework.destroyVcoproc(all.at(-1)!, () => {});
    expect([create('zip0', 5000).context, create('zip0', 5001).context]).toEqual([
      0,
      limits.CONTEXTS_PER_INSTANCE - 1,
    ]);
    expect(framework.createVcoproc({ instance: 'zip0', domainId: 5002 }).isErr()).toBe(true);
  });

  it('R7, R14, R20: of none, one or several instances; both lists say the same', () => {
    const { framework, create } = newFramework('zip0', 'copy0');
    create('zip0', 1);
    create('zip0', 2);
    create('copy0', 2);
    expect([0, 1, 2].map((domain) => framework.vcoprocsOf(domain).map(({ instance }) => instance))).toEqual([
      [],
      ['zip0'],
      ['zip0', 'copy0'],
    ]);
    const domainsOf = (instance: string) =>
      framework
        .query(instance)
        ._unsafeUnwrap()
        .vcoprocs.map(({ domainId }) => domainId);
    expect([domainsOf('zip0'), domainsOf('copy0')]).toEqual([[1, 2], [2]]);
    expect(framework.createVcoproc({ instance: 'zip0', domainId: 1 }).isErr()).toBe(true);
    expect(domainsOf('zip0')).toEqual([1, 2]);
  });

  it('R1: two share the time; R22: another instance goes its own way', () => {
    const { framework, hardware, runFor, start } = newFramework('zip0', 'zip1');
    for (const [instance, domain] of [
      ['zip0', 1],
      ['zip0', 2],
      ['zip1', 1],
    ] as const)
      start(instance, domain);
    runFor(120 * MS);
    expect([0, 1].map((context) => hardware[0]!.executedNs(context))).toEqual([60 * MS, 60 * MS]);
    expect(hardware[1]!.executedNs(0)).toBe(120 * MS);
    expect(framework.query('zip1')._unsafeUnwrap().switches.left).toBe(0);
  });

  it('R32, R64: is destroyed while it runs; its place is free when that is over', () => {
    const { framework, hardware, runFor, start } = newFramework('zip0');
    const [first, second] = [start('zip0', 1), start('zip0', 2)];
    runFor(MS);
    let gone = 0;
    framework.destroyVcoproc(first, () => gone++);
    runFor(MS);
    expect([gone, hardware[0]!.contexts, framework.vcoprocsOf(1)]).toEqual([1, [second.context], []]);
    expect(start('zip0', 1).context).toBe(first.context);
  });

  it('a second domain under the null policy is refused, and the first goes on', () => {
    const { framework, create } = newFramework('zip0');
    create('zip0', HOST_DOMAIN);
    framework.setPolicy('zip0', nullPolicy)._unsafeUnwrap();
    expect(framework.createVcoproc({ instance: 'zip0', domainId: 1 })._unsafeUnwrapErr().message).toContain(
      'null',
    );
    expect(framework.vcoprocsOf(HOST_DOMAIN)).toHaveLength(1);
  });

  it('of an instance out of service is refused', () => {
    const { framework, hardware } = newFramework('zip0');
    hardware[0]!.lose('test');
    const refused = framework.createVcoproc({ instance: 'zip0', domainId: 1 });
    expect(refused._unsafeUnwrapErr().message).toContain('out of service');
  });
});

describe('a policy', () => {
  it('R17: is replaced under load: what was set for a vcoproc holds where it means something', () => {
    const { framework, hardware, runFor, start } = newFramework('zip0');
    const domains = [1, 2].map((domain) => start('zip0', domain));
    framework.setPolicy('zip0', fairPolicy)._unsafeUnwrap();
    framework
      .setVcoprocParameters({ instance: 'zip0', domainId: 1, parameters: { weight: 768 } })
      ._unsafeUnwrap();
    framework.setPolicy('zip0', roundRobinPolicy, { sliceNs: 2 * MS })._unsafeUnwrap();
    framework.setPolicy('zip0', fairPolicy)._unsafeUnwrap();
    const before = domains.map(({ context }) => hardware[0]!.executedNs(context));
    runFor(2000 * MS);
    const [first, second] = domains.map(
      ({ context }, index) => hardware[0]!.executedNs(context) - before[index]!,
    );
    expect(Math.abs(first! / second! - 3)).toBeLessThan(0.1);
  });

  it('R18: a wrong policy, parameter or domain is an error, and everything stays as it was', () => {
    const { framework, create } = newFramework('zip0');
    create('zip0', 1);
    create('zip0', 2);
    const before = framework.query('zip0')._unsafeUnwrap();
    const choosy = definePolicy({
      ...roundRobinPolicy,
      name: 'choosy',
      admit: (others) => (others.length > 0 ? 'too many' : null),
    });
    const refused = [
      framework.setPolicy('zip0', nullPolicy),
      framework.setPolicy('zip0', choosy),
      framework.setPolicy('zip0', roundRobinPolicy, { sliceNs: 1 }),
      framework.setPolicyParameters('zip0', { sliceNs: 1.5 }),
      framework.setPolicyParameters('zip0', { slices: 1 }),
      framework.setVcoprocParameters({ instance: 'zip0', domainId: 3, parameters: {} }),
      framework.setVcoprocParameters({ instance: 'zip0', domainId: 1, parameters: { weight: 1 } }),
    ];
    for (const result of refused) expect(result.isErr()).toBe(true);
    expect(framework.query('zip0')._unsafeUnwrap()).toEqual(before);
  });

  it('its parameters are set one by one, and take effect', () => {
    const { framework, runFor, start } = newFramework('zip0');
    for (const domain of [1, 2]) start('zip0', domain);
    framework.setPolicyParameters('zip0', { sliceNs: MS })._unsafeUnwrap();
    framework.setPolicyParameters('zip0', { minRunNs: 0 })._unsafeUnwrap();
    const { parameters, switches } = framework.query('zip0')._unsafeUnwrap();
    expect(parameters).toEqual({ sliceNs: MS, minRunNs: 0 });
    runFor(100 * MS);
    expect(framework.query('zip0')._unsafeUnwrap().switches.left - switches.left).toBeGreaterThan(90);
  });
});

it('R21: what is asked at any moment is complete, and adds up', () => {
  const { framework, runFor, start } = newFramework('zip0');
  const vcoprocs = [1, 2, 3].map((domain) => start('zip0', domain));
  for (let times = 0; times < 40; times++) {
    runFor(777_777);
    if (times === 20) framework.destroyVcoproc(vcoprocs[1]!, () => {});
    const { ledger, current, vcoprocs: listed, policy } = framework.query('zip0')._unsafeUnwrap();
    expect([sumOf(ledger), policy]).toEqual([ledger.totalNs, 'round-robin']);
    expect(listed.map(({ id }) => id)).toContain(current);
    for (const { times: used } of listed) expect(used.run).toBeGreaterThanOrEqual(0);
  }
});
