// Does data really move without the kernel? Seen from outside: the kernel's thread is held, and its CPU time stands
// still while a million requests complete.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startMachine, type Threaded, threadCpuNs, until } from './threaded-bench.js';

const REQUESTS = 1_000_000;
const DEPTH = 256;
const NOTHING = Buffer.alloc(0);
/** What a spurious return from one futex wait may cost; a single system call from here costs more. */
const ONE_WAKE_NS = 200_000;

let threaded: Threaded;
beforeAll(async () => {
  threaded = await startMachine(['copy', 'zip']);
}, 120_000);
afterAll(() => threaded.close());

/** Sends requests, at most `DEPTH` at a time; answers how many came back right. */
async function send(count: number): Promise<number> {
  const session = threaded.pool.session({ op: 'copy', route: 'device' })._unsafeUnwrap();
  let [sent, right] = [0, 0];
  const sender = async (): Promise<void> => {
    while (sent < count) {
      sent += 1;
      const result = await session.run(NOTHING);
      if (result.isOk() && result.value.via.path === 'device') right += 1;
    }
  };
  await Promise.all(Array.from({ length: DEPTH }, sender));
  return right;
}

describe('while the kernel thread is held', () => {
  const kernelCpuNs = (): number | null => threadCpuNs(threaded.machine.kernelThreadId);

  test('a million requests complete, its counters stand still and so does its CPU time (C10, R107)', async () => {
    expect(await send(1000)).toBe(1000);
    const before = threaded.pool.counters();
    threaded.machine.holdKernel();
    try {
      // Until it sleeps at the gate, what it still does is not ours.
      let last: number | null = -1;
      await until(() => {
        const now = kernelCpuNs();
        const still = now === last;
        last = now;
        return still;
      });
      expect(await send(REQUESTS)).toBe(REQUESTS);
      const after = kernelCpuNs();
      if (last === null || after === null)
        console.info('no /proc here: CPU time not compared, counters only');
      else expect(after - last).toBeLessThan(ONE_WAKE_NS);
      expect(threaded.pool.counters()).toEqual(before);
    } finally {
      threaded.machine.releaseKernel();
    }
  }, 300_000);

  test('the measurement is no accident: one system call is seen in both', async () => {
    const [cpuNs, { syscalls }] = [kernelCpuNs(), threaded.pool.counters()];
    await threaded.pool.describe();
    expect(threaded.pool.counters().syscalls).toBeGreaterThan(syscalls);
    if (cpuNs !== null) expect(kernelCpuNs()).toBeGreaterThan(cpuNs);
  });

  test('and compression goes on too', async () => {
    const text = Buffer.from('All work and no play makes Jack a dull boy.\n'.repeat(1000));
    const first = (await threaded.pool.compress(text))._unsafeUnwrap();
    threaded.machine.holdKernel();
    try {
      for (let i = 0; i < 200; i++)
        expect((await threaded.pool.compress(text))._unsafeUnwrap().data.equals(first.data)).toBe(true);
    } finally {
      threaded.machine.releaseKernel();
    }
  });
});
