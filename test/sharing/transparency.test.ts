// Can a domain tell from registers, requests and interrupts that it shares its coprocessor with others?
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NS_PER_US } from '../../src/base/units.js';
import type { CoprocIrq } from '../../src/hw/coproc-port.js';
import type { Preemption } from '../../src/hw/device-model.js';
import { copyOutcome, copySqeOf } from '../hw/copy-requests.js';
import type { RingMock } from '../hw/ring-mock.js';
import { type RegisterName, registerAt, registerDriver } from './register-device.js';
import { SharingBench } from './sharing-bench.js';

type Step =
  | { readonly kind: 'read'; readonly register: RegisterName }
  | { readonly kind: 'write'; readonly register: RegisterName; readonly value: number }
  | { readonly kind: 'request'; readonly bytes: number; readonly pattern: number }
  /** The others get so far. On a private machine nothing happens. */
  | { readonly kind: 'pass'; readonly events: number };

const register = fc.constantFrom(...(Object.keys(registerAt) as RegisterName[]));
const value = fc.oneof(fc.nat(255), fc.nat(0xffff_ffff));
const step: fc.Arbitrary<Step> = fc.oneof<fc.WeightedArbitrary<Step>[]>(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('read' as const), register }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('write' as const), register, value }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('write' as const),
      register: fc.constant('BELL' as const),
      value,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('request' as const),
      bytes: fc.nat(200_000),
      pattern: fc.nat(255),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('pass' as const), events: fc.nat(40) }) },
);

/** The program of one domain: what it saw of its instance. */
class Program {
  readonly seen: unknown[] = [];
  readonly lines: number[] = [];
  readonly #bench: SharingBench;
  readonly #ring: RingMock;
  readonly #createdNs: number;

  constructor(bench: SharingBench, ring: RingMock, createdNs: number) {
    this.#bench = bench;
    this.#ring = ring;
    this.#createdNs = createdNs;
    bench.vcoproc('own', 'dial0').onIrq((irq: CoprocIrq) => {
      if (irq.kind === 'device') this.lines.push(irq.line);
      else this.seen.push(irq);
    });
  }

  take(taken: Step): void {
    if (taken.kind === 'read') this.seen.push(this.#read(taken.register));
    else if (taken.kind === 'write')
      this.#bench.write('own', 'dial0', registerAt[taken.register], taken.value);
    else if (taken.kind === 'request') this.#request(taken.bytes, taken.pattern);
    else this.#bench.steps(taken.events);
  }

  /** A timer answers the time, and nothing else can be compared with another machine's. */
  #read(name: RegisterName): unknown {
    const { machine } = this.#bench;
    const fromNs = machine.nowNs - this.#createdNs;
    const answer = this.#bench.read('own', 'dial0', registerAt[name]);
    if (name !== 'TIME') return `${name} ${answer}`;
    const isTime =
      answer >= Math.floor(fromNs / NS_PER_US) && answer <= (machine.nowNs - this.#createdNs) / NS_PER_US;
    return `${name} ${isTime}`;
  }

  #request(bytes: number, pattern: number): void {
    this.#ring.submit(copySqeOf({ bytes, pattern, tag: this.seen.length }));
    this.#bench.until(() => this.#ring.published());
    this.seen.push(this.#ring.completions().map(({ sqe }) => copyOutcome(sqe)));
  }
}

/** Runs the program on a machine where `others` domains keep the instance busy: what it saw and what was left. */
async function run(steps: readonly Step[], others: number, preemption: Preemption, seed = 1) {
  const bench = new SharingBench({ drivers: [registerDriver(preemption)], seed });
  bench.domain('own');
  const createdNs = bench.machine.nowNs;
  const ring = await bench.queue(bench.process('own'), 'own', 'dial0');
  const program = new Program(bench, ring, createdNs);
  const busy = [];
  for (let other = 0; other < others; other++) {
    const name = `other${other}`;
    bench.domain(name);
    const queue = await bench.queue(bench.process(name), name, 'dial0');
    for (let request = 0; request < 4; request++) queue.submit(copySqeOf({ bytes: 8 << 20, pattern: 9 }));
    bench.write(name, 'dial0', registerAt.CONTROL, 99);
    bench.write(name, 'dial0', registerAt.BELL, 1);
    busy.push(queue);
  }
  for (const each of steps) {
    // Somebody else always has work.
    for (const queue of busy) {
      if (queue.completions().length > 0) queue.submit(copySqeOf({ bytes: 8 << 20, pattern: 9 }));
    }
    program.take(each);
  }
  const switches = bench.query('dial0').switches.entered;
  bench.rest();
  for (const name of Object.keys(registerAt)) program.take({ kind: 'read', register: name as RegisterName });
  const { seen, lines } = program;
  return { seen, lines, told: bench.snapshot('own', 'dial0').interrupts, switches };
}

describe('a program of register accesses and requests (R27, R28, R29, R30, R31, R42)', () => {
  it.each(['none', 'park', 'restart', 'resume'] as const)(
    'reads, gets and is told the same on a private device and on a shared one that is left by "%s"',
    async (preemption) => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(step, { maxLength: 40 }),
          fc.integer({ min: 1, max: 3 }),
          async (steps, others) => {
            const alone = await run(steps, 0, preemption);
            const shared = await run(steps, others, preemption);
            expect({ ...shared, switches: 0 }).toEqual({ ...alone, switches: 0 });
          },
        ),
        { numRuns: 60 },
      );
    },
    120_000,
  );
});
