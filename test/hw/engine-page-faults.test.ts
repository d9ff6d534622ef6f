// What happens to requests whose memory is not there, not theirs, or taken away meanwhile?
import { describe, expect, it } from 'vitest';
import copy from '../../drivers/copy/index.js';
import { copyStatus } from '../../drivers/copy/layout.js';
import { limits } from '../../src/base/limits.js';
import { PAGE_BYTES } from '../../src/base/units.js';
import { copyOutcome, copySqeOf, patternOf } from './copy-requests.js';
import { MockProcess, newMachine } from './ring-mock.js';

const { DONE, ACCESS_FAILED } = copyStatus;
/** Mapped by nobody. */
const NOWHERE = 2 ** 37;

describe('memory that is not there yet (C6, R109)', () => {
  it('a request on untouched memory completes after its pages were served, and they are counted', async () => {
    const machine = newMachine({ drivers: [copy] });
    const process = new MockProcess(machine);
    const ring = await process.queue();
    const bytes = 5 * PAGE_BYTES + 3;
    const [source, target] = [await process.demand(8 * PAGE_BYTES), await process.demand(8 * PAGE_BYTES)];
    await process.write(source, patternOf(bytes));
    const before = machine.counters();
    const sqe = copySqeOf({ source, destination: target + 1, bytes });
    expect(copyOutcome(ring.execute(sqe))).toMatchObject({ status: DONE, processed: bytes });
    expect(machine.counters().pageRequests - before.pageRequests).toBe(6);
    expect(machine.counters().syscalls).toBe(before.syscalls);
    expect(Buffer.compare(await process.read(target + 1, bytes), patternOf(bytes))).toBe(0);
  });

  it('reads of untouched memory give zeros, and of a page once served nothing is asked again', async () => {
    const machine = newMachine({ drivers: [copy] });
    const process = new MockProcess(machine);
    const ring = await process.queue();
    const [source, target] = [await process.demand(PAGE_BYTES), await process.pool(PAGE_BYTES)];
    target.view.fill(0xff);
    const sqe = copySqeOf({ source, destination: target.address, bytes: PAGE_BYTES });
    expect(copyOutcome(ring.execute(sqe)).status).toBe(DONE);
    expect(target.view.every((byte) => byte === 0)).toBe(true);
    const { pageRequests } = machine.counters();
    expect(pageRequests).toBe(1);
    for (let times = 0; times < 3; times++) expect(copyOutcome(ring.execute(sqe)).status).toBe(DONE);
    expect(machine.counters().pageRequests).toBe(pageRequests);
  });

  it('an address that nobody mapped ends in status 2 with nothing processed, and the queue goes on', async () => {
    const process = new MockProcess(newMachine({ drivers: [copy] }));
    const ring = await process.queue();
    const pool = await process.pool(PAGE_BYTES);
    for (const address of [0, NOWHERE, 2n ** 39n, 2n ** 53n, 2n ** 64n - 8n]) {
      for (const sides of [
        { source: address, destination: pool.address },
        { source: pool.address, destination: address },
      ]) {
        expect(copyOutcome(ring.execute(copySqeOf({ ...sides, bytes: 64 })))).toMatchObject({
          status: ACCESS_FAILED,
          processed: 0,
        });
      }
    }
    expect(copyOutcome(ring.execute(copySqeOf({ tag: 3 })))).toMatchObject({ status: DONE, tag: 3 });
    expect(ring.readStatus()).toEqual({ rx: 0, tx: 0 });
  });

  it('a fault in the middle of a long request: what it says is processed is there, what lies around is untouched', async () => {
    const process = new MockProcess(newMachine({ drivers: [copy] }));
    const ring = await process.queue();
    const segment = limits.SEGMENT_INPUT_BYTES;
    const source = await process.pool(4 * segment);
    const target = await process.demand(3 * segment);
    source.view.fill(0xaa);
    await process.write(target, new Uint8Array(PAGE_BYTES).fill(0x11));
    const destination = target + PAGE_BYTES;
    const { status, processed } = copyOutcome(
      ring.execute(copySqeOf({ source: source.address, destination, bytes: 4 * segment })),
    );
    expect([status, processed]).toEqual([ACCESS_FAILED, 2 * segment]);
    expect((await process.read(destination, processed)).every((byte) => byte === 0xaa)).toBe(true);
    expect((await process.read(target, PAGE_BYTES)).every((byte) => byte === 0x11)).toBe(true);
  });

  it('while one queue waits for a page, other queues are served and it is not overtaken by its own', async () => {
    const machine = newMachine({ drivers: [copy] });
    const process = new MockProcess(machine);
    const [waits, other] = [await process.queue(), await process.queue()];
    const target = await process.demand(PAGE_BYTES);
    waits.place(copySqeOf({ operation: 'fill', destination: target, bytes: 8, pattern: 7, tag: 1 }));
    waits.place(copySqeOf({ tag: 2 }));
    waits.publishTail();
    while (waits.readWord('STALLED') === 0) expect(machine.step()).toBe(true);
    other.submit(copySqeOf({ tag: 3 }));
    while (!other.published()) expect(machine.step()).toBe(true);
    expect(waits.published()).toBe(false);
    machine.runUntilIdle();
    expect(waits.completions().map(({ sqe }) => copyOutcome(sqe).tag)).toEqual([1, 2]);
    expect(waits.readWord('STALLED')).toBe(0);
  });
});

describe('memory of others', () => {
  it('the same address in two processes is two places, and neither device access meets the other (C5, R108)', async () => {
    const machine = newMachine({ drivers: [copy] });
    const processes = [new MockProcess(machine), new MockProcess(machine)];
    const rings = [];
    const pools = [];
    for (const process of processes) {
      rings.push(await process.queue());
      pools.push(await process.pool(2 * PAGE_BYTES));
    }
    expect(pools[0]!.address).toBe(pools[1]!.address);
    for (const [index, pool] of pools.entries()) pool.view.fill(0x10 + index, 0, PAGE_BYTES);
    for (const [index, ring] of rings.entries()) {
      const { address } = pools[index]!;
      ring.submit(copySqeOf({ source: address, destination: address + PAGE_BYTES, bytes: PAGE_BYTES }));
    }
    machine.runUntilIdle();
    for (const [index, pool] of pools.entries()) {
      expect(pool.view.subarray(PAGE_BYTES).every((byte) => byte === 0x10 + index)).toBe(true);
    }
  });

  it("another process's rings, words and memory are not mapped for the device under this PASID", async () => {
    const machine = newMachine({ drivers: [copy] });
    const [bad, good] = [new MockProcess(machine), new MockProcess(machine)];
    const victim = await good.queue();
    const secret = await good.pool(PAGE_BYTES);
    secret.view.fill(0x5e);
    const attacker = await bad.queue();
    const mine = await bad.pool(PAGE_BYTES);
    const before = victim.dus.slice();
    // Ring addresses are guest-physical: the whole of memory, page by page, is tried as an address.
    for (let page = 0; page < 2 ** 25; page += PAGE_BYTES) {
      if (page >= mine.address && page < mine.address + PAGE_BYTES) continue;
      attacker.submit(copySqeOf({ operation: 'fill', destination: page, bytes: 8, pattern: 0xbd }));
      machine.runUntilIdle();
      expect(copyOutcome(attacker.completions()[0]!.sqe).status).toBe(ACCESS_FAILED);
    }
    expect(Buffer.compare(victim.dus, before)).toBe(0);
    expect(secret.view.every((byte) => byte === 0x5e)).toBe(true);
  });

  it('memory unmapped while a request works on it is not reached after munmap has answered (R131)', async () => {
    const machine = newMachine({ drivers: [copy] });
    const process = new MockProcess(machine);
    const ring = await process.queue();
    const bytes = 64 * limits.SEGMENT_INPUT_BYTES;
    const pool = await process.pool(bytes);
    ring.submit(copySqeOf({ operation: 'fill', destination: pool.address, bytes, pattern: 1 }));
    while (pool.view[limits.SEGMENT_INPUT_BYTES] === 0) machine.step();
    await process.call({ call: 'munmap', address: pool.address, bytes });
    const after = pool.view.slice();
    machine.runUntilIdle();
    expect(Buffer.compare(pool.view, after)).toBe(0);
    expect(copyOutcome(ring.completions()[0]!.sqe).status).toBe(ACCESS_FAILED);
  });
});
