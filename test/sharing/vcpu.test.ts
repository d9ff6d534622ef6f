// Does it matter to a coprocessor when the processors of its domains run and sleep, and are they woken by completions?
import { describe, expect, it } from 'vitest';
import copy from '../../drivers/copy/index.js';
import { MiB, NS_PER_MS, NS_PER_SECOND, NS_PER_US } from '../../src/base/units.js';
import type { VcpuPattern } from '../../src/coproc/vcpu.js';
import { InlineMachine } from '../../src/machine/inline/inline-machine.js';
import { ThreadedMachine } from '../../src/machine/threaded/threaded-machine.js';
import { copySqeOf } from '../hw/copy-requests.js';
import { DOMAIN_BYTES, SharingBench } from './sharing-bench.js';

const PATTERNS: Record<string, VcpuPattern | undefined> = {
  'always running': undefined,
  'mostly running': { busyNs: 300 * NS_PER_US, idleNs: 40 * NS_PER_US },
  'mostly asleep': { busyNs: 20 * NS_PER_US, idleNs: 180 * NS_PER_US },
};
const BYTES = 256 * 1024;
const REQUESTS = 12;

/** A machine with such domains on `copy0`, weights 3 and 1 if there are two. */
function benchOf(vcpus: Record<string, VcpuPattern | undefined>): SharingBench {
  const weights = [768, 256];
  const domains = Object.entries(vcpus).map(([name, vcpu], index) => ({
    name,
    memoryBytes: DOMAIN_BYTES,
    coprocessors: { copy0: { weight: weights[index]! } },
    vcpu,
  }));
  return new SharingBench({ drivers: [copy], policy: 'fair', domains });
}

/** A domain with a queue, and as many requests as it was given; it takes completions whenever it is interrupted. */
async function party(bench: SharingBench, name: string) {
  const process = bench.process(name);
  const ring = await bench.queue(process, name, 'copy0');
  const pool = await process.pool(BYTES);
  const completedNs: number[] = [];
  process.platform.onInterrupt(ring.fd, () => {
    ring.writeWord('INTERRUPT_PENDING', 0);
    for (const _ of ring.completions()) completedNs.push(bench.machine.nowNs);
    ring.writeWord('EVENT_INDEX', ring.cqHead + 1);
  });
  ring.writeWord('EVENT_INDEX', 1);
  const submit = () => ring.submit(copySqeOf({ operation: 'crc32c', source: pool.address, bytes: BYTES }));
  return { process, ring, submit, completedNs };
}

/** What the coprocessor did for two domains whose processors run in `pattern`, and who was woken. */
async function run(pattern: VcpuPattern | undefined) {
  const bench = benchOf({ one: pattern, two: pattern });
  const { machine } = bench;
  const parties = [await party(bench, 'one'), await party(bench, 'two')];
  for (const { submit } of parties) for (let request = 0; request < REQUESTS; request++) submit();
  bench.rest();
  return {
    coproc: { trace: machine.trace(), ledger: bench.query('copy0').ledger, nowNs: machine.nowNs },
    completed: parties.map(({ completedNs }) => completedNs.length),
    wakeups: ['one', 'two'].map((name) => machine.processor(name)._unsafeUnwrap().wakeups),
  };
}

describe('a domain whose processor runs and sleeps in a pattern', () => {
  it('has the coprocessor at the same times under each pattern (R23), and is woken when it sleeps (R51, R52)', async () => {
    const [always, mostly, asleep] = await Promise.all(Object.values(PATTERNS).map(run));
    expect(mostly!.coproc).toEqual(always!.coproc);
    expect(asleep!.coproc).toEqual(always!.coproc);
    for (const { completed } of [always!, mostly!, asleep!]) expect(completed).toEqual([REQUESTS, REQUESTS]);
    expect(always!.wakeups).toEqual([0, 0]);
    expect(Math.min(...asleep!.wakeups)).toBeGreaterThan(1);
  });

  it('R23: has its share, however little its processor runs', async () => {
    const bench = benchOf({ lazy: { busyNs: 50 * NS_PER_US, idleNs: NS_PER_SECOND }, eager: undefined });
    const parties = [await party(bench, 'lazy'), await party(bench, 'eager')];
    for (const { submit } of parties) for (let request = 0; request < 200; request++) submit();
    bench.advance(4 * NS_PER_MS);
    const [lazy, eager] = ['lazy', 'eager'].map((name) => bench.snapshot(name, 'copy0').times.run);
    expect(lazy! / eager!).toBeCloseTo(3, 0);
  });

  it('R51: is woken by its completion, and has with it what else it was waiting for', async () => {
    const bench = benchOf({ sleeper: { busyNs: 20 * NS_PER_US, idleNs: NS_PER_SECOND } });
    const { machine } = bench;
    const { process, submit, completedNs } = await party(bench, 'sleeper');
    submit();
    bench.advance(21 * NS_PER_US);
    expect(machine.processor('sleeper')._unsafeUnwrap()).toEqual({ running: false, wakeups: 0 });
    await process.platform.syscall({ call: 'getpid' });
    expect(machine.processor('sleeper')._unsafeUnwrap()).toEqual({ running: true, wakeups: 1 });
    expect(completedNs).toEqual([machine.nowNs]);
    expect(machine.nowNs).toBeLessThan(NS_PER_MS);
  });

  it('sleeps for as long as the pattern says when nothing wakes it, and then has what it was waiting for', async () => {
    const bench = benchOf({
      sleeper: { busyNs: 20 * NS_PER_US, idleNs: NS_PER_MS },
      other: undefined,
    });
    const { machine } = bench;
    const { process } = await party(bench, 'sleeper');
    const { submit } = await party(bench, 'other');
    for (let request = 0; request < REQUESTS; request++) submit();
    bench.advance(21 * NS_PER_US);
    await process.platform.syscall({ call: 'getpid' });
    expect(machine.nowNs).toBeGreaterThanOrEqual(1020 * NS_PER_US);
    expect(machine.nowNs).toBeLessThan(1030 * NS_PER_US);
    expect(machine.processor('sleeper')._unsafeUnwrap()).toEqual({ running: true, wakeups: 0 });
  });
});

describe('a pattern', () => {
  const machineOf = (vcpu: VcpuPattern) =>
    InlineMachine.create({
      drivers: [copy],
      memoryBytes: 64 * MiB,
      host: {},
      domains: [{ name: 'web', memoryBytes: DOMAIN_BYTES, coprocessors: {}, vcpu }],
    });

  it.each([
    [{ busyNs: 0, idleNs: 5 }, 'domains.web.vcpu.busyNs'],
    [{ busyNs: 1.5, idleNs: 5 }, 'domains.web.vcpu.busyNs'],
    [{ busyNs: 5, idleNs: -1 }, 'domains.web.vcpu.idleNs'],
    [{ busyNs: 5, idleNs: 1e18 }, 'domains.web.vcpu.idleNs'],
    [{ busyNs: 5 }, 'domains.web.vcpu'],
    [{ busyNs: 5, idleNs: 5, extra: 1 }, 'domains.web.vcpu.extra'],
  ])('that is none is refused before anything is created: %j', (pattern, argument) => {
    const refused = machineOf(pattern as VcpuPattern);
    expect(refused._unsafeUnwrapErr()).toMatchObject({ kind: 'InvalidArgument', argument });
  });

  it('is refused by a machine of threads, whose processors are real', async () => {
    const nowhere = new URL('file:///nowhere');
    const refused = await ThreadedMachine.start({
      config: {
        memoryBytes: 64 * MiB,
        instances: [],
        domains: [
          { name: 'web', memoryBytes: DOMAIN_BYTES, coprocessors: {}, vcpu: { busyNs: 1, idleNs: 1 } },
        ],
      },
      driverUrls: {},
      kernelWorkerUrl: nowhere,
      engineWorkerUrl: nowhere,
    });
    expect(refused._unsafeUnwrapErr()).toMatchObject({
      kind: 'InvalidArgument',
      argument: 'domains.web.vcpu',
    });
  });

  it('is of a domain, not of its name: another domain with the name always runs', async () => {
    const machine = machineOf({ busyNs: 1, idleNs: NS_PER_SECOND })._unsafeUnwrap();
    expect(machine.processor('wep')._unsafeUnwrapErr().message).toContain('host, web');
    (await machine.call({ call: 'destroyDomain', domain: 'web' }))._unsafeUnwrap();
    (await machine.call({ call: 'createDomain', name: 'web', memoryBytes: DOMAIN_BYTES }))._unsafeUnwrap();
    expect(machine.processor('web')._unsafeUnwrap()).toEqual({ running: true, wakeups: 0 });
  });
});
