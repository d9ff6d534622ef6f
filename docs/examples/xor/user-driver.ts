/** How a request becomes an SQE, and a completed SQE a result. */
import { err, invalidArgument, type Operation, ok, type UserDriver } from 'warpdrive/driver';
import { XOR_BYTES_MAX, xorSqe, xorStatus } from './layout.js';

const sqe = xorSqe.fields;

function operationOf(key: number): Operation {
  const template = new Int32Array(xorSqe.bytes / 4);
  sqe.key.write(new DataView(template.buffer), 0, key);
  const software = (input: Uint8Array) => ok({ data: input.map((byte) => byte ^ key), checksum: 0 });
  return {
    algorithm: 'xor',
    requestBytesMax: XOR_BYTES_MAX,
    header: new Uint8Array(0),
    software: async (input) => software(input),
    softwareSync: software,
    oneShot: {
      qcType: 0,
      sqeBytes: xorSqe.bytes,
      template,
      outputRoom: (inputBytes) => inputBytes,
      expectedNs: (inputBytes) => 300 + inputBytes * 0.1,
      fill: (ring, base, transfer) => {
        sqe.source.write(ring, base, transfer.source);
        sqe.destination.write(ring, base, transfer.destination);
        sqe.bytes.write(ring, base, transfer.sourceBytes);
        sqe.tag.write(ring, base, transfer.tag);
      },
      read: (ring, base, outcome) => {
        outcome.tag = sqe.tag.read(ring, base);
        outcome.status = sqe.status.read(ring, base);
        outcome.verdict = outcome.status === xorStatus.DONE ? 'ok' : 'failed';
        outcome.consumed = sqe.bytes.read(ring, base);
        outcome.produced = outcome.consumed;
      },
    },
  };
}

export const xorUserDriver: UserDriver = {
  name: 'xor',
  drives: (api) => api === 'example_xor_v1',
  operations: ['xor'],
  prepare: ({ parameters: { key, ...others } }) => {
    const [unknown] = Object.keys(others);
    if (unknown !== undefined) {
      return err(invalidArgument({ argument: unknown, value: others[unknown], expected: 'absent' }));
    }
    if (typeof key === 'number' && Number.isInteger(key) && key >= 0 && key <= 255)
      return ok(operationOf(key));
    return err(invalidArgument({ argument: 'key', value: key, expected: 'a whole number from 0 to 255' }));
  },
};
