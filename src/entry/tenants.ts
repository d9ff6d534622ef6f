/** Tenants of a pool on a threaded machine: where machine and user library meet once more. */
import { err } from 'neverthrow';
import { Pool, poolMemoryLimit } from '../../lib/pool.js';
import type { OpenTenant } from '../../lib/tenant.js';
import type { UserDriver } from '../../lib/user-driver.js';
import { limits } from '../base/limits.js';
import { createTenant } from '../machine/threaded/tenant-process.js';
import type { ThreadedMachine } from '../machine/threaded/threaded-machine.js';

/** How tenants of a pool are opened on `machine`. */
export function tenantsOf(machine: ThreadedMachine, userDrivers: readonly UserDriver[]): OpenTenant {
  return async (name, options) => {
    const tenant = await createTenant(machine, { name, ...options });
    if (tenant.isErr()) return err(tenant.error);
    const memoryLimitBytes = poolMemoryLimit(limits.TENANT_MEMORY_BYTES);
    const { maxInFlightBytes } = options;
    return Pool.create({ ...tenant.value, userDrivers, memoryLimitBytes, maxInFlightBytes, name });
  };
}
