/**
 * What a device asks of the IOMMU and what it is answered: translation requests, page requests, messages.
 *
 * Translation requests and results are plain objects owned by the caller and reused, so that the translation path
 * allocates nothing. Numbers stand for the kinds so that comparing them is cheap. 64-bit quantities are pairs of
 * unsigned 32-bit halves; a physical address is a page number (up to 2^52) and an offset, because it may exceed
 * 2^53.
 */

/** Kinds of translation request. `translated` carries an address that an earlier ATS answer gave. */
export const RequestType = { untranslated: 0, translated: 1, ats: 2 } as const;

/** What an untranslated or translated request is about to do. */
export const Access = { read: 0, write: 1, execute: 2 } as const;

/** How a translation request ends on the bus. */
export const Status = { success: 0, unsupportedRequest: 1, completerAbort: 2 } as const;

/** In place of a PASID: the request carries none. */
export const NO_PASID = -1;

/** In place of a stall tag: the access is to be aborted when it faults. */
export const NO_STALL = -1;

/** One request, filled by the caller. */
export interface TranslationRequest {
  /** One of `RequestType`. */
  type: number;
  /** Requester, 0 to 2^24 - 1. */
  deviceId: number;
  /** 0 to 2^20 - 1, or `NO_PASID`. */
  pasid: number;
  /** Supervisor privilege asked for; counts only with a PASID. */
  privileged: boolean;
  /** One of `Access`; not read for ATS requests, which always ask to read. */
  access: number;
  /** ATS only: the device will not write, so the dirty bit stays as it is. */
  noWrite: boolean;
  /** ATS only: the device asks for execute permission; counts only with a PASID. */
  execute: boolean;
  /** Bits 63:32 of the address, unsigned. */
  iovaHigh: number;
  /** Bits 31:0 of the address, unsigned. */
  iovaLow: number;
  /**
   * Untranslated requests only: the device can keep the access until software answers it, and calls it by this number
   * of 16 bits; or `NO_STALL`. Counts only with the stall extension.
   */
  stallTag: number;
}

/** The answer, overwritten completely by every translation. */
export interface TranslationResult {
  /** One of `Status`. An ATS request that may do nothing succeeds with `r` and `w` false. */
  status: number;
  /** Cause of the fault that was detected, 0 if none. Not visible on the bus. */
  cause: number;
  /** Whether a fault record was appended. */
  recorded: boolean;
  /**
   * The access is stalled: nothing was answered on the bus, `status` does not count, and a `stallResponse` message
   * with the request's tag will come. It may come before this is read.
   */
  stalled: boolean;
  /** Physical page; for ATS the first page of the range. 0 when nothing was granted. */
  ppn: number;
  /** Offset in the page; 0 for ATS. */
  pageOffset: number;
  /** ATS only: bytes of the range that the answer covers, a power of two; otherwise 0. */
  rangeBytes: number;
  /** ATS only: read granted. */
  r: boolean;
  /** ATS only: write granted. */
  w: boolean;
  /** ATS only: execute granted. */
  x: boolean;
  /** ATS only: the answer holds for supervisor privilege. */
  priv: boolean;
  /** ATS only: the translation is the same in every address space of the requester. */
  global: boolean;
}

/** An empty request to fill and reuse. */
export function newTranslationRequest(): TranslationRequest {
  return {
    type: RequestType.untranslated,
    deviceId: 0,
    pasid: NO_PASID,
    privileged: false,
    access: Access.read,
    noWrite: false,
    execute: false,
    iovaHigh: 0,
    iovaLow: 0,
    stallTag: NO_STALL,
  };
}

/** An empty result to hand to `translate` and reuse. */
export function newTranslationResult(): TranslationResult {
  return {
    status: Status.success,
    cause: 0,
    recorded: false,
    stalled: false,
    // A value beyond 2^31 keeps the engine from reshaping the object at the first high page.
    ppn: 2 ** 40,
    pageOffset: 0,
    rangeBytes: 0,
    r: false,
    w: false,
    x: false,
    priv: false,
    global: false,
  };
}

/** One page request message of a device. */
export interface PageRequest {
  /** Requester, 16 bits. */
  readonly rid: number;
  /** `dseg` counts, as bits 23:16 of the device id. */
  readonly dsv: boolean;
  readonly dseg: number;
  /** 0 to 2^20 - 1, or `NO_PASID`. */
  readonly pasid: number;
  readonly privileged: boolean;
  readonly execute: boolean;
  /** Page address 63:12, group index 11:3, last 2, write 1, read 0. */
  readonly payloadHigh: number;
  readonly payloadLow: number;
}

/** The answer that the IOMMU itself gives to a page request that it had to discard. */
export interface PageGroupResponse {
  /** One of `ResponseCode`. */
  readonly code: number;
  readonly rid: number;
  readonly dsv: boolean;
  readonly dseg: number;
  /** Group index of the request. */
  readonly prgi: number;
  /** `NO_PASID` when the answer carries none. */
  readonly pasid: number;
  readonly payloadHigh: number;
  readonly payloadLow: number;
}

/** What became of a page request. */
export interface PageRequestOutcome {
  /** It is in the page-request queue. */
  readonly queued: boolean;
  /** A fault record was appended. */
  readonly recorded: boolean;
  readonly response: PageGroupResponse | null;
}

/**
 * A message that a command makes the IOMMU send to a device. `invalidationRequest` and `pageGroupResponse` are those of
 * PCI Express. `stallResponse` answers a stalled transaction (our stall extension, SPEC.md). `drainRequest` stands for
 * the wires of a device that sends untranslated requests: a fence waits until those under way have ended.
 */
export interface IommuMessage {
  readonly type: 'invalidationRequest' | 'pageGroupResponse' | 'stallResponse' | 'drainRequest';
  /** Invalidation and drain requests only, otherwise 0: what `invalidationCompleted` is to be called with. */
  readonly id: number;
  /** The device; -1 for `drainRequest`, which goes to all that send untranslated requests. */
  readonly rid: number;
  readonly dsv: boolean;
  readonly dseg: number;
  /** `NO_PASID` when the message carries none. */
  readonly pasid: number;
  readonly payloadHigh: number;
  readonly payloadLow: number;
}
