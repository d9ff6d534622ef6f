// Is every interrupt told to the owner of the context that raised it, and does a storm cost nobody but its owner (X7)?
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { limits } from '../../src/base/limits.js';
import { NS_PER_MS } from '../../src/base/units.js';
import { InterruptLatch } from '../../src/coproc/interrupt-latch.js';
import { Vcpu } from '../../src/coproc/vcpu.js';
import { VirtualClock } from '../../src/hw/clock.js';
import { CoprocBench } from './bench.js';

const WINDOW = limits.INTERRUPT_WINDOW_NS;

function newLatch() {
  const clock = new VirtualClock();
  const told: { readonly line: number; readonly count: number; readonly atNs: number }[] = [];
  const latch = new InterruptLatch(clock, (line, count) => told.push({ line, count, atNs: clock.nowNs() }));
  const pass = (ns: number): void => {
    const endNs = clock.nowNs() + ns;
    clock.alarm(ns, () => {});
    while (clock.nowNs() < endNs) clock.step();
  };
  return { clock, latch, told, pass };
}

describe('the latch', () => {
  it('R31: whatever is raised is told, once, on its line, within a window, and no window has more than its number', () => {
    const event = fc.oneof(
      fc.record({ line: fc.nat(3), times: fc.integer({ min: 1, max: 100 }) }),
      fc.record({ ns: fc.nat(2 * WINDOW) }),
    );
    const property = fc.property(fc.array(event, { maxLength: 40, size: 'max' }), (events) => {
      const { latch, told, pass } = newLatch();
      const raised = [0, 0, 0, 0];
      for (const each of events) {
        if ('ns' in each) pass(each.ns);
        else {
          for (let count = 0; count < each.times; count++) latch.raise(each.line);
          raised[each.line]! += each.times;
        }
        const toldCount = told.reduce((sum, { count }) => sum + count, 0);
        expect(latch.counts).toMatchObject({ raised: raised.reduce((a, b) => a + b), told: toldCount });
      }
      pass(WINDOW);
      const counts = raised.map((_, line) =>
        told.filter((each) => each.line === line).reduce((sum, { count }) => sum + count, 0),
      );
      expect(counts).toEqual(raised);
      for (const { atNs } of told) {
        const inWindow = told.filter((other) => other.atNs >= atNs && other.atNs < atNs + WINDOW);
        // What a window holds back is told at its end, line by line: that may be the beginning of the next.
        expect(inWindow.length).toBeLessThanOrEqual(2 * (limits.INTERRUPTS_PER_WINDOW + raised.length));
      }
    });
    fc.assert(property, { numRuns: 200 });
  });

  it('X7: a storm of a million is told as 64 and one more each window, with their number', () => {
    const { latch, told, pass, clock } = newLatch();
    for (let count = 0; count < 1_000_000; count++) latch.raise(5);
    expect([told.length, clock.dispatched]).toEqual([limits.INTERRUPTS_PER_WINDOW, 0]);
    pass(WINDOW);
    expect(told.at(-1)).toEqual({ line: 5, count: 1_000_000 - limits.INTERRUPTS_PER_WINDOW, atNs: WINDOW });
    expect(latch.counts.throttled).toBe(1_000_000 - limits.INTERRUPTS_PER_WINDOW);
  });

  it('a receiver that has the device raise another one hears of each once', () => {
    const clock = new VirtualClock();
    const told: string[] = [];
    const latch: InterruptLatch = new InterruptLatch(clock, (line, count) => {
      told.push(`${line} x${count}`);
      if (line === 1) latch.raise(3);
    });
    for (let count = 0; count < limits.INTERRUPTS_PER_WINDOW; count++) latch.raise(0);
    latch.raise(1);
    latch.raise(2);
    clock.step();
    expect(told.slice(limits.INTERRUPTS_PER_WINDOW).toSorted()).toEqual(['1 x1', '2 x1', '3 x1']);
  });

  it('of a context that is gone tells nobody, and sets no alarm off', () => {
    const { latch, told, clock } = newLatch();
    for (let count = 0; count < 100; count++) latch.raise(0);
    latch.drop();
    expect([clock.step(), told.length]).toEqual([false, limits.INTERRUPTS_PER_WINDOW]);
  });
});

describe('an interrupt', () => {
  it('F3, R31: in whatever phase it comes, it is told to the owner of its context, to nobody else, and once', () => {
    const costs = { stop: 50_000, save: 50_000, start: 50_000 };
    const property = fc.property(fc.nat(30 * NS_PER_MS), fc.nat(1), (atNs, context) => {
      const contexts = [{ load: { kind: 'always' } }, { load: { kind: 'always' } }] as const;
      const bench = new CoprocBench({ contexts, costs, memoryCosts: { enterNs: 50_000, leaveNs: 50_000 } });
      const vcoprocs = bench.start(2);
      bench.runFor(atNs);
      bench.hardware.raise(context, 7);
      const heard = vcoprocs.map(({ id }) => bench.heard.get(id)!);
      expect(heard[context]).toEqual([{ kind: 'device', line: 7 }]);
      expect(heard[1 - context]).toEqual([]);
    });
    fc.assert(property, { numRuns: 100 });
  });

  it('X7: a storm of one leaves the neighbour its share and its interrupts', () => {
    const bench = new CoprocBench({ contexts: [{ load: { kind: 'always' } }, { load: { kind: 'always' } }] });
    const [stormy, calm] = bench.start(2);
    for (let ms = 0; ms < 60; ms++) {
      for (let count = 0; count < 1000; count++) bench.hardware.raise(stormy!.context, 1);
      bench.hardware.raise(calm!.context, 2);
      bench.runFor(NS_PER_MS);
    }
    expect(bench.told(stormy!).length).toBeLessThanOrEqual(61 * (limits.INTERRUPTS_PER_WINDOW + 1));
    expect(bench.told(calm!)).toHaveLength(60);
    expect([bench.used(stormy!), bench.used(calm!)]).toEqual([30 * NS_PER_MS, 30 * NS_PER_MS]);
  });

  it('R51: wakes the processor of a domain that sleeps', () => {
    const bench = new CoprocBench();
    const [vcoproc] = bench.start(1);
    const vcpu = new Vcpu(bench.clock, { busyNs: NS_PER_MS, idleNs: NS_PER_MS });
    let handled = 0;
    vcoproc!.onIrq(() => vcpu.interrupt(() => handled++));
    bench.hardware.raise(vcoproc!.context, 0);
    bench.runFor(1_500_000);
    expect(vcpu.running).toBe(false);
    bench.hardware.raise(vcoproc!.context, 0);
    expect([handled, vcpu.wakeups]).toEqual([2, 1]);
  });
});
