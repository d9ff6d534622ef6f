// Does a vcoproc keep to its states, and is it a port like the hardware to its kernel?
import { describe, expect, it } from 'vitest';
import { Vcoproc, type VcoprocState, vcoprocState } from '../../src/coproc/vcoproc.js';
import { VirtualClock } from '../../src/hw/clock.js';
import type { QueueBinding } from '../../src/hw/coproc-port.js';
import { CoprocBench } from './bench.js';

const { WAITING, RUNNING, ASKED_TO_SLEEP, ISOLATED } = vcoprocState;

describe('the states of a vcoproc', () => {
  it('follow each other as docs/lifecycle.md draws them, and in no other way', () => {
    const paths: Readonly<Record<VcoprocState, readonly VcoprocState[]>> = {
      SLEEPING: [],
      WAITING: [WAITING],
      RUNNING: [WAITING, RUNNING],
      ASKED_TO_SLEEP: [WAITING, RUNNING, ASKED_TO_SLEEP],
      ISOLATED: [ISOLATED],
    };
    const followers: Readonly<Record<VcoprocState, string>> = {
      SLEEPING: 'WAITING ISOLATED',
      WAITING: 'SLEEPING RUNNING ISOLATED',
      RUNNING: 'SLEEPING WAITING ASKED_TO_SLEEP ISOLATED',
      ASKED_TO_SLEEP: 'SLEEPING WAITING RUNNING ISOLATED',
      ISOLATED: '',
    };
    const { hardware } = new CoprocBench();
    for (const [from, path] of Object.entries(paths)) {
      for (const to of Object.values(vcoprocState)) {
        const wiring = {
          hardware,
          owner: { workChanged: () => {}, resetting: false },
          clock: new VirtualClock(),
        };
        const vcoproc = new Vcoproc(1, 0, wiring);
        for (const state of path) vcoproc.enter(state);
        const enter = (): void => vcoproc.enter(to);
        if (followers[from as VcoprocState].split(' ').includes(to)) enter();
        else expect(enter).toThrow(`goes from ${from} to ${to}`);
      }
    }
  });
});

describe('a vcoproc', () => {
  it('R27, R42: is a port with the name, the device id and the description of its instance', () => {
    const bench = new CoprocBench({ instance: 'sim7' });
    const vcoproc = bench.add();
    expect([vcoproc.instance, vcoproc.deviceId, vcoproc.description]).toEqual([
      'sim7',
      0,
      bench.hardware.description,
    ]);
  });

  it('has a context from its first queue on, and one only', () => {
    const bench = new CoprocBench();
    const vcoproc = bench.add();
    expect([vcoproc.exists, bench.hardware.contexts]).toEqual([false, []]);
    for (const queueNumber of [1, 2, 3]) vcoproc.attachQueue({ queueNumber } as QueueBinding, () => {});
    expect([vcoproc.exists, bench.log]).toEqual([true, ['create 0']]);
  });

  it('R16: has none when the device had no room; it says so, and tries again with the next queue', () => {
    const bench = new CoprocBench();
    const vcoproc = bench.add();
    bench.faults.set('create', { kind: 'failed', reason: 'test' });
    expect([bench.attach(vcoproc) < 0, vcoproc.exists]).toEqual([true, false]);
    bench.faults.clear();
    expect([bench.attach(vcoproc), vcoproc.exists, bench.hardware.contexts]).toEqual([0, true, [0]]);
  });

  it('out of service takes no queue', () => {
    const bench = new CoprocBench();
    const [vcoproc] = bench.start(1);
    bench.hardware.lose('test');
    expect([vcoproc!.state, bench.attach(vcoproc!)]).toEqual([ISOLATED, -5]);
  });
});
