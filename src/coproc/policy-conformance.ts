/**
 * The conformance suite of scheduling policies: what every policy keeps, whatever it aims at. Plain code, for any test
 * framework:
 *
 *     for (const { name, check } of policyConformance(myPolicy)) test(name, check);
 *
 * Each check makes fresh policies and drives them on a `PolicyBench`, which holds every answer against the contract
 * (policy.ts). Random sequences are drawn from a seed, which is part of the names.
 */
import { type Prng, prngStream } from '../base/prng.js';
import { NS_PER_MS, NS_PER_SECOND } from '../base/units.js';
import type { ChargeKind, ParameterSpec, Parameters, PolicyModule, SchedulableVcoproc } from './policy.js';
import { PolicyBench } from './policy-bench.js';

/** One property of a policy. */
export interface PolicyCheck {
  readonly name: string;
  /** Throws an error that says what the policy did wrong. */
  check(): void;
}

/** What `policyConformance` assumes of a policy, where its own choice does not fit. */
export interface PolicyConformanceOptions {
  /** Of the random sequences; default 1. */
  readonly seed?: number;
  /** Steps of each random sequence; default 400. */
  readonly steps?: number;
  /** Longest time that a vcoproc with work may wait under default parameters, ns for each vcoproc; default 1 s. */
  readonly worstWaitNs?: number;
  /** Whether the policy does without ticks while one vcoproc is alone, under default parameters; default true. */
  readonly ticklessAlone?: boolean;
}

/** Vcoprocs of a random sequence, unless the policy takes fewer. */
const VCOPROCS = 8;
const KINDS: readonly ChargeKind[] = ['run', 'denied', 'switch', 'emulation'];

interface Suite extends Required<PolicyConformanceOptions> {
  readonly module: PolicyModule;
  readonly vcoprocs: number;
}

/** The checks that a policy has to pass. Options say what to assume where the defaults do not fit. */
export function policyConformance(
  module: PolicyModule,
  options: PolicyConformanceOptions = {},
): readonly PolicyCheck[] {
  const vcoprocs = Math.min(VCOPROCS, module.vcoprocsMax ?? VCOPROCS);
  const defaults = { seed: 1, steps: 400, worstWaitNs: NS_PER_SECOND, ticklessAlone: true };
  const suite = { ...defaults, ...options, module, vcoprocs };
  const named = (name: string, check: (suite: Suite) => void): PolicyCheck => ({
    name: `${module.name} (seed ${suite.seed}): ${name}`,
    check: () => check(suite),
  });
  return [
    named('default parameters are in range, and names are given once', checkParameters),
    named('somebody runs whenever somebody has work, and nobody else is chosen', checkWorkConserving),
    named('everybody with work runs within a bound, however the others wake and sleep', checkNoStarvation),
    named('the same calls have the same answers', checkDeterministic),
    named('a vcoproc can be removed at any time, and others can come', checkRemoval),
    named('parameters can be set at any time, to both ends of their ranges', checkParameterEnds),
    named('no charge is too small or too large, and the others run after it', checkCharges),
    named('a fresh policy takes over under load and forgets nobody', checkRenewal),
    ...(suite.ticklessAlone ? [named('one alone runs without ticks', checkTicklessAlone)] : []),
  ];
}

function expectThat(condition: boolean, fault: string): void {
  if (!condition) throw new Error(fault);
}

function random({ seed }: Suite, purpose: string): Prng {
  return prngStream(seed, `policy conformance: ${purpose}`);
}

function addAll(bench: PolicyBench, count: number): SchedulableVcoproc[] {
  return Array.from({ length: count }, () => bench.add());
}

function pick<Item>(prng: Prng, items: readonly Item[]): Item {
  return items[prng.below(items.length)]!;
}

/** Random wakes, sleeps and time; `also` adds to it at some steps. */
function churn(
  { steps }: Suite,
  bench: PolicyBench,
  vcoprocs: SchedulableVcoproc[],
  prng: Prng,
  also: (step: number) => void = () => {},
): void {
  for (let step = 0; step < steps; step++) {
    const draw = prng.below(8);
    if (draw === 0) also(step);
    else if (draw < 3) bench.wake(pick(prng, vcoprocs));
    else if (draw < 5) bench.sleep(pick(prng, vcoprocs));
    else bench.runFor(1 + prng.below(5 * NS_PER_MS));
  }
}

/** Everybody wakes, and everybody runs before `worstWaitNs` for each has passed. */
function expectAllRun(suite: Suite, bench: PolicyBench, vcoprocs: readonly SchedulableVcoproc[]): void {
  bench.wake(...vcoprocs);
  const before = new Map(vcoprocs.map((vcoproc) => [vcoproc, bench.account(vcoproc).usedNs]));
  const boundNs = suite.worstWaitNs * vcoprocs.length;
  for (let passedNs = 0; passedNs < boundNs && before.size > 0; passedNs += suite.worstWaitNs / 10) {
    bench.runFor(suite.worstWaitNs / 10);
    for (const [vcoproc, usedNs] of before) {
      if (bench.account(vcoproc).usedNs > usedNs) before.delete(vcoproc);
    }
  }
  const [starved] = before.keys();
  expectThat(starved === undefined, `vcoproc ${starved?.id} has work and did not run for ${boundNs} ns`);
}

function checkParameters({ module }: Suite): void {
  for (const specs of [module.parameters, module.vcoprocParameters]) {
    const names = new Set(specs.map(({ name }) => name));
    expectThat(names.size === specs.length, `two parameters of "${module.name}" have the same name`);
    for (const { name, least, most, default: usual } of specs) {
      const whole = [least, most, usual].every(Number.isSafeInteger);
      expectThat(whole, `least, most and default of "${name}" are whole numbers below 2^53`);
      expectThat(least <= usual && usual <= most, `the default of "${name}" is out of its own range`);
    }
  }
}

function checkWorkConserving(suite: Suite): void {
  const bench = new PolicyBench(suite.module);
  const vcoprocs = addAll(bench, suite.vcoprocs);
  const awake = new Set<number>();
  const prng = random(suite, 'work');
  for (let step = 0; step < suite.steps; step++) {
    const vcoproc = pick(prng, vcoprocs);
    if (prng.below(2) === 0) {
      bench.wake(vcoproc);
      awake.add(vcoproc.id);
    } else {
      bench.sleep(vcoproc);
      awake.delete(vcoproc.id);
    }
    const runs = bench.current !== null && awake.has(bench.current.id);
    expectThat(runs || awake.size === 0, `${awake.size} have work and none of them runs`);
    bench.runFor(prng.below(10 * NS_PER_MS));
  }
}

function checkNoStarvation(suite: Suite): void {
  const bench = new PolicyBench(suite.module);
  const vcoprocs = addAll(bench, suite.vcoprocs);
  churn(suite, bench, vcoprocs, random(suite, 'starvation'));
  // Somebody who toggles, and somebody who denies, must not keep the others out either.
  if (vcoprocs.length < (suite.module.vcoprocsMax ?? Number.POSITIVE_INFINITY)) {
    vcoprocs.push(bench.add({}, { busyNs: NS_PER_MS, idleNs: 1000 }), bench.add({}, { denyNs: NS_PER_MS }));
  }
  expectAllRun(suite, bench, vcoprocs);
  bench.runFor(suite.worstWaitNs);
  for (const vcoproc of vcoprocs) {
    const { worstWaitNs } = bench.account(vcoproc);
    const isBounded = worstWaitNs <= suite.worstWaitNs * vcoprocs.length;
    expectThat(isBounded, `vcoproc ${vcoproc.id} had work and waited for ${worstWaitNs} ns`);
  }
}

function checkDeterministic(suite: Suite): void {
  const [first, second] = [0, 1].map(() => {
    const bench = new PolicyBench(suite.module, { switchNs: 20_000 });
    churn(suite, bench, addAll(bench, suite.vcoprocs), random(suite, 'determinism'));
    return JSON.stringify(bench.runs);
  });
  expectThat(first === second, 'the same calls to two policies had different answers');
}

function checkRemoval(suite: Suite): void {
  const bench = new PolicyBench(suite.module);
  const vcoprocs = addAll(bench, suite.vcoprocs);
  const prng = random(suite, 'removal');
  churn(suite, bench, vcoprocs, prng, () => {
    const [gone] = vcoprocs.splice(prng.below(vcoprocs.length), 1);
    bench.remove(gone!);
    bench.charge(gone!, 1000, 'run');
    vcoprocs.push(bench.add());
  });
  const loaded = bench.current;
  if (loaded !== null) bench.remove(loaded);
  const left = vcoprocs.filter(({ id }) => id !== loaded?.id);
  if (left.length > 0) expectAllRun(suite, bench, left);
}

/** Both ends of each parameter, the others at their defaults. */
function ends(specs: readonly ParameterSpec[]): Parameters[] {
  return specs.flatMap(({ name, least, most }) => [{ [name]: least }, { [name]: most }]);
}

/** All parameters drawn from both ends and the default. */
function drawn(specs: readonly ParameterSpec[], prng: Prng): Parameters {
  return Object.fromEntries(
    specs.map(({ name, least, most, default: usual }) => [name, pick(prng, [least, usual, most])]),
  );
}

function checkParameterEnds(suite: Suite): void {
  const { parameters, vcoprocParameters } = suite.module;
  const few = { ...suite, steps: Math.ceil(suite.steps / 8) };
  for (const given of [{}, ...ends(parameters)]) {
    const bench = new PolicyBench(suite.module, { parameters: given });
    const vcoprocs = addAll(bench, suite.vcoprocs);
    const prng = random(suite, `parameters ${JSON.stringify(given)}`);
    const adjusted = [...ends(vcoprocParameters), drawn(vcoprocParameters, prng)];
    for (const other of adjusted) {
      churn(few, bench, vcoprocs, prng, () => {
        const vcoproc = pick(prng, vcoprocs);
        // Those that the policy does not admit never reach it.
        if (bench.admits(other, vcoproc)) bench.adjust(vcoproc, other);
      });
    }
    churn(few, bench, vcoprocs, prng, () => bench.configure(drawn(parameters, prng)));
    bench.configure({});
    for (const vcoproc of vcoprocs) bench.adjust(vcoproc, {});
    expectAllRun({ ...suite, worstWaitNs: 10 * suite.worstWaitNs }, bench, vcoprocs);
  }
}

function checkCharges(suite: Suite): void {
  for (const kind of KINDS) {
    const bench = new PolicyBench(suite.module);
    const vcoprocs = addAll(bench, suite.vcoprocs);
    bench.wake(...vcoprocs);
    const [charged, ...others] = vcoprocs as [SchedulableVcoproc, ...SchedulableVcoproc[]];
    for (const ns of [0, 1, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]) {
      bench.charge(charged, ns, kind);
      bench.runFor(NS_PER_MS);
    }
    if (others.length > 0) expectAllRun(suite, bench, others);
    for (const vcoproc of vcoprocs) bench.charge(vcoproc, Number.MAX_SAFE_INTEGER, kind);
    if (others.length > 0) expectAllRun(suite, bench, others);
  }
}

function checkRenewal(suite: Suite): void {
  const bench = new PolicyBench(suite.module);
  const vcoprocs = addAll(bench, suite.vcoprocs);
  churn(suite, bench, vcoprocs, random(suite, 'renewal'), () => bench.renewPolicy());
  bench.wake(...vcoprocs);
  bench.renewPolicy();
  expectAllRun(suite, bench, vcoprocs);
}

function checkTicklessAlone(suite: Suite): void {
  const bench = new PolicyBench(suite.module);
  const vcoprocs = addAll(bench, suite.vcoprocs);
  const [alone, ...others] = vcoprocs as [SchedulableVcoproc, ...SchedulableVcoproc[]];
  bench.wake(...vcoprocs);
  bench.runFor(20 * NS_PER_MS);
  for (const other of others) bench.sleep(other);
  bench.runFor(NS_PER_SECOND);
  expectThat(bench.current?.id === alone.id, 'one alone with work is not the one that runs');
  expectThat(!bench.ticks, 'one alone runs with ticks, although nobody else wants the coproc');
}
