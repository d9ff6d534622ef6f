/**
 * Fault causes, transaction kinds and response codes of the RISC-V IOMMU specification 1.0 ("Fault/Event-Queue",
 * "Page-Request-Queue"), and the rules that follow from a cause alone: how the request is answered and whether
 * a fault is recorded.
 */
import { Access, RequestType, Status } from './translation.js';

/** Cause codes that do not depend on the kind of access. */
export const Cause = {
  none: 0,
  allInboundDisallowed: 256,
  deviceDirectoryAccess: 257,
  deviceEntryInvalid: 258,
  deviceEntryMisconfigured: 259,
  requestDisallowed: 260,
  processDirectoryAccess: 265,
  processEntryInvalid: 266,
  processEntryMisconfigured: 267,
} as const;

/** Transaction kinds as fault records name them (field TTYP). */
export const Transaction = { untranslated: 0, translated: 4, ats: 8, pageRequest: 9 } as const;

/** Answers to a page request group. */
export const ResponseCode = { success: 0, invalidRequest: 1, responseFailure: 15 } as const;

/** The three causes of one kind of fault, indexed by `Intent`. */
export const AccessFaults = [1, 5, 7] as const;
/** First-stage page faults, indexed by `Intent`. */
export const PageFaults = [12, 13, 15] as const;
/** Second-stage page faults, indexed by `Intent`. */
export const GuestPageFaults = [20, 21, 23] as const;

/** Answers to a stalled access, where a page request group has its response code. */
export const StallResponseCode = { retry: 0, abort: 1 } as const;

/** Added to the cause in the record of a stalled access (SPEC.md, "The stall extension"): the first code left to vendors. */
export const STALLED = 2048;

/** Which of the three causes a request's access selects; also the offset inside `Transaction`, less one. */
export const Intent = { execute: 0, read: 1, write: 2 } as const;
/** A value of `Intent`. */
export type IntentIndex = (typeof Intent)[keyof typeof Intent];

const INTENT_OF_ACCESS: Readonly<Record<number, IntentIndex>> = {
  [Access.read]: Intent.read,
  [Access.write]: Intent.write,
  [Access.execute]: Intent.execute,
};

/** The `Intent` of one of `Access`. */
export function intentOf(access: number): IntentIndex {
  return INTENT_OF_ACCESS[access]!;
}

/** Whether the page tables forbade the access, as opposed to something being broken. */
export function isPageFault(cause: number): boolean {
  return cause >= 12 && cause <= 23;
}

/** The answer to a request of `requestType` that ended with `cause`. */
export function answerTo(requestType: number, cause: number): number {
  if (requestType !== RequestType.ats) return Status.unsupportedRequest;
  if (isPageFault(cause) || cause === Cause.processEntryInvalid) return Status.success;
  const disallowed = cause >= Cause.allInboundDisallowed && cause <= Cause.requestDisallowed;
  return disallowed ? Status.unsupportedRequest : Status.completerAbort;
}

/**
 * Whether `cause` is to be recorded. An ATS request answered with "no permission" leaves no record; DTF of the
 * device context suppresses all causes but those that say the context itself could not be used.
 */
export function isRecorded(cause: number, answer: number, faultsDisabled: boolean): boolean {
  if (answer === Status.success) return false;
  return !faultsDisabled || (cause >= Cause.allInboundDisallowed && cause <= Cause.deviceEntryMisconfigured);
}
