// Whatever happens in whatever phase: are states, policy, hardware, memory and ledger in step, and is nobody forgotten?
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { limits } from '../../src/base/limits.js';
import { NS_PER_MS, NS_PER_SECOND, NS_PER_US } from '../../src/base/units.js';
import { fairPolicy } from '../../src/coproc/policies/fair.js';
import { roundRobinPolicy } from '../../src/coproc/policies/round-robin.js';
import { definePolicy, type PolicyModule } from '../../src/coproc/policy.js';
import type { SwitchPayer } from '../../src/coproc/scheduler-parts.js';
import type { SimContextOptions, SimStop } from '../../src/coproc/sim-context.js';
import type { SimFault, SimStep } from '../../src/coproc/sim-steps.js';
import type { Vcoproc } from '../../src/coproc/vcoproc.js';
import type { RegisterSpec } from '../../src/hw/device-model.js';
import { CoprocBench, checked, sumOf } from './bench.js';

const US = NS_PER_US;
const MS = NS_PER_MS;
const VCOPROCS = 4;

/** Names whom it likes, for as long as it likes, also nobody, and those that it must not name. */
function arbitraryPolicy(choices: readonly number[]): PolicyModule {
  let turn = 0;
  const draw = (bound: number): number => (choices[turn++ % choices.length] ?? 0) % bound;
  return definePolicy({
    name: 'arbitrary',
    parameters: [],
    vcoprocParameters: [],
    create: () => {
      const all = new Map<number, { id: number; domainId: number }>();
      const ignore = (): void => {};
      return {
        visited: 0,
        add: (vcoproc) => void all.set(vcoproc.id, vcoproc),
        remove: ({ id }) => void all.delete(id),
        wake: ignore,
        sleep: ignore,
        charge: ignore,
        adjust: ignore,
        configure: ignore,
        dump: () => ({}),
        schedule: (_nowNs, current) => {
          const candidates = [null, current, { id: 999, domainId: 0 }, ...all.values()];
          return { next: candidates[draw(candidates.length)]!, sliceNs: 1000 + 37 * draw(5000) };
        },
      };
    },
  });
}

const REGISTERS: readonly RegisterSpec[] = [
  { name: 'A', at: 0, width: 32, access: 'RW', reset: 0, doc: '' },
  { name: 'B', at: 4, width: 32, access: 'RW', reset: 0, doc: '' },
  { name: 'BELL', at: 8, width: 32, access: 'doorbell', reset: 0, doc: '' },
];

const stop: fc.Arbitrary<SimStop> = fc.oneof(
  { weight: 4, arbitrary: fc.constant<SimStop>({ kind: 'atOnce' }) },
  fc.constant<SimStop>({ kind: 'afterPart', partNs: 300 * US }),
  fc.constant<SimStop>({ kind: 'denies', forNs: 9 * MS, hintNs: 2 * MS }),
  fc.constant<SimStop>({ kind: 'late', afterNs: 5 * MS }),
  fc.constant<SimStop>({ kind: 'never', hintNs: 40 * MS }),
  fc.constant<SimStop>({ kind: 'silent' }),
);

const fault: fc.Arbitrary<readonly [SimStep, SimFault]> = fc.tuple(
  fc.constantFrom<SimStep>('create', 'destroy', 'stop', 'save', 'start', 'resetContext', 'resetDevice'),
  fc.oneof(
    fc.constant<SimFault>({ kind: 'failed', reason: 'test' }),
    fc.constant<SimFault>({ kind: 'silent' }),
    fc.record({ kind: fc.constant('late' as const), ns: fc.constantFrom(MS, 3 * NS_PER_SECOND) }),
    fc.record({ kind: fc.constant('retryIn' as const), ns: fc.nat(MS) }),
  ),
);

type Action =
  | {
      readonly kind:
        | 'give'
        | 'remove'
        | 'write'
        | 'ring'
        | 'raise'
        | 'adjust'
        | 'cooperate'
        | 'wake'
        | 'sleep';
      readonly which: number;
    }
  | { readonly kind: 'pass'; readonly ns: number }
  | { readonly kind: 'fault'; readonly fault: readonly [SimStep, SimFault] }
  | { readonly kind: 'event' | 'mend' | 'crash' | 'add' | 'configure' | 'policy' };

const which = fc.nat(VCOPROCS - 1);
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('give' as const), which }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('pass' as const), ns: fc.nat(8 * MS) }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('event' as const) }) },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constantFrom('write', 'ring', 'raise', 'adjust', 'cooperate', 'wake', 'sleep', 'remove'),
      which,
    }) as fc.Arbitrary<Action>,
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom('add', 'configure', 'policy', 'mend'),
    }) as fc.Arbitrary<Action>,
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('fault' as const), fault }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('crash' as const) }) },
);

interface Setting {
  readonly stops: readonly SimStop[];
  readonly costNs: number;
  readonly memoryNs: number;
  readonly switchPayer: SwitchPayer;
  readonly choices: readonly number[];
}

const setting: fc.Arbitrary<Setting> = fc.record({
  stops: fc.array(stop, { minLength: VCOPROCS, maxLength: VCOPROCS }),
  costNs: fc.constantFrom(0, 20 * US),
  memoryNs: fc.constantFrom(0, 30 * US),
  switchPayer: fc.constantFrom<SwitchPayer>('system', 'from', 'to'),
  choices: fc.array(fc.nat(10_000), { minLength: 1, maxLength: 20 }),
});

/** A coproc under test, and what was promised to its domains. */
class Model {
  readonly bench: CoprocBench;
  readonly policy: ReturnType<typeof checked>;
  readonly policies: readonly ReturnType<typeof checked>[];
  readonly answers: { readonly what: string; count: number }[] = [];
  /** Those that were asked to yield, and not told that it is over. */
  readonly asked = new Set<Vcoproc>();
  #policyIndex = 0;

  constructor({ stops, costNs, memoryNs, switchPayer, choices }: Setting, first: PolicyModule) {
    const ledger = (): ReturnType<CoprocBench['scheduler']['ledger']> => this.bench.scheduler.ledger();
    this.policies = [first, roundRobinPolicy, arbitraryPolicy(choices), fairPolicy].map((module) =>
      checked(module, ledger),
    );
    this.policy = this.policies[0]!;
    this.bench = new CoprocBench({
      policy: this.policy,
      switchPayer,
      registers: REGISTERS,
      doorbellNs: 100 * US,
      costs: { stop: costNs, save: costNs, start: costNs },
      memoryCosts: { enterNs: memoryNs, leaveNs: memoryNs },
      contexts: stops.map((each): SimContextOptions => ({ load: { kind: 'given' }, stop: each })),
    });
    for (let count = 0; count < VCOPROCS; count++) this.add();
  }

  add(): void {
    const vcoproc = this.bench.add();
    vcoproc.onIrq(({ kind }) => {
      // A kernel attaches its queues again when the device was reset.
      if (kind === 'reset') this.attach(vcoproc);
      if (kind === 'pleaseYield') {
        expect([vcoproc.cooperates, this.asked.size]).toEqual([true, 0]);
        this.asked.add(vcoproc);
      }
      if (kind === 'yieldOver') expect(this.asked.delete(vcoproc)).toBe(true);
    });
    this.attach(vcoproc);
  }

  attach(vcoproc: Vcoproc): void {
    this.bench.attach(vcoproc);
  }

  /** A callback that has to be called exactly once. */
  once(what: string): () => void {
    const answer = { what, count: 0 };
    this.answers.push(answer);
    return () => {
      answer.count += 1;
    };
  }

  /** Those that are not being destroyed. */
  get alive(): Vcoproc[] {
    const { scheduler } = this.bench;
    return scheduler.vcoprocs.filter((vcoproc) => !scheduler.isLeavingForGood(vcoproc));
  }

  /** What the hardware has to do for it, ns. */
  workNs({ context }: Vcoproc): number {
    const { hardware } = this.bench;
    return hardware.contexts.includes(context) ? hardware.workNs(context) : 0;
  }

  give(vcoproc: Vcoproc, ns: number): void {
    if (this.bench.hardware.contexts.includes(vcoproc.context)) this.bench.hardware.give(vcoproc.context, ns);
  }

  act(step: Action): void {
    const { bench } = this;
    const alive = this.alive;
    const vcoproc = 'which' in step ? alive[step.which % Math.max(1, alive.length)] : undefined;
    if (vcoproc !== undefined) this.#actOn(vcoproc, step.kind);
    else if (step.kind === 'pass') bench.runFor(step.ns, () => this.check());
    else if (step.kind === 'event') bench.clock.step();
    else if (step.kind === 'fault') bench.faults.set(...step.fault);
    else if (step.kind === 'mend') bench.faults.clear();
    else if (step.kind === 'crash') bench.hardware.crash('test');
    else if (step.kind === 'configure')
      bench.scheduler.configure(defaults(bench.scheduler.policyModule.parameters));
    else if (step.kind === 'policy') this.usePolicy((this.#policyIndex + 1) % this.policies.length);
    else if (step.kind === 'add' && alive.length < 2 * VCOPROCS && !bench.scheduler.isolated) this.add();
  }

  #actOn(vcoproc: Vcoproc, kind: Action['kind']): void {
    const { bench } = this;
    if (kind === 'give') this.give(vcoproc, 700 * US);
    else if (kind === 'wake') vcoproc.wake();
    else if (kind === 'sleep') vcoproc.sleep();
    else if (kind === 'raise') bench.hardware.raise(vcoproc.context, 1);
    else if (kind === 'adjust')
      bench.scheduler.adjust(vcoproc, defaults(bench.scheduler.policyModule.vcoprocParameters));
    else if (kind === 'cooperate') vcoproc.parameters = { cooperates: vcoproc.cooperates ? 0 : 1 };
    else if (kind === 'ring') vcoproc.writeRegister(8, 32, 1, this.once('ring'));
    else if (kind === 'write') {
      vcoproc.writeRegister(0, 32, 1, this.once('write'));
      vcoproc.writeRegister(4, 32, 1, this.once('write'));
      vcoproc.readRegister(0, 32, this.once('read'));
    } else if (kind === 'remove') bench.scheduler.remove(vcoproc, this.once('remove'));
  }

  usePolicy(index: number): void {
    this.#policyIndex = index;
    const next = this.policies[index]!;
    const ofVcoproc = defaults(next.vcoprocParameters);
    this.bench.scheduler.changePolicy(next, defaults(next.parameters), () => ofVcoproc);
  }

  check(): void {
    this.bench.checkInvariants();
    const { scheduler } = this.bench;
    const { awake } = this.policies[this.#policyIndex]!;
    for (const vcoproc of this.alive) {
      // Whoever has work is known to the policy, unless it is out of service; and is not said to sleep.
      if (vcoproc.state === 'WAITING' || vcoproc.state === 'SLEEPING') {
        const isEntering = scheduler.phase !== 'settled' && vcoproc === scheduler.current;
        if (!isEntering) expect(vcoproc.state).toBe(awake.has(vcoproc.id) ? 'WAITING' : 'SLEEPING');
      }
      const isReported = scheduler.vcoprocs.length > 1 && vcoproc.exists && vcoproc.state !== 'ISOLATED';
      if (isReported && this.workNs(vcoproc) > 0) expect(awake.has(vcoproc.id)).toBe(true);
    }
    for (const { what, count } of this.answers) expect([what, count <= 1]).toEqual([what, true]);
  }

  /** From here on nothing goes wrong: everything ends well. */
  end(): void {
    const { bench } = this;
    bench.faults.clear();
    bench.runFor(12 * NS_PER_SECOND, () => this.check());
    if (!bench.scheduler.isolated) {
      for (const vcoproc of this.alive) {
        if (vcoproc.state === 'ISOLATED') continue;
        vcoproc.wake();
        this.give(vcoproc, 900 * US);
      }
      bench.runFor(20 * NS_PER_SECOND, () => this.check());
      for (const vcoproc of this.alive) {
        if (vcoproc.state !== 'ISOLATED') expect(this.workNs(vcoproc)).toBe(0);
      }
    }
    for (const { what, count } of this.answers) expect([what, count]).toEqual([what, 1]);
    expect(this.asked.size).toBe(0);
    for (const vcoproc of this.alive) {
      const { raised, told } = vcoproc.interrupts.counts;
      expect(told).toBe(raised);
    }
    const ledger = bench.scheduler.ledger();
    expect(sumOf(ledger)).toBe(ledger.totalNs);
  }
}

function defaults(specs: PolicyModule['parameters']): Readonly<Record<string, number>> {
  return Object.fromEntries(specs.map((spec) => [spec.name, spec.default]));
}

describe('any sequence of events, under', () => {
  it.each([roundRobinPolicy, fairPolicy])(
    '$name: one context at most, everybody with work runs, every ns is charged, every answer is given once',
    (module) => {
      const property = fc.property(
        setting,
        fc.array(action, { maxLength: 60, size: 'max' }),
        (options, actions) => {
          const model = new Model(options, module);
          model.check();
          for (const step of actions) {
            model.act(step);
            model.check();
          }
          // Back to a policy that forgets nobody.
          model.usePolicy(1);
          model.end();
        },
      );
      fc.assert(property, { numRuns: 250 });
    },
    60_000,
  );
});

it('waits of everybody with work are bounded by the turns and the denials of the others', () => {
  const property = fc.property(
    fc.integer({ min: 2, max: 12 }),
    fc.array(fc.nat(40), { minLength: 2, maxLength: 12 }),
    (count, denials) => {
      const contexts = Array.from({ length: count }, (_, index): SimContextOptions => {
        const forNs = (denials[index % denials.length] ?? 0) * MS;
        return { load: { kind: 'always' }, stop: { kind: 'denies', forNs, hintNs: 3 * MS } };
      });
      const bench = new CoprocBench({ contexts });
      const vcoprocs = bench.start(count);
      const roundNs = count * (limits.TIME_SLICE_NS + 40 * MS);
      let executed = vcoprocs.map(() => 0);
      for (let round = 0; round < 8; round++) {
        // Debts of a round are paid back in the next ones: 40 ms of denial are seven turns.
        bench.runFor(8 * roundNs);
        const now = vcoprocs.map(({ context }) => bench.hardware.executedNs(context));
        for (const [index, ns] of now.entries()) expect(ns).toBeGreaterThan(executed[index]!);
        executed = now;
      }
    },
  );
  fc.assert(property, { numRuns: 30 });
});
