/**
 * A process for a tenant of a machine: beside the others of the host, or in a domain of its own, which is created with it
 * and destroyed after it.
 */
import { err, ok, type Result } from 'neverthrow';
import { limits } from '../../base/limits.js';
import type { CallError } from '../../coproc/framework.js';
import type { ThreadedMachine } from './threaded-machine.js';
import type { ThreadedPlatform } from './threaded-platform.js';

/** What a tenant's process is made from. */
export interface TenantRequest {
  /** Also the name of its domain. */
  readonly name: string;
  readonly isolation: 'queue' | 'context';
  /** Its share; 1 is that of any other process of the host, and of the host's domain. */
  readonly weight: number;
}

/** The process, and what ends what was made for it; called once, after the process has exited. */
export interface TenantProcess {
  readonly platform: ThreadedPlatform;
  readonly end: () => Promise<void>;
}

/** The share of a domain under the fair policy that corresponds to weight 1. */
const UNIT_WEIGHT = 256;

/** Creates the process. Errors: InvalidState when there is no room for it, or for its domain. */
export async function createTenant(
  machine: ThreadedMachine,
  request: TenantRequest,
): Promise<Result<TenantProcess, CallError>> {
  if (request.isolation === 'context') return createInDomain(machine, request);
  const platform = await machine.createProcess({ weight: request.weight });
  return platform.map((made) => ({ platform: made, end: async () => {} }));
}

async function createInDomain(
  machine: ThreadedMachine,
  { name, weight }: TenantRequest,
): Promise<Result<TenantProcess, CallError>> {
  const shared = await shareAll(machine);
  if (shared.isErr()) return err(shared.error);
  const parameters = { weight: weight * UNIT_WEIGHT };
  const coprocessors = Object.fromEntries(shared.value.map((instance) => [instance, parameters]));
  const memoryBytes = limits.TENANT_MEMORY_BYTES;
  const created = await machine.call({ call: 'createDomain', name, memoryBytes, coprocessors });
  if (created.isErr()) return err(created.error);
  const platform = await machine.createProcess({ domain: name });
  if (platform.isOk()) return ok({ platform: platform.value, end: () => destroy(machine, name) });
  await destroy(machine, name);
  return err(platform.error);
}

async function destroy(machine: ThreadedMachine, domain: string): Promise<void> {
  const destroyed = await machine.call({ call: 'destroyDomain', domain });
  // It is gone already when the machine is.
  destroyed.unwrapOr(null);
}

/** Names of all instances, each under a policy that serves more than one domain from now on. */
async function shareAll(machine: ThreadedMachine): Promise<Result<string[], CallError>> {
  const listed = await machine.call({ call: 'listCoprocessors' });
  if (listed.isErr()) return err(listed.error);
  for (const { instance, policy } of listed.value) {
    if (policy !== 'null') continue;
    const set = await machine.call({ call: 'setPolicy', instance, policy: 'fair' });
    if (set.isErr()) return err(set.error);
  }
  return ok(listed.value.map(({ instance }) => instance));
}
