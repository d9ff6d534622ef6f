/**
 * A policy with an observer: what it was asked and told passes through unchanged. Charges tell who had the coprocessor
 * when; decisions are counted.
 */
import type {
  ChargeKind,
  Decision,
  Parameters,
  PolicyModule,
  SchedulableVcoproc,
  SchedulerPolicy,
} from '../../src/coproc/policy.js';

/** What is noted of a policy. */
export interface PolicyObserver {
  charged(vcoproc: SchedulableVcoproc, ns: number, nowNs: number): void;
  decided(): void;
}

/** `module`, observed. */
export function observed(module: PolicyModule, observer: PolicyObserver): PolicyModule {
  return { ...module, create: (parameters) => new ObservedPolicy(module.create(parameters), observer) };
}

class ObservedPolicy implements SchedulerPolicy {
  readonly #policy: SchedulerPolicy;
  readonly #observer: PolicyObserver;

  constructor(policy: SchedulerPolicy, observer: PolicyObserver) {
    this.#policy = policy;
    this.#observer = observer;
  }

  get visited(): number {
    return this.#policy.visited;
  }

  add(vcoproc: SchedulableVcoproc, parameters: Parameters, nowNs: number): void {
    this.#policy.add(vcoproc, parameters, nowNs);
  }

  remove(vcoproc: SchedulableVcoproc, nowNs: number): void {
    this.#policy.remove(vcoproc, nowNs);
  }

  wake(vcoproc: SchedulableVcoproc, nowNs: number): void {
    this.#policy.wake(vcoproc, nowNs);
  }

  sleep(vcoproc: SchedulableVcoproc, nowNs: number): void {
    this.#policy.sleep(vcoproc, nowNs);
  }

  charge(vcoproc: SchedulableVcoproc, ns: number, kind: ChargeKind, nowNs: number): void {
    this.#observer.charged(vcoproc, ns, nowNs);
    this.#policy.charge(vcoproc, ns, kind, nowNs);
  }

  schedule(nowNs: number, current: SchedulableVcoproc | null): Decision {
    this.#observer.decided();
    return this.#policy.schedule(nowNs, current);
  }

  adjust(vcoproc: SchedulableVcoproc, parameters: Parameters, nowNs: number): void {
    this.#policy.adjust(vcoproc, parameters, nowNs);
  }

  configure(parameters: Parameters, nowNs: number): void {
    this.#policy.configure(parameters, nowNs);
  }

  dump(vcoproc: SchedulableVcoproc): Parameters {
    return this.#policy.dump(vcoproc);
  }
}
