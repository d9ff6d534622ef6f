/** Starts a threaded machine with the drivers of the package. */
import { availableParallelism } from 'node:os';
import type { Result } from 'neverthrow';
import type { OpenOptions } from '../../lib/open-options.js';
import type { UserDriver } from '../../lib/user-driver.js';
import type { DriverModule } from '../base/define-driver.js';
import type { InvalidArgument, InvalidState } from '../base/errors.js';
import { limits } from '../base/limits.js';
import { ThreadedMachine } from '../machine/threaded/threaded-machine.js';
import { builtinDrivers } from './builtin-drivers.js';

/** A machine with compression engines and a copy engine. Errors: InvalidState when it cannot start. */
export function startMachine({
  engines = Math.min(availableParallelism(), limits.ENGINES_MAX),
  memoryBytes = limits.MEMORY_BYTES,
}: OpenOptions): Promise<Result<ThreadedMachine, InvalidArgument | InvalidState>> {
  return ThreadedMachine.start({
    config: { memoryBytes, instances: [...zipInstances(engines), { id: 'copy0', driver: 'copy' }] },
    driverUrls: Object.fromEntries(Object.entries(builtinDrivers).map(([name, { href }]) => [name, href])),
    kernelWorkerUrl: new URL('./kernel-worker.js', import.meta.url),
    engineWorkerUrl: new URL('./engine-worker.js', import.meta.url),
  });
}

function zipInstances(engines: number): { id: string; driver: string }[] {
  return Array.from({ length: engines }, (_, index) => ({ id: `zip${index}`, driver: 'zip' }));
}

/** The user drivers of such a machine. */
export function loadUserDrivers(): Promise<UserDriver[]> {
  return Promise.all(Object.values(builtinDrivers).map(loadUserDriver));
}

async function loadUserDriver(url: URL): Promise<UserDriver> {
  const { default: driver } = (await import(url.href)) as {
    default: DriverModule<unknown, unknown, UserDriver>;
  };
  return driver.userDriver();
}
