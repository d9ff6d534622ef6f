/**
 * `warpdrive/sim`: the deterministic machine. One seed, one trace; user code, kernel and devices take turns on a
 * virtual clock.
 */
import { err, ResultAsync } from 'neverthrow';
import { Pool, poolMemoryLimit } from '../../lib/pool.js';
import type { UserDriver } from '../../lib/user-driver.js';
import type { WdError } from '../base/errors.js';
import { MiB } from '../base/units.js';
import { InlineMachine, type InlineMachineOptions } from '../machine/inline/inline-machine.js';
import type { MachineDriver } from '../machine/machine-driver.js';
import { ThreadedMachine, type ThreadedMachineOptions } from '../machine/threaded/threaded-machine.js';

export type { ProcessorState } from '../machine/inline/domain-processors.js';
export type { InlinePlatform } from '../machine/inline/inline-platform.js';
export type { InstanceConfig, MachineConfig } from '../machine/machine-config.js';
export type { ProcessSettings } from '../machine/process-settings.js';
export type { ThreadedPlatform } from '../machine/threaded/threaded-platform.js';
export type { Counters, Platform, Protection, SyscallReply, SyscallRequest } from '../uapi/syscall.js';
export * from './control.js';
export {
  InlineMachine as Machine,
  type InlineMachineOptions,
  type MachineDriver,
  ThreadedMachine,
  type ThreadedMachineOptions,
};

/** A machine of real threads, with drivers of one's own: modules by name, as URLs that any thread can import. */
export function startThreaded(options: Pick<ThreadedMachineOptions, 'config' | 'driverUrls'>) {
  const kernelWorkerUrl = new URL('./kernel-worker.js', import.meta.url);
  const engineWorkerUrl = new URL('./engine-worker.js', import.meta.url);
  return new ResultAsync(ThreadedMachine.start({ ...options, kernelWorkerUrl, engineWorkerUrl }));
}

/** A pool as a new process of `machine`, with the user drivers of `drivers`. */
export function openPool(
  machine: InlineMachine | ThreadedMachine,
  drivers: readonly MachineDriver[],
): ResultAsync<Pool, WdError> {
  return new ResultAsync(create(machine, drivers));
}

async function create(machine: InlineMachine | ThreadedMachine, drivers: readonly MachineDriver[]) {
  const platform = await machine.createProcess();
  if (platform.isErr()) return err(platform.error);
  const userDrivers = await Promise.all(
    drivers.map(async ({ userDriver }) => (await userDriver()) as UserDriver),
  );
  const memoryLimitBytes = poolMemoryLimit(64 * MiB);
  return Pool.create({ platform: platform.value, userDrivers, memoryLimitBytes, end: async () => {} });
}
