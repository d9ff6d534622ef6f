/**
 * One coprocessor that domains share, on a virtual clock: the framework, its scheduler core and a policy as they are in a
 * machine, on the simulated hardware. What a domain had is taken from the hardware, not from the framework's own books;
 * those are there to be compared with it.
 */
import { assert } from '../../src/base/assert.js';
import { Framework } from '../../src/coproc/framework.js';
import type { Parameters, PolicyModule } from '../../src/coproc/policy.js';
import type { SwitchPayer } from '../../src/coproc/scheduler-parts.js';
import type { SimContextOptions } from '../../src/coproc/sim-context.js';
import { SimHardware } from '../../src/coproc/sim-hardware.js';
import { SimMemory } from '../../src/coproc/sim-memory.js';
import type { SimCosts } from '../../src/coproc/sim-steps.js';
import type { CoprocSnapshot } from '../../src/coproc/snapshot.js';
import type { Vcoproc } from '../../src/coproc/vcoproc.js';
import { VirtualClock } from '../../src/hw/clock.js';
import type { QueueBinding } from '../../src/hw/coproc-port.js';
import type { Stretch } from './measures.js';
import { observed } from './observed-policy.js';

/** One of those that share: a domain's parameters, and what its context is like. */
export interface Sharer extends SimContextOptions {
  readonly parameters?: Parameters;
}

export interface SharedCoprocOptions {
  readonly policy: PolicyModule;
  /** Of the policy; defaults where they are absent. */
  readonly parameters?: Parameters;
  readonly sharers: readonly Sharer[];
  /** What a switch costs, ns: half of it to leave, half to enter; 0 unless said otherwise. */
  readonly switchNs?: number;
  readonly switchPayer?: SwitchPayer;
  /** Work that comes with each doorbell, ns. */
  readonly doorbellNs?: number;
  /** Told of each request that is over: of which sharer, when it had come, when it ended. */
  readonly finished?: (sharer: number, arrivedNs: number, finishedNs: number) => void;
}

const INSTANCE = 'sim0';
const NO_TIMES = { run: 0, denied: 0, switch: 0, emulation: 0 };

export class SharedCoproc {
  readonly clock = new VirtualClock();
  readonly hardware: SimHardware;
  /** By sharer. */
  readonly vcoprocs: readonly Vcoproc[];
  readonly #framework: Framework;
  readonly #charged: readonly Stretch[][];
  #decisions = 0;

  constructor(options: SharedCoprocOptions) {
    const { policy, sharers, switchPayer = 'system', parameters = {} } = options;
    const memory = new SimMemory(this.clock);
    this.hardware = new SimHardware({
      clock: this.clock,
      memory,
      costs: costsOf(options.switchNs ?? 0),
      // Contexts are numbered from 0 in the order in which they are made.
      contextOf: (context) => sharers[context]!,
      ...(options.doorbellNs === undefined ? {} : { doorbellNs: options.doorbellNs }),
      ...(options.finished === undefined ? {} : { finished: options.finished }),
    });
    const counters = { wakeup: () => {}, tick: () => {} };
    this.#framework = new Framework({ clock: this.clock, counters, memory });
    this.#charged = sharers.map(() => []);
    const module = observed(policy, {
      charged: ({ domainId }, ns, nowNs) =>
        this.#charged[domainId - 1]!.push({ fromNs: nowNs - ns, toNs: nowNs }),
      decided: () => {
        this.#decisions += 1;
      },
    });
    this.#framework.register(this.hardware, { policy: module, parameters, switchPayer })._unsafeUnwrap();
    this.vcoprocs = sharers.map((sharer, index) => this.#create(index, sharer));
    for (const [queueNumber, vcoproc] of this.vcoprocs.entries()) begin(vcoproc, queueNumber);
  }

  /** How often the policy was asked who runs. */
  get decisions(): number {
    return this.#decisions;
  }

  /** Everything that the framework says of the coprocessor. */
  get snapshot(): CoprocSnapshot {
    return this.#framework.query(INSTANCE)._unsafeUnwrap();
  }

  /** What each sharer had of the hardware so far, ns. */
  executedNs(): number[] {
    return this.vcoprocs.map(({ context }) => this.hardware.executedNs(context));
  }

  /** The framework's books of one sharer, ns. */
  times(sharer: number): typeof NO_TIMES {
    return this.snapshot.ledger.vcoprocs.get(this.vcoprocs[sharer]!.id) ?? NO_TIMES;
  }

  /** When a sharer was charged, in order, up to now. */
  stretches(sharer: number): Stretch[] {
    const charged = this.#charged[sharer]!;
    const times = Object.values(this.times(sharer)).reduce((sum, ns) => sum + ns, 0);
    const openNs = charged.reduce((left, { fromNs, toNs }) => left - (toNs - fromNs), times);
    const toNs = this.clock.nowNs();
    // One that nobody disturbs is charged when it is over.
    return openNs === 0 ? [...charged] : [...charged, { fromNs: toNs - openNs, toNs }];
  }

  /** Lets `ns` pass. */
  runFor(ns: number): void {
    let isOver = false;
    this.clock.alarm(ns, () => {
      isOver = true;
    });
    while (!isOver) this.clock.step();
  }

  /** Lets `act` happen each `periodNs` from now on. */
  every(periodNs: number, act: () => void): void {
    this.clock.alarm(periodNs, () => {
      act();
      this.every(periodNs, act);
    });
  }

  #create(index: number, { parameters = {} }: Sharer): Vcoproc {
    return this.#framework
      .createVcoproc({ instance: INSTANCE, domainId: index + 1, parameters })
      ._unsafeUnwrap();
  }
}

/** Its first queue is started: its load begins. */
function begin(vcoproc: Vcoproc, queueNumber: number): void {
  vcoproc.attachQueue({ queueNumber } as QueueBinding, (result) =>
    assert(result === 0, `queue ${queueNumber} is attached`),
  );
  vcoproc.wake();
}

/** A stop costs nothing: it is answered when the context has stopped, and what it executes until then is its own. */
function costsOf(switchNs: number): SimCosts {
  const save = Math.floor(switchNs / 2);
  return { save, restore: switchNs - save };
}
