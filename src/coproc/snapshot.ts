/**
 * What can be asked about a coproc at any moment, as plain data that belongs to one instant.
 */
import type { LedgerSnapshot, VcoprocTimes } from './ledger.js';
import type { Parameters } from './policy.js';
import type { Scheduler } from './scheduler.js';
import type { SwitchSnapshot } from './switch-statistics.js';
import type { Vcoproc, VcoprocState } from './vcoproc.js';

/** Everything about one vcoproc at one moment. */
export interface VcoprocSnapshot {
  readonly id: number;
  readonly domainId: number;
  readonly instance: string;
  readonly state: VcoprocState;
  /** Everything that can be set of it under the policy in place, defaults included, as it was set last. */
  readonly parameters: Parameters;
  /** Its owner has queues that are started, and something for them to do. */
  readonly started: boolean;
  readonly busy: boolean;
  /** Register accesses that wait for it to be loaded. */
  readonly stackedAccesses: number;
  readonly interrupts: { readonly raised: number; readonly told: number; readonly throttled: number };
  readonly failures: number;
  readonly lastFailure: string | null;
  /** Where its time went, ns. */
  readonly times: VcoprocTimes;
  /** What the policy keeps of it. */
  readonly policy: Parameters;
}

/** Everything about one coproc at one moment. */
export interface CoprocSnapshot {
  readonly instance: string;
  readonly phase: Scheduler['phase'];
  readonly isolated: boolean;
  readonly policy: string;
  readonly parameters: Parameters;
  /** The vcoproc that is loaded, by id; null = none. */
  readonly current: number | null;
  readonly ledger: LedgerSnapshot;
  readonly switches: SwitchSnapshot;
  /** Entities that the policy has looked at in all its decisions. */
  readonly visited: number;
  readonly vcoprocs: readonly VcoprocSnapshot[];
}

const NO_TIMES: VcoprocTimes = { run: 0, denied: 0, switch: 0, emulation: 0 };

export function snapshotOf(instance: string, scheduler: Scheduler, parameters: Parameters): CoprocSnapshot {
  const ledger = scheduler.ledger();
  const { phase, isolated, policyModule, current, policy, statistics } = scheduler;
  const describe = (vcoproc: Vcoproc): VcoprocSnapshot => ({
    id: vcoproc.id,
    domainId: vcoproc.domainId,
    instance,
    state: vcoproc.state,
    parameters: vcoproc.parameters,
    started: vcoproc.started,
    busy: vcoproc.busy,
    stackedAccesses: vcoproc.stackedAccesses,
    interrupts: vcoproc.interrupts.counts,
    failures: vcoproc.failures,
    lastFailure: vcoproc.lastFailure,
    times: ledger.vcoprocs.get(vcoproc.id) ?? NO_TIMES,
    policy: scheduler.isLeavingForGood(vcoproc) ? {} : policy.dump(vcoproc),
  });
  return {
    instance,
    phase,
    isolated,
    policy: policyModule.name,
    parameters,
    current: current?.id ?? null,
    ledger,
    switches: statistics.snapshot(),
    visited: policy.visited,
    vcoprocs: scheduler.vcoprocs.map(describe),
  };
}
