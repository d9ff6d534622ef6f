/**
 * Page requests: a device asks software to make a page present. Those that may be asked are queued for software;
 * the others are answered here, or vanish when nobody waits for an answer.
 */
import { Cause, isRecorded, ResponseCode, Transaction } from './causes.js';
import { DirectoryMode, modeOf } from './device-directory.js';
import type { FaultQueue, FaultQueueOptions } from './fault-queue.js';
import { PAGE_RECORD } from './layouts.js';
import { Append, RecordQueue } from './record-queue.js';
import { type IommuRegisterFile, PendingBit, REGISTERS } from './registers.js';
import {
  NO_PASID,
  type PageGroupResponse,
  type PageRequest,
  type PageRequestOutcome,
  Status,
} from './translation.js';
import type { Translator } from './translator.js';

const { fields } = PAGE_RECORD;

/** Bits of the message payload. */
const PAYLOAD_READ_WRITE = 3;
const PAYLOAD_LAST = 4;
const GROUP_MASK = 0x1ff;

/** What a fault record holds in place of an address for a page request. */
const PAGE_REQUEST_IOTVAL = 4;

/** What the page-request queue works on. */
export interface PageRequestQueueOptions extends FaultQueueOptions {
  readonly translator: Translator;
  readonly faults: FaultQueue;
}

/** Takes page requests from devices. */
export class PageRequestQueue {
  readonly #queue: RecordQueue;
  readonly #translator: Translator;
  readonly #faults: FaultQueue;
  readonly #registers: IommuRegisterFile;
  /** PRPR of the device that asks; false when no context was found to say so. */
  #answersWithPasid = false;

  constructor(options: PageRequestQueueOptions) {
    const spec = {
      base: REGISTERS.pqb.at,
      head: REGISTERS.pqh.at,
      tail: REGISTERS.pqt.at,
      control: REGISTERS.pqcsr.at,
      pending: PendingBit.pageRequest,
      recordBytes: PAGE_RECORD.bytes,
    };
    this.#queue = new RecordQueue({ ...options, spec });
    this.#translator = options.translator;
    this.#faults = options.faults;
    this.#registers = options.registers;
  }

  /** Queues `request`, or says how it was discarded. */
  take(request: PageRequest): PageRequestOutcome {
    const deviceId = request.dsv ? request.rid + request.dseg * 0x1_0000 : request.rid;
    const cause = this.#judge(deviceId);
    if (cause !== Cause.none) {
      this.#registers.count('pageRequestsDropped');
      const recorded = this.#record(request, deviceId, cause);
      return { queued: false, recorded, response: this.#answer(request, codeOfCause(cause)) };
    }
    const outcome = this.#append(request, deviceId);
    const queued = outcome === Append.stored;
    this.#registers.count(queued ? 'pageRequestsQueued' : 'pageRequestsDropped');
    const code = outcome === Append.overflow ? ResponseCode.success : ResponseCode.responseFailure;
    return { queued, recorded: false, response: queued ? null : this.#answer(request, code) };
  }

  /** Whether the device may send page requests at all. Answers a cause. */
  #judge(deviceId: number): number {
    const translator = this.#translator;
    translator.faultsDisabled = false;
    this.#answersWithPasid = false;
    const ddtpLow = translator.ddtpLow();
    const mode = modeOf(ddtpLow);
    if (mode === DirectoryMode.off) return Cause.allInboundDisallowed;
    if (mode === DirectoryMode.bare) return Cause.requestDisallowed;
    const cause = translator.locateDevice(this.#registers.generation(), ddtpLow, deviceId);
    if (cause !== Cause.none) return cause;
    this.#answersWithPasid = translator.device.answersWithPasid;
    return translator.device.enPri ? Cause.none : Cause.requestDisallowed;
  }

  #record(request: PageRequest, deviceId: number, cause: number): boolean {
    if (!isRecorded(cause, Status.unsupportedRequest, this.#translator.faultsDisabled)) return false;
    return this.#faults.report({
      cause,
      transaction: Transaction.pageRequest,
      deviceId,
      pasid: request.pasid,
      privileged: request.privileged,
      addressHigh: 0,
      addressLow: PAGE_REQUEST_IOTVAL,
      guestPage: 0,
      guestOffset: 0,
    });
  }

  #append(request: PageRequest, deviceId: number): number {
    const { record } = this.#queue;
    const hasPasid = request.pasid !== NO_PASID;
    fields.pid.write(record, 0, hasPasid ? request.pasid : 0);
    fields.pv.write(record, 0, hasPasid ? 1 : 0);
    fields.priv.write(record, 0, hasPasid && request.privileged ? 1 : 0);
    fields.exec.write(record, 0, hasPasid && request.execute ? 1 : 0);
    fields.did.write(record, 0, deviceId);
    fields.payloadLow.write(record, 0, request.payloadLow);
    fields.payloadHigh.write(record, 0, request.payloadHigh);
    return this.#queue.append();
  }

  /** The answer to a discarded request; null when the device waits for none. */
  #answer(request: PageRequest, code: number): PageGroupResponse | null {
    if ((request.payloadLow & PAYLOAD_LAST) === 0 || (request.payloadLow & PAYLOAD_READ_WRITE) === 0)
      return null;
    const { rid, dsv, dseg } = request;
    const prgi = (request.payloadLow >>> 3) & GROUP_MASK;
    const echoesPasid = code === ResponseCode.responseFailure || this.#answersWithPasid;
    const payloadHigh = ((rid << 16) | (code << 12) | prgi) >>> 0;
    return {
      code,
      rid,
      dsv,
      dseg,
      prgi,
      pasid: echoesPasid ? request.pasid : NO_PASID,
      payloadHigh,
      payloadLow: 0,
    };
  }
}

function codeOfCause(cause: number): number {
  return cause === Cause.requestDisallowed ? ResponseCode.invalidRequest : ResponseCode.responseFailure;
}
