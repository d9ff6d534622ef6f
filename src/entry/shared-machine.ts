/**
 * How the pool behind the zero-configuration functions of a thread is opened. All threads of a program that use them share
 * one machine, each as a process of its own (docs/environment.md); where that cannot be, a thread has a machine of its own.
 */
import { err, ok, type Result, ResultAsync } from 'neverthrow';
import { DefaultPool, type OpenedPool } from '../../lib/default-pool.js';
import { type OpenOptions, poolDefaults } from '../../lib/open-options.js';
import { Pool } from '../../lib/pool.js';
import type { WdError } from '../base/errors.js';
import { limits } from '../base/limits.js';
import type { AttachedProcess } from '../machine/threaded/attach.js';
import { MachineSharing } from '../machine/threaded/machine-sharing.js';
import { completeOptions, startPool } from './open.js';
import { loadUserDrivers } from './start-machine.js';

/** The pool of a thread on the machine that the program shares. One for each thread. */
export function poolOfThread(): DefaultPool {
  const pool: DefaultPool = new DefaultPool(() => new ResultAsync(openShared(sharing)));
  const sharing = new MachineSharing(async () => (await pool.pool()).isOk());
  return pool;
}

async function openShared(sharing: MachineSharing): Promise<Result<OpenedPool, WdError>> {
  const options = completeOptions(undefined);
  if (options.isErr()) return err(options.error);
  const found = await sharing.find();
  const attached = found === null ? null : await openAttached(found, options.value);
  return attached === null ? openOwn(sharing, options.value) : ok(attached);
}

/** A pool on the machine of another thread; null when that machine has no room for it. */
async function openAttached(
  { platform, detach }: AttachedProcess,
  options: OpenOptions,
): Promise<OpenedPool | null> {
  const memoryLimitBytes = limits.ATTACHED_MEMORY_BYTES;
  const [userDrivers, defaults] = [await loadUserDrivers(), poolDefaults(options)];
  const source = { platform, userDrivers, memoryLimitBytes, defaults, end: async () => detach() };
  const pool = await Pool.create(source);
  if (pool.isOk() && platform.mappedBytes > 0) return { pool: pool.value, ended: platform.ended };
  await platform.exit();
  detach();
  return null;
}

async function openOwn(sharing: MachineSharing, options: OpenOptions): Promise<Result<OpenedPool, WdError>> {
  const started = await startPool(options);
  if (started.isErr()) {
    sharing.stop();
    return err(started.error);
  }
  sharing.share(started.value.machine);
  return ok(started.value);
}
