/** What the hardware does with an SQE: segment by segment, through the port it is handed. */
import {
  type DeviceDescription,
  type DeviceModel,
  type Dma,
  limits,
  type SqeRequest,
} from 'warpdrive/driver';
import { XOR_BYTES_MAX, xorRegisters, xorSqe, xorStatus } from './layout.js';

const sqe = xorSqe.fields;

class XorDevice implements DeviceModel {
  *execute({ sqe: view }: SqeRequest, dma: Dma): Generator<number, void, void> {
    const bytes = sqe.bytes.read(view, 0);
    sqe.status.write(view, 0, bytes > XOR_BYTES_MAX ? xorStatus.TOO_LONG : xorStatus.DONE);
    if (bytes > XOR_BYTES_MAX) return;
    // Exact below 2^53, which every address of this machine is; readAddress keeps the others, too.
    const [source, destination] = [sqe.source.read(view, 0), sqe.destination.read(view, 0)];
    for (let done = 0; done < bytes; done += limits.SEGMENT_INPUT_BYTES) {
      const part = Math.min(limits.SEGMENT_INPUT_BYTES, bytes - done);
      const input = yield* dma.read(source + done, part);
      // A new array: what was read is a view, and must not be written into.
      const output = input.map((byte) => byte ^ sqe.key.read(view, 0));
      yield* dma.write(destination + done, output);
      yield part * 0.1;
    }
  }

  costNs(): number {
    return 100;
  }

  requestBytes({ sqe: view }: SqeRequest): number {
    return Math.min(sqe.bytes.read(view, 0), XOR_BYTES_MAX);
  }

  fail({ sqe: view }: SqeRequest): void {
    sqe.status.write(view, 0, xorStatus.ACCESS_FAILED);
  }

  queueStopped(): void {}

  reset(): void {}
}

export const xorDevice: DeviceDescription = {
  name: 'xor',
  sqeBytes: xorSqe.bytes,
  preemption: 'park',
  registers: xorRegisters,
  create: () => new XorDevice(),
};
