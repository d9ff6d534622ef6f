/**
 * How user space talks to the copy accelerator: operations `copy` (the output is the input) and `crc32c` (the
 * checksum is in the result). Everything else the device can do is reached with an SQE of one's own.
 */
import { err, ok, type Result } from 'neverthrow';
import {
  type InvalidArgument,
  invalidArgument,
  type Operation,
  type OperationSpec,
  type Outcome,
  type SqeFormat,
  type Transfer,
  type UserDriver,
} from '../../lib/driver-api.js';
import { Crc32c } from './crc32c.js';
import { COPY_BYTES_MAX, type CopyOperation, copyOperation, copySqe, copyStatus } from './layout.js';

const sqe = copySqe.fields;

function formatOf(operation: CopyOperation): SqeFormat {
  const template = new Int32Array(copySqe.bytes / 4);
  sqe.operation.write(new DataView(template.buffer), 0, copyOperation[operation]);
  return {
    qcType: 0,
    sqeBytes: copySqe.bytes,
    template,
    fill,
    read: operation === 'copy' ? readCopied : read,
    outputRoom: (inputBytes) => (operation === 'copy' ? inputBytes : 0),
    expectedNs: (inputBytes) => 300 + inputBytes * 0.1,
  };
}

function fill(ring: DataView, base: number, transfer: Transfer): void {
  sqe.source.write(ring, base, transfer.source);
  sqe.destination.write(ring, base, transfer.destination);
  sqe.bytes.write(ring, base, transfer.sourceBytes);
  sqe.tag.write(ring, base, transfer.tag);
}

function read(ring: DataView, base: number, outcome: Outcome): void {
  outcome.tag = sqe.tag.read(ring, base);
  outcome.status = sqe.status.read(ring, base);
  outcome.verdict = outcome.status === copyStatus.DONE ? 'ok' : 'failed';
  outcome.consumed = sqe.processed.read(ring, base);
  outcome.produced = 0;
  outcome.checksum = sqe.result.read(ring, base);
}

function readCopied(ring: DataView, base: number, outcome: Outcome): void {
  read(ring, base, outcome);
  outcome.produced = outcome.consumed;
}

const NOTHING = new Uint8Array(0);

function operationOf(name: CopyOperation): Operation {
  const software = (input: Uint8Array) => {
    const crc = new Crc32c();
    if (name === 'crc32c') crc.add(input);
    return ok({ data: name === 'copy' ? input.slice() : NOTHING, checksum: crc.value });
  };
  return {
    algorithm: 'copy',
    requestBytesMax: COPY_BYTES_MAX,
    oneShot: formatOf(name),
    header: NOTHING,
    software: async (input) => software(input),
    softwareSync: software,
  };
}

function prepare({ op, parameters }: OperationSpec): Result<Operation, InvalidArgument> {
  const [unknown] = Object.keys(parameters);
  if (unknown !== undefined) {
    return err(
      invalidArgument({ argument: unknown, value: parameters[unknown], expected: `absent for "${op}"` }),
    );
  }
  return ok(operationOf(op as CopyOperation));
}

export const copyUserDriver: UserDriver = {
  name: 'copy',
  drives: (api) => api === 'wd_copy_v1',
  operations: ['copy', 'crc32c'],
  prepare,
};
