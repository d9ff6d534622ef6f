/**
 * Can a process, by sending anything at all, make the kernel throw, hang without an answer, or hurt another process?
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PAGE_BYTES } from '../../src/base/units.js';
import { errno, errnoName } from '../../src/uapi/errno.js';
import { UACCE_CMD_QM_SET_QP_CTX } from '../../src/uapi/ioctl.js';
import { Bench, WAITING } from './bench.js';

const calls = [
  'open',
  'close',
  'ioctl',
  'mmap',
  'mmapAnonymous',
  'munmap',
  'mremap',
  'readMemory',
  'writeMemory',
  'poll',
  'readdir',
  'readFile',
  'writeFile',
  'getpid',
  'no such call',
  'toString',
];

const strange = fc.oneof(
  fc.anything(),
  fc.constantFrom<unknown>(
    0,
    -1,
    3,
    4096,
    2 ** 31,
    2 ** 32,
    2 ** 38,
    2 ** 53,
    1e300,
    Number.NaN,
    0x10_0000_0000,
    1n,
  ),
  fc.constantFrom<unknown>(
    '/dev/fake-0',
    '/',
    '',
    '/dev/../dev/fake-0',
    '/sys/class/uacce/fake-0/isolate_strategy',
  ),
  fc.uint8Array({ maxLength: 40 }),
);

const request = fc.record({
  call: fc.oneof(fc.constantFrom(...calls), fc.anything()),
  path: strange,
  fd: fc.oneof(fc.constant(3), strange),
  command: fc.oneof(fc.constantFrom(0x5700, 0x5701, 0xc004480a, 0xc010480b), strange),
  argument: strange,
  offset: strange,
  bytes: strange,
  kind: fc.oneof(fc.constantFrom('pool', 'demand'), strange),
  prefault: strange,
  address: strange,
  newBytes: strange,
  source: strange,
  text: strange,
});

describe('hostile requests', () => {
  it('every request, of whatever shape, is answered once with a value or a known errno', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(request, fc.anything()), { maxLength: 30 }), (requests) => {
        const bench = new Bench({ quotaFrames: 300 });
        const { path } = bench.addDevice();
        const [attacker, victim] = [bench.user(150), bench.user(100)];
        const secret = victim.pool(PAGE_BYTES);
        victim.open(path);
        victim.write(secret, 77);
        for (const each of requests) {
          const { ret } = attacker.issue(each);
          expect(ret).not.toBe(WAITING);
          expect(Number.isSafeInteger(ret)).toBe(true);
          if (ret < 0) expect(errnoName(ret)).not.toContain(' ');
        }
        expect(victim.read(secret, 1)).toEqual(Uint8Array.of(77));
        for (const user of [attacker, victim]) expect(user.exit().ret).toBe(0);
        bench.removeDevice('fake-0');
        expect(bench.frames.freeFrames).toBe(bench.freeAtStart);
      }),
      { numRuns: 150 },
    );
  });

  it('an object that throws while it is read is a bad address', () => {
    const user = new Bench().user();
    const trap = {
      get call(): string {
        throw new Error('boo');
      },
    };
    expect(user.issue(trap).ret).toBe(-errno.EFAULT);
    expect(user.issue(new Proxy({}, { get: () => user })).ret).toBe(-errno.ENOSYS);
  });

  it('each field is read once: what was checked is what is used', () => {
    const bench = new Bench();
    bench.addDevice();
    const user = bench.user();
    let reads = 0;
    const shifty = {
      call: 'open',
      get path(): unknown {
        reads += 1;
        return reads === 1 ? '/dev/fake-0' : { length: -1 };
      },
    };
    expect([user.issue(shifty).ret, reads]).toEqual([3, 1]);
  });

  it('bytes are copied: neither side sees the other change them afterwards', () => {
    const bench = new Bench();
    const { path } = bench.addDevice();
    const user = bench.user();
    const fd = user.open(path);
    const argument = new Uint8Array(new SharedArrayBuffer(4));
    const reply = user.ioctl(fd, UACCE_CMD_QM_SET_QP_CTX, argument);
    argument.fill(0xff);
    expect(reply.bytes).toEqual(new Uint8Array(4));
  });

  it('a process that does not exist, or no longer does, is ESRCH', () => {
    const bench = new Bench();
    const user = bench.user();
    user.exit();
    expect(user.issue({ call: 'getpid' }).ret).toBe(-errno.ESRCH);
  });

  it('open files are bounded by the descriptor table of one process', () => {
    const bench = new Bench();
    const { path } = bench.addDevice({ queues: 2 });
    const user = bench.user();
    expect([user.open(path), user.open(path), user.open(path)]).toEqual([3, 4, -errno.EBUSY]);
    user.close(3);
    expect(user.open(path)).toBe(3);
  });

  it('every call is counted as a kernel entry (C10)', () => {
    const bench = new Bench();
    const user = bench.user();
    user.issue({ call: 'getpid' });
    user.issue(null);
    expect(bench.counts.syscalls).toBe(2);
  });
});
