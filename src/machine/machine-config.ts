/**
 * What a machine consists of. Plain data, so that it can be handed to other threads; checked before anything is
 * built, with errors that name the offending value.
 */
import { err, ok, type Result } from 'neverthrow';
import { type InvalidArgument, invalidArgument } from '../base/errors.js';
import { limits } from '../base/limits.js';
import { isRecord } from '../base/record.js';
import {
  completeParameters,
  type ParameterSpec,
  type Parameters,
  type PolicyModule,
} from '../coproc/policy.js';
import type { SwitchPayer } from '../coproc/scheduler-parts.js';
import { parametersUnder } from '../coproc/vcoproc-parameters.js';
import { FAULT_MODELS, type FaultModel } from '../hw/fault-model.js';
import { builtinPolicies } from './builtin-policies.js';
import { SWITCH_PAYERS } from './config-shape.js';
import type { DomainRequest } from './domains.js';
import { mistakeInPatterns } from './vcpu-patterns.js';

/** One coprocessor instance. */
export interface InstanceConfig {
  /** Unique name, e.g. `zip0`. */
  readonly id: string;
  /** Name of its driver, e.g. `zip`. */
  readonly driver: string;
  /** What becomes of an access to a page that is not there; `pageRequests` unless said otherwise. */
  readonly faultModel?: FaultModel | undefined;
  /** Name of the policy that shares it between domains; `null`, which serves one, unless said otherwise. */
  readonly policy?: string | undefined;
  /** Parameters of the policy; its defaults where they are absent. */
  readonly parameters?: Parameters | undefined;
  /** Who pays for switches; `system` unless said otherwise. */
  readonly switchPayer?: SwitchPayer | undefined;
}

/** The fault model of an instance. */
export function faultModelOf({ faultModel }: InstanceConfig): FaultModel {
  return faultModel ?? 'pageRequests';
}

/** Parameters of the host's domain on an instance; null when it does not use it. */
export function hostUse({ host }: Pick<MachineConfig, 'host'>, { id }: InstanceConfig): Parameters | null {
  return host === undefined ? {} : (host[id] ?? null);
}

/** What the IOMMU of a machine with these instances has to have beyond the specification's minimum. */
export function iommuNeeds(instances: readonly InstanceConfig[]): {
  readonly stall: boolean;
  readonly drainsUntranslated: boolean;
} {
  const models = instances.map(faultModelOf);
  return {
    stall: models.includes('stall'),
    drainsUntranslated: models.some((model) => model !== 'pageRequests'),
  };
}

/** A whole machine: how much memory, and which instances. */
export interface MachineConfig {
  /** Bytes of physical memory, in units of 64 KiB. */
  readonly memoryBytes: number;
  readonly instances: readonly InstanceConfig[];
  /** Instances that the host's own domain uses, with its parameters; all of them unless said otherwise. */
  readonly host?: DomainRequest['coprocessors'] | undefined;
  /** Domains beside the host's own, created at the start. */
  readonly domains?: readonly DomainRequest[] | undefined;
  /**
   * How long a device may take to acknowledge an invalidation, or to answer a control call, before it is reset, ns;
   * default 5 s.
   */
  readonly invalidationTimeoutNs?: number | undefined;
}

const MEMORY_UNIT = 65_536;

/** Checks a configuration; `drivers` are the names that are there. */
export function checkConfig(
  config: MachineConfig,
  drivers: readonly string[],
  policies: readonly PolicyModule[] = builtinPolicies,
): Result<MachineConfig, InvalidArgument> {
  const {
    memoryBytes,
    instances,
    invalidationTimeoutNs: timeoutNs = limits.INVALIDATION_TIMEOUT_NS,
  } = config;
  const { MEMORY_BYTES_MIN: least, MEMORY_BYTES_MAX: most } = limits;
  const noList = mistakeInLists(config);
  if (noList !== null) return err(noList);
  const isWhole = Number.isInteger(memoryBytes) && memoryBytes % MEMORY_UNIT === 0;
  if (!(isWhole && memoryBytes >= least && memoryBytes <= most)) {
    const expected = `from ${least} to ${most} in units of ${MEMORY_UNIT}`;
    return err(invalidArgument({ argument: 'memoryBytes', value: memoryBytes, expected }));
  }
  if (instances.length > limits.INSTANCES_MAX) {
    const expected = `at most ${limits.INSTANCES_MAX} instances`;
    return err(invalidArgument({ argument: 'instances', value: instances.length, expected }));
  }
  if (!(Number.isFinite(timeoutNs) && timeoutNs > 0)) {
    const expected = 'a number of nanoseconds above 0';
    return err(invalidArgument({ argument: 'invalidationTimeoutNs', value: timeoutNs, expected }));
  }
  const seen = new Set<string>();
  for (const instance of instances) {
    const mistake = mistakeInInstance(instance, { config, drivers, policies, seen });
    if (mistake !== null) return err(mistake);
    seen.add(instance.id);
  }
  const unknown = Object.keys(config.host ?? {}).find((id) => !seen.has(id));
  if (unknown !== undefined) {
    const expected = `one of ${[...seen].join(', ')}`;
    return err(invalidArgument({ argument: 'host', value: unknown, expected }));
  }
  const wrongPattern = mistakeInPatterns(config.domains ?? []);
  return wrongPattern === null ? ok(config) : err(wrongPattern);
}

/** What is no list or object where one belongs; what is in them is looked at later. */
function mistakeInLists({ instances, host, domains = [] }: MachineConfig): InvalidArgument | null {
  const records = 'an array of objects';
  if (!isListOfRecords(instances))
    return invalidArgument({ argument: 'instances', value: instances, expected: records });
  if (!isListOfRecords(domains))
    return invalidArgument({ argument: 'domains', value: domains, expected: records });
  if (host === undefined || (isRecord(host) && !Array.isArray(host))) return null;
  return invalidArgument({ argument: 'host', value: host, expected: 'an object by names of instances' });
}

function isListOfRecords(value: unknown): boolean {
  return Array.isArray(value) && value.every(isRecord);
}

/** What is wrong with one instance; `seen` are the names of those before it. */
function mistakeInInstance(
  instance: InstanceConfig,
  among: {
    readonly config: MachineConfig;
    readonly drivers: readonly string[];
    readonly policies: readonly PolicyModule[];
    readonly seen: ReadonlySet<string>;
  },
): InvalidArgument | null {
  const { id, driver, faultModel, policy = 'null' } = instance;
  const { config, drivers, policies, seen } = among;
  if (typeof id !== 'string' || id === '' || seen.has(id)) {
    const expected = 'a name that no other instance has';
    return invalidArgument({ argument: 'instances[].id', value: id, expected });
  }
  if (!drivers.includes(driver)) {
    const expected = `one of ${drivers.join(', ')}`;
    return invalidArgument({ argument: `driver of ${id}`, value: driver, expected });
  }
  if (faultModel !== undefined && !FAULT_MODELS.includes(faultModel)) {
    const expected = `one of ${FAULT_MODELS.join(', ')}`;
    return invalidArgument({ argument: `faultModel of ${id}`, value: faultModel, expected });
  }
  const module = policies.find(({ name }) => name === policy);
  if (module !== undefined) return mistakeInSharing(config, instance, module);
  const expected = `one of ${policies.map(({ name }) => name).join(', ')}`;
  return invalidArgument({ argument: `policy of ${id}`, value: policy, expected });
}

/** What is wrong with how an instance is shared: who pays for switches, parameters of its policy, those of the host. */
function mistakeInSharing(
  { host }: MachineConfig,
  { id, parameters = {}, switchPayer = 'system' }: InstanceConfig,
  policy: PolicyModule,
): InvalidArgument | null {
  if (!SWITCH_PAYERS.includes(switchPayer)) {
    const expected = `one of ${SWITCH_PAYERS.join(', ')}`;
    return invalidArgument({ argument: `switchPayer of ${id}`, value: switchPayer, expected });
  }
  return (
    mistakeInParameters(policy.parameters, parameters, `parameters of ${id}`) ??
    mistakeInParameters(parametersUnder(policy), host?.[id] ?? {}, `host.${id}`)
  );
}

function mistakeInParameters(
  specs: readonly ParameterSpec[],
  given: Parameters,
  where: string,
): InvalidArgument | null {
  const completed = completeParameters(specs, given, where);
  return typeof completed.kind === 'string' ? (completed as InvalidArgument) : null;
}
