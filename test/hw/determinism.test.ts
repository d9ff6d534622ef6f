// Does one seed give one run, byte for byte?
import { describe, expect, it } from 'vitest';
import copy from '../../drivers/copy/index.js';
import { prngStream } from '../../src/base/prng.js';
import { PAGE_BYTES } from '../../src/base/units.js';
import { copySqeOf, copyWithDepths } from './copy-requests.js';
import { MockProcess, newMachine } from './ring-mock.js';

interface Run {
  readonly trace: readonly string[];
  readonly nowNs: number;
  readonly events: number;
  readonly memory: Buffer;
}

/** Two processes, two instances, requests of every kind, cold pages, bad descriptors; all from `workload`. */
async function runOnce({ seed, workload }: { seed: number; workload: number }): Promise<Run> {
  const instances = [
    { id: 'copy0', driver: 'copy' },
    { id: 'copy1', driver: 'copy' },
  ];
  const machine = newMachine({ drivers: [copyWithDepths(64, 64)], instances, seed });
  const processes = [new MockProcess(machine), new MockProcess(machine)];
  const draw = prngStream(workload, 'workload');
  const rings = [];
  const pools = [];
  const cold = [];
  for (const process of processes) {
    for (const path of ['/dev/wd_copy-0', '/dev/wd_copy-1']) rings.push(await process.queue({ path }));
    pools.push(await process.pool(16 * PAGE_BYTES));
    cold.push(await process.demand(64 * PAGE_BYTES));
  }
  for (let round = 0; round < 200; round++) {
    const which = draw.below(4);
    const owner = which >> 1;
    const source = pools[owner]!.address + draw.below(8 * PAGE_BYTES);
    const destination = draw.below(3) === 0 ? cold[owner]! + draw.below(60 * PAGE_BYTES) : source + 100;
    const operation = (['copy', 'fill', 'compare', 'crc32c'] as const)[draw.below(4)]!;
    rings[which]!.submit(
      copySqeOf({ operation, source, destination, bytes: draw.below(3 * PAGE_BYTES), tag: round }),
    );
    for (let steps = draw.below(20); steps > 0; steps--) machine.step();
    rings[draw.below(4)]!.completions();
  }
  machine.runUntilIdle();
  const memory = Buffer.concat([
    ...rings.flatMap(({ dus, mmio }) => [dus, mmio]),
    ...pools.map(({ view }) => view),
  ]);
  return { trace: machine.trace(), nowNs: machine.nowNs, events: machine.events, memory };
}

describe('a run', () => {
  it('is the same twice under one seed: trace, time, events, memory', async () => {
    const [first, second] = [
      await runOnce({ seed: 7, workload: 1 }),
      await runOnce({ seed: 7, workload: 1 }),
    ];
    expect(first.trace.length).toBeGreaterThan(400);
    expect(second.trace).toEqual(first.trace);
    expect([second.nowNs, second.events]).toEqual([first.nowNs, first.events]);
    expect(Buffer.compare(second.memory, first.memory)).toBe(0);
  });

  it('may differ in time under another seed', async () => {
    const [first, other] = [await runOnce({ seed: 7, workload: 1 }), await runOnce({ seed: 8, workload: 1 })];
    expect(other.trace).not.toEqual(first.trace);
  });

  it('with the built-in depths starts the same, too', () => {
    const traces = [1, 2].map(() => newMachine({ drivers: [copy], seed: 3 }).trace());
    expect(traces[0]).toEqual(traces[1]);
  });
});
