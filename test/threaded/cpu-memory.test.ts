// Does a user thread reach its own memory by itself, and does the kernel take memory away safely while it does?
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import copy from 'warpdrive/drivers/copy';
import { Machine, type Platform, type SyscallRequest } from 'warpdrive/sim';
import { startMachine, type Threaded } from './threaded-bench.js';

const PAGE = 4096;
const MiB = 1024 * 1024;
const errno = { ESRCH: -3, EFAULT: -14, EINVAL: -22 };

/** Bytes that differ from page to page. */
function pattern(bytes: number, seed: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, at) => (at * 7 + (at >>> 12) + seed) & 0xff);
}

async function call(platform: Platform, request: SyscallRequest): Promise<number> {
  const { ret } = await platform.syscall(request);
  expect(ret).toBeGreaterThanOrEqual(0);
  return ret;
}

const map = (platform: Platform, kind: 'pool' | 'demand', bytes: number): Promise<number> =>
  call(platform, { call: 'mmapAnonymous', kind, bytes });

const hosts = {
  inline: async () => {
    const machine = Machine.create({ drivers: [copy], memoryBytes: 32 * MiB })._unsafeUnwrap();
    return { platform: machine.createProcess()._unsafeUnwrap() as Platform, close: async () => {} };
  },
  threaded: async () => {
    const threaded = await startMachine(['copy']);
    const platform = (await threaded.machine.createProcess())._unsafeUnwrap();
    return { platform: platform as Platform, close: () => threaded.close() };
  },
};

describe.each(['inline', 'threaded'] as const)('on the %s host', (host) => {
  let platform: Platform;
  let close: () => Promise<void>;
  beforeEach(async () => {
    ({ platform, close } = await hosts[host]());
  });
  afterEach(async () => {
    await platform.exit();
    await close();
  });

  test('loads and stores, system calls and views see the same bytes', async () => {
    const address = await map(platform, 'pool', 2 * MiB);
    const view = platform.mapRegion(address, 2 * MiB);
    const source = pattern(200_000, 1);
    expect(await platform.store(address + 4000, source)).toBe(source.length);
    expect(Buffer.compare(view.subarray(4000, 204_000), source)).toBe(0);
    const read = await platform.syscall({ call: 'readMemory', address: address + 4000, bytes: 200_000 });
    expect(Buffer.compare(read.bytes!, source)).toBe(0);
    await platform.syscall({ call: 'writeMemory', address: address + 5000, source: Buffer.from('kernel') });
    expect(Buffer.from((await platform.load(address + 5000, 6)) as Uint8Array).toString()).toBe('kernel');
  });

  test('a page fault enters the kernel once for a page, and what is there needs no kernel', async () => {
    const address = await map(platform, 'demand', 64 * PAGE);
    const source = pattern(10 * PAGE, 2);
    const before = platform.counters().syscalls;
    expect(await platform.store(address + PAGE / 2, source)).toBe(source.length);
    expect(platform.counters().syscalls - before).toBe(11);
    for (let round = 0; round < 50; round++) {
      expect(await platform.store(address + PAGE / 2, source)).toBe(source.length);
      const loaded = (await platform.load(address + PAGE / 2, source.length)) as Uint8Array;
      expect(Buffer.compare(loaded, source)).toBe(0);
    }
    expect(platform.counters().syscalls - before).toBe(11);
    expect(await platform.load(address + 63 * PAGE, PAGE)).toEqual(new Uint8Array(PAGE));
  });

  test('what is not mapped is refused, and what lies before it is written', async () => {
    const address = await map(platform, 'demand', 2 * PAGE);
    expect(await platform.load(0, 1)).toBe(errno.EFAULT);
    expect(await platform.store(2 ** 38 - 1, Buffer.from('ab'))).toBe(errno.EFAULT);
    expect(await platform.load(Number.MAX_SAFE_INTEGER, 1)).toBe(errno.EFAULT);
    expect(await platform.store(address + 2 * PAGE - 2, Buffer.from('abcd'))).toBe(errno.EFAULT);
    expect(await platform.load(address + 2 * PAGE - 2, 2)).toEqual(Uint8Array.from(Buffer.from('ab')));
    expect(await platform.load(address + 2 * PAGE - 2, 3)).toBe(errno.EFAULT);
    await call(platform, { call: 'munmap', address, bytes: 2 * PAGE });
    expect(await platform.load(address, 1)).toBe(errno.EFAULT);
  });

  test.each([
    [-1, 1],
    [0.5, 1],
    [Number.NaN, 1],
    [2 ** 60, 1],
    [0, 0],
    [0, -1],
    [0, 1.5],
    [0, 64 * MiB + 1],
  ])('load(%d, %d) is no access at all', async (address, bytes) => {
    const before = platform.counters().syscalls;
    expect(await platform.load(address, bytes)).toBe(errno.EINVAL);
    if (bytes === 1 || bytes === 0)
      expect(await platform.store(address, new Uint8Array(bytes))).toBe(errno.EINVAL);
    expect(platform.counters().syscalls).toBe(before);
  });

  test('from the call of exit on there is no memory', async () => {
    const address = await map(platform, 'demand', 4 * PAGE);
    await platform.store(address, pattern(PAGE, 3));
    const faulting = platform.store(address, pattern(4 * PAGE, 3));
    const exit = platform.exit();
    expect(await platform.load(address, 1)).toBe(errno.ESRCH);
    expect(await platform.store(address, new Uint8Array(1))).toBe(errno.ESRCH);
    expect(await faulting).toBe(errno.ESRCH);
    await exit;
    expect((await platform.syscall({ call: 'getpid' })).ret).toBe(errno.ESRCH);
    expect(await platform.load(address, 1)).toBe(errno.ESRCH);
  });
});

describe('a user thread that stores without a pause', () => {
  let threaded: Threaded;
  let platform: Platform;
  beforeEach(async () => {
    threaded = await startMachine(['copy']);
    platform = (await threaded.machine.createProcess())._unsafeUnwrap();
  });
  afterEach(async () => {
    await platform.exit();
    await threaded.close();
  });

  test('does so while the kernel is held', async () => {
    const address = await map(platform, 'pool', MiB);
    threaded.machine.holdKernel();
    try {
      expect(await platform.store(address, pattern(MiB, 4))).toBe(MiB);
      expect(Buffer.compare((await platform.load(address, MiB)) as Uint8Array, pattern(MiB, 4))).toBe(0);
    } finally {
      threaded.machine.releaseKernel();
    }
  });

  test('keeps its bytes while the kernel unmaps, and gives away, other memory of the process', async () => {
    const bytes = 256 * 1024;
    const kept = await map(platform, 'demand', bytes);
    const other = (await threaded.machine.createProcess())._unsafeUnwrap();
    for (let round = 0; round < 40; round++) {
      const source = pattern(bytes, round);
      const gone = await map(platform, 'demand', bytes);
      expect(await platform.store(gone, source)).toBe(bytes);
      const unmapped = call(platform, { call: 'munmap', address: gone, bytes });
      // The kernel thread serves the call while this thread is in one access after the other.
      for (let i = 0; i < 8; i++) expect(await platform.store(kept, source)).toBe(bytes);
      const late = await platform.store(gone, source.subarray(0, PAGE));
      expect([PAGE, errno.EFAULT]).toContain(late);
      await unmapped;
      expect(await platform.store(gone, source)).toBe(errno.EFAULT);
      // Frames that come back are empty, whoever gets them.
      const reused = await map(other, 'demand', bytes);
      expect(((await other.load(reused, bytes)) as Uint8Array).every((byte) => byte === 0)).toBe(true);
      await call(other, { call: 'munmap', address: reused, bytes });
      expect(Buffer.compare((await platform.load(kept, bytes)) as Uint8Array, source)).toBe(0);
    }
    await other.exit();
  });
});
