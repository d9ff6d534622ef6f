/**
 * A device that touches no memory and notes whom it served: for questions about order and shares. SQEs are those of
 * the copy accelerator, of which it reads the length, and serves it in the segments that it is asked for.
 */
import copy from '../../drivers/copy/index.js';
import { copySqe } from '../../drivers/copy/layout.js';
import type { Dma, SqeRequest } from '../../src/hw/device-model.js';
import type { MachineDriver } from '../../src/machine/machine-driver.js';

export interface Meter {
  readonly driver: MachineDriver;
  /** Bytes served so far, by the queue's owner key, in the order of first service. */
  readonly served: Map<number, number>;
}

export function newMeter(): Meter {
  const served = new Map<number, number>();
  const bytesOf = ({ sqe }: SqeRequest): number => copySqe.fields.bytes.read(sqe, 0);
  function* execute(request: SqeRequest, dma: Dma): Generator<number, void, void> {
    for (let left = bytesOf(request); left > 0; ) {
      const part = Math.min(left, dma.segmentBytes);
      served.set(request.owner, (served.get(request.owner) ?? 0) + part);
      left -= part;
      if (left > 0) yield part * 0.1;
    }
  }
  const model = {
    execute,
    costNs: () => 100,
    requestBytes: bytesOf,
    fail: () => {},
    queueStopped: () => {},
    reset: () => {},
  };
  const device = { ...copy.device, name: 'meter', create: () => model };
  const kernelDriver = { ...copy.kernelDriver, deviceName: 'meter', api: 'meter_v1' };
  return { driver: { ...copy, name: 'meter', device, kernelDriver }, served };
}
