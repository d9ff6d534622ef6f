// Does a processor run and sleep as its pattern says, lose nothing that it is to do, and keep its order?
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Vcpu, type VcpuPattern } from '../../src/coproc/vcpu.js';
import { VirtualClock } from '../../src/hw/clock.js';

/** What is to be done comes when the processor begins to run, and before the alarm for what waited until then. */
const AT_THE_MOMENT_IT_RUNS: [VcpuPattern, [number, boolean][]] = [
  { busyNs: 21, idleNs: 55 },
  [
    [325, false],
    [380, false],
  ],
];

describe('the processor of a domain', () => {
  it('runs at the beginning of each period, and sleeps for the rest of it', () => {
    const clock = new VirtualClock();
    clock.alarm(7, () => {});
    clock.step();
    const vcpu = new Vcpu(clock, { busyNs: 10, idleNs: 20 });
    const seen: boolean[] = [];
    for (const atNs of [0, 9, 10, 29, 30, 39, 40]) clock.alarm(atNs, () => seen.push(vcpu.running));
    while (clock.step());
    expect(seen).toEqual([true, true, false, false, true, true, false]);
  });

  it('always runs without a time to sleep', () => {
    const clock = new VirtualClock();
    const vcpu = new Vcpu(clock, { busyNs: 1, idleNs: 0 });
    clock.alarm(12_345, () => vcpu.interrupt(() => {}));
    clock.step();
    expect([vcpu.running, vcpu.wakeups]).toEqual([true, 0]);
  });

  it('R51: handles every interrupt at once, wakes once for those of one sleep, and does all else in order when it runs', () => {
    const times = fc.array(fc.tuple(fc.nat(500), fc.boolean()), { maxLength: 40 });
    const pattern = fc.record({ busyNs: fc.integer({ min: 1, max: 40 }), idleNs: fc.nat(60) });
    fc.assert(
      fc.property(pattern, times, (of, events) => {
        const clock = new VirtualClock();
        const vcpu = new Vcpu(clock, of);
        const periodNs = of.busyNs + of.idleNs;
        const asked: number[] = [];
        const done: number[] = [];
        const wokenIn = new Set<number>();
        for (const [index, [atNs, isInterrupt]] of events.entries()) {
          clock.alarm(atNs, () => {
            const sleeps = !vcpu.running;
            if (!isInterrupt) {
              asked.push(index);
              vcpu.whenRunning(() => {
                done.push(index);
                expect(vcpu.running).toBe(true);
                expect(clock.nowNs()).toBeLessThan(
                  Math.max(atNs + 1, (Math.floor(atNs / periodNs) + 1) * periodNs + 1),
                );
              });
              if (!sleeps) expect(done).toContain(index);
              return;
            }
            let handled = false;
            vcpu.interrupt(() => {
              handled = true;
            });
            expect([handled, vcpu.running]).toEqual([true, true]);
            if (sleeps) wokenIn.add(Math.floor(atNs / periodNs));
          });
        }
        while (clock.step());
        expect(done).toEqual(asked);
        expect(vcpu.wakeups).toBe(wokenIn.size);
      }),
      { examples: [AT_THE_MOMENT_IT_RUNS] },
    );
  });
});
