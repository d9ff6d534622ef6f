// Does virtual time depend on nothing but what was asked for, and in which order?
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../src/hw/clock.js';

describe('the virtual clock', () => {
  it('dispatches by time, and at one time in the order of asking; cancelled alarms never', () => {
    const alarm = fc.record({ delay: fc.nat(20), cancel: fc.boolean() });
    const property = fc.property(fc.array(alarm, { maxLength: 200 }), (alarms) => {
      const clock = new VirtualClock();
      const fired: number[] = [];
      const cancels = alarms.map(({ delay }, index) => clock.alarm(delay, () => fired.push(index)));
      for (const [index, { cancel }] of alarms.entries()) if (cancel) cancels[index]!();
      let last = 0;
      while (clock.step()) {
        expect(clock.nowNs()).toBeGreaterThanOrEqual(last);
        last = clock.nowNs();
      }
      const expected = [...alarms.entries()]
        .filter(([, { cancel }]) => !cancel)
        .sort(([i, a], [j, b]) => a.delay - b.delay || i - j)
        .map(([index]) => index);
      expect(fired).toEqual(expected);
      expect(clock.dispatched).toBe(expected.length);
    });
    fc.assert(property);
  });

  it('alarms set and cancelled by alarms take their place among the others', () => {
    const clock = new VirtualClock();
    const log: string[] = [];
    const never = clock.alarm(7, () => log.push('never'));
    clock.alarm(5, () => {
      log.push('a');
      clock.alarm(0, () => log.push('a again'));
      never();
    });
    clock.alarm(5, () => log.push('b'));
    while (clock.step());
    expect(log).toEqual(['a', 'b', 'a again']);
    expect(clock.nowNs()).toBe(5);
  });

  it('stands still when nothing is left, and cancelling late is harmless', () => {
    const clock = new VirtualClock();
    expect(clock.step()).toBe(false);
    const cancel = clock.alarm(3, () => {});
    clock.step();
    cancel();
    expect([clock.step(), clock.nowNs()]).toEqual([false, 3]);
  });

  it.each([-1, Number.NaN, Number.POSITIVE_INFINITY])('refuses an alarm %s ns away', (delay) => {
    expect(() => new VirtualClock().alarm(delay, () => {})).toThrow('broken invariant');
  });
});
