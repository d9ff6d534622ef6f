/**
 * Which way a call takes, decided from its options, its size and the devices there are: the one place where that
 * is written, used by the call itself and by `explain`.
 */
import { limits } from '../src/base/limits.js';
import type { DeviceInfo } from './devices.js';
import type { CheckedOptions, Route } from './options.js';
import type { Operation } from './user-driver.js';
import type { Path } from './via.js';

export interface RouteDecision {
  readonly path: Path;
  readonly way: 'oneShot' | 'blocks' | 'stream' | 'software' | 'softwareNow' | 'none';
  readonly reason: string;
  /** Requests that the input is cut into, as far as it is known beforehand. */
  readonly requests: number;
}

/** Made once for all calls with the same options: most calls take it. */
export function oneShotRoute(route: Route, devices: readonly DeviceInfo[]): RouteDecision {
  if (devices.length === 0)
    return { path: 'device', way: 'none', reason: 'no device offers the operation', requests: 0 };
  const reason = route === 'device' ? 'the device was asked for' : 'large enough for a device';
  return { path: 'device', way: 'oneShot', reason, requests: 1 };
}

/** What is known of a call before its input. */
export interface Routable {
  readonly operation: Operation;
  readonly options: CheckedOptions;
  /** The decision for every input that is one request on a device. */
  readonly oneShot: RouteDecision;
}

/** The way of an input of `bytes` bytes. */
export function decideRoute({ operation, options, oneShot }: Routable, bytes: number): RouteDecision {
  const { route } = options;
  if (route === 'software') return software('software', 'software was asked for');
  if (route === 'auto' && bytes < limits.DEVICE_THRESHOLD_BYTES) {
    return software(
      'softwareNow',
      `the input is below the device threshold of ${limits.DEVICE_THRESHOLD_BYTES} bytes`,
    );
  }
  if (oneShot.way === 'none') return route === 'auto' ? software('software', oneShot.reason) : oneShot;
  if (options.split && operation.blocks !== undefined && bytes >= limits.SPLIT_THRESHOLD_BYTES) {
    return { ...oneShot, way: 'blocks', requests: Math.ceil(bytes / options.blockBytes) };
  }
  if (bytes <= operation.requestBytesMax) return oneShot;
  return { ...oneShot, way: 'stream', requests: Math.ceil(bytes / limits.STREAM_CHUNK_BYTES) };
}

/** What becomes of a call with `whenBusy: 'software'` that no device could start now. */
export const ALL_BUSY: RouteDecision = software('software', 'every device is busy');

/** What becomes of a call with route `auto` once every device that could take it was lost. */
export const NO_DEVICE_LEFT: RouteDecision = software('software', 'no device is left');

function software(way: 'software' | 'softwareNow', reason: string): RouteDecision {
  return { path: 'software', way, reason, requests: 1 };
}
