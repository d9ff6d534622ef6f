/**
 * The shared-coprocessor framework: registers coprocessor instances, gives each domain its vcoproc of each, and
 * routes interrupts. It works without the uacce layer, and the uacce layer without it: they meet in
 * hw/coproc-port.ts.
 */
import { assert } from '../base/assert.js';
import type { Clock } from '../hw/clock.js';
import type { CoprocHardware, CoprocPort } from '../hw/coproc-port.js';
import type { PolicyModule } from './policy.js';
import { Scheduler, type SchedulerCounters } from './scheduler.js';
import { Vcoproc } from './vcoproc.js';

/** The host's own domain; its second stage is off. */
export const HOST_DOMAIN = 0;

/** One registered instance. */
interface Coproc {
  readonly hardware: CoprocHardware;
  readonly scheduler: Scheduler;
}

export class Framework {
  readonly #clock: Clock;
  readonly #counters: SchedulerCounters;
  readonly #coprocs = new Map<string, Coproc>();
  #nextVcoproc = 1;

  constructor(parts: { clock: Clock; counters: SchedulerCounters }) {
    this.#clock = parts.clock;
    this.#counters = parts.counters;
  }

  /** Registers an instance with the policy that time-shares it. */
  register(hardware: CoprocHardware, policy: PolicyModule): void {
    assert(!this.#coprocs.has(hardware.instance), `${hardware.instance} is registered once`);
    const scheduler = new Scheduler({ hardware, policy, clock: this.#clock, counters: this.#counters });
    hardware.onIrq((irq) => scheduler.deliver(irq));
    this.#coprocs.set(hardware.instance, { hardware, scheduler });
  }

  /** Gives a domain its vcoproc of an instance. */
  createVcoproc(instance: string, domainId: number): CoprocPort {
    const coproc = this.#coprocs.get(instance);
    assert(coproc !== undefined, `${instance} is registered`);
    const { hardware, scheduler } = coproc;
    const vcoproc = new Vcoproc(this.#nextVcoproc++, domainId, { hardware, owner: scheduler });
    scheduler.add(vcoproc);
    return vcoproc;
  }
}
