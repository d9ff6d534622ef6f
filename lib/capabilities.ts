/** What can be asked of a pool, without asking it to do anything. */
import { limits } from '../src/base/limits.js';
import type { DeviceInfo } from './devices.js';
import type { PreparedOperations } from './prepared.js';

/** One operation and where it can be done. */
export interface OperationCapabilities {
  readonly operation: string;
  /** Devices that have it; empty: software only. */
  readonly devices: readonly string[];
  /** Largest input of one request, bytes. */
  readonly requestBytesMax: number;
  /** Whether a large input can be cut into blocks for all engines, and from which size on it is, bytes. */
  readonly splits: boolean;
  readonly splitThresholdBytes: number;
  /** Whether it can be done as a stateful stream. */
  readonly streams: boolean;
  /** Whether `verify` can be asked for. */
  readonly verifies: boolean;
}

/** What `Pool.caps` answers. */
export interface Capabilities {
  readonly devices: readonly DeviceInfo[];
  readonly operations: readonly OperationCapabilities[];
  /** Inputs below this go to software unless the device is asked for, bytes. */
  readonly deviceThresholdBytes: number;
}

export function capabilitiesOf(prepared: PreparedOperations, devices: readonly DeviceInfo[]): Capabilities {
  return {
    devices,
    operations: prepared.operations.flatMap((operation) => operationOf(prepared, operation)),
    deviceThresholdBytes: limits.DEVICE_THRESHOLD_BYTES,
  };
}

function operationOf(prepared: PreparedOperations, name: string): OperationCapabilities[] {
  const found = prepared.find(name, undefined);
  if (found.isErr()) return [];
  const { operation, devices } = found.value;
  return [
    {
      operation: name,
      devices: devices.map((device) => device.name),
      requestBytesMax: operation.requestBytesMax,
      splits: operation.blocks !== undefined,
      splitThresholdBytes: limits.SPLIT_THRESHOLD_BYTES,
      streams: operation.stream !== undefined || operation.decode !== undefined,
      verifies: operation.verify !== undefined,
    },
  ];
}
