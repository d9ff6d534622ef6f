/**
 * Which way a call takes, decided from its options, its size and the devices there are: the one place where that
 * is written, used by the call itself and by `explain`.
 */
import { limits } from '../src/base/limits.js';
import type { DeviceInfo } from './devices.js';
import type { Prepared } from './prepared.js';
import type { Path } from './via.js';

export interface RouteDecision {
  readonly path: Path;
  readonly way: 'oneShot' | 'blocks' | 'stream' | 'software' | 'softwareNow';
  readonly reason: string;
  readonly devices: readonly DeviceInfo[];
  /** Requests that the input is cut into, as far as it is known beforehand. */
  readonly requests: number;
}

export function decideRoute(prepared: Prepared, bytes: number, devices: readonly DeviceInfo[]): RouteDecision {
  const { operation, options } = prepared;
  if (options.route === 'software') return software('software', 'software was asked for');
  if (options.route === 'auto' && bytes < limits.DEVICE_THRESHOLD_BYTES) {
    return software('softwareNow', `${bytes} bytes are below the device threshold of ${limits.DEVICE_THRESHOLD_BYTES}`);
  }
  if (devices.length === 0) {
    const reason = `no device has the algorithm ${operation.algorithm}`;
    if (options.route === 'auto') return software('software', reason);
    return { path: 'device', way: 'oneShot', reason, devices, requests: 0 };
  }
  const reason = options.route === 'device' ? 'the device was asked for' : 'large enough for a device';
  if (operation.blocks !== undefined && bytes >= limits.SPLIT_THRESHOLD_BYTES) {
    return { path: 'device', way: 'blocks', reason, devices, requests: Math.ceil(bytes / options.blockBytes) };
  }
  if (bytes > operation.requestBytesMax) {
    return { path: 'device', way: 'stream', reason, devices, requests: Math.ceil(bytes / limits.STREAM_CHUNK_BYTES) };
  }
  return { path: 'device', way: 'oneShot', reason, devices, requests: 1 };
}

function software(way: 'software' | 'softwareNow', reason: string): RouteDecision {
  return { path: 'software', way, reason, devices: [], requests: 1 };
}
