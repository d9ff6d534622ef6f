/**
 * Records of the fault and page-request queues, decoded from memory (tables in ../iommu/layouts.ts).
 */
import { Intent, STALLED, Transaction } from '../iommu/causes.js';
import { FAULT_RECORD, PAGE_RECORD } from '../iommu/layouts.js';
import type { PhysicalMemory } from '../physical-memory.js';
import type { PageRequestRecord, StallRecord } from './control.js';

const TWO_32 = 0x1_0000_0000;

/** An access that the IOMMU refused for good. */
export interface DmaFaultRecord {
  readonly deviceId: number;
  /** -1 = without PASID. */
  readonly pasid: number;
  /** Cause code of the specification ("Fault/Event-Queue"). */
  readonly cause: number;
  /** Transaction type, TTYP. */
  readonly transaction: number;
  readonly iova: bigint;
  /** Guest-physical address of a second-stage fault, with its two marks in bits 1:0; otherwise 0. */
  readonly guestAddress: bigint;
}

/** The page request stored at `address`. */
export function readPageRequest(memory: PhysicalMemory, address: number): PageRequestRecord {
  const { pid, pv, priv, exec, did, payloadLow, payloadHigh } = PAGE_RECORD.fields;
  const { data } = memory;
  const low = payloadLow.read(data, address);
  return {
    deviceId: did.read(data, address),
    pasid: pv.read(data, address) === 1 ? pid.read(data, address) : -1,
    privileged: priv.read(data, address) === 1,
    execute: exec.read(data, address) === 1,
    read: (low & 1) !== 0,
    write: (low & 2) !== 0,
    last: (low & 4) !== 0,
    prgi: (low >>> 3) & 0x1ff,
    va: payloadHigh.read(data, address) * TWO_32 + (low - (low % 4096)),
  };
}

/** The fault record stored at `address`. */
export function readFault(memory: PhysicalMemory, address: number): DmaFaultRecord {
  const { pid, pv, did, cause, ttyp, iotvalLow, iotval2Low } = FAULT_RECORD.fields;
  const { data } = memory;
  return {
    deviceId: did.read(data, address),
    pasid: pv.read(data, address) === 1 ? pid.read(data, address) : -1,
    cause: cause.read(data, address),
    transaction: ttyp.read(data, address),
    iova: data.getBigUint64(address + iotvalLow.spec.at, true),
    guestAddress: data.getBigUint64(address + iotval2Low.spec.at, true),
  };
}

/** Whether the record at `address` is of an access that is stalled, not of one that has ended. */
export function isStall(memory: PhysicalMemory, address: number): boolean {
  return FAULT_RECORD.fields.cause.read(memory.data, address) >= STALLED;
}

/** The record of a stalled access at `address`. */
export function readStall(memory: PhysicalMemory, address: number): StallRecord {
  const { pid, pv, did, ttyp, stallTag, iotvalLow, iotvalHigh } = FAULT_RECORD.fields;
  const { data } = memory;
  const low = iotvalLow.read(data, address);
  return {
    deviceId: did.read(data, address),
    pasid: pv.read(data, address) === 1 ? pid.read(data, address) : -1,
    va: iotvalHigh.read(data, address) * TWO_32 + (low - (low % 4096)),
    access: accessOf(ttyp.read(data, address)),
    tag: stallTag.read(data, address),
  };
}

/** What an untranslated request was about to do. */
function accessOf(transaction: number): StallRecord['access'] {
  const intent = transaction - Transaction.untranslated - 1;
  if (intent === Intent.execute) return 'execute';
  return intent === Intent.write ? 'write' : 'read';
}
