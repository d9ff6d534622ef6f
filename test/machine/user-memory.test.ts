// Does a load or store that meets page faults go on where it stopped, give up in the end, and never touch memory when it
// must not? What the walks and the kernel answer is scripted here; the real ones are in test/threaded/cpu-memory.test.ts.
import { expect, test } from 'vitest';
import { limits } from '../../src/base/limits.js';
import { UserMemory } from '../../src/machine/user-memory.js';
import { errno } from '../../src/uapi/errno.js';

/** A process whose memory is there up to `limit`; the kernel answers a page fault with what `answer` says. */
class Script {
  limit = 0;
  /** What happened: `+` and `-` of the epoch, bytes tried, and page faults. */
  readonly log: (string | number)[] = [];
  readonly memory: UserMemory;

  constructor(answer: (script: Script, fault: number) => number) {
    const attempt = (va: number, { length }: Uint8Array): number => {
      this.log.push(length);
      return Math.max(0, Math.min(length, this.limit - va));
    };
    this.memory = new UserMemory({
      memory: { tryRead: attempt, tryWrite: attempt },
      epoch: { enter: () => this.log.push('+'), leave: () => this.log.push('-') },
      pageFault: async (address, access) => {
        this.log.push(`${access} ${address}`);
        return answer(this, this.faults);
      },
    });
  }

  get faults(): number {
    return this.log.filter((entry) => String(entry).includes(' ')).length;
  }
}

test('a fault is carried to the kernel outside the epoch, and the copy goes on behind what it has', async () => {
  const script = new Script((of) => {
    of.limit += 100;
    return 0;
  });
  expect(await script.memory.store(0, new Uint8Array(150))).toBe(150);
  expect(script.log).toEqual(['+', 150, '-', 'write 0', '+', 150, '-', 'write 100', '+', 50, '-']);
  expect(await script.memory.load(0, 200)).toEqual(new Uint8Array(200));
});

test('no bracket is longer than its bound, whatever the length of the copy', async () => {
  const script = new Script(() => 0);
  script.limit = Number.POSITIVE_INFINITY;
  const piece = limits.ACCESS_BYTES_MAX;
  expect(await script.memory.store(5, new Uint8Array(2 * piece + 1))).toBe(2 * piece + 1);
  expect(script.log).toEqual(['+', piece, '-', '+', piece, '-', '+', 1, '-']);
});

test('faults that the kernel calls resolved, but that bring no byte, end with EFAULT', async () => {
  const script = new Script(() => 0);
  expect(await script.memory.load(0, 10)).toBe(-errno.EFAULT);
  expect(script.faults).toBe(limits.PAGE_FAULT_RETRIES);
});

test('faults in between which bytes are copied are not counted together', async () => {
  const script = new Script((of, fault) => {
    if (fault % limits.PAGE_FAULT_RETRIES === 0) of.limit += 1;
    return 0;
  });
  expect(await script.memory.store(0, new Uint8Array(4))).toBe(4);
  expect(script.faults).toBe(4 * limits.PAGE_FAULT_RETRIES);
});

test.each([errno.EFAULT, errno.ENOMEM, errno.EIO])('errno %d of the kernel is the answer', async (code) => {
  const script = new Script(() => -code);
  expect([await script.memory.load(0, 1), await script.memory.store(0, new Uint8Array(1))]).toEqual([
    -code,
    -code,
  ]);
});

test('a process that ends while its fault is resolved walks no table any more: they may be gone', async () => {
  const script = new Script((of) => {
    of.memory.end(-errno.ESRCH);
    of.limit = 100;
    return 0;
  });
  expect(await script.memory.store(0, new Uint8Array(1))).toBe(-errno.ESRCH);
  expect(script.log).toEqual(['+', 1, '-', 'write 0']);
  script.memory.end(-errno.EIO);
  expect(await script.memory.load(0, 1)).toBe(-errno.ESRCH);
  expect(script.log).toHaveLength(4);
});

test('the epoch is left when a copy throws', async () => {
  const log: string[] = [];
  const broken = new UserMemory({
    memory: {
      tryRead: () => {
        throw new Error('broken');
      },
      tryWrite: () => 0,
    },
    epoch: { enter: () => log.push('+'), leave: () => log.push('-') },
    pageFault: async () => 0,
  });
  await expect(broken.load(0, 1)).rejects.toThrow('broken');
  expect(log).toEqual(['+', '-']);
});
