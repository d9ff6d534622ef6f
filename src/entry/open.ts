/** Opens a pool on a threaded machine of its own: where machine and user library meet. */
import { availableParallelism } from 'node:os';
import { err, type Result, ResultAsync } from 'neverthrow';
import { checkOpenOptions, type OpenOptions } from '../../lib/open-options.js';
import { Pool, poolMemoryLimit } from '../../lib/pool.js';
import type { UserDriver } from '../../lib/user-driver.js';
import type { DriverModule } from '../base/define-driver.js';
import type { WdError } from '../base/errors.js';
import { limits } from '../base/limits.js';
import { ThreadedMachine } from '../machine/threaded/threaded-machine.js';
import { builtinDrivers } from './builtin-drivers.js';
import { tenantsOf } from './tenants.js';

/**
 * Starts a machine with compression engines and a copy engine, and opens a pool on it. Errors: InvalidArgument for
 * an option, InvalidState when the machine cannot start.
 */
export function open(options?: OpenOptions): ResultAsync<Pool, WdError> {
  return new ResultAsync(start(options));
}

async function start(options: OpenOptions | undefined): Promise<Result<Pool, WdError>> {
  const checked = checkOpenOptions(options);
  if (checked.isErr()) return err(checked.error);
  const engines = checked.value.engines ?? Math.min(availableParallelism(), limits.ENGINES_MAX);
  const memoryBytes = checked.value.memoryBytes ?? limits.MEMORY_BYTES;
  const machine = await ThreadedMachine.start({
    config: { memoryBytes, instances: [...zipInstances(engines), { id: 'copy0', driver: 'copy' }] },
    driverUrls: Object.fromEntries(Object.entries(builtinDrivers).map(([name, { href }]) => [name, href])),
    kernelWorkerUrl: new URL('./kernel-worker.js', import.meta.url),
    engineWorkerUrl: new URL('./engine-worker.js', import.meta.url),
  });
  if (machine.isErr()) return err(machine.error);
  const platform = await machine.value.createProcess();
  if (platform.isErr()) return err(platform.error);
  const userDrivers = await Promise.all(Object.values(builtinDrivers).map(loadUserDriver));
  return Pool.create({
    platform: platform.value,
    userDrivers,
    memoryLimitBytes: poolMemoryLimit(memoryBytes),
    end: () => machine.value.close(),
    openTenant: tenantsOf(machine.value, userDrivers),
  });
}

function zipInstances(engines: number): { id: string; driver: string }[] {
  return Array.from({ length: engines }, (_, index) => ({ id: `zip${index}`, driver: 'zip' }));
}

async function loadUserDriver(url: URL): Promise<UserDriver> {
  const { default: driver } = (await import(url.href)) as {
    default: DriverModule<unknown, unknown, UserDriver>;
  };
  return driver.userDriver();
}
