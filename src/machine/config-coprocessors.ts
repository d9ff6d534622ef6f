/**
 * The part of a start-up configuration that says what is shared: instances, their drivers and their policies. The data
 * has its shape (config-shape.ts); what is checked here is whether the names are known and belong together.
 */
import { err, ok, type Result } from 'neverthrow';
import { type InvalidArgument, invalidArgument } from '../base/errors.js';
import { nearestName } from '../base/nearest-name.js';
import { expectationOf, memberPlace } from '../base/plain-shape.js';
import type { ParameterSpec, Parameters, PolicyModule } from '../coproc/policy.js';
import type { SwitchPayer } from '../coproc/scheduler-parts.js';
import type { FaultModel } from '../hw/fault-model.js';
import { DEFAULT_POLICY } from './config-shape.js';
import type { InstanceConfig } from './machine-config.js';
import type { MachineDriver } from './machine-driver.js';

/** What a machine is built from: names that a configuration may use. */
export interface KnownParts {
  readonly drivers: readonly Pick<MachineDriver, 'name' | 'device'>[];
  readonly policies: readonly PolicyModule[];
}

/** One coprocessor instance, and how domains share it. */
export interface InstanceSetup extends InstanceConfig {
  readonly faultModel: FaultModel;
  /** Name of its policy. */
  readonly policy: string;
  /** Parameters of the policy that were given; the others have their defaults. */
  readonly parameters: Parameters;
  readonly switchPayer: SwitchPayer;
}

/** An instance, and where the configuration speaks of it. */
export interface PlacedInstance {
  readonly setup: InstanceSetup;
  readonly policy: PolicyModule;
  readonly place: string;
}

/** An element of `chosen.coprocessors` that has its shape. */
interface CoprocessorData {
  readonly id: string;
  readonly driver: string;
  readonly policy?: string;
  readonly parameters?: Parameters;
  readonly switchPayer?: SwitchPayer;
  readonly faultModel?: FaultModel;
}

/** `chosen`, with the shape of it. */
export interface ChosenData {
  readonly coprocessors: readonly CoprocessorData[];
}

/** The instances of a machine by name, in the order of the configuration. */
export function checkCoprocessors(
  chosen: ChosenData | undefined,
  known: KnownParts,
): Result<ReadonlyMap<string, PlacedInstance>, InvalidArgument> {
  const placed = new Map<string, PlacedInstance>();
  const all = chosen?.coprocessors ?? defaultCoprocessors(known);
  for (const [index, data] of all.entries()) {
    const place = chosen === undefined ? 'configuration' : `chosen.coprocessors[${index}]`;
    if (placed.has(data.id)) {
      const expected = 'a name that no other coprocessor has';
      return err(invalidArgument({ argument: `${place}.id`, value: data.id, expected }));
    }
    const checked = checkCoprocessor(data, place, known);
    if (checked.isErr()) return err(checked.error);
    placed.set(data.id, checked.value);
  }
  return ok(placed);
}

/** The value of one parameter that was given: what is wrong with it under a policy, or null. */
export function wrongParameter(
  specs: readonly ParameterSpec[],
  { name, value, place }: { readonly name: string; readonly value: number; readonly place: string },
  owner: string,
): InvalidArgument | null {
  const spec = specs.find((each) => each.name === name);
  if (spec === undefined) {
    const names = specs.map((each) => each.name);
    const nearest = nearestName(name, names);
    const remedy =
      nearest === null
        ? `there ${names.length === 0 ? 'are none' : `are ${names.join(', ')}`}`
        : `did you mean "${nearest}"?`;
    const expected = `absent (${owner} has no parameter "${name}"; ${remedy})`;
    return invalidArgument({ argument: place, value, expected, code: 'ERR_WD_UNKNOWN_OPTION' });
  }
  const { least, most, unit } = spec;
  if (Number.isInteger(value) && value >= least && value <= most) return null;
  const expected = expectationOf({ kind: 'whole', unit: unit === '1' ? '' : unit, least, most });
  return invalidArgument({ argument: place, value, expected, code: 'ERR_OUT_OF_RANGE' });
}

/** One of each kind that may be shared. */
function defaultCoprocessors({ drivers }: KnownParts): readonly CoprocessorData[] {
  return drivers
    .filter(({ device }) => device.unprotected !== true)
    .map(({ name }) => ({ id: `${name}0`, driver: name }));
}

function checkCoprocessor(
  data: CoprocessorData,
  place: string,
  known: KnownParts,
): Result<PlacedInstance, InvalidArgument> {
  const policy = known.policies.find(({ name }) => name === (data.policy ?? DEFAULT_POLICY));
  const mistake = wrongDriver(data.driver, `${place}.driver`, known);
  if (mistake !== null) return err(mistake);
  if (policy === undefined) return err(unknownPolicy(data, place, known));
  for (const [name, value] of Object.entries(data.parameters ?? {})) {
    const at = memberPlace(`${place}.parameters`, name);
    const wrong = wrongParameter(policy.parameters, { name, value, place: at }, `policy ${policy.name}`);
    if (wrong !== null) return err(wrong);
  }
  const { id, driver, parameters = {}, switchPayer = 'system', faultModel = 'pageRequests' } = data;
  const setup = { id, driver, policy: policy.name, parameters, switchPayer, faultModel };
  return ok({ setup, policy, place });
}

function wrongDriver(driver: string, place: string, { drivers }: KnownParts): InvalidArgument | null {
  const found = drivers.find(({ name }) => name === driver);
  if (found !== undefined && found.device.unprotected !== true) return null;
  const names = drivers.filter(({ device }) => device.unprotected !== true).map(({ name }) => name);
  const why = found === undefined ? '' : ': a device whose memory accesses no IOMMU checks is not shared';
  const expected =
    names.length === 0 ? 'the name of a driver, and there is none' : `one of ${names.join(', ')}`;
  return invalidArgument({ argument: place, value: driver, expected: `${expected}${why}` });
}

/** A policy that was left out, because the machine was built without it, is as unknown as a misspelt one (R10). */
function unknownPolicy(
  { policy }: CoprocessorData,
  place: string,
  { policies }: KnownParts,
): InvalidArgument {
  const expected = `one of ${policies.map(({ name }) => name).join(', ')}`;
  return policy === undefined
    ? invalidArgument({ argument: place, value: DEFAULT_POLICY, expected: `given a policy, ${expected}` })
    : invalidArgument({ argument: `${place}.policy`, value: policy, expected });
}
