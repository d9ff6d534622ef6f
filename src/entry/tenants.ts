/**
 * Tenants of a pool on a threaded machine: each a process of its own, in a domain of its own when it is to be kept apart
 * by contexts.
 */
import { err, type Result } from 'neverthrow';
import { Pool, poolMemoryLimit } from '../../lib/pool.js';
import type { CheckedTenantOptions, OpenTenant } from '../../lib/tenant.js';
import type { UserDriver } from '../../lib/user-driver.js';
import type { WdError } from '../base/errors.js';
import { limits } from '../base/limits.js';
import type { Parameters } from '../coproc/policy.js';
import type { ThreadedMachine } from '../machine/threaded/threaded-machine.js';

/** The share of a domain under the fair policy that corresponds to weight 1. */
const UNIT_WEIGHT = 256;

/** How tenants of a pool are opened on `machine`. */
export function tenantsOf(machine: ThreadedMachine, userDrivers: readonly UserDriver[]): OpenTenant {
  return (name, options) =>
    options.isolation === 'context'
      ? openInDomain(machine, userDrivers, name, options)
      : openBeside(machine, userDrivers, options);
}

async function openBeside(
  machine: ThreadedMachine,
  userDrivers: readonly UserDriver[],
  { weight }: CheckedTenantOptions,
): Promise<Result<Pool, WdError>> {
  const platform = await machine.createProcess({ weight });
  if (platform.isErr()) return err(platform.error);
  const memoryLimitBytes = poolMemoryLimit(limits.TENANT_MEMORY_BYTES);
  return Pool.create({ platform: platform.value, userDrivers, memoryLimitBytes, end: async () => {} });
}

async function openInDomain(
  machine: ThreadedMachine,
  userDrivers: readonly UserDriver[],
  name: string,
  { weight }: CheckedTenantOptions,
): Promise<Result<Pool, WdError>> {
  const shared = await shareAll(machine);
  if (shared.isErr()) return err(shared.error);
  const parameters: Parameters = { weight: weight * UNIT_WEIGHT };
  const coprocessors = Object.fromEntries(shared.value.map((instance) => [instance, parameters]));
  const memoryBytes = limits.TENANT_MEMORY_BYTES;
  const created = await machine.call({ call: 'createDomain', name, memoryBytes, coprocessors });
  if (created.isErr()) return err(created.error);
  const end = async (): Promise<void> => {
    await machine.call({ call: 'destroyDomain', domain: name });
  };
  const platform = await machine.createProcess({ domain: name });
  if (platform.isErr()) {
    await end();
    return err(platform.error);
  }
  const memoryLimitBytes = poolMemoryLimit(memoryBytes);
  return Pool.create({ platform: platform.value, userDrivers, memoryLimitBytes, end });
}

/** Names of all instances, each under a policy that serves more than one domain from now on. */
async function shareAll(machine: ThreadedMachine): Promise<Result<string[], WdError>> {
  const listed = await machine.call({ call: 'listCoprocessors' });
  if (listed.isErr()) return err(listed.error);
  for (const { instance, policy } of listed.value) {
    if (policy !== 'null') continue;
    const set = await machine.call({ call: 'setPolicy', instance, policy: 'fair' });
    if (set.isErr()) return err(set.error);
  }
  return listed.map((entries) => entries.map(({ instance }) => instance));
}
