/**
 * The rows that come with a coprocessor which several domains share: switching it, taking a domain away from it, moving a
 * context. Asked of whole machines, at every moment of the change.
 */
import { Buffer } from 'node:buffer';
import { describe, expect } from 'vitest';
import copy from '../../drivers/copy/index.js';
import { copyStatus } from '../../drivers/copy/layout.js';
import { KiB } from '../../src/base/units.js';
import { copyOutcome, copySqeOf, patternOf } from '../hw/copy-requests.js';
import type { MockPool, MockProcess, RingMock } from '../hw/ring-mock.js';
import { CutBench } from '../sharing/cut-bench.js';
import { cutDevice } from '../sharing/cut-devices.js';
import { SharingBench } from '../sharing/sharing-bench.js';
import { hazardFamily, SHARED_COPROCESSOR_ROWS } from './rows.js';

const { hazard, complete } = hazardFamily(SHARED_COPROCESSOR_ROWS, {});

const BYTES = 64 * KiB;
/** Events in which the changes below are over. */
const MOMENTS = 60;

interface Party {
  readonly process: MockProcess;
  readonly ring: RingMock;
  readonly pool: MockPool;
}

async function join(bench: SharingBench, name: string): Promise<Party> {
  bench.domain(name);
  const process = bench.process(name);
  const ring = await bench.queue(process, name, 'copy0');
  return { process, ring, pool: await process.pool(BYTES) };
}

const sharedCopy = (): SharingBench => new SharingBench({ drivers: [copy] });

describe('a coprocessor that several domains share', () => {
  hazard(
    'S15',
    'are page requests of a domain answered as its own, whenever it is switched out?',
    async () => {
      let switches = 0;
      for (let moment = 0; moment < MOMENTS; moment += 2) {
        const bench = sharedCopy();
        const [one, two] = [await join(bench, 'one'), await join(bench, 'two')];
        const cold = [await one.process.demand(BYTES), await two.process.demand(BYTES)];
        const page = Uint8Array.of(1);
        // The same address in both, of which only the first is meant: the second has other bytes there.
        await two.process.write(cold[1]!, page);
        const before = bench.machine.domains.find('two')!.memory.usedFrames;
        one.ring.submit(copySqeOf({ operation: 'fill', destination: cold[0]!, bytes: BYTES, pattern: 7 }));
        bench.steps(moment);
        two.ring.submit(
          copySqeOf({ operation: 'fill', destination: two.pool.address, bytes: BYTES, pattern: 9 }),
        );
        bench.rest();
        const status = [one, two].map(({ ring }) =>
          ring.completions().map(({ sqe }) => copyOutcome(sqe).status),
        );
        expect(status).toEqual([[copyStatus.DONE], [copyStatus.DONE]]);
        expect(await one.process.read(cold[0]!, BYTES)).toEqual(new Uint8Array(BYTES).fill(7));
        expect(bench.machine.domains.find('two')!.memory.usedFrames).toBe(before);
        expect(cold[0]).toBe(cold[1]);
        switches = Math.max(switches, bench.query('copy0').switches.entered);
      }
      // It was left while it waited, and came back.
      expect(switches).toBeGreaterThan(2);
    },
  );

  hazard('S25', 'after a switch, does any access use tables of the domain before?', async () => {
    const bench = sharedCopy();
    const parties = [await join(bench, 'one'), await join(bench, 'two')];
    expect(parties[0]!.pool.address).toBe(parties[1]!.pool.address);
    expect(parties[0]!.ring.dusAddress).toBe(parties[1]!.ring.dusAddress);
    for (let round = 1; round < 30; round++) {
      for (const [index, { ring, pool }] of parties.entries()) {
        const pattern = (index << 7) | round;
        ring.submit(copySqeOf({ operation: 'fill', destination: pool.address, bytes: BYTES, pattern }));
      }
      bench.rest();
      for (const [index, { ring, pool }] of parties.entries()) {
        expect(ring.completions()).toHaveLength(1);
        expect(Buffer.alloc(BYTES, (index << 7) | round).equals(pool.view)).toBe(true);
      }
    }
    expect(bench.query('copy0').switches.entered).toBeGreaterThan(30);
  });

  hazard('S28', 'when a domain ends, does the device reach anything of what was its memory?', async () => {
    for (let moment = 0; moment < MOMENTS; moment += 2) {
      const bench = sharedCopy();
      const [one, two] = [await join(bench, 'one'), await join(bench, 'two')];
      for (let request = 0; request < 8; request++) {
        const { address } = one.pool;
        one.ring.submit(copySqeOf({ operation: 'fill', destination: address, bytes: BYTES, pattern: 7 }));
        two.ring.submit(
          copySqeOf({ operation: 'fill', destination: two.pool.address, bytes: BYTES, pattern: 9 }),
        );
      }
      bench.steps(moment);
      bench.end('one');
      // Whoever comes next has its memory.
      const next = await join(bench, 'next');
      next.pool.view.set(patternOf(BYTES));
      bench.rest();
      expect(Buffer.from(patternOf(BYTES)).equals(next.pool.view)).toBe(true);
      expect(two.ring.completions()).toHaveLength(8);
      expect(bench.query('copy0').vcoprocs).toHaveLength(2);
    }
  });

  hazard(
    'V6',
    'does a context that moves in the middle of a request leave what it would leave if it stayed?',
    () => {
      const { description } = cutDevice('resume');
      const expected = new CutBench(description).toTheEnd();
      for (let cut = 1; cut < 12; cut++) {
        const bench = new CutBench(description);
        for (let step = 0; step < cut; step++) bench.step();
        while (!bench.move()) bench.step();
        expect(bench.toTheEnd()).toEqual(expected);
      }
    },
  );

  complete();
});
