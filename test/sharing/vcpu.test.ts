// Does it matter to a coprocessor when the processors of its domains run and sleep, and are they woken by completions?
import { expect, it } from 'vitest';
import copy from '../../drivers/copy/index.js';
import { NS_PER_US } from '../../src/base/units.js';
import { Vcpu, type VcpuPattern } from '../../src/coproc/vcpu.js';
import type { Clock } from '../../src/hw/clock.js';
import { copySqeOf } from '../hw/copy-requests.js';
import { SharingBench } from './sharing-bench.js';

const PATTERNS: Record<string, VcpuPattern> = {
  'always running': { busyNs: 1, idleNs: 0 },
  'mostly running': { busyNs: 300 * NS_PER_US, idleNs: 40 * NS_PER_US },
  'mostly asleep': { busyNs: 20 * NS_PER_US, idleNs: 700 * NS_PER_US },
};
const BYTES = 256 * 1024;
const REQUESTS = 12;

/** Two domains whose processors take interrupts in `pattern`: what the coprocessor did, and who was woken. */
async function run(pattern: VcpuPattern) {
  const bench = new SharingBench({ drivers: [copy] });
  const { machine } = bench;
  const clock: Pick<Clock, 'nowNs'> = { nowNs: () => machine.nowNs };
  const parties = [];
  for (const name of ['one', 'two']) {
    bench.domain(name);
    const process = bench.process(name);
    const ring = await bench.queue(process, name, 'copy0');
    parties.push({
      ring,
      pool: await process.pool(BYTES),
      completed: 0,
      vcpu: new Vcpu(clock as Clock, pattern),
    });
  }
  for (const party of parties) {
    const { ring, vcpu } = party;
    ring.process.platform.onInterrupt(ring.fd, () =>
      vcpu.interrupt(() => {
        ring.writeWord('INTERRUPT_PENDING', 0);
        party.completed += ring.completions().length;
        ring.writeWord('EVENT_INDEX', ring.cqHead + 1);
      }),
    );
    ring.writeWord('EVENT_INDEX', 1);
    for (let request = 0; request < REQUESTS; request++) {
      ring.submit(copySqeOf({ operation: 'crc32c', source: party.pool.address, bytes: BYTES }));
    }
  }
  bench.rest();
  return {
    coproc: { trace: machine.trace(), ledger: bench.query('copy0').ledger, nowNs: machine.nowNs },
    completed: parties.map(({ completed }) => completed),
    wakeups: parties.map(({ vcpu }) => vcpu.wakeups),
  };
}

it('the coprocessor does the same at the same time under each pattern (R23), and wakes who sleeps (R51, R52)', async () => {
  const runs = await Promise.all(Object.values(PATTERNS).map(run));
  const [always, mostly, asleep] = runs;
  expect(mostly!.coproc).toEqual(always!.coproc);
  expect(asleep!.coproc).toEqual(always!.coproc);
  for (const { completed } of runs) expect(completed).toEqual([REQUESTS, REQUESTS]);
  expect(always!.wakeups).toEqual([0, 0]);
  expect(Math.min(...asleep!.wakeups)).toBeGreaterThan(REQUESTS / 2);
});
