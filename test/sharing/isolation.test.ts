// What can a hostile domain, or a broken device, do to the domains that share the coprocessor with it?

import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import copy from '../../drivers/copy/index.js';
import { copySqe, copyStatus } from '../../drivers/copy/layout.js';
import zip from '../../drivers/zip/index.js';
import { directions, requestTypes, zipSqe, zipStatus } from '../../drivers/zip/layout.js';
import { limits } from '../../src/base/limits.js';
import { KiB, MiB, NS_PER_MS, PAGE_BYTES } from '../../src/base/units.js';
import type { Dma } from '../../src/hw/device-model.js';
import type { MachineDriver } from '../../src/machine/machine-driver.js';
import { UACCE_CMD_PUT_Q, UACCE_CMD_START_Q } from '../../src/uapi/ioctl.js';
import { copyOutcome, copySqeOf, patternOf } from '../hw/copy-requests.js';
import { type MockPool, type MockProcess, type RingMock, viewOf } from '../hw/ring-mock.js';
import { registerAt, registerDriver } from './register-device.js';
import { DOMAIN_BYTES, SharingBench } from './sharing-bench.js';

const BYTES = 32 * KiB;

interface Party {
  readonly name: string;
  readonly process: MockProcess;
  readonly ring: RingMock;
  readonly pool: MockPool;
}

async function join(bench: SharingBench, name: string, instance = 'copy0'): Promise<Party> {
  bench.domain(name);
  const process = bench.process(name);
  const ring = await bench.queue(process, name, instance);
  return { name, process, ring, pool: await process.pool(BYTES) };
}

/** All physical memory of the machine: a view of any process lies in it. */
const memoryOf = ({ pool }: Party): Buffer => Buffer.from(pool.view.buffer as ArrayBuffer);

/** What belongs to a party and a device could reach: data and rings. */
const belongings = ({ pool, ring }: Party): Buffer => Buffer.concat([pool.view, ring.dus]);

async function victimAndHostile(bench = new SharingBench({ drivers: [copy] })) {
  const victim = await join(bench, 'victim');
  const hostile = await join(bench, 'hostile');
  victim.pool.view.set(patternOf(BYTES));
  victim.ring.execute(copySqeOf({ operation: 'crc32c', source: victim.pool.address, bytes: BYTES }));
  bench.rest();
  return { bench, victim, hostile };
}

/** Copies half of the pool to its other half: whether it is all right. */
function isServed({ ring, pool }: Party, bench: SharingBench): boolean {
  pool.view.fill(0, BYTES / 2);
  pool.view.set(patternOf(BYTES / 2));
  ring.submit(copySqeOf({ source: pool.address, destination: pool.address + BYTES / 2, bytes: BYTES / 2 }));
  bench.until(() => ring.published());
  const [completion] = ring.completions();
  return (
    copyOutcome(completion!.sqe).status === copyStatus.DONE &&
    Buffer.from(patternOf(BYTES / 2)).equals(pool.view.subarray(BYTES / 2))
  );
}

describe('memory (R47, R50, R63, C5)', () => {
  it('of one domain stays as it is, whatever another one writes into its SQEs', async () => {
    const { bench, victim, hostile } = await victimAndHostile();
    const before = belongings(victim);
    const near = [
      victim.pool.address,
      hostile.pool.address,
      victim.ring.dusAddress,
      victim.pool.view.byteOffset,
      victim.ring.dus.byteOffset,
      limits.GUEST_BASE,
      limits.GUEST_BASE + DOMAIN_BYTES,
      0,
    ];
    const address = fc.oneof(
      fc
        .constantFrom(...near)
        .chain((base) => fc.integer({ min: -PAGE_BYTES, max: BYTES }).map((off) => Math.max(0, base + off))),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    );
    const request = fc.record({
      operation: fc.constantFrom('copy', 'fill', 'compare', 'crc32c'),
      source: address,
      destination: address,
      bytes: fc.nat(3 * PAGE_BYTES),
      pattern: fc.nat(255),
    });
    const raw = fc.uint8Array({ minLength: copySqe.bytes, maxLength: copySqe.bytes });
    fc.assert(
      fc.property(
        fc.array(fc.oneof(request.map(copySqeOf), raw), { minLength: 1, maxLength: 12 }),
        (sqes) => {
          for (const sqe of sqes) hostile.ring.submit(sqe);
          bench.rest();
          expect(hostile.ring.completions()).toHaveLength(sqes.length);
          expect(belongings(victim).equals(before)).toBe(true);
        },
      ),
      { numRuns: 120 },
    );
    expect(isServed(victim, bench)).toBe(true);
  });

  it('outside its carve-out is out of reach of a domain, even if its kernel maps it', async () => {
    const { bench, victim, hostile } = await victimAndHostile();
    const memory = memoryOf(victim);
    const words = new BigUint64Array(memory.buffer, 0, memory.length >>> 3);
    const guest = bench.machine.domains.find('hostile')!.memory;
    const own = Array.from(
      { length: DOMAIN_BYTES / PAGE_BYTES },
      (_, page) => limits.GUEST_BASE + page * PAGE_BYTES,
    );
    const page = hostile.pool.view.byteOffset + 4 * PAGE_BYTES;
    const gpa = own.find((candidate) => guest.toPa(candidate) === page)!;
    // The leaf that maps this page of the pool lies in the domain's own memory.
    const entries = own
      .map((candidate) => guest.toPa(candidate))
      .flatMap((table) => Array.from({ length: PAGE_BYTES >>> 3 }, (_, index) => (table >>> 3) + index))
      .filter((index) => words[index]! >> 10n === BigInt(gpa) >> 12n && (words[index]! & 7n) === 7n);
    expect(entries).toHaveLength(1);
    const flags = words[entries[0]!]! & 0x3ffn;
    const outside = [
      limits.GUEST_BASE - PAGE_BYTES,
      limits.GUEST_BASE + DOMAIN_BYTES,
      victim.pool.view.byteOffset,
      victim.ring.dus.byteOffset,
      page,
      0,
    ];
    for (const target of outside) {
      words[entries[0]!] = ((BigInt(target) >> 12n) << 10n) | flags;
      const before = belongings(victim);
      const destination = hostile.pool.address + 4 * PAGE_BYTES;
      const sqe = hostile.ring.execute(
        copySqeOf({ operation: 'fill', destination, bytes: 64, pattern: 0xee }),
      );
      expect(copyOutcome(sqe).status).toBe(copyStatus.ACCESS_FAILED);
      expect(belongings(victim).equals(before)).toBe(true);
    }
    expect(isServed(victim, bench)).toBe(true);
  });

  it('is not reached between two switches, nor with what a device has kept of another domain (R37, R45)', async () => {
    const kept: Dma[] = [];
    // Not judged in checking mode: while a switch is under way a device that obeys asks for nothing.
    const bench = new SharingBench({ drivers: [keepingDriver(kept)], checkTranslations: null });
    const parties = [await join(bench, 'one'), await join(bench, 'two')];
    for (const [index, { ring, pool }] of parties.entries()) {
      pool.view.fill(index + 1);
      const tail = { source: pool.address, destination: pool.address + BYTES / 2 };
      for (let request = 0; request < 40; request++) ring.submit(copySqeOf({ ...tail, bytes: BYTES / 2 }));
    }
    const tally = { own: 0, none: 0 };
    while (bench.machine.step()) {
      const { current } = bench.query('copy0');
      const loaded = parties.findIndex(({ name }) => bench.vcoproc(name, 'copy0').id === current);
      // What was kept finds the bytes of the domain that it was of, and only as long as that one is the current one.
      for (const [owner, dma] of [...kept].entries()) {
        const view = dma.readableView(parties[owner]!.pool.address, 8);
        tally[view === null ? 'none' : 'own'] += 1;
        if (view !== null) expect([loaded, ...view]).toEqual([owner, ...Array(8).fill(owner + 1)]);
      }
    }
    expect(tally.own).toBeGreaterThan(20);
    expect(tally.none).toBeGreaterThan(20);
  });
});

/** The copy accelerator, which keeps the way to memory of the first request of each of its contexts. */
function keepingDriver(kept: Dma[]): MachineDriver {
  const create: typeof copy.device.create = (signals) => {
    const model = copy.device.create(signals);
    const execute = model.execute.bind(model);
    let hasKept = false;
    model.execute = (request, dma) => {
      if (!hasKept) kept.push(dma);
      hasKept = true;
      return execute(request, dma);
    };
    return model;
  };
  return { ...copy, device: { ...copy.device, create } };
}

describe('what one context leaves behind', () => {
  it('is not found by the next: registers, counters, images (R5)', async () => {
    const bench = new SharingBench({ drivers: [registerDriver('park')] });
    const one = await join(bench, 'one', 'dial0');
    bench.write('one', 'dial0', registerAt.CONTROL, 0x5ec2e7);
    bench.write('one', 'dial0', registerAt.BELL, 7);
    one.ring.execute(copySqeOf({ bytes: 3, pattern: 5 }));
    const all = (name: string) =>
      Object.values(registerAt).map((at) => (at === registerAt.TIME ? 0 : bench.read(name, 'dial0', at)));
    expect(all('one')).not.toEqual([3, 0, 0, 0, 0, 0, 2 ** 40, 0, 0]);
    await join(bench, 'two', 'dial0');
    expect(all('two')).toEqual([3, 0, 0, 0, 0, 0, 2 ** 40, 0, 0]);
    bench.end('one');
    const next = await join(bench, 'next', 'dial0');
    expect(all('next')).toEqual([3, 0, 0, 0, 0, 0, 2 ** 40, 0, 0]);
    // Also what is in the device itself, once the context is loaded.
    const sqe = next.ring.execute(copySqeOf({ bytes: 2, pattern: 0 }));
    expect(copyOutcome(sqe).result).toBe(3);
    expect(bench.read('next', 'dial0', registerAt.REQUESTS)).toBe(1);
  });

  it('is not continued by the next: a stream of the compression accelerator under the same name', async () => {
    const bench = new SharingBench({ drivers: [zip] });
    const parties = [await join(bench, 'one', 'zip0'), await join(bench, 'two', 'zip0')];
    const { fields } = zipSqe;
    const statusOf = ({ pool, ring }: Party, streamNew: number): number => {
      const sqe = new Uint8Array(zipSqe.bytes);
      const view = viewOf(sqe);
      fields.sqeType.write(view, 0, 3);
      fields.requestType.write(view, 0, requestTypes.raw);
      fields.stateful.write(view, 0, 1);
      fields.streamNew.write(view, 0, streamNew);
      fields.inputBytes.write(view, 0, 100);
      fields.roomBytes.write(view, 0, 8 * KiB);
      fields.source.write(view, 0, pool.address);
      fields.destination.write(view, 0, pool.address + 16 * KiB);
      fields.streamBuffer.write(view, 0, pool.address);
      return fields.status.read(viewOf(ring.execute(sqe)), 0);
    };
    expect(parties[0]!.pool.address).toBe(parties[1]!.pool.address);
    expect(parties.map(({ ring }) => ring.number)).toEqual([0, 1]);
    expect(directions.compress).toBe(0);
    expect(statusOf(parties[0]!, 1)).toBe(zipStatus.DONE);
    expect(statusOf(parties[1]!, 0)).toBe(zipStatus.NO_STREAM);
    expect(statusOf(parties[0]!, 0)).toBe(zipStatus.DONE);
    expect(['one', 'two'].map((name) => bench.read(name, 'zip0', 0x0c))).toEqual([1, 0]);
  });
});

describe('a domain that breaks the rules of its ring', () => {
  it.each(['SQ_TAIL', 'CQ_HEAD'] as const)(
    'with its %s while another one is loaded: is told, and that one is not',
    async (word) => {
      for (let moment = 0; moment < 30; moment += 3) {
        const { bench, victim, hostile } = await victimAndHostile();
        const before = hostile.ring.readStatus();
        expect(hostile.ring.dusAddress).toBe(victim.ring.dusAddress);
        for (let request = 0; request < 4; request++)
          victim.ring.submit(
            copySqeOf({ source: victim.pool.address, destination: victim.pool.address, bytes: BYTES }),
          );
        bench.steps(moment);
        if (word === 'CQ_HEAD') hostile.ring.submit(copySqeOf({}));
        hostile.ring.writeWord(word, 0x7fff_ffff);
        hostile.ring.ring();
        bench.rest();
        expect(victim.ring.readStatus()).toEqual(before);
        expect(victim.ring.completions()).toHaveLength(4);
        expect(isServed(victim, bench)).toBe(true);
        if (word === 'SQ_TAIL') expect(hostile.ring.readStatus()).toEqual({ rx: 1, tx: 1 });
      }
    },
  );
});

describe('a domain or device that does not stop (R26, R48, R49)', () => {
  const ENDLESS = 7 * MiB;

  it('costs the others a bounded time, and in the end nothing: it is taken out of service', async () => {
    const bench = new SharingBench({ drivers: [registerDriver('none', ENDLESS)] });
    const [hostile, victim] = [await join(bench, 'hostile', 'dial0'), await join(bench, 'victim', 'dial0')];
    const delays: number[] = [];
    for (let attempt = 0; attempt < limits.CONTEXT_FAILURES_MAX; attempt++) {
      hostile.ring.submit(copySqeOf({ bytes: ENDLESS }));
      bench.advance(NS_PER_MS);
      const startNs = bench.machine.nowNs;
      victim.ring.submit(copySqeOf({ bytes: 1000 }));
      bench.until(() => victim.ring.published());
      victim.ring.completions();
      delays.push(bench.machine.nowNs - startNs);
    }
    const boundNs = limits.DRAIN_DEADLINE_NS + 2 * limits.SWITCH_RETRY_NS_MAX;
    expect(Math.max(...delays)).toBeLessThan(boundNs);
    expect(bench.snapshot('hostile', 'dial0').state).toBe('ISOLATED');
    const startNs = bench.machine.nowNs;
    victim.ring.execute(copySqeOf({ bytes: 1000 }));
    expect(bench.machine.nowNs - startNs).toBeLessThan(NS_PER_MS);
    bench.end('hostile');
    expect(bench.query('dial0').vcoprocs).toHaveLength(1);
  });

  it('that hangs is reset within its bounds; the queues of all are started anew and served', async () => {
    const bench = new SharingBench({ drivers: [registerDriver('park')] });
    const parties = [await join(bench, 'one', 'dial0'), await join(bench, 'two', 'dial0')];
    for (const { ring } of parties) ring.submit(copySqeOf({ bytes: 8 * MiB }));
    bench.advance(300_000);
    const startNs = bench.machine.nowNs;
    bench.machine.hang('dial0')._unsafeUnwrap();
    bench.rest();
    expect(bench.query('dial0').switches.deviceResets).toBeGreaterThan(0);
    expect(bench.machine.nowNs - startNs).toBeLessThan(
      limits.INVALIDATION_TIMEOUT_NS + 4 * limits.STEP_TIMEOUT_NS,
    );
    for (const { process, ring } of parties) {
      for (const command of [UACCE_CMD_PUT_Q, UACCE_CMD_START_Q])
        await process.call({ call: 'ioctl', fd: ring.fd, command });
    }
    bench.rest();
    expect(bench.query('dial0').isolated).toBe(false);
    for (const { name, ring } of parties) {
      expect(bench.snapshot(name, 'dial0').state).not.toBe('ISOLATED');
      [ring.sqTail, ring.cqHead] = [0, 0];
      expect(copyOutcome(ring.execute(copySqeOf({ bytes: 100 }))).status).toBe(copyStatus.DONE);
    }
  });
});

describe('a flood', () => {
  it('of device interrupts is told its owner in a few, counted, and nobody else', async () => {
    const bench = new SharingBench({ drivers: [registerDriver('park')] });
    const [hostile, victim] = [await join(bench, 'hostile', 'dial0'), await join(bench, 'victim', 'dial0')];
    for (let ring = 0; ring < 2000; ring++) bench.write('hostile', 'dial0', registerAt.BELL, 3);
    victim.ring.execute(copySqeOf({ bytes: 100 }));
    bench.rest();
    const flooded = bench.snapshot('hostile', 'dial0').interrupts;
    expect(flooded.raised).toBe(2000);
    expect(flooded.told).toBe(2000);
    expect(flooded.throttled).toBeGreaterThan(0);
    expect(bench.snapshot('victim', 'dial0').interrupts).toEqual({ raised: 1, told: 1, throttled: 0 });
    expect(hostile.ring.completions()).toEqual([]);
  });

  it('of doorbells and requests takes no more than its share of the coprocessor', async () => {
    const bench = new SharingBench({ drivers: [registerDriver('park')] });
    const [hostile, victim] = [await join(bench, 'hostile', 'dial0'), await join(bench, 'victim', 'dial0')];
    const endNs = bench.machine.nowNs + 20 * NS_PER_MS;
    while (bench.machine.nowNs < endNs) {
      for (const { ring } of [hostile, victim]) {
        ring.completions();
        while (ring.sqTail - ring.cqHead < 8) ring.submit(copySqeOf({ bytes: 256 * KiB }));
      }
      for (let times = 0; times < 50; times++) hostile.ring.ring();
      bench.steps(5);
    }
    const [ofHostile, ofVictim] = ['hostile', 'victim'].map(
      (name) => bench.snapshot(name, 'dial0').times.run,
    );
    expect(ofHostile! / (ofHostile! + ofVictim!)).toBeGreaterThan(0.45);
    expect(ofHostile! / (ofHostile! + ofVictim!)).toBeLessThan(0.55);
  });
});
