/**
 * The processors of the domains of an inline machine: one for each domain that has a pattern of its own, and one that
 * always runs for all others. A domain that is created anew does not inherit the processor of another with its name.
 */
import { Vcpu } from '../../coproc/vcpu.js';
import type { Clock } from '../../hw/clock.js';
import type { Domain, DomainRequest } from '../domains.js';

/** What can be seen of the processor of a domain. */
export interface ProcessorState {
  /** Whether it runs now; else it sleeps. */
  readonly running: boolean;
  /** Times that an interrupt found it asleep and woke it. */
  readonly wakeups: number;
}

const ALWAYS_RUNNING = { busyNs: 1, idleNs: 0 };

export class DomainProcessors {
  readonly #clock: Clock;
  readonly #alwaysRunning: Vcpu;
  readonly #vcpus = new WeakMap<Domain, Vcpu>();

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#alwaysRunning = new Vcpu(clock, ALWAYS_RUNNING);
  }

  /** `domain` was created as `request` says: its pattern begins now. */
  add(domain: Domain, { vcpu }: DomainRequest): void {
    if (vcpu !== undefined) this.#vcpus.set(domain, new Vcpu(this.#clock, vcpu));
  }

  /** The processor on which the processes of `domain` run. */
  of(domain: Domain): Vcpu {
    return this.#vcpus.get(domain) ?? this.#alwaysRunning;
  }

  /** What can be seen of it. */
  stateOf(domain: Domain): ProcessorState {
    const { running, wakeups } = this.of(domain);
    return { running, wakeups };
  }
}
