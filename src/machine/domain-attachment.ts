/**
 * Gives a domain one instance, step by step: a process directory in the domain's memory, a vcoproc, a character device.
 * When a step fails, those before it are undone: nothing is left behind (R16).
 */
import { err, ok, type Result } from 'neverthrow';
import { invalidState } from '../base/errors.js';
import type { CallError, Framework } from '../coproc/framework.js';
import type { Parameters } from '../coproc/policy.js';
import type { Vcoproc } from '../coproc/vcoproc.js';
import type { IommuControl } from '../hw/iommu-driver/control.js';
import type { ProcessDirectory } from '../hw/iommu-driver/process-directory.js';
import type { Kernel } from '../kernel/kernel.js';
import { tablesIn } from '../kernel/memory-domain.js';
import type { Domain, SharedInstance } from './domain.js';
import { type Undo, undoAll, undoNow } from './undo.js';

/** What an attachment is made with. */
export interface AttachmentParts {
  readonly iommu: IommuControl;
  readonly kernel: Kernel;
  readonly framework: Framework;
  /** Asked before each step: true lets it fail. For tests of what is left behind. */
  readonly failsAt?: ((step: string) => boolean) | null;
}

/** Which instance a domain gets, and its parameters under the policy of it. */
export interface AttachmentRequest {
  readonly domain: Domain;
  readonly shared: SharedInstance;
  readonly parameters: Parameters;
}

/** Attaches; `done` gets what takes the instance away from the domain again, or what was wrong. */
export function attachInstance(
  parts: AttachmentParts,
  request: AttachmentRequest,
  done: (result: Result<Undo, CallError>) => void,
): void {
  const undos: Undo[] = [];
  const finish = (error: CallError | null): void => {
    if (error === null) done(ok((detached) => undoAll(undos, detached)));
    else undoAll(undos, () => done(err(error)));
  };
  const directory = makeDirectory(parts, request, undos);
  const vcoproc = directory.andThen((made) => makeVcoproc(parts, request, made, undos));
  if (directory.isErr()) finish(directory.error);
  else if (vcoproc.isErr()) finish(vcoproc.error);
  else addDevice(parts, request, { directory: directory.value, vcoproc: vcoproc.value }, undos, finish);
}

function makeDirectory(
  parts: AttachmentParts,
  { domain, shared: { instance, deviceId } }: AttachmentRequest,
  undos: Undo[],
): Result<ProcessDirectory, CallError> {
  const directory = fails(parts, 'directory')
    ? null
    : parts.iommu.createProcessDirectory(deviceId, tablesIn(domain.memory));
  if (directory === null) {
    return err(invalidState(`domain ${domain.name} has no memory for its process directory of ${instance}`));
  }
  undos.push(undoNow(() => directory.destroy()));
  return ok(directory);
}

function makeVcoproc(
  parts: AttachmentParts,
  { domain, shared: { instance, faultModel }, parameters }: AttachmentRequest,
  directory: ProcessDirectory,
  undos: Undo[],
): Result<Vcoproc, CallError> {
  const { framework } = parts;
  const created = fails(parts, 'vcoproc')
    ? err(invalidState('no vcoproc'))
    : framework.createVcoproc({ instance, domainId: domain.id, parameters });
  return created.map((vcoproc) => {
    const { secondStage } = domain.memory;
    vcoproc.memory = { secondStage, processDirectory: directory.root, faultModel };
    domain.vcoprocs.set(instance, vcoproc);
    undos.push((finish) => {
      domain.vcoprocs.delete(instance);
      framework.destroyVcoproc(vcoproc, finish);
    });
    return vcoproc;
  });
}

function addDevice(
  parts: AttachmentParts,
  { domain, shared: { instance, driver, queueNumbers } }: AttachmentRequest,
  { directory, vcoproc }: { readonly directory: ProcessDirectory; readonly vcoproc: Vcoproc },
  undos: Undo[],
  finish: (error: CallError | null) => void,
): void {
  const { kernel } = parts;
  if (fails(parts, 'device')) {
    finish(invalidState('no device'));
    return;
  }
  const request = { port: vcoproc, driver, domain: domain.memory, directory, queueNumbers };
  kernel.addDevice(request, (name) => {
    if (typeof name === 'number') {
      finish(invalidState(`the kernel refused ${instance} for domain ${domain.name}: errno ${-name}`));
      return;
    }
    domain.devices.set(instance, name);
    undos.push((removed) => {
      domain.devices.delete(instance);
      kernel.removeDevice(name, () => removed());
    });
    finish(null);
  });
}

function fails({ failsAt }: AttachmentParts, step: string): boolean {
  return failsAt?.(step) === true;
}
