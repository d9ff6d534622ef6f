// Can a domain tell, from whatever it does to any driver's device, that it shares the device with others?
//
// A failure prints seed and path; with `{ seed, path }` beside `numRuns` the same run comes again, and nothing else.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MiB } from '../../src/base/units.js';
import { builtinPolicies } from '../../src/machine/builtin-policies.js';
import { registerDriver } from './register-device.js';
import { type DriverUnderTest, driversInTree, underTest } from './register-differential-driver.js';
import { PROGRAM_BYTES, Program } from './register-differential-program.js';
import { Rival } from './register-differential-rival.js';
import { differenceOf } from './register-differential-seen.js';
import { type Step, step } from './register-differential-steps.js';
import { parametersOf, SharingBench } from './sharing-bench.js';

/** For each driver. */
const RUNS = 300;

/** One program goes on for a step, then the machine for so many events. */
interface Turn {
  readonly who: number;
  readonly events: number;
  /** From now on the device is shared so. */
  readonly policy: { readonly name: 'round-robin' | 'fair'; readonly sliceNs: number } | null;
}

const turn: fc.Arbitrary<Turn> = fc.record({
  who: fc.nat(3),
  events: fc.nat(30),
  policy: fc.option(
    fc.record({
      name: fc.constantFrom('round-robin', 'fair'),
      sliceNs: fc.integer({ min: 100_000, max: 300_000 }),
    }),
    { freq: 8 },
  ),
});

/** What happens on a shared machine: the programs of its domains, how their turns go, and the seed of the rest. */
const story = fc.record({
  programs: fc.array(fc.array(step, { maxLength: 8 }), { minLength: 2, maxLength: 3 }),
  turns: fc.array(turn, { minLength: 1, maxLength: 30 }),
  /** Somebody else always has work. */
  hasRival: fc.boolean(),
  seed: fc.nat(1000),
});
type Story = typeof story extends fc.Arbitrary<infer Value> ? Value : never;

/** A program that does not end within so many turns never does. */
const TURNS_MAX = 20_000;

function newBench(tested: DriverUnderTest, seed: number, domains: number, policy: string): SharingBench {
  const memoryBytes = 32 * MiB + domains * PROGRAM_BYTES;
  return new SharingBench({ drivers: [tested.driver], seed, policy, memoryBytes });
}

/** What each program sees with the device to itself. */
async function runAlone(tested: DriverUnderTest, programs: readonly (readonly Step[])[], seed: number) {
  const bench = newBench(tested, seed, 1, 'null');
  const seen = [];
  for (const [index, steps] of programs.entries()) {
    const name = `only${index}`;
    const program = await Program.start(bench, { name, tested, steps, isAlone: true });
    for (let turns = 0; !program.isOver; turns++) {
      if (turns > TURNS_MAX) throw new Error('a program never ends');
      program.turn();
      bench.steps(1);
    }
    bench.rest();
    program.finish();
    seen.push(program.seen);
    bench.end(name);
  }
  return seen;
}

/** What each of them sees when all are there. */
async function runShared(tested: DriverUnderTest, { programs, turns, hasRival, seed }: Story) {
  const bench = newBench(tested, seed, programs.length + 1, 'round-robin');
  const rival = hasRival ? await Rival.start(bench, tested, PROGRAM_BYTES) : null;
  const running: Program[] = [];
  for (const [index, steps] of programs.entries())
    running.push(await Program.start(bench, { name: `domain${index}`, tested, steps, isAlone: false }));
  for (let count = 0; running.some(({ isOver }) => !isOver); count++) {
    if (count > TURNS_MAX) throw new Error('a program never ends');
    const { who, events, policy } = turns[count % turns.length]!;
    // When all turns were taken they are taken again, by everybody at once.
    const isFirstTime = count < turns.length;
    for (const program of isFirstTime ? [running[who % running.length]!] : running) program.turn();
    rival?.turn();
    if (policy !== null && isFirstTime) share(bench, policy);
    bench.steps(events + 1);
  }
  bench.rest();
  for (const program of running) program.finish();
  return { running, switches: bench.query(bench.instances[0]!.id).switches.entered };
}

function share(bench: SharingBench, { name, sliceNs }: NonNullable<Turn['policy']>): void {
  const policy = builtinPolicies.find((known) => known.name === name)!;
  bench.machine.framework
    .setPolicy(bench.instances[0]!.id, policy, parametersOf(name, sliceNs))
    ._unsafeUnwrap();
}

/** Nobody can tell, in so many stories; and in these there was something to tell. */
async function nobodyCanTell(tested: DriverUnderTest, numRuns: number): Promise<void> {
  const total = { switches: 0, emulated: 0, completions: 0, left: 0 };
  await fc.assert(
    fc.asyncProperty(story, async (told) => {
      const alone = await runAlone(tested, told.programs, told.seed);
      const { running, switches } = await runShared(tested, told);
      for (const [index, { seen, emulated, left }] of running.entries()) {
        expect(differenceOf(alone[index]!, seen)).toBeNull();
        total.completions += seen.completions.length;
        total.emulated += emulated;
        total.left += left;
      }
      total.switches += switches;
    }),
    { numRuns, includeErrorInReport: true },
  );
  expect(Math.min(total.switches, total.emulated, total.completions)).toBeGreaterThan(numRuns);
  if (tested.driver.device.preemption !== 'none') expect(total.left).toBeGreaterThan(0);
}

const drivers = await driversInTree();

describe('a program of register accesses and requests (R27 to R31, R42)', () => {
  it.each([...drivers.keys()])(
    'reads, gets and leaves the same on a private and on a shared %s',
    (name) => nobodyCanTell(drivers.get(name)!, RUNS),
    120_000,
  );

  it('and on a device with every kind of register', async () => {
    await nobodyCanTell(await underTest(registerDriver('resume')), RUNS / 2);
  }, 120_000);
});
