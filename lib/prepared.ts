/**
 * Prepared operations: options checked and turned into SQE formats once, and found again when the next call has
 * the same options. Comparing a handful of fields costs far less than checking them.
 */
import { err, ok, type Result } from 'neverthrow';
import { type InvalidArgument, invalidArgument } from '../src/base/errors.js';
import type { CtxGroup } from './ctx-group.js';
import type { DeviceInfo } from './devices.js';
import { checkOptions } from './options.js';
import { oneShotRoute, type Routable } from './route.js';
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
  /** Once known: the start of every one-shot. Stays null for decoders, where it depends on the input. */
  start: OneShotStart | null;
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

  constructor(drivers: readonly UserDriver[], devices: readonly DeviceInfo[]) {
    this.#drivers = drivers;
    this.#devices = devices;
  }

  /** The operation `op` with `options`; the caller's `signal` is not part of what is remembered. */
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
    const checked = checkOptions(fields);
    if (checked.isErr()) return err(checked.error);
    const operation = driver.prepare({ op, parameters: checked.value.parameters });
    if (operation.isErr()) return err(operation.error);
    const devices = this.#devicesFor(driver, operation.value);
    const { route } = checked.value;
    const oneShot = oneShotRoute(route, devices);
    const prepared = { operation: operation.value, options: checked.value, devices, oneShot, start: null };
    this.#remember(op, fields as Fields, prepared);
    return ok(prepared);
  }

  #devicesFor(driver: UserDriver, { algorithm }: Operation): readonly DeviceInfo[] {
    return this.#devices.filter(
      ({ api, algorithms }) => driver.drives(api) && algorithms.includes(algorithm),
    );
  }

  #unknownOperation(op: unknown): InvalidArgument {
    const known = this.#drivers.flatMap((driver) => driver.operations);
    return invalidArgument({ argument: 'op', value: op, expected: `one of ${known.join(', ')}` });
  }

  #remember(op: string, options: Fields, prepared: Prepared): void {
    const fields = { ...options, signal: undefined };
    const entry = { fields, count: countFields(fields), prepared };
    const entries = this.#entries.get(op) ?? [];
    this.#entries.set(op, [entry, ...entries].slice(0, REMEMBERED));
  }
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
    if (key === 'signal') {
      if (value instanceof AbortSignal) continue;
      return false;
    }
    if (fields[key] !== value) return false;
    matched += 1;
  }
  return matched === count;
}
