/**
 * Fault records: what the IOMMU tells software about a request that it did not let through.
 */
import { intentOf, Transaction } from './causes.js';
import { FAULT_RECORD } from './layouts.js';
import { Append, RecordQueue, type RecordQueueOptions } from './record-queue.js';
import { type IommuRegisterFile, PendingBit, REGISTERS } from './registers.js';
import { NO_PASID, NO_STALL, RequestType, type TranslationRequest } from './translation.js';

const { fields } = FAULT_RECORD;

/** Everything that a fault record says. */
export interface Fault {
  readonly cause: number;
  /** TTYP. */
  readonly transaction: number;
  readonly deviceId: number;
  /** `NO_PASID` when the request had none. */
  readonly pasid: number;
  /** Supervisor privilege; counts only with a PASID. */
  readonly privileged: boolean;
  readonly addressHigh: number;
  readonly addressLow: number;
  /** Second address: guest page and offset, 0 for causes that have none. */
  readonly guestPage: number;
  readonly guestOffset: number;
  /** Tag of the access that is stalled by this fault; absent or `NO_STALL` for one that has ended. */
  readonly stallTag?: number;
}

/** What the fault queue works on. */
export type FaultQueueOptions = Omit<RecordQueueOptions, 'spec'>;

/** TTYP of a translation request. */
export function transactionOf(request: TranslationRequest): number {
  if (request.type === RequestType.ats) return Transaction.ats;
  const base = request.type === RequestType.translated ? Transaction.translated : Transaction.untranslated;
  return base + 1 + intentOf(request.access);
}

/** Appends fault records. */
export class FaultQueue {
  readonly #queue: RecordQueue;
  readonly #registers: IommuRegisterFile;

  constructor(options: FaultQueueOptions) {
    const spec = {
      base: REGISTERS.fqb.at,
      head: REGISTERS.fqh.at,
      tail: REGISTERS.fqt.at,
      control: REGISTERS.fqcsr.at,
      pending: PendingBit.fault,
      recordBytes: FAULT_RECORD.bytes,
    };
    this.#queue = new RecordQueue({ ...options, spec });
    this.#registers = options.registers;
  }

  /** Appends a record; answers whether the queue took it. */
  report(fault: Fault): boolean {
    const { record } = this.#queue;
    const hasPasid = fault.pasid !== NO_PASID;
    fields.cause.write(record, 0, fault.cause);
    fields.pid.write(record, 0, hasPasid ? fault.pasid : 0);
    fields.pv.write(record, 0, hasPasid ? 1 : 0);
    fields.priv.write(record, 0, hasPasid && fault.privileged ? 1 : 0);
    fields.ttyp.write(record, 0, fault.transaction);
    fields.did.write(record, 0, fault.deviceId);
    const stallTag = fault.stallTag ?? NO_STALL;
    fields.stallTag.write(record, 0, stallTag === NO_STALL ? 0 : stallTag);
    fields.stalled.write(record, 0, stallTag === NO_STALL ? 0 : 1);
    fields.iotvalLow.write(record, 0, fault.addressLow);
    fields.iotvalHigh.write(record, 0, fault.addressHigh);
    // Page numbers reach 2^52, so the byte address is put together from halves.
    fields.iotval2Low.write(record, 0, (fault.guestPage % 0x10_0000) * 0x1000 + fault.guestOffset);
    fields.iotval2High.write(record, 0, Math.floor(fault.guestPage / 0x10_0000));
    const stored = this.#queue.append() === Append.stored;
    this.#registers.count(stored ? 'faultsRecorded' : 'faultsDropped');
    return stored;
  }
}
