// Does the simulated coprocessor do what a study relies on: the load as declared, exact times, few events, its own rules?
import { describe, expect, it } from 'vitest';
import { prngStream } from '../../src/base/prng.js';
import { NS_PER_MS, NS_PER_SECOND, NS_PER_US } from '../../src/base/units.js';
import { nullPolicy } from '../../src/coproc/policies/null.js';
import { roundRobinPolicy } from '../../src/coproc/policies/round-robin.js';
import type { SimContextOptions } from '../../src/coproc/sim-context.js';
import { SimHardware } from '../../src/coproc/sim-hardware.js';
import type { SimLoad } from '../../src/coproc/sim-load.js';
import { SimMemory } from '../../src/coproc/sim-memory.js';
import type { Vcoproc } from '../../src/coproc/vcoproc.js';
import { VirtualClock } from '../../src/hw/clock.js';
import type { QueueBinding } from '../../src/hw/coproc-port.js';
import { CoprocBench } from './bench.js';

const MS = NS_PER_MS;
const ignore = (): void => {};

/** One context alone on the device, started by hand. */
function alone(options: SimContextOptions) {
  const clock = new VirtualClock();
  const memory = new SimMemory(clock);
  const finished: [number, number][] = [];
  const reports: string[] = [];
  const hardware = new SimHardware({
    clock,
    memory,
    prng: prngStream(1, 'alone'),
    contextOf: () => options,
    finished: (_context, arrivedNs, finishedNs) => finished.push([arrivedNs, finishedNs]),
  });
  hardware.onIrq(({ kind }) => reports.push(`${clock.nowNs()} ${kind}`));
  const owner = { context: 0 } as Vcoproc;
  hardware.createContext(0, ignore);
  memory.enter(owner, ignore);
  hardware.share(true);
  const runTo = (atNs: number): void => {
    clock.alarm(atNs - clock.nowNs(), ignore);
    while (clock.nowNs() < atNs) clock.step();
  };
  const begin = (): void => {
    hardware.attachQueue(0, { queueNumber: 0 } as QueueBinding, ignore);
    hardware.start(0, [], ignore);
  };
  return { clock, hardware, memory, owner, finished, reports, runTo, begin };
}

describe('loads', () => {
  it.each<[SimLoad, [number, number][]]>([
    [
      { kind: 'periodic', periodNs: 10, workNs: 4 },
      [
        [0, 4],
        [10, 14],
        [20, 24],
      ],
    ],
    [
      { kind: 'periodic', periodNs: 10, workNs: 4, offsetNs: 3 },
      [
        [3, 7],
        [13, 17],
        [23, 27],
      ],
    ],
    [
      { kind: 'toggling', workNs: 5, idleNs: 7 },
      [
        [0, 5],
        [12, 17],
        [24, 29],
      ],
    ],
  ])('%j has its requests when it should', (load, expected) => {
    const { finished, hardware, runTo, begin } = alone({ load });
    begin();
    runTo(30);
    hardware.executedNs(0);
    expect(finished).toEqual(expected);
  });

  it('one that always has work executes all the time; bursts come as often as they should', () => {
    const busy = alone({ load: { kind: 'always' } });
    busy.begin();
    busy.runTo(NS_PER_SECOND);
    expect([busy.hardware.executedNs(0), busy.clock.dispatched]).toEqual([NS_PER_SECOND, 1]);
    const bursty = alone({ load: { kind: 'bursty', gapNs: MS, workNs: 1000 } });
    bursty.begin();
    bursty.runTo(NS_PER_SECOND);
    bursty.hardware.executedNs(0);
    expect(Math.abs(bursty.finished.length - 1000)).toBeLessThan(100);
  });

  it('reports work and idle once each time, and nothing when it is not shared', () => {
    const { reports, hardware, runTo, begin } = alone({ load: { kind: 'toggling', workNs: 5, idleNs: 5 } });
    begin();
    runTo(16);
    expect(reports).toEqual(['0 work', '5 idle', '10 work', '15 idle']);
    hardware.share(false);
    runTo(100);
    expect(reports).toHaveLength(4);
    hardware.share(true);
    expect(reports).toHaveLength(hardware.workNs(0) > 0 ? 5 : 4);
  });
});

describe('stops', () => {
  it.each<[SimContextOptions['stop'], unknown[]]>([
    [{ kind: 'atOnce' }, ['done', 25]],
    [{ kind: 'afterPart', partNs: 10 }, [5, 'done', 30]],
    [{ kind: 'denies', forNs: 12, hintNs: 6 }, [6, 6, 'done', 37]],
    [{ kind: 'late', afterNs: 8 }, ['done', 33]],
  ])('%j: as declared, and executes as long', (stop, expected) => {
    const { hardware, clock, runTo, begin } = alone({ load: { kind: 'always' }, stop: stop! });
    begin();
    runTo(25);
    const answers: unknown[] = [];
    const ask = (): void =>
      hardware.stop((answer) => {
        answers.push(answer.kind === 'retryIn' ? answer.ns : answer.kind);
        if (answer.kind === 'retryIn') clock.alarm(answer.ns, ask);
      });
    ask();
    runTo(200);
    expect([...answers, hardware.executedNs(0)]).toEqual(expected);
  });

  it('a part that is over is not begun again before the context is started again', () => {
    const { hardware, runTo, begin } = alone({
      load: { kind: 'always' },
      stop: { kind: 'afterPart', partNs: 10 },
    });
    begin();
    runTo(25);
    hardware.stop(ignore);
    runTo(100);
    expect(hardware.executedNs(0)).toBe(30);
    hardware.start(0, [], ignore);
    runTo(110);
    expect(hardware.executedNs(0)).toBe(40);
  });

  it('one that never stops, or does not answer, goes on until it is reset', () => {
    for (const stop of [{ kind: 'never', hintNs: 5 }, { kind: 'silent' }] as const) {
      const { hardware, runTo, begin } = alone({ load: { kind: 'always' }, stop });
      begin();
      hardware.stop(ignore);
      runTo(50);
      hardware.resetContext(0, ignore);
      runTo(80);
      let isDone = false;
      hardware.stop(({ kind }) => {
        isDone = kind === 'done';
      });
      expect([hardware.executedNs(0), isDone]).toEqual([50, true]);
    }
  });
});

describe('its own rules', () => {
  it('a context is not started beside another, nor without its memory, nor saved while it executes', () => {
    const { hardware, memory, begin } = alone({ load: { kind: 'always' } });
    hardware.createContext(1, ignore);
    expect(() => hardware.start(1, [], ignore)).toThrow("with its owner's memory");
    begin();
    expect(() => hardware.start(1, [], ignore)).toThrow('while no other executes');
    expect(() => hardware.saveRegisters(0, ignore)).toThrow('stopped');
    expect(() => hardware.destroyContext(0, ignore)).toThrow('not loaded');
    expect(() => hardware.createContext(0, ignore)).toThrow('not in use');
    expect(() => memory.enter({ context: 1 } as Vcoproc, ignore)).toThrow('no memory is reached');
    expect(() => memory.leave({ context: 1 } as Vcoproc, ignore)).toThrow('was entered');
  });

  it('memory that is taken from a context that executes is noticed', () => {
    const { hardware, memory, owner, runTo, begin } = alone({ load: { kind: 'always' } });
    begin();
    memory.leave(owner, ignore);
    runTo(10);
    expect(() => hardware.executedNs(0)).toThrow("while its owner's memory is reached");
  });

  it('a crash fails what is in flight and forgets the contexts; a device that is lost fails everything', () => {
    const clock = new VirtualClock();
    const memory = new SimMemory(clock);
    const hardware = new SimHardware({
      clock,
      memory,
      costs: { start: 10 },
      contextOf: () => ({ load: { kind: 'always' } }),
    });
    const news: string[] = [];
    hardware.onIrq(({ kind }) => news.push(kind));
    hardware.createContext(0, ignore);
    memory.enter({ context: 0 } as Vcoproc, ignore);
    hardware.start(0, [], ({ kind }) => news.push(kind));
    hardware.crash('test');
    expect([news, hardware.contexts]).toEqual([['reset', 'failed'], []]);
    hardware.lose('test');
    hardware.createContext(0, (result) => news.push(String(result)));
    hardware.stop(({ kind }) => news.push(kind));
    expect(news.slice(2)).toEqual(['lost', '-5', 'failed']);
  });
});

describe('studies', () => {
  it('a thousand contexts for ten seconds take one event for each stretch of work', () => {
    const bench = new CoprocBench({
      policy: roundRobinPolicy,
      contexts: Array.from({ length: 1024 }, () => ({ load: { kind: 'always' } as const })),
      costs: { stop: { least: 5 * NS_PER_US, most: 50 * NS_PER_US }, start: 20 * NS_PER_US },
    });
    bench.start(1024);
    bench.log.length = 0;
    bench.runFor(10 * NS_PER_SECOND);
    const switches = bench.scheduler.statistics.snapshot().left;
    expect(switches).toBeGreaterThan(1500);
    expect(bench.clock.dispatched).toBeLessThan(6 * switches);
  });

  it('the same seed gives the same run', () => {
    const run = (): unknown => {
      const bench = new CoprocBench({
        contexts: [
          { load: { kind: 'bursty', gapNs: 3 * MS, workNs: MS } },
          { load: { kind: 'always' }, stop: { kind: 'afterPart', partNs: 700 * NS_PER_US } },
        ],
        costs: { save: { least: 0, most: 9 * NS_PER_US } },
      });
      bench.start(2);
      bench.runFor(NS_PER_SECOND);
      return [bench.log, bench.scheduler.ledger()];
    };
    expect(run()).toEqual(run());
  });

  it('executed time is what the ledger says, when stopping costs nothing', () => {
    const bench = new CoprocBench({
      policy: roundRobinPolicy,
      contexts: [
        { load: { kind: 'always' } },
        { load: { kind: 'toggling', workNs: 3 * MS, idleNs: 2 * MS } },
        { load: { kind: 'periodic', periodNs: 16 * MS, workNs: 5 * MS } },
      ],
      costs: { save: 10 * NS_PER_US, restore: 30 * NS_PER_US, start: 5 * NS_PER_US },
      memoryCosts: { enterNs: 7000, leaveNs: 9000 },
    });
    const vcoprocs = bench.start(3);
    bench.runFor(NS_PER_SECOND);
    const executed = vcoprocs.map(({ context }) => bench.hardware.executedNs(context));
    expect(vcoprocs.map((vcoproc) => bench.times(vcoproc).run)).toEqual(executed);
  });

  it('alone under the null policy, nothing is reported and nothing ticks', () => {
    const bench = new CoprocBench({ policy: nullPolicy, contexts: [{ load: { kind: 'always' } }] });
    bench.start(1);
    bench.runFor(NS_PER_SECOND);
    expect([bench.clock.dispatched, bench.counts.ticks]).toEqual([1, 0]);
    expect(bench.hardware.executedNs(0)).toBe(NS_PER_SECOND);
  });
});
