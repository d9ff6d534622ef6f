/**
 * A machine whose instances are shared between domains, and one process in each domain that drives its queues by hand.
 *
 * Between two awaits the machine stands still; `steps` moves it by single events, so that a test can let two domains
 * meet at any point of each other's requests.
 */
import copy from '../../drivers/copy/index.js';
import zip from '../../drivers/zip/index.js';
import { limits } from '../../src/base/limits.js';
import { MiB, NS_PER_SECOND } from '../../src/base/units.js';
import type { Parameters } from '../../src/coproc/policy.js';
import type { CoprocSnapshot, VcoprocSnapshot } from '../../src/coproc/snapshot.js';
import type { Vcoproc } from '../../src/coproc/vcoproc.js';
import type { DomainRequest } from '../../src/machine/domains.js';
import type { InlineMachine } from '../../src/machine/inline/inline-machine.js';
import type { InstanceConfig } from '../../src/machine/machine-config.js';
import type { MachineDriver } from '../../src/machine/machine-driver.js';
import { MockProcess, newMachine, type RingMock } from '../hw/ring-mock.js';

export const DOMAIN_BYTES = 4 * MiB;
/** A machine never stands still with a domain that never stops: this many events are no rest. */
const EVENTS_MAX = 400_000;

export interface SharingOptions {
  readonly drivers?: readonly MachineDriver[];
  /** Default: one instance of each driver, shared round robin. */
  readonly instances?: readonly InstanceConfig[];
  readonly policy?: string;
  /** Time slice, ns. Default 100 us, the shortest. */
  readonly sliceNs?: number;
  readonly seed?: number;
  readonly memoryBytes?: number;
  /** Domains that are there from the start. */
  readonly domains?: readonly DomainRequest[];
  /** Null: translations are not judged. */
  readonly checkTranslations?: null;
}

/** Drivers that most questions are about. */
const REAL_DRIVERS: readonly MachineDriver[] = [copy, zip];

/** Parameters that let a policy switch as often as it can, or after `sliceNs`. */
export function parametersOf(policy: string, sliceNs: number): Parameters {
  if (policy === 'round-robin') return { sliceNs, minRunNs: Math.min(sliceNs, limits.MIN_RUN_NS) };
  if (policy === 'fair')
    return { latencyTargetNs: sliceNs, minSliceNs: sliceNs, minRunNs: Math.min(sliceNs, limits.MIN_RUN_NS) };
  return {};
}

export class SharingBench {
  readonly machine: InlineMachine;
  readonly instances: readonly InstanceConfig[];

  constructor(options: SharingOptions = {}) {
    const { drivers = REAL_DRIVERS, policy = 'round-robin', sliceNs = 100_000, seed = 1 } = options;
    const parameters = parametersOf(policy, sliceNs);
    this.instances =
      options.instances ?? drivers.map(({ name }) => ({ id: `${name}0`, driver: name, policy, parameters }));
    const memoryBytes = options.memoryBytes ?? 64 * MiB;
    this.machine = newMachine({
      drivers,
      instances: this.instances,
      host: {},
      seed,
      memoryBytes,
      domains: options.domains,
      ...(options.checkTranslations === null ? { checkTranslations: null } : {}),
    });
  }

  /** A domain with a vcoproc of each of `instances`; all of them unless said otherwise. */
  domain(name: string, instances = this.instances.map(({ id }) => id), memoryBytes = DOMAIN_BYTES): void {
    const coprocessors = Object.fromEntries(instances.map((id) => [id, {}]));
    let isThere = false;
    this.machine.domains.create({ name, memoryBytes, coprocessors }, (created) => {
      created._unsafeUnwrap();
      isThere = true;
    });
    this.until(() => isThere);
  }

  /** Ends a domain, whatever it does. */
  end(name: string): void {
    let isOver = false;
    this.machine.domains.destroy(this.machine.domains.find(name)!, () => {
      isOver = true;
    });
    this.until(() => isOver);
  }

  process(domain: string): MockProcess {
    return new MockProcess(this.machine, { domain });
  }

  /** A started queue of an instance, as the domain of `process` sees it. */
  queue(process: MockProcess, domain: string, instance: string, qcType = 0): Promise<RingMock> {
    const device = this.machine.domains.find(domain)!.devices.get(instance)!;
    return process.queue({ path: `/dev/${device}`, qcType });
  }

  vcoproc(domain: string, instance: string): Vcoproc {
    return this.machine.domains.find(domain)!.vcoprocs.get(instance)!;
  }

  query(instance: string): CoprocSnapshot {
    return this.machine.framework.query(instance)._unsafeUnwrap();
  }

  /** What is known of a domain's vcoproc. */
  snapshot(domain: string, instance: string): VcoprocSnapshot {
    const { id } = this.vcoproc(domain, instance);
    return this.query(instance).vcoprocs.find((vcoproc) => vcoproc.id === id)!;
  }

  /** Dispatches up to `count` events. */
  steps(count: number): void {
    for (let step = 0; step < count && this.machine.step(); step++);
  }

  /** Dispatches events until `isSo`; an error when it never is. */
  until(isSo: () => boolean): void {
    for (let events = 0; !isSo(); events++) {
      if (events > EVENTS_MAX || !this.machine.step()) throw new Error('what is waited for never comes');
    }
  }

  /** Lets `ns` of virtual time pass, if there is something to happen. */
  advance(ns: number): void {
    const endNs = this.machine.nowNs + ns;
    while (this.machine.nowNs < endNs && this.machine.step());
  }

  /** Lets the machine come to rest: an error when it does not within a minute of its time. */
  rest(): void {
    const endNs = this.machine.nowNs + 60 * NS_PER_SECOND;
    for (let events = 0; this.machine.step(); events++) {
      if (events > EVENTS_MAX || this.machine.nowNs > endNs) throw new Error('the machine never rests');
    }
  }

  /** A register of a domain's vcoproc, read as its kernel does. */
  read(domain: string, instance: string, offset: number): number {
    let answer: number | null = null;
    this.vcoproc(domain, instance).readRegister(offset, 32, (value) => {
      answer = value;
    });
    this.until(() => answer !== null);
    return answer!;
  }

  /** Writes a register of a domain's vcoproc, and waits until the write is accepted. */
  write(domain: string, instance: string, offset: number, value: number): void {
    let isDone = false;
    this.vcoproc(domain, instance).writeRegister(offset, 32, value, () => {
      isDone = true;
    });
    this.until(() => isDone);
  }
}
