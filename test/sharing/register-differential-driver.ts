/**
 * A driver as anybody finds it, who knows nothing but the contracts: the registers that its device declares, the shapes
 * of SQE that its user driver makes, and inputs that mean something to its operations.
 */
import { pathToFileURL } from 'node:url';
import type { Operation, SqeFormat, UserDriver } from '../../lib/user-driver.js';
import { KiB } from '../../src/base/units.js';
import { builtinDrivers } from '../../src/entry/builtin-drivers.js';
import type { RegisterSpec } from '../../src/hw/device-model.js';
import type { MachineDriver } from '../../src/machine/machine-driver.js';
import { prose } from '../drivers/zip/codec-streams.js';
import { patternOf } from '../hw/copy-requests.js';

/** No input is longer, nor the room between two of them. */
export const INPUT_BYTES = 64 * KiB;
/** Inputs of one driver. */
export const INPUTS_MAX = 4;

/** A driver, and what can be asked of its device. */
export interface DriverUnderTest {
  readonly driver: MachineDriver;
  readonly registers: readonly RegisterSpec[];
  /** Every shape of request that the user driver knows without being told more than the operation. */
  readonly formats: readonly SqeFormat[];
  /** What stands in the memory of each process, INPUT_BYTES apart. */
  readonly inputs: readonly Uint8Array[];
}

/** Every driver that comes with the package, by name. One that is added is found. */
export async function driversInTree(): Promise<ReadonlyMap<string, DriverUnderTest>> {
  const found = new Map<string, DriverUnderTest>();
  for (const [name, { href }] of Object.entries(builtinDrivers)) {
    const { default: driver } = (await import(pathToFileURL(new URL(href).pathname).href)) as {
      default: MachineDriver;
    };
    found.set(name, await underTest(driver));
  }
  return found;
}

/** A driver with what its user driver says of requests. */
export async function underTest(driver: MachineDriver): Promise<DriverUnderTest> {
  const { operations, prepare } = (await driver.userDriver()) as UserDriver;
  const prepared = operations.flatMap((op) => prepare({ op, parameters: {} }).unwrapOr([]));
  const plain = prose(INPUT_BYTES / 2);
  const outputs = prepared.flatMap((operation) => outputOf(operation, plain));
  const members = outputs.flatMap((output) => prepared.flatMap((operation) => memberOf(operation, output)));
  const formats = [...prepared.flatMap(formatsOf), ...members.flatMap((member) => member.formats)];
  return {
    // Rings so short that they go round.
    driver: { ...driver, kernelDriver: { ...driver.kernelDriver, sqDepth: 4, cqDepth: 4 } },
    registers: driver.device.registers,
    formats: formats.length > 0 ? formats : [emptyFormat(driver.device.sqeBytes)],
    inputs: [plain, patternOf(INPUT_BYTES), ...members.map(({ bytes }) => bytes)].slice(0, INPUTS_MAX),
  };
}

/** What is left to be tried where no operation can be prepared without parameters: SQEs of zeros, and what is not. */
function emptyFormat(sqeBytes: number): SqeFormat {
  const template = new Int32Array(sqeBytes / 4);
  const nothing = (): number => 0;
  return { qcType: 0, sqeBytes, template, fill() {}, read() {}, outputRoom: nothing, expectedNs: nothing };
}

function formatsOf({ oneShot, blocks, stream }: Operation): SqeFormat[] {
  return [oneShot, blocks?.format, stream?.format].filter((format) => format !== undefined);
}

/** What an operation makes of an input, in software; nothing where the input means nothing to it. */
function outputOf(operation: Operation, input: Uint8Array): Uint8Array[] {
  const made = operation.softwareSync(input, { maxOutputBytes: INPUT_BYTES });
  return made.isOk() ? [made.value.data] : [];
}

/** What is left of an output for the device to decode, and how; nothing where the operation cannot read its head. */
function memberOf({ decode }: Operation, output: Uint8Array) {
  const head = decode?.parseHeader(output, true);
  if (head?.kind !== 'skip') return [];
  return [{ bytes: output.subarray(head.bytes), formats: [head.oneShot, head.stream.format] }];
}
