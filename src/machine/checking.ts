/**
 * The checking mode: each answer that comes out of a translation cache is judged before it is used, by somebody who
 * walks the tables anew. The judge is no part of the machine: a factory is handed in, for one machine by an option,
 * or for every machine of the process by `installTranslationCheck`, which the set-up of the project's tests calls.
 *
 * A cached answer may differ from the tables only between a change of them and the completion of its invalidation;
 * `pendingInvalidations` says when that may be. Only the inline host is checked: what engines on other threads find may
 * change between their answer and any comparison.
 */
import { INSTANCE_WORDS, instanceWord } from '../hw/instance-words.js';
import { type IommuRegisterFile, REGISTERS } from '../hw/iommu/registers.js';
import type { PhysicalMemory } from '../hw/physical-memory.js';
import type { CacheName, TranslationCheck } from '../hw/translation-check.js';

/** What a check is told of the machine whose caches it judges. */
export interface CheckedMachine {
  readonly memory: PhysicalMemory;
  /** The IOMMU's registers: `ddtp` is where a walk begins. */
  readonly registers: IommuRegisterFile;
  /** Whether `cache`, that of `deviceId` if it is an ATC, may still hold what an invalidation is about to take away. */
  readonly pendingInvalidations: (cache: CacheName, deviceId: number) => boolean;
}

/** Makes the check of one machine, when the machine is built. */
export type TranslationCheckFactory = (machine: CheckedMachine) => TranslationCheck;

/** A machine, or as much of one as has caches to be judged. */
export interface CheckableMachine {
  readonly memory: PhysicalMemory;
  readonly registers: IommuRegisterFile;
  /** The words of all instances. */
  readonly instances: Int32Array;
  /** Commands that have not found room in the command queue yet. */
  readonly backlog: () => number;
}

let installed: TranslationCheckFactory | null = null;

/** Every machine built from now on is checked by what `factory` makes; null ends that. For the project's own tests. */
export function installTranslationCheck(factory: TranslationCheckFactory | null): void {
  installed = factory;
}

/** The factory that is installed; null when there is none. */
export function installedTranslationCheck(): TranslationCheckFactory | null {
  return installed;
}

/** The judge of the caches of `machine`; null without a factory. Nothing of the machine is looked at before a translation. */
export function newTranslationCheck(
  factory: TranslationCheckFactory | null,
  machine: CheckableMachine,
): TranslationCheck | null {
  if (factory === null) return null;
  const pendingInvalidations = (cache: CacheName, deviceId: number): boolean =>
    isInvalidating(machine, cache, deviceId);
  return factory({ memory: machine.memory, registers: machine.registers, pendingInvalidations });
}

/** A command was not executed yet; or, for the ATC of a device, one was sent that the device has not acknowledged. */
function isInvalidating(
  { registers, instances, backlog }: CheckableMachine,
  cache: CacheName,
  deviceId: number,
): boolean {
  if (backlog() > 0 || registers.read32(REGISTERS.cqh.at) !== registers.read32(REGISTERS.cqt.at)) return true;
  if (cache === 'IOTLB') return false;
  const block = deviceId * INSTANCE_WORDS;
  const requested = Atomics.load(instances, block + instanceWord.INVALIDATIONS_REQUESTED);
  return requested !== Atomics.load(instances, block + instanceWord.INVALIDATIONS_ACKNOWLEDGED);
}
