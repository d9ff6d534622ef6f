// What becomes of everybody else when a device stops in the middle of everything, and of the device itself?
import { describe, expect, it } from 'vitest';
import copy from '../../drivers/copy/index.js';
import { copyStatus } from '../../drivers/copy/layout.js';
import { limits } from '../../src/base/limits.js';
import { MiB, PAGE_BYTES } from '../../src/base/units.js';
import { openPool } from '../../src/entry/sim.js';
import { InlineMachine } from '../../src/machine/inline/inline-machine.js';
import type { MachineDriver } from '../../src/machine/machine-driver.js';
import { errno } from '../../src/uapi/errno.js';
import { UACCE_CMD_PUT_Q, UACCE_CMD_START_Q } from '../../src/uapi/ioctl.js';
import { pollEvent, type SyscallReply } from '../../src/uapi/syscall.js';
import { copyOutcome, copySqeOf } from '../hw/copy-requests.js';
import { MockProcess, newMachine, type RingMock } from '../hw/ring-mock.js';

const BOUND_NS = limits.INVALIDATION_TIMEOUT_NS;
const [FIRST, SECOND] = ['/dev/wd_copy-0', '/dev/wd_copy-1'];

/** Two copy accelerators; the first is the one that will hang. */
function twoDevices(driver: MachineDriver = copy): InlineMachine {
  const instances = ['copy0', 'copy1'].map((id) => ({ id, driver: 'copy' }));
  return newMachine({ drivers: [driver], instances, memoryBytes: 128 * MiB });
}

/** A call under way, and the virtual time of its answer. */
function timed(machine: InlineMachine, call: Promise<SyscallReply>) {
  return call.then(({ ret }) => ({ ret, atNs: machine.nowNs }));
}

function unmap(process: MockProcess, address: number, bytes = PAGE_BYTES): Promise<SyscallReply> {
  return process.platform.syscall({ call: 'munmap', address, bytes });
}

/** Copies a page of `process` to another by way of `ring`: the status. */
async function copyPage(process: MockProcess, ring: RingMock): Promise<number> {
  const { address } = await process.pool(2 * PAGE_BYTES);
  const sqe = copySqeOf({ source: address, destination: address + PAGE_BYTES, bytes: PAGE_BYTES });
  return copyOutcome(ring.execute(sqe)).status;
}

/** The first device hangs, once what was asked of it is done: its context is loaded. Or at once. */
function hang(machine: InlineMachine, when: 'at rest' | 'now' = 'at rest'): void {
  if (when === 'at rest') machine.runUntilIdle();
  machine.hang('copy0')._unsafeUnwrap();
}

/** Makes the first device hang, and has somebody ask it for an acknowledgement until it is reset. */
async function hangAndReset(
  machine: InlineMachine,
  process: MockProcess,
  when: 'at rest' | 'now' = 'at rest',
): Promise<void> {
  const page = await process.demand(PAGE_BYTES);
  await process.write(page, Uint8Array.of(1));
  hang(machine, when);
  expect((await unmap(process, page)).ret).toBe(0);
}

describe('a device that hangs (S18)', () => {
  it('delays whoever unmaps memory of its by the bound, and not whoever asked before', async () => {
    const machine = twoDevices();
    const [victim, other] = [new MockProcess(machine), new MockProcess(machine)];
    const [hanging] = [await victim.queue({ path: FIRST }), await victim.queue({ path: SECOND })];
    const healthy = await other.queue({ path: SECOND });
    expect(await copyPage(victim, hanging)).toBe(copyStatus.DONE);
    const pages = await Promise.all([victim, other, other].map((process) => process.demand(PAGE_BYTES)));
    for (const [index, process] of [victim, other, other].entries())
      await process.write(pages[index]!, Uint8Array.of(1));
    hang(machine);
    const startNs = machine.nowNs;
    const [before, slow, after] = await Promise.all([
      timed(machine, unmap(other, pages[1]!)),
      timed(machine, unmap(victim, pages[0]!)),
      timed(machine, unmap(other, pages[2]!)),
    ]);
    expect([before.ret, slow.ret, after.ret]).toEqual([0, 0, 0]);
    expect(before.atNs - startNs).toBeLessThan(BOUND_NS / 1000);
    expect(slow.atNs - startNs).toBeGreaterThanOrEqual(BOUND_NS);
    // Its fence is behind the other's in the one command queue: it waits, but no longer.
    expect(after.atNs - startNs).toBeLessThan(BOUND_NS * 1.001);
    expect(await copyPage(other, healthy)).toBe(copyStatus.DONE);
  });

  it('keeps the frames that it may still use, until it is reset', async () => {
    const machine = twoDevices();
    const [victim, other] = [new MockProcess(machine), new MockProcess(machine)];
    await victim.queue({ path: FIRST });
    const bytes = 8 * MiB;
    const given = await victim.pool(bytes);
    // All the rest of memory.
    for (let size = 64 * MiB; size >= PAGE_BYTES; size /= 2) {
      while ((await other.platform.syscall({ call: 'mmapAnonymous', kind: 'pool', bytes: size })).ret > 0);
    }
    const again = () => victim.platform.syscall({ call: 'mmapAnonymous', kind: 'pool', bytes });
    hang(machine);
    const resetNs = machine.nowNs + BOUND_NS;
    const unmapped = timed(machine, unmap(victim, given.address, bytes));
    const early = await timed(machine, again());
    expect(early.ret < 0 || early.atNs >= resetNs).toBe(true);
    expect((await unmapped).atNs).toBeGreaterThanOrEqual(resetNs);
    expect(early.ret < 0 ? (await again()).ret : early.ret).toBeGreaterThan(0);
  });

  it('does not keep a process from ending', async () => {
    const machine = twoDevices();
    const process = new MockProcess(machine);
    const ring = await process.queue({ path: FIRST });
    const { address } = await process.pool(MiB);
    hang(machine);
    ring.submit(copySqeOf({ source: address, destination: address, bytes: MiB }));
    await process.platform.exit();
    const next = new MockProcess(machine);
    expect(await copyPage(next, await next.queue({ path: FIRST }))).toBe(copyStatus.DONE);
  });

  it('can be named only if it is there', () => {
    const error = twoDevices().hang('copy2')._unsafeUnwrapErr();
    expect(error).toMatchObject({ kind: 'InvalidArgument', argument: 'instance', value: 'copy2' });
  });
});

describe('the bound', () => {
  it('costs a machine whose devices are well neither time nor rest', async () => {
    const machine = twoDevices();
    const process = new MockProcess(machine);
    const ring = await process.queue({ path: FIRST });
    for (let i = 0; i < 20; i++) {
      expect(await copyPage(process, ring)).toBe(copyStatus.DONE);
      const page = await process.demand(PAGE_BYTES);
      await process.write(page, Uint8Array.of(1));
      expect((await unmap(process, page)).ret).toBe(0);
    }
    expect(machine.runUntilIdle()).toBeLessThan(10);
    expect(machine.step()).toBe(false);
    expect(machine.nowNs).toBeLessThan(BOUND_NS / 100);
  });

  it('is an option of the machine', async () => {
    const machine = newMachine({ drivers: [copy], invalidationTimeoutNs: 1000 });
    const process = new MockProcess(machine);
    await process.queue();
    const startNs = machine.nowNs;
    await hangAndReset(machine, process);
    expect(machine.nowNs - startNs).toBeLessThan(BOUND_NS / 100);
  });

  it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])('cannot be %d ns', (invalidationTimeoutNs) => {
    const refused = InlineMachine.create({ drivers: [copy], invalidationTimeoutNs });
    expect(refused._unsafeUnwrapErr()).toMatchObject({
      kind: 'InvalidArgument',
      argument: 'invalidationTimeoutNs',
    });
  });
});

describe('after its reset a device', () => {
  it('serves new queues', async () => {
    const machine = twoDevices();
    const process = new MockProcess(machine);
    await process.queue();
    await hangAndReset(machine, process);
    expect(await copyPage(process, await process.queue())).toBe(copyStatus.DONE);
  });

  it('serves an old queue again after PUT_Q and START_Q; until then it is out of service and says so', async () => {
    const machine = twoDevices();
    const process = new MockProcess(machine);
    const ring = await process.queue();
    const { address } = await process.pool(MiB);
    machine.runUntilIdle();
    ring.submit(copySqeOf({ source: address, destination: address, bytes: MiB }));
    await hangAndReset(machine, process, 'now');
    const poll = async () => (await process.call({ call: 'poll', fd: ring.fd })).ret;
    expect([ring.readStatus(), await poll()]).toEqual([{ rx: 1, tx: 1 }, pollEvent.ERR]);
    ring.submit(copySqeOf({ source: address, destination: address, bytes: MiB }));
    machine.runUntilIdle();
    expect(ring.completions()).toEqual([]);
    for (const command of [UACCE_CMD_PUT_Q, UACCE_CMD_START_Q])
      await process.call({ call: 'ioctl', fd: ring.fd, command });
    expect([ring.readStatus(), await poll()]).toEqual([{ rx: 0, tx: 0 }, 0]);
    ring.sqTail = 0;
    expect(await copyPage(process, ring)).toBe(copyStatus.DONE);
  });

  it('serves a queue that was not started when it was reset, without more ado', async () => {
    const machine = twoDevices();
    const process = new MockProcess(machine);
    const ring = await process.queue();
    await process.call({ call: 'ioctl', fd: ring.fd, command: UACCE_CMD_PUT_Q });
    await hangAndReset(machine, process);
    await process.call({ call: 'ioctl', fd: ring.fd, command: UACCE_CMD_START_Q });
    expect(ring.readStatus()).toEqual({ rx: 0, tx: 0 });
    expect(await copyPage(process, ring)).toBe(copyStatus.DONE);
    expect((await process.call({ call: 'poll', fd: ring.fd })).ret).toBe(pollEvent.IN);
  });

  it('knows nothing of the page requests that it waited for', async () => {
    const machine = twoDevices();
    const process = new MockProcess(machine);
    const ring = await process.queue();
    const source = await process.demand(4 * PAGE_BYTES);
    const destination = await process.demand(4 * PAGE_BYTES);
    ring.submit(copySqeOf({ source, destination, bytes: 4 * PAGE_BYTES }));
    while (!machine.trace().some((line) => line.includes('queue stalled'))) machine.step();
    await hangAndReset(machine, process);
    const fresh = await process.queue();
    for (let i = 0; i < 20; i++) {
      const target = await process.demand(4 * PAGE_BYTES);
      const sqe = copySqeOf({ source, destination: target, bytes: 4 * PAGE_BYTES });
      expect(copyOutcome(fresh.execute(sqe)).status).toBe(copyStatus.DONE);
    }
  });

  it('tells the library: requests in flight are lost, and a new pool works', async () => {
    const machine = twoDevices();
    const lost = (await openPool(machine, [copy]))._unsafeUnwrap();
    const session = lost.session({ op: 'copy', route: 'device', onDeviceLoss: 'fail' })._unsafeUnwrap();
    expect((await session.run('before')).isOk()).toBe(true);
    const bystander = new MockProcess(machine);
    await bystander.queue();
    hang(machine);
    const calls = Array.from({ length: 10 }, (_, i) => session.run(`request ${i}`));
    await hangAndReset(machine, bystander);
    const results = await Promise.all(calls);
    const errors = results.flatMap((result) => (result.isErr() ? [result.error] : []));
    expect(errors.length).toBeGreaterThan(0);
    for (const error of errors) expect(error).toMatchObject({ kind: 'DeviceLost', retryable: true });
    const next = (await openPool(machine, [copy]))._unsafeUnwrap();
    const again = next.session({ op: 'copy', route: 'device' })._unsafeUnwrap();
    for (let i = 0; i < 20; i++) expect((await again.run(`request ${i}`)).isOk()).toBe(true);
    for (const pool of [lost, next]) (await pool.close())._unsafeUnwrap();
  });

  it('counts towards its isolation (R50)', async () => {
    const isolating = { ...copy, kernelDriver: { ...copy.kernelDriver, isolation: { threshold: 1 } } };
    const machine = twoDevices(isolating);
    const process = new MockProcess(machine);
    for (const expected of ['0\n', '1\n']) {
      await process.queue();
      await hangAndReset(machine, process);
      const path = '/sys/class/uacce/wd_copy-0/isolate';
      expect((await process.call({ call: 'readFile', path })).text).toBe(expected);
    }
    expect((await process.platform.syscall({ call: 'open', path: FIRST })).ret).toBe(-errno.ENODEV);
    expect(await copyPage(process, await process.queue({ path: SECOND }))).toBe(copyStatus.DONE);
  });
});

it('a hang and what follows is the same in every run of a seed', async () => {
  const story = async (): Promise<string[]> => {
    const machine = twoDevices();
    const process = new MockProcess(machine);
    await process.queue();
    await hangAndReset(machine, process);
    expect(await copyPage(process, await process.queue())).toBe(copyStatus.DONE);
    return machine.trace();
  };
  const first = await story();
  expect(first.join('\n')).toContain('device reset');
  expect(await story()).toEqual(first);
});
