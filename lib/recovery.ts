/**
 * What becomes of a call whose device was lost, or whose output does not stand: once more on another device, in software,
 * or an error, as the caller asked.
 */
import type { WdError } from '../src/base/errors.js';
import { limits } from '../src/base/limits.js';
import type { Prepared } from './prepared.js';

/** What to do with a request when no device is left; `losses` were lost with it. */
export function withoutDevice({ options }: Prepared, losses: number): 'software' | 'fail' {
  const { onDeviceLoss, route } = options;
  // Whoever asked for the device gets it or an error.
  return route === 'device' || (losses > 0 && onDeviceLoss === 'fail') ? 'fail' : 'software';
}

/** What to do with a request that was lost with `losses` devices, the last one now. */
export function afterLoss(prepared: Prepared, losses: number): 'replay' | 'software' | 'fail' {
  const mayReplay = prepared.options.onDeviceLoss === 'replay' && losses <= limits.REPLAYS_MAX;
  return mayReplay ? 'replay' : withoutDevice(prepared, losses);
}

/** Whether an error says that the device went, and nothing of the request or its output. */
export function isLoss({ kind }: WdError): boolean {
  return kind === 'DeviceLost' || kind === 'NoDevice';
}

/** Why software did it. */
export const LOST_REASON = 'the device was lost with it';
export const MISMATCH_REASON = "the device's output did not stand the check";
