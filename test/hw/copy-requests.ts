/**
 * SQEs of the copy accelerator in a few words, and copy machines with rings of any depth.
 */
import copy from '../../drivers/copy/index.js';
import { type CopyOperation, copyOperation, copySqe } from '../../drivers/copy/layout.js';
import type { MachineDriver } from '../../src/machine/machine-driver.js';
import { viewOf } from './ring-mock.js';

export interface CopyRequest {
  readonly operation?: CopyOperation;
  readonly source?: number | bigint;
  readonly destination?: number | bigint;
  readonly bytes?: number;
  readonly pattern?: number;
  readonly tag?: number;
}

/** An SQE; `copy` of nothing unless said otherwise. */
export function copySqeOf(request: CopyRequest): Uint8Array {
  const { operation = 'copy', source = 0, destination = 0, bytes = 0, pattern = 0, tag = 0 } = request;
  const sqe = new Uint8Array(copySqe.bytes);
  const view = viewOf(sqe);
  const { fields } = copySqe;
  fields.operation.write(view, 0, copyOperation[operation]);
  fields.pattern.write(view, 0, pattern);
  view.setBigUint64(fields.source.spec.at, BigInt(source), true);
  view.setBigUint64(fields.destination.spec.at, BigInt(destination), true);
  fields.bytes.write(view, 0, bytes);
  fields.tag.write(view, 0, tag);
  return sqe;
}

/** What came back. */
export function copyOutcome(sqe: Uint8Array): {
  status: number;
  processed: number;
  result: number;
  tag: number;
} {
  const view = viewOf(sqe);
  const { status, processed, result, tag } = copySqe.fields;
  return {
    status: status.read(view, 0),
    processed: processed.read(view, 0),
    result: result.read(view, 0),
    tag: tag.read(view, 0),
  };
}

/** The copy driver with rings of other depths. */
export function copyWithDepths(sqDepth: number, cqDepth: number): MachineDriver {
  return { ...copy, kernelDriver: { ...copy.kernelDriver, sqDepth, cqDepth } };
}

/** `bytes` bytes that differ from their neighbours and from page to page. */
export function patternOf(bytes: number, seed = 1): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, index) => (index * 31 + (index >>> 8) * 17 + seed) & 0xff);
}
