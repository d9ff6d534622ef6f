/**
 * What a machine consists of. Plain data, so that it can be handed to other threads; checked before anything is
 * built, with errors that name the offending value.
 */
import { err, ok, type Result } from 'neverthrow';
import { type InvalidArgument, invalidArgument } from '../base/errors.js';
import { limits } from '../base/limits.js';

/** One coprocessor instance. */
export interface InstanceConfig {
  /** Unique name, e.g. `zip0`. */
  readonly id: string;
  /** Name of its driver, e.g. `zip`. */
  readonly driver: string;
}

/** A whole machine: how much memory, and which instances. */
export interface MachineConfig {
  /** Bytes of physical memory, in units of 64 KiB. */
  readonly memoryBytes: number;
  readonly instances: readonly InstanceConfig[];
}

const MEMORY_UNIT = 65_536;

/** Checks a configuration; `drivers` are the names that are there. */
export function checkConfig(
  config: MachineConfig,
  drivers: readonly string[],
): Result<MachineConfig, InvalidArgument> {
  const { memoryBytes, instances } = config;
  const { MEMORY_BYTES_MIN: least, MEMORY_BYTES_MAX: most } = limits;
  if (!(memoryBytes >= least && memoryBytes <= most && memoryBytes % MEMORY_UNIT === 0)) {
    const expected = `from ${least} to ${most} in units of ${MEMORY_UNIT}`;
    return err(invalidArgument({ argument: 'memoryBytes', value: memoryBytes, expected }));
  }
  if (instances.length > limits.INSTANCES_MAX) {
    const expected = `at most ${limits.INSTANCES_MAX} instances`;
    return err(invalidArgument({ argument: 'instances', value: instances.length, expected }));
  }
  const seen = new Set<string>();
  for (const { id, driver } of instances) {
    if (typeof id !== 'string' || id === '' || seen.has(id)) {
      return err(
        invalidArgument({
          argument: 'instances[].id',
          value: id,
          expected: 'a name that no other instance has',
        }),
      );
    }
    if (!drivers.includes(driver)) {
      return err(
        invalidArgument({
          argument: `driver of ${id}`,
          value: driver,
          expected: `one of ${drivers.join(', ')}`,
        }),
      );
    }
    seen.add(id);
  }
  return ok(config);
}
