/**
 * What becomes of a call whose device was lost, or whose output does not stand: once more on another device, in software,
 * or an error, as the caller asked.
 */
import type { WdError } from '../src/base/errors.js';
import { limits } from '../src/base/limits.js';
import type { Prepared } from './prepared.js';

/** What to do with a request that was lost with `losses` devices. */
export type AfterLoss = 'replay' | 'software' | 'fail';

export function afterLoss({ options }: Prepared, losses: number): AfterLoss {
  const { onDeviceLoss, route } = options;
  if (onDeviceLoss === 'replay' && losses <= limits.REPLAYS_MAX) return 'replay';
  // Whoever asked for the device gets it or an error.
  return onDeviceLoss === 'fail' || route === 'device' ? 'fail' : 'software';
}

/** Whether an error says that the device went, and nothing of the request or its output. */
export function isLoss({ kind }: WdError): boolean {
  return kind === 'DeviceLost' || kind === 'NoDevice';
}

/** Why software did it. */
export const LOST_REASON = 'the device was lost with it';
export const MISMATCH_REASON = "the device's output did not stand the check";
