/**
 * The contract of a scheduling policy: what the author of a plug-in writes.
 *
 * The scheduler core owns the state of every vcoproc and performs every switch. A policy only answers "switch
 * now? to whom? for how long?" and keeps whatever data it needs to do so. It has no clock of its own: `nowNs` is
 * handed in. One policy object serves one coproc.
 */

/** What a policy knows of a vcoproc. */
export interface SchedulableVcoproc {
  /** Unique on the coproc. */
  readonly id: number;
  readonly domainId: number;
}

/** The answer of `schedule`. */
export interface Decision {
  /** Who runs from now on; null leaves the coproc idle. */
  readonly next: SchedulableVcoproc | null;
  /** For how long, in ns, until the policy is asked again; null until something changes (no tick). */
  readonly sliceNs: number | null;
}

/** Called by the scheduler core, on its thread, never reentrantly. */
export interface SchedulerPolicy {
  /** A vcoproc was created on this coproc. It sleeps. */
  add(vcoproc: SchedulableVcoproc): void;
  /** It is being destroyed. Called for a sleeping one only. */
  remove(vcoproc: SchedulableVcoproc): void;
  /** It has work. Called once until the next `sleep`. */
  wake(vcoproc: SchedulableVcoproc, nowNs: number): void;
  /** It has none any more. */
  sleep(vcoproc: SchedulableVcoproc, nowNs: number): void;
  /** Who runs now? Called after a change and at the end of a slice. `current` runs until the answer is in force. */
  schedule(nowNs: number, current: SchedulableVcoproc | null): Decision;
}

/** A policy as a plug-in. */
export interface PolicyModule {
  readonly name: string;
  /** A fresh policy for one coproc. */
  create(): SchedulerPolicy;
}

/** Declares a policy plug-in; checks its shape and answers it unchanged. */
export function definePolicy<Module extends PolicyModule>(module: Module): Module {
  if (typeof module?.name !== 'string' || module.name === '' || typeof module.create !== 'function') {
    throw new TypeError('definePolicy: a policy has a non-empty "name" and a function "create"');
  }
  return module;
}
