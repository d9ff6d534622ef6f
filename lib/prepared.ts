/**
 * Prepared operations: options checked and turned into SQE formats once, and found again when the next call has
 * the same options. Comparing a handful of fields costs far less than checking them.
 */
import { err, ok, type Result } from 'neverthrow';
import { type InvalidArgument, invalidArgument } from '../src/base/errors.js';
import type { CtxGroup } from './ctx-group.js';
import type { DeviceInfo } from './devices.js';
import { CALL_OPTIONS, checkOptions, type RequestPolicy } from './options.js';
import { oneShotRoute, type Routable } from './route.js';
import type { OperationStatistics, Statistics } from './statistics.js';
import type { DecodePlan, Operation, SqeFormat, UserDriver } from './user-driver.js';

/** What a one-shot runs on: where it goes, the format for its input, and what user space deals with itself. */
export interface OneShotStart {
  readonly group: CtxGroup;
  readonly format: SqeFormat;
  /** Bytes of the input that are not handed over: a container's header. */
  readonly skipBytes: number;
  /** Decoders: the plan for what follows the member that begins there. */
  readonly next: DecodePlan | null;
}

/** An operation with its options, and the devices that can do it. */
export interface Prepared extends Routable {
  readonly devices: readonly DeviceInfo[];
  readonly statistics: OperationStatistics;
  /** Once known: the start of every one-shot. Stays null for decoders, where it depends on the input. */
  start: OneShotStart | null;
}

/** What operations are prepared from. */
export interface PreparedParts {
  readonly drivers: readonly UserDriver[];
  readonly devices: readonly DeviceInfo[];
  readonly policy: RequestPolicy;
  readonly statistics: Statistics;
}

type Fields = Readonly<Record<string, unknown>>;

interface Entry {
  readonly fields: Fields;
  readonly count: number;
  readonly prepared: Prepared;
}

/** Distinct option sets remembered per operation. */
const REMEMBERED = 8;

export class PreparedOperations {
  readonly #drivers: readonly UserDriver[];
  readonly #devices: readonly DeviceInfo[];
  readonly #entries = new Map<string, Entry[]>();
  readonly #parts: PreparedParts;

  constructor(parts: PreparedParts) {
    this.#parts = parts;
    this.#drivers = parts.drivers;
    this.#devices = parts.devices;
  }

  /** Names of all operations. */
  get operations(): readonly string[] {
    return this.#drivers.flatMap((driver) => driver.operations);
  }

  /** The operation `op` with `options`; what belongs to one call is not part of what is remembered. */
  find(op: string, options: unknown): Result<Prepared, InvalidArgument> {
    const entries = this.#entries.get(op);
    if (entries !== undefined && isPlain(options)) {
      for (const entry of entries) if (sameFields(entry, options)) return ok(entry.prepared);
    }
    return this.#prepare(op, options);
  }

  #prepare(op: string, options: unknown): Result<Prepared, InvalidArgument> {
    const driver = this.#drivers.find((candidate) => candidate.operations.includes(op));
    if (driver === undefined) return err(this.#unknownOperation(op));
    const fields = isPlain(options) ? withInherited(options) : options;
    const checked = checkOptions(fields, this.#parts.policy);
    if (checked.isErr()) return err(checked.error);
    const operation = driver.prepare({ op, parameters: checked.value.parameters });
    if (operation.isErr()) return err(operation.error);
    const mistake = verifyMistake(fields, operation.value, op);
    if (mistake !== null) return err(mistake);
    const devices = this.#devicesFor(driver, operation.value);
    const { route } = checked.value;
    const prepared = {
      operation: operation.value,
      options: checked.value,
      devices,
      statistics: this.#parts.statistics.operation(op),
      oneShot: oneShotRoute(route, devices),
      start: null,
    };
    this.#remember(op, fields as Fields, prepared);
    return ok(prepared);
  }

  #devicesFor(driver: UserDriver, { algorithm }: Operation): readonly DeviceInfo[] {
    return this.#devices.filter(
      ({ api, algorithms }) => driver.drives(api) && algorithms.includes(algorithm),
    );
  }

  #unknownOperation(op: unknown): InvalidArgument {
    return invalidArgument({ argument: 'op', value: op, expected: `one of ${this.operations.join(', ')}` });
  }

  #remember(op: string, options: Fields, prepared: Prepared): void {
    const fields = { ...options };
    for (const name of CALL_OPTIONS) delete (fields as Record<string, unknown>)[name];
    const entry = { fields, count: countFields(fields), prepared };
    const entries = this.#entries.get(op) ?? [];
    this.#entries.set(op, [entry, ...entries].slice(0, REMEMBERED));
  }
}

/** Asked for by name where it cannot be had: not the same as a default of the pool. */
function verifyMistake(options: unknown, operation: Operation, op: string): InvalidArgument | null {
  const asked = (options as { verify?: unknown } | undefined)?.verify === true;
  if (!asked || operation.verify !== undefined) return null;
  return invalidArgument({ argument: 'verify', value: true, expected: `absent: ${op} cannot be verified` });
}

function isPlain(options: unknown): options is Fields | undefined {
  return (
    options === undefined || (typeof options === 'object' && options !== null && !Array.isArray(options))
  );
}

/** Every field that a comparison sees: an inherited option counts like one of its own. */
function withInherited(options: Fields | undefined): Fields {
  const fields: Record<string, unknown> = {};
  for (const key in options) fields[key] = options[key];
  return fields;
}

function countFields(fields: Fields): number {
  return Object.keys(fields).filter((key) => fields[key] !== undefined).length;
}

function sameFields({ fields, count }: Entry, options: Fields | undefined): boolean {
  let matched = 0;
  for (const key in options) {
    const value = options[key];
    if (value === undefined) continue;
    if (CALL_OPTIONS.has(key)) continue;
    if (fields[key] !== value) return false;
    matched += 1;
  }
  return matched === count;
}
