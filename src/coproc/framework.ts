/**
 * The shared-coprocessor framework: registers coprocessor instances, gives domains their vcoprocs of them, and answers
 * questions about both at any moment. It works without the uacce layer, and the uacce layer without it: they meet in
 * hw/coproc-port.ts.
 *
 * These are the calls that a hypervisor would offer its control domain. A mistake in one is an error that names the
 * offending value, and leaves everything as it was.
 */
import { err, ok, type Result } from 'neverthrow';
import { type InvalidArgument, type InvalidState, invalidArgument, invalidState } from '../base/errors.js';
import { limits } from '../base/limits.js';
import type { Clock } from '../hw/clock.js';
import type { ContextHardware } from '../hw/context-hardware.js';
import type { MemorySwitch } from './context-switch.js';
import { completeParameters, type ParameterSpec, type Parameters, type PolicyModule } from './policy.js';
import { Scheduler } from './scheduler.js';
import type { SchedulerCounters, SwitchPayer } from './scheduler-parts.js';
import { type CoprocSnapshot, snapshotOf } from './snapshot.js';
import { Vcoproc } from './vcoproc.js';
import { knownTo, parametersUnder, policyPart } from './vcoproc-parameters.js';

/** The host's own domain; its second stage is off. */
export const HOST_DOMAIN = 0;

/** What is wrong with a call. */
export type CallError = InvalidArgument | InvalidState;

export interface CoprocOptions {
  readonly policy: PolicyModule;
  /** Parameters of the policy; its defaults where they are absent. */
  readonly parameters?: Parameters;
  /** Who pays for switches: `system` unless said otherwise. */
  readonly switchPayer?: SwitchPayer;
}

export interface VcoprocRequest {
  readonly instance: string;
  readonly domainId: number;
  /** Parameters of the vcoproc: the policy's, and the core's own; defaults where they are absent. */
  readonly parameters?: Parameters;
}

/** One registered instance. */
interface Coproc {
  readonly hardware: ContextHardware;
  readonly scheduler: Scheduler;
  /** As they were given: what the policy of the day does not know may mean something to the next. */
  readonly given: Map<Vcoproc, Parameters>;
  parameters: Parameters;
}

export interface FrameworkParts {
  readonly clock: Clock;
  readonly counters: SchedulerCounters;
  readonly memory: MemorySwitch;
}

export class Framework {
  readonly #parts: FrameworkParts;
  readonly #coprocs = new Map<string, Coproc>();
  #nextVcoproc = 1;

  constructor(parts: FrameworkParts) {
    this.#parts = parts;
  }

  /** Registers an instance with the policy that time-shares it. Its name and its device id are those of no other. */
  register(hardware: ContextHardware, options: CoprocOptions): Result<void, CallError> {
    const { instance, deviceId } = hardware;
    const taken = [...this.#coprocs.values()].some((other) => other.hardware.deviceId === deviceId);
    if (this.#coprocs.has(instance) || taken) {
      const expected = 'the name and device id of an instance that is not registered';
      return err(invalidArgument({ argument: 'instance', value: `${instance}, ${deviceId}`, expected }));
    }
    if (hardware.description.unprotected === true) {
      const expected = 'a device behind an IOMMU: one without may not be shared';
      return err(invalidArgument({ argument: 'instance', value: instance, expected }));
    }
    const { policy, switchPayer = 'system' } = options;
    const parameters = complete(policy.parameters, options.parameters ?? {}, policy.name);
    if (parameters.isErr()) return err(parameters.error);
    const parts = { ...this.#parts, hardware, policy, parameters: parameters.value, switchPayer };
    const coproc = {
      hardware,
      scheduler: new Scheduler(parts),
      given: new Map(),
      parameters: parameters.value,
    };
    this.#coprocs.set(instance, coproc);
    return ok(undefined);
  }

  /** Gives a domain its vcoproc of an instance: one, which stays there (R24). */
  createVcoproc({ instance, domainId, parameters = {} }: VcoprocRequest): Result<Vcoproc, CallError> {
    const found = this.#find(instance);
    if (found.isErr()) return err(found.error);
    const { hardware, scheduler, given } = found.value;
    const refusal = refusalOf(scheduler, instance, domainId);
    if (refusal !== null) return err(invalidState(refusal));
    const where = `domain ${domainId}.${instance}`;
    const { policyModule } = scheduler;
    const completed = complete(parametersUnder(policyModule), parameters, where);
    if (completed.isErr()) return err(completed.error);
    const ofPolicy = policyPart(policyModule, completed.value);
    const unwanted = policyModule.admit?.(othersOf(found.value, null), ofPolicy) ?? null;
    if (unwanted !== null) return err(invalidState(unwanted));
    const { clock } = this.#parts;
    const vcoproc = new Vcoproc(this.#nextVcoproc++, domainId, { hardware, owner: scheduler, clock });
    given.set(vcoproc, parameters);
    vcoproc.parameters = completed.value;
    scheduler.add(vcoproc, ofPolicy);
    return ok(vcoproc);
  }

  /** Ends a vcoproc, in whatever phase of a switch; `done` when the hardware has forgotten it. */
  destroyVcoproc(vcoproc: Vcoproc, done: () => void): void {
    const { scheduler, given } = this.#coprocs.get(vcoproc.instance)!;
    given.delete(vcoproc);
    scheduler.remove(vcoproc, done);
  }

  /** Puts another policy in place while everybody goes on (R17). What was set for vcoprocs holds where it is known. */
  setPolicy(instance: string, policy: PolicyModule, parameters: Parameters = {}): Result<void, CallError> {
    const found = this.#find(instance);
    if (found.isErr()) return err(found.error);
    const coproc = found.value;
    const most = policy.vcoprocsMax ?? limits.CONTEXTS_PER_INSTANCE;
    if (coproc.scheduler.vcoprocs.length > most) {
      return err(
        invalidState(`policy ${policy.name} serves ${most} at most, and ${instance} has more vcoprocs`),
      );
    }
    const kept = new Map<Vcoproc, Parameters>();
    for (const vcoproc of coproc.scheduler.vcoprocs) {
      const specs = parametersUnder(policy);
      const known = knownTo(specs, coproc.given.get(vcoproc) ?? {});
      const completed = complete(specs, known, `domain ${vcoproc.domainId}.${instance}`);
      if (completed.isErr()) return err(completed.error);
      kept.set(vcoproc, completed.value);
    }
    const unwanted = inadmissible(
      policy,
      [...kept.values()].map((parameters) => policyPart(policy, parameters)),
    );
    if (unwanted !== null) return err(invalidState(unwanted));
    const completed = complete(policy.parameters, parameters, policy.name);
    if (completed.isErr()) return err(completed.error);
    coproc.parameters = completed.value;
    for (const [vcoproc, ofVcoproc] of kept) vcoproc.parameters = ofVcoproc;
    coproc.scheduler.changePolicy(policy, completed.value, (vcoproc) =>
      policyPart(policy, vcoproc.parameters),
    );
    return ok(undefined);
  }

  /** Sets some parameters of the policy in place; the others stay. */
  setPolicyParameters(instance: string, parameters: Parameters): Result<void, CallError> {
    const found = this.#find(instance);
    if (found.isErr()) return err(found.error);
    const coproc = found.value;
    const { name, parameters: specs } = coproc.scheduler.policyModule;
    const completed = complete(specs, { ...coproc.parameters, ...parameters }, name);
    if (completed.isErr()) return err(completed.error);
    coproc.parameters = completed.value;
    coproc.scheduler.configure(completed.value);
    return ok(undefined);
  }

  /** Sets some parameters of a domain's vcoproc; the others stay. */
  setVcoprocParameters(
    request: VcoprocRequest & { readonly parameters: Parameters },
  ): Result<void, CallError> {
    const { instance, domainId, parameters } = request;
    const found = this.#find(instance);
    if (found.isErr()) return err(found.error);
    const { scheduler, given } = found.value;
    // One that is being destroyed is still listed, but nothing is kept for it: it would count for ever.
    const vcoproc = scheduler.vcoprocs.find((each) => each.domainId === domainId && given.has(each));
    if (vcoproc === undefined) {
      const expected = `a domain with a vcoproc of ${instance}`;
      return err(invalidArgument({ argument: 'domainId', value: domainId, expected }));
    }
    const { policyModule } = scheduler;
    const specs = parametersUnder(policyModule);
    const known = knownTo(specs, given.get(vcoproc) ?? {});
    const completed = complete(specs, { ...known, ...parameters }, `domain ${domainId}.${instance}`);
    if (completed.isErr()) return err(completed.error);
    const ofPolicy = policyPart(policyModule, completed.value);
    const unwanted = inadmissible(policyModule, [...othersOf(found.value, vcoproc), ofPolicy]);
    if (unwanted !== null) return err(invalidState(unwanted));
    given.set(vcoproc, { ...given.get(vcoproc), ...parameters });
    vcoproc.parameters = completed.value;
    scheduler.adjust(vcoproc, ofPolicy);
    return ok(undefined);
  }

  /** Names of the registered instances. */
  get instances(): readonly string[] {
    return [...this.#coprocs.keys()];
  }

  /** Everything about one instance, as it is now. Never fails, in the middle of a switch neither (R21). */
  query(instance: string): Result<CoprocSnapshot, CallError> {
    return this.#find(instance).map(({ scheduler, parameters }) =>
      snapshotOf(instance, scheduler, parameters),
    );
  }

  /** The domain's vcoprocs, one for each instance that it uses. */
  vcoprocsOf(domainId: number): readonly Vcoproc[] {
    return [...this.#coprocs.values()].flatMap(({ scheduler }) =>
      scheduler.vcoprocs.filter((vcoproc) => vcoproc.domainId === domainId),
    );
  }

  /** By its whole name: a part of one names nothing (F4). */
  #find(instance: string): Result<Coproc, InvalidArgument> {
    const coproc = this.#coprocs.get(instance);
    if (coproc !== undefined) return ok(coproc);
    const names = this.instances;
    const expected =
      names.length === 0 ? 'a registered instance, and there is none' : `one of ${names.join(', ')}`;
    return err(invalidArgument({ argument: 'instance', value: instance, expected }));
  }
}

function refusalOf(scheduler: Scheduler, instance: string, domainId: number): string | null {
  const { vcoprocs, policyModule, isolated } = scheduler;
  const most = Math.min(
    policyModule.vcoprocsMax ?? limits.CONTEXTS_PER_INSTANCE,
    limits.CONTEXTS_PER_INSTANCE,
  );
  if (isolated) return `${instance} is out of service; use another instance`;
  if (vcoprocs.some((vcoproc) => vcoproc.domainId === domainId)) {
    return `domain ${domainId} has a vcoproc of ${instance} already`;
  }
  if (vcoprocs.length < most) return null;
  return `${instance} has the ${most} vcoprocs that policy ${policyModule.name} serves; choose another policy or instance`;
}

/** Complete parameters of the coproc's vcoprocs under its policy, one left out; nobody that is being destroyed counts. */
function othersOf({ scheduler, given }: Coproc, except: Vcoproc | null): Parameters[] {
  return [...given.keys()]
    .filter((vcoproc) => vcoproc !== except)
    .map(({ parameters }) => policyPart(scheduler.policyModule, parameters));
}

/** Why the policy cannot keep what it would promise to all of them together; null when it can. */
function inadmissible(policy: PolicyModule, all: readonly Parameters[]): string | null {
  if (policy.admit === undefined) return null;
  for (const [index, candidate] of all.entries()) {
    const refusal = policy.admit(all.slice(0, index), candidate);
    if (refusal !== null) return refusal;
  }
  return null;
}

function complete(
  specs: readonly ParameterSpec[],
  given: Parameters,
  where: string,
): Result<Parameters, InvalidArgument> {
  const completed = completeParameters(specs, given, where);
  return isMistake(completed) ? err(completed) : ok(completed);
}

function isMistake(value: Parameters | InvalidArgument): value is InvalidArgument {
  return typeof value.kind === 'string';
}
