/**
 * The start-up configuration of a machine, `warpdrive.config.json`: the counterpart of the `chosen` node of a device tree
 * and of the configuration files of domains (R8, R9, R13). It is checked as a whole before anything is created; a mistake
 * is named by its place in the file, with the value and what would be right.
 *
 * docs/configuration.md explains every key.
 */
import { err, ok, type Result } from 'neverthrow';
import { type InvalidArgument, invalidArgument } from '../base/errors.js';
import { limits } from '../base/limits.js';
import { isKeyed, mistakeInShape } from '../base/plain-shape.js';
import {
  type ChosenData,
  checkCoprocessors,
  type InstanceSetup,
  type KnownParts,
} from './config-coprocessors.js';
import { checkDomains, type DomainsData, type DomainsSetup } from './config-domains.js';
import { amountIn, configShape, machineMemoryShape } from './config-shape.js';
import { mistakeInJson, textPlace } from './json-text.js';
import type { MachineConfig } from './machine-config.js';

export type { InstanceSetup, KnownParts } from './config-coprocessors.js';

/** What a machine is to be from the start: everything that was absent has its default. */
export interface MachineSetup extends Omit<MachineConfig, 'host' | 'domains'>, DomainsSetup {
  readonly instances: readonly InstanceSetup[];
}

/** A configuration that has its shape. */
interface ConfigData {
  readonly memory?: number | string;
  readonly chosen?: ChosenData;
  readonly domains?: DomainsData;
}

/** The argument of errors about a configuration as a whole. */
const WHOLE = 'configuration';

/**
 * The data in the text of a configuration file, not checked yet. Errors: InvalidArgument with line and column of what is
 * not JSON, or of a key that is there twice.
 */
export function parseConfigText(text: string): Result<unknown, InvalidArgument> {
  const most = limits.CONFIG_TEXT_LENGTH_MAX;
  if (typeof text !== 'string' || text.length > most) {
    const expected = `a text of at most ${most} characters`;
    return err(invalidArgument({ argument: WHOLE, value: text, expected }));
  }
  // Some editors begin every file with a byte order mark.
  const json = text.replace(/^\uFEFF/, '');
  const mistake = mistakeInJson(json);
  if (mistake === null) return ok(JSON.parse(json));
  const { line, column } = textPlace(json, mistake.at);
  const expected = `JSON, with ${mistake.expected} at line ${line}, column ${column}`;
  const value = json.slice(mistake.at).match(/^("?[\w-]+"?|.)/u)?.[0] ?? 'the end of the text';
  return err(invalidArgument({ argument: WHOLE, value, expected }));
}

/**
 * Checks a configuration, which may be anything, for a machine that has these drivers and policies. Errors:
 * InvalidArgument, whose `argument` is the place of the first mistake: `chosen.coprocessors[1].policy`.
 */
export function checkConfigFile(data: unknown, known: KnownParts): Result<MachineSetup, InvalidArgument> {
  const mistake = isKeyed(data)
    ? mistakeInShape(configShape, data, '')
    : invalidArgument({ argument: WHOLE, value: data, expected: 'an object' });
  if (mistake !== null) return err(mistake);
  const { memory = limits.MEMORY_BYTES, chosen, domains = {} } = data as ConfigData;
  return amountIn(machineMemoryShape, memory, 'memory').andThen((memoryBytes) =>
    checkCoprocessors(chosen, known).andThen((placed) =>
      checkDomains(domains, placed, memoryBytes).map((setup) => ({
        memoryBytes,
        instances: [...placed.values()].map((instance) => instance.setup),
        ...setup,
      })),
    ),
  );
}
