// Do the registers of a vcoproc behave as those of a device that is never shared, however often it is switched out?
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { copyRegisters } from '../../drivers/copy/layout.js';
import { zipRegisters } from '../../drivers/zip/layout.js';
import { limits } from '../../src/base/limits.js';
import { NS_PER_MS, NS_PER_US } from '../../src/base/units.js';
import { SavedRegisters } from '../../src/coproc/saved-registers.js';
import type { SimStop } from '../../src/coproc/sim-context.js';
import type { RegisterReplay } from '../../src/hw/context-hardware.js';
import type { RegisterSpec } from '../../src/hw/device-model.js';
import { RegisterFile } from '../../src/hw/register-map.js';
import { CoprocBench } from './bench.js';

/** Every kind, in both widths where it makes a difference. */
const everyKind: readonly RegisterSpec[] = [
  { name: 'CONTROL', at: 0x00, width: 32, access: 'RW', reset: 7, doc: '' },
  { name: 'LIMIT', at: 0x08, width: 64, access: 'RW', reset: 2 ** 40, doc: '' },
  { name: 'ID', at: 0x10, width: 32, access: 'RO', reset: 0x51d, doc: '' },
  { name: 'EVENTS', at: 0x14, width: 32, access: 'W1C', reset: 0xff, doc: '' },
  { name: 'MORE_EVENTS', at: 0x18, width: 64, access: 'W1C', reset: 0, doc: '' },
  { name: 'ERRORS', at: 0x20, width: 32, access: 'read-clear', reset: 3, doc: '' },
  { name: 'DROPS', at: 0x24, width: 32, access: 'read-clear', reset: 0, doc: '' },
  { name: 'BELL', at: 0x28, width: 32, access: 'doorbell', reset: 0, doc: '' },
  { name: 'OTHER_BELL', at: 0x2c, width: 32, access: 'doorbell', reset: 0, doc: '' },
  { name: 'REQUESTS', at: 0x30, width: 32, access: 'live', reset: 0, doc: '' },
  { name: 'TIME', at: 0x38, width: 64, access: 'timer', reset: 0, doc: '' },
];

const NOWHERE = 0x400;

type Step =
  | { readonly kind: 'read'; readonly who: number; readonly register: number }
  | { readonly kind: 'write'; readonly who: number; readonly register: number; readonly value: number }
  /** So many writes to two registers in turn: they cannot be merged. */
  | { readonly kind: 'burst'; readonly who: number; readonly register: number; readonly count: number }
  /** The device stores a value in whatever register it may. */
  | { readonly kind: 'store'; readonly register: number; readonly value: number }
  /** A slice ends, more or less. */
  | { readonly kind: 'switch' }
  | { readonly kind: 'pass'; readonly ns: number };

const who = fc.nat(1);
const register = fc.nat(everyKind.length);
const value = fc.oneof(fc.nat(255), fc.nat(0xffff_ffff));
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('read' as const), who, register }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('write' as const), who, register, value }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('burst' as const), who, register, count: fc.nat(90) }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('store' as const), register, value }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('switch' as const) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('pass' as const), ns: fc.nat(60 * NS_PER_US) }) },
);

/** A domain's view of its registers, beside a device of its own on which the same happens. */
class Twin {
  readonly own: RegisterFile;
  readonly rung = { own: [] as string[], shared: [] as string[] };
  readonly reads: { readonly expected: number; value: number | null }[] = [];
  readonly results: number[] = [];
  writes = 0;
  /** What its `live` registers answer: the device changes it, and counts doorbells in it. */
  readonly live = { own: 0, shared: 0 };

  constructor(specs: readonly RegisterSpec[]) {
    this.own = new RegisterFile(specs, {
      live: () => this.live.own,
      doorbell: (name, value) => this.ring('own', name, value),
    });
  }

  ring(device: 'own' | 'shared', name: string, value: number): void {
    this.rung[device].push(`${name} ${value}`);
    this.live[device] += 1;
  }
}

/** Plays a program on two vcoprocs of one device, and on a device for each; they must not be able to tell. */
function play(specs: readonly RegisterSpec[], steps: readonly Step[]): void {
  const twins = [new Twin(specs), new Twin(specs)];
  const bench = new CoprocBench({
    registers: specs,
    contexts: [{ load: { kind: 'always' } }, { load: { kind: 'always' } }],
    costs: { stop: 5 * NS_PER_US, save: 5 * NS_PER_US, start: 5 * NS_PER_US },
    memoryCosts: { enterNs: 5 * NS_PER_US, leaveNs: 5 * NS_PER_US },
    hooksOf: (context) => ({
      live: () => twins[context]!.live.shared,
      doorbell: (name, value) => twins[context]!.ring('shared', name, value),
    }),
  });
  const vcoprocs = bench.start(2);
  const specOf = (index: number): RegisterSpec | undefined => specs[index % (specs.length + 1)];
  const read = (who: number, spec: RegisterSpec | undefined): void => {
    const [twin, vcoproc] = [twins[who]!, vcoprocs[who]!];
    const microseconds = Math.floor(bench.clock.nowNs() / NS_PER_US);
    const expected = spec?.access === 'timer' ? microseconds : twin.own.read(spec?.at ?? NOWHERE);
    const answer = { expected, value: null as number | null };
    twin.reads.push(answer);
    vcoproc.readRegister(spec?.at ?? NOWHERE, spec?.width ?? 32, (value) => {
      expect(answer.value).toBeNull();
      answer.value = value;
    });
  };
  const write = (who: number, spec: RegisterSpec | undefined, value: number): void => {
    const [twin, vcoproc] = [twins[who]!, vcoprocs[who]!];
    twin.own.write(spec?.at ?? NOWHERE, value);
    twin.writes += 1;
    vcoproc.writeRegister(spec?.at ?? NOWHERE, spec?.width ?? 32, value, (result) =>
      twin.results.push(result),
    );
  };
  const store = (spec: RegisterSpec | undefined, value: number): void => {
    // A device stores while it executes, and in the context that it executes.
    const context = bench.hardware.executing;
    if (context === null || spec === undefined) return;
    if (spec.access === 'live') Object.assign(twins[context]!.live, { own: value, shared: value });
    else if (['RO', 'W1C', 'read-clear'].includes(spec.access)) {
      twins[context]!.own.set(spec.name, value);
      bench.hardware.setRegister(context, spec.name, value);
    }
  };
  for (const each of steps) {
    if (each.kind === 'read') read(each.who, specOf(each.register));
    else if (each.kind === 'write') write(each.who, specOf(each.register), each.value);
    else if (each.kind === 'store') store(specOf(each.register), each.value);
    else if (each.kind === 'pass') bench.runFor(each.ns);
    else if (each.kind === 'switch') bench.runFor(limits.TIME_SLICE_NS);
    else {
      for (let count = 0; count < each.count; count++)
        write(each.who, specOf(each.register + (count % 2)), count);
    }
    bench.checkInvariants();
  }
  // Everybody has had another turn: nothing waits any more.
  bench.runFor(20 * NS_PER_MS);
  for (const [index, twin] of twins.entries()) {
    expect(twin.reads.map(({ value }) => value)).toEqual(twin.reads.map(({ expected }) => expected));
    expect(twin.results).toEqual(new Array(twin.writes).fill(0));
    expect(twin.rung.shared).toEqual(twin.rung.own);
    expect(bench.hardware.registersOf(vcoprocs[index]!.context)).toEqual(twin.own.image());
  }
}

describe('a vcoproc and a device that is never shared', () => {
  it('R30: answer every read alike, ring the same doorbells and end up the same, whatever the kinds and the moments', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80, size: 'max' }), (steps) => play(everyKind, steps)),
      { numRuns: 400 },
    );
  });

  it.each([
    ['copy', copyRegisters],
    ['zip', zipRegisters],
  ] as const)('R30: do so with the registers of %s', (_name, specs) => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => play(specs, steps)),
      { numRuns: 100 },
    );
  });
});

/** The first of two that always have work is loaded, the second waits. */
function sharedBench() {
  const rung: string[] = [];
  const bench = new CoprocBench({
    registers: everyKind,
    contexts: [{ load: { kind: 'always' } }, { load: { kind: 'always' } }],
    hooksOf: (context) => ({ doorbell: (name, value) => rung.push(`${context} ${name} ${value}`) }),
  });
  const [first, second] = bench.start(2);
  return { bench, rung, first: first!, second: second! };
}

const CONTROL = 0x00;
const ERRORS = 0x20;
const BELL = 0x28;
const OTHER_BELL = 0x2c;

describe('a vcoproc that waits', () => {
  it('R27: its accesses never reach the device, at whatever offset', () => {
    const { bench, second } = sharedBench();
    const before = bench.log.length;
    for (let offset = 0; offset < 0x44; offset += 4) {
      second.readRegister(offset, 32, () => {});
      second.writeRegister(offset, 32, 1, () => {});
    }
    expect(bench.log).toHaveLength(before);
    expect(bench.hardware.registersOf(0)).toEqual(everyKind.map(({ reset }) => reset));
  });

  it('F11, R28: reads what it saved, not what another has there by now, nor 0', () => {
    const { bench, first, second } = sharedBench();
    first.writeRegister(CONTROL, 32, 5, () => {});
    bench.runFor(limits.TIME_SLICE_NS + 1);
    second.writeRegister(CONTROL, 32, 9, () => {});
    let value = 0;
    first.readRegister(CONTROL, 32, (answer) => {
      value = answer;
    });
    expect([first.state, value]).toEqual(['WAITING', 5]);
  });

  it('R29: has its writes executed when it is loaded: all of them, in order, before it runs', () => {
    const { bench, rung, second } = sharedBench();
    for (let count = 0; count < 5; count++) {
      second.writeRegister(BELL, 32, count, () => {});
      second.writeRegister(OTHER_BELL, 32, count, () => {});
    }
    expect([rung, second.stackedAccesses]).toEqual([[], 10]);
    bench.runFor(limits.TIME_SLICE_NS + 1);
    expect(rung).toEqual([0, 1, 2, 3, 4].flatMap((count) => [`1 BELL ${count}`, `1 OTHER_BELL ${count}`]));
    expect(second.stackedAccesses).toBe(0);
  });

  it('R28: a read that comes after a doorbell waits for the device: only it knows what the doorbell changed', () => {
    let requests = 0;
    const bench = new CoprocBench({
      registers: everyKind,
      contexts: [{ load: { kind: 'always' } }, { load: { kind: 'always' } }],
      hooksOf: () => ({ live: () => requests, doorbell: () => void requests++ }),
    });
    const [, second] = bench.start(2);
    const values: number[] = [];
    second!.readRegister(0x30, 32, (value) => values.push(value));
    second!.writeRegister(BELL, 32, 1, () => {});
    second!.readRegister(0x30, 32, (value) => values.push(value));
    expect(values).toEqual([0]);
    bench.runFor(limits.TIME_SLICE_NS + 1);
    expect(values).toEqual([0, 1]);
  });

  it('R29: with a full stack it is held back, and every write is done later, in order, exactly once', () => {
    const { bench, rung, second } = sharedBench();
    const results: number[] = [];
    const writes = limits.STACKED_WRITES + 10;
    for (let count = 0; count < writes; count++) {
      second.writeRegister(count % 2 === 0 ? BELL : OTHER_BELL, 32, count, () => results.push(count));
    }
    expect([results.length, second.stackedAccesses]).toEqual([limits.STACKED_WRITES, limits.STACKED_WRITES]);
    bench.runFor(limits.TIME_SLICE_NS + 1);
    const all = Array.from({ length: writes }, (_, count) => count);
    expect(results).toEqual(all);
    expect(rung.map((line) => Number(line.split(' ')[2]))).toEqual(all);
  });

  it('R29: nothing overtakes a write that is held back, not even what would fit the stack', () => {
    const { bench, second } = sharedBench();
    for (let count = 0; count < limits.STACKED_WRITES; count++) {
      second.writeRegister(BELL + 4 * (count % 2), 32, count, () => {});
    }
    const done: string[] = [];
    second.writeRegister(CONTROL, 32, 1, () => done.push('first'));
    second.writeRegister(OTHER_BELL, 32, 1, () => done.push('second'));
    second.readRegister(CONTROL, 32, (value) => done.push(`read ${value}`));
    expect(done).toEqual([]);
    bench.runFor(limits.TIME_SLICE_NS + 1);
    expect(done).toEqual(['first', 'second', 'read 1']);
  });

  it('R29: and sleeps is loaded when it is held back: it does not wait for work that it has not', () => {
    const bench = new CoprocBench({ registers: everyKind, contexts: [{ load: { kind: 'always' } }] });
    const [, idle] = bench.start(2);
    let results = 0;
    for (let count = 0; count <= limits.STACKED_WRITES; count++) {
      idle!.writeRegister(count % 2 === 0 ? CONTROL : 0x08, 32, count, () => results++);
      if (count < limits.STACKED_WRITES) expect(idle!.state).toBe('SLEEPING');
    }
    expect([results, idle!.state]).toEqual([limits.STACKED_WRITES, 'WAITING']);
    bench.runFor(limits.TIME_SLICE_NS + 1);
    expect([results, idle!.state, bench.times(idle!).run]).toEqual([
      limits.STACKED_WRITES + 1,
      'SLEEPING',
      0,
    ]);
  });

  it('R15: and sleeps is loaded for a doorbell that it rings, and sleeps again when there was nothing to it', () => {
    const { bench, rung } = sharedBench();
    const third = bench.add();
    third.writeRegister(BELL, 32, 3, () => {});
    expect(third.state).toBe('WAITING');
    bench.runFor(3 * limits.TIME_SLICE_NS);
    expect([rung, third.state]).toEqual([['2 BELL 3'], 'SLEEPING']);
  });

  it('R15: alone and never used, is loaded for a doorbell, too', () => {
    const rung: number[] = [];
    const hooksOf = () => ({ doorbell: (_name: string, value: number) => void rung.push(value) });
    const bench = new CoprocBench({ registers: everyKind, hooksOf });
    bench.add().writeRegister(BELL, 32, 4, () => {});
    expect(rung).toEqual([4]);
  });

  it('R95: pays for the time in which its writes are replayed', () => {
    const bench = new CoprocBench({
      registers: everyKind,
      contexts: [{ load: { kind: 'always' } }, { load: { kind: 'always' } }],
      costs: { restore: 9 * NS_PER_US },
    });
    const [, second] = bench.start(2);
    second!.writeRegister(BELL, 32, 1, () => {});
    bench.runFor(2 * limits.TIME_SLICE_NS);
    expect(bench.times(second!).emulation).toBe(9 * NS_PER_US);
  });

  it('out of service, it reads what was saved last, and its writes fail: those that waited, too', () => {
    const { bench, second } = sharedBench();
    const results: number[] = [];
    for (let count = 0; count < limits.STACKED_WRITES + 3; count++) {
      second.writeRegister(BELL, 32, count, (result) => results.push(result));
    }
    bench.hardware.lose('test');
    second.writeRegister(CONTROL, 32, 1, (result) => results.push(result));
    expect(results.slice(limits.STACKED_WRITES).every((result) => result < 0 || result === 0)).toBe(true);
    expect([results.length, results.at(-1)]).toEqual([limits.STACKED_WRITES + 4, -5]);
    let value = -1;
    second.readRegister(CONTROL, 32, (answer) => {
      value = answer;
    });
    expect(value).toBe(7);
  });
});

describe('an access while the context is moved', () => {
  it('waits for the end of it, in order with what comes from its own answer', () => {
    const bench = new CoprocBench({
      registers: everyKind,
      contexts: [{ load: { kind: 'always' } }, { load: { kind: 'always' } }],
      costs: { start: 50 * NS_PER_US },
    });
    const [first] = bench.start(1);
    expect(bench.scheduler.phase).toBe('entering');
    const done: string[] = [];
    first!.writeRegister(CONTROL, 32, 1, () => {
      done.push('1');
      first!.writeRegister(CONTROL, 32, 3, () => done.push('3'));
    });
    first!.writeRegister(CONTROL, 32, 2, () => done.push('2'));
    expect(done).toEqual([]);
    bench.runFor(60 * NS_PER_US);
    expect(done).toEqual(['1', '2', '3']);
    expect(bench.hardware.registersOf(0)[0]).toBe(3);
  });
});

describe('an access while the context is asked to stop', () => {
  /** Two that always have work; the first is asked to stop, which is answered 100 ns later as `stop` says. */
  function asked(stop: SimStop) {
    const bench = new CoprocBench({
      registers: everyKind,
      contexts: [{ load: { kind: 'always' }, stop }, { load: { kind: 'always' } }],
      costs: { stop: 100 },
    });
    const [first] = bench.start(2);
    bench.runFor(limits.TIME_SLICE_NS + 50);
    expect([first!.state, bench.scheduler.phase]).toEqual(['ASKED_TO_SLEEP', 'leaving']);
    const reads: number[] = [];
    first!.writeRegister(CONTROL, 32, 9, () => {});
    first!.readRegister(CONTROL, 32, (value) => reads.push(value));
    expect(reads).toEqual([]);
    bench.runFor(100);
    return { bench, reads };
  }

  it('R28: waits for the answer: a device that has stopped by then would not know of whom it is', () => {
    const { bench, reads } = asked({ kind: 'atOnce' });
    expect(reads).toEqual([9]);
    expect(bench.hardware.registersOf(0)[0]).not.toBe(9);
  });

  it('R26: is made on the device when it denies', () => {
    const { bench, reads } = asked({ kind: 'denies', forNs: 50 * NS_PER_US, hintNs: 10 * NS_PER_US });
    expect([reads, bench.hardware.registersOf(0)[0]]).toEqual([[9], 9]);
  });
});

describe('the stack', () => {
  const stackOf = (act: (saved: SavedRegisters) => void): readonly RegisterReplay[] => {
    const saved = new SavedRegisters(everyKind);
    act(saved);
    return saved.takeStacked();
  };
  const write = (offset: number, value: number): RegisterReplay => ({ op: 'write', offset, value });

  it('R29: merges writes to one RW register that follow each other: the last one counts', () => {
    const merged = stackOf((saved) => {
      for (const value of [1, 2, 3]) saved.write(CONTROL, value);
    });
    expect(merged).toEqual([write(CONTROL, 3)]);
  });

  it('R29: unites W1C writes that follow each other, in 64 bits too', () => {
    const merged = stackOf((saved) => {
      for (const value of [1, 2 ** 40, 4]) saved.write(0x18, value);
    });
    expect(merged).toEqual([write(0x18, 2 ** 40 + 5)]);
  });

  it('R29: never merges doorbells, nor anything across another register', () => {
    const order: [number, number][] = [
      [BELL, 1],
      [BELL, 1],
      [CONTROL, 1],
      [BELL, 2],
      [CONTROL, 2],
      [0x08, 1],
      [CONTROL, 3],
    ];
    const stack = stackOf((saved) => {
      for (const [offset, value] of order) saved.write(offset, value);
    });
    expect(stack).toEqual(order.map(([offset, value]) => write(offset, value)));
  });

  it('R30: repeats the read of a read-clear register once, and only if there was something to clear', () => {
    const stack = stackOf((saved) => {
      expect([saved.read(ERRORS), saved.read(ERRORS), saved.read(0x24)]).toEqual([3, 0, 0]);
    });
    expect(stack).toEqual([{ op: 'read', offset: ERRORS, value: 0 }]);
  });

  it('holds nothing that has no effect: RO, live, timer, and where no register is', () => {
    const stack = stackOf((saved) => {
      for (const offset of [0x10, 0x30, 0x38, NOWHERE]) saved.write(offset, 1);
    });
    expect(stack).toEqual([]);
  });

  it('full, takes what merges and what has no effect, and holds back the rest', () => {
    const saved = new SavedRegisters(everyKind);
    for (let count = 1; count < limits.STACKED_WRITES; count++) saved.write(BELL, count);
    expect(saved.holdsBack(BELL)).toBe(false);
    saved.write(CONTROL, 1);
    expect([CONTROL, 0x10, NOWHERE, BELL, 0x14].map((offset) => saved.holdsBack(offset))).toEqual([
      false,
      false,
      false,
      true,
      true,
    ]);
  });

  it('is bounded, whatever is done to it: by the limit, and one read for each register that one clears', () => {
    const anything = fc.array(fc.tuple(fc.boolean(), fc.nat(20), fc.nat(0xffff)), {
      maxLength: 300,
      size: 'max',
    });
    const property = fc.property(anything, (accesses) => {
      const saved = new SavedRegisters(everyKind);
      for (const [isRead, index, value] of accesses) {
        const offset = everyKind[index % everyKind.length]!.at;
        if (isRead) saved.read(offset);
        else if (!saved.holdsBack(offset)) saved.write(offset, value);
        expect(saved.stacked).toBeLessThanOrEqual(limits.STACKED_WRITES + 2);
      }
    });
    fc.assert(property, { numRuns: 200 });
  });
});
