/**
 * What can be chosen for a new process. Plain data; checked before anything is created.
 */
import { type InvalidArgument, invalidArgument } from '../base/errors.js';
import { limits } from '../base/limits.js';

/** Quota, domain and share of a process. */
export interface ProcessSettings {
  /**
   * Frames of 4 KiB that it may hold, page tables included: at least 1; those of its domain unless said otherwise. At the
   * limit its own demand pages are written out; what cannot be is refused with ENOMEM.
   */
  readonly quotaFrames?: number;
  /** Name of the domain that it lives in; the host's own unless said otherwise. */
  readonly domain?: string;
  /** Its share among the processes of its domain, a whole number from 1; 1 unless said otherwise. */
  readonly weight?: number;
}

/** Why a well-formed request for a process is refused. */
export const NO_PROCESS = `the machine has no room for another process (at most ${limits.PROCESSES_MAX}, each with a frame for its page table): end one first`;

/** What is wrong with `settings`; null when nothing is. */
export function mistakeInSettings(settings: ProcessSettings): InvalidArgument | null {
  const { quotaFrames, weight } = settings;
  if (quotaFrames !== undefined && !(Number.isSafeInteger(quotaFrames) && quotaFrames >= 1)) {
    return invalidArgument({
      argument: 'quotaFrames',
      value: quotaFrames,
      expected: 'a whole number from 1',
    });
  }
  const most = limits.PROCESS_WEIGHT_MAX;
  if (weight !== undefined && !(Number.isInteger(weight) && weight >= 1 && weight <= most)) {
    return invalidArgument({
      argument: 'weight',
      value: weight,
      expected: `a whole number from 1 to ${most}`,
    });
  }
  return null;
}
