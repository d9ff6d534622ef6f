/** Opens a pool on a threaded machine of its own: where machine and user library meet. */
import { err, type Result, ResultAsync } from 'neverthrow';
import type { OpenedPool } from '../../lib/default-pool.js';
import { withEnvironment } from '../../lib/environment.js';
import { checkOpenOptions, type OpenOptions, poolDefaults } from '../../lib/open-options.js';
import { Pool, poolMemoryLimit } from '../../lib/pool.js';
import type { InvalidArgument, WdError } from '../base/errors.js';
import { limits } from '../base/limits.js';
import type { ThreadedMachine } from '../machine/threaded/threaded-machine.js';
import { loadUserDrivers, startMachine } from './start-machine.js';
import { tenantsOf } from './tenants.js';

/**
 * Starts a machine with compression engines and a copy engine, and opens a pool on it. What is not said is taken from
 * the environment (docs/environment.md). Errors: InvalidArgument for an option or a variable, InvalidState when the
 * machine cannot start.
 */
export function open(options?: OpenOptions): ResultAsync<Pool, WdError> {
  return new ResultAsync(start(options));
}

async function start(options: OpenOptions | undefined): Promise<Result<Pool, WdError>> {
  const checked = completeOptions(options);
  if (checked.isErr()) return err(checked.error);
  const opened = await startPool(checked.value);
  return opened.map(({ pool }) => pool);
}

/** Options of `open`, checked, with what the environment says. */
export function completeOptions(options: unknown): Result<OpenOptions, InvalidArgument> {
  return checkOpenOptions(options).andThen((given) => withEnvironment(given, process.env));
}

/** A machine of its own, and a pool on it. */
export async function startPool(
  options: OpenOptions,
): Promise<Result<OpenedPool & { readonly machine: ThreadedMachine }, WdError>> {
  const started = await startMachine(options);
  if (started.isErr()) return err(started.error);
  const machine = started.value;
  const platform = await machine.createProcess();
  if (platform.isErr()) return err(platform.error);
  const userDrivers = await loadUserDrivers();
  const source = {
    platform: platform.value,
    userDrivers,
    memoryLimitBytes: poolMemoryLimit(options.memoryBytes ?? limits.MEMORY_BYTES),
    end: () => machine.close(),
    openTenant: tenantsOf(machine, userDrivers),
    defaults: poolDefaults(options),
  };
  const pool = await Pool.create(source);
  return pool.map((made) => ({ pool: made, machine, ended: platform.value.ended }));
}
