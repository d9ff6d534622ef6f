/**
 * The contract of a scheduling policy: what the author of a plug-in writes.
 *
 * The scheduler core owns the state of every vcoproc, performs every switch and measures every nanosecond. A policy only
 * answers "who runs now, and for how long?" and keeps whatever data it needs to do so. It has no clock of its own:
 * `nowNs` is handed in. One policy object serves one coproc. Everything is called by the core, on its thread, never
 * reentrantly; a policy calls nobody.
 *
 * Order of calls for one vcoproc: `add`, then any number of `wake` ... `sleep` (each alternating with the other, `wake`
 * first), `charge` and `adjust` at any time in between, `remove` at any time. A policy that is put in place while others
 * run gets `add` for all, then `wake` for those that have work.
 */
import { type InvalidArgument, invalidArgument } from '../base/errors.js';

/** What a policy knows of a vcoproc. */
export interface SchedulableVcoproc {
  /** Unique on the coproc, and never used again. Ties are broken by it: decisions are deterministic. */
  readonly id: number;
  readonly domainId: number;
}

/** The answer of `schedule`. */
export interface Decision {
  /** Who runs from now on; null leaves the coproc idle. Only one that has work, or `current`, which may stay loaded. */
  readonly next: SchedulableVcoproc | null;
  /** For how long, in whole ns from 1, until the policy is asked again; null until something changes (no tick). */
  readonly sliceNs: number | null;
}

/** What a stretch of time of the coproc was used for. */
export type ChargeKind =
  /** It was loaded and had work. One that stays loaded without work is not charged: nobody else wants the coproc. */
  | 'run'
  /** It went on although a switch was asked for: the device denied to stop. */
  | 'denied'
  /** A part of a switch that the machine's configuration charges to it. */
  | 'switch'
  /** Somebody's access to a register of it had to be emulated. */
  | 'emulation';

/** A whole number that can be set, of a policy or of one vcoproc under it. */
export interface ParameterSpec {
  readonly name: string;
  /** `ns`, `percent`, `1` for a plain number. */
  readonly unit: string;
  readonly least: number;
  readonly most: number;
  readonly default: number;
  /** When a change is in force: `next decision`, `next turn`, `next period`. */
  readonly takesEffect: string;
  readonly doc: string;
}

/** Values by parameter name; those that are absent have their defaults. */
export type Parameters = Readonly<Record<string, number>>;

/** A policy at work on one coproc. */
export interface SchedulerPolicy {
  /** A vcoproc was created on this coproc. It has no work. `parameters` are complete and checked. */
  add(vcoproc: SchedulableVcoproc, parameters: Parameters, nowNs: number): void;
  /** It is being destroyed; it may have work, and be `current` (and charged) until another answer is in force. */
  remove(vcoproc: SchedulableVcoproc, nowNs: number): void;
  /** It has work from now on. */
  wake(vcoproc: SchedulableVcoproc, nowNs: number): void;
  /** It has none any more. */
  sleep(vcoproc: SchedulableVcoproc, nowNs: number): void;
  /** It used `ns` of the coproc up to now. Called before `schedule`, so that decisions rest on what really happened. */
  charge(vcoproc: SchedulableVcoproc, ns: number, kind: ChargeKind, nowNs: number): void;
  /**
   * Who runs now? Called after a change, at the end of a slice, and again when a switch was denied. `current` is the
   * one that is loaded, null if none is; it runs until the answer is in force.
   */
  schedule(nowNs: number, current: SchedulableVcoproc | null): Decision;
  /** Other parameters for one vcoproc, complete and checked. */
  adjust(vcoproc: SchedulableVcoproc, parameters: Parameters, nowNs: number): void;
  /** Other parameters for the policy itself, complete and checked. */
  configure(parameters: Parameters, nowNs: number): void;
  /** What it keeps of a vcoproc, for people: virtual runtime, credit. Plain numbers by name. */
  dump(vcoproc: SchedulableVcoproc): Parameters;
  /** Entities that it looked at in all decisions so far: how its cost grows can be measured. */
  readonly visited: number;
}

/** A policy as a plug-in. */
export interface PolicyModule {
  readonly name: string;
  /** Knobs of the policy on a coproc. */
  readonly parameters: readonly ParameterSpec[];
  /** Knobs of each vcoproc under it. */
  readonly vcoprocParameters: readonly ParameterSpec[];
  /** How many vcoprocs one coproc may have under it; absent: as many as the coproc takes. */
  readonly vcoprocsMax?: number;
  /**
   * May a vcoproc with the parameters `candidate` join those with `existing`? Null, or why not, in a phrase for the error.
   * Asked before `add`, and before `adjust` with `existing` without the one that changes; also one after the other when
   * the policy of a coproc is changed. Parameters are complete and checked. Absent: whatever is in range may join.
   */
  admit?(existing: readonly Parameters[], candidate: Parameters): string | null;
  /** A fresh policy for one coproc. `parameters` are complete and checked. */
  create(parameters: Parameters): SchedulerPolicy;
}

/** Declares a policy plug-in; checks its shape and answers it unchanged. */
export function definePolicy<Module extends PolicyModule>(module: Module): Module {
  const { name, create, parameters, vcoprocParameters } = module ?? {};
  const isShaped = typeof name === 'string' && name !== '' && typeof create === 'function';
  if (!isShaped || !Array.isArray(parameters) || !Array.isArray(vcoprocParameters)) {
    throw new TypeError(
      'definePolicy: a policy has a non-empty "name", arrays "parameters" and "vcoprocParameters", and a function "create"',
    );
  }
  return module;
}

/**
 * Every parameter of `specs`: the value given, else its default. An error for a name that does not exist and for a value
 * out of range; `where` says whose parameters they are, for its message.
 */
export function completeParameters(
  specs: readonly ParameterSpec[],
  given: Parameters,
  where: string,
): Parameters | InvalidArgument {
  const names = specs.map(({ name }) => name);
  for (const name of Object.keys(given)) {
    if (names.includes(name)) continue;
    const expected = names.length === 0 ? 'absent: there are no parameters' : `one of ${names.join(', ')}`;
    return invalidArgument({ argument: `${where}.${name}`, value: given[name], expected });
  }
  const complete: Record<string, number> = {};
  for (const { name, least, most, unit, default: usual } of specs) {
    const value = given[name] ?? usual;
    if (!Number.isInteger(value) || value < least || value > most) {
      const expected = `a whole number from ${least} to ${most}${unit === '1' ? '' : ` ${unit}`}`;
      return invalidArgument({ argument: `${where}.${name}`, value, expected });
    }
    complete[name] = value;
  }
  return complete;
}
