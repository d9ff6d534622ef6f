/**
 * What a finished translation grants, as one word that a cache can hold, and the answer that a device gets for it.
 *
 * The word holds R, W and X where page-table entries have them, then the flags of an ATS answer and the size of
 * its range. It is never 0.
 */
import { Pte } from './pte.js';
import {
  NO_PASID,
  RequestType,
  Status,
  type TranslationRequest,
  type TranslationResult,
} from './translation.js';
import type { Translator } from './translator.js';

// Constants of its own, for speed: what a module imports is looked up at every use.
const { V, R, W, X, U, G, D } = Pte;
const { ats } = RequestType;
const { success } = Status;
const WITHOUT_PASID = NO_PASID;

/** Set in every grant: tells one from an empty cache entry. */
const FILLED = V;
const PRIV = U;
const GLOBAL = G;
const SHIFT_AT = 8;
/** log2 of the bytes of a page: the shift of the smallest range. */
const PAGE_SHIFT = 12;

const REQUIRED_OF_ACCESS = [FILLED | R, FILLED | W, FILLED | X] as const;
/** A look-up is several times faster than `**`. Addresses have 64 bits. */
const POWERS_OF_TWO: readonly number[] = Array.from({ length: 65 }, (_, exponent) => 2 ** exponent);

/** The bits that a cached grant must have to answer `request`. */
export function requiredGrant(request: TranslationRequest): number {
  // The key of an ATS answer holds everything that was asked for.
  return request.type === ats ? FILLED : REQUIRED_OF_ACCESS[request.access as 0 | 1 | 2];
}

/** The grant of the translation that `translator` has just finished for `request`. */
export function grantOf(request: TranslationRequest, translator: Translator): number {
  return request.type === ats ? atsGrant(request, translator) : accessGrant(request, translator);
}

function accessGrant(request: TranslationRequest, translator: Translator): number {
  const both = translator.firstLeaf & translator.secondLeaf;
  let grant = FILLED | (both & (R | X)) | writableBit(both);
  // A supervisor may at most read and write a user page.
  if (request.privileged && (translator.firstLeaf & U) !== 0) grant &= ~X;
  return grant;
}

function atsGrant(request: TranslationRequest, translator: Translator): number {
  const both = translator.firstLeaf & translator.secondLeaf;
  const hasPasid = request.pasid !== WITHOUT_PASID;
  let grant = FILLED | (translator.shift << SHIFT_AT) | (both & R) | writableBit(both);
  if (request.execute && hasPasid && (both & R) !== 0) grant |= both & X;
  if (request.privileged && hasPasid) grant |= PRIV;
  return translator.global ? grant | GLOBAL : grant;
}

/** A page that is not marked dirty in both stages must be walked again before it is written. */
function writableBit(both: number): number {
  return (both & D) !== 0 ? both & W : 0;
}

/** Whether asking again would give the same grant: not when a stage is writable but not marked dirty yet. */
export function isFinal(request: TranslationRequest, { firstLeaf, secondLeaf }: Translator): boolean {
  return request.type !== ats || (isMarked(firstLeaf) && isMarked(secondLeaf));
}

function isMarked(leaf: number): boolean {
  return (leaf & W) === 0 || (leaf & D) !== 0;
}

/** Page that the answer names: for ATS the first of the range, otherwise the one that was asked for. */
export function answeredPage(request: TranslationRequest, { ppn, shift }: Translator): number {
  if (request.type !== ats || shift === PAGE_SHIFT) return ppn;
  const pages = POWERS_OF_TWO[shift - PAGE_SHIFT]!;
  return Math.floor(ppn / pages) * pages;
}

/** Pages that `grant` covers, from the one that it was kept with on. */
export function pagesOf(grant: number): number {
  const shift = grant >>> SHIFT_AT;
  return shift === 0 ? 1 : POWERS_OF_TWO[shift - PAGE_SHIFT]!;
}

/** Fills `result` for a request that succeeded. */
export function answerGrant(
  request: TranslationRequest,
  result: TranslationResult,
  ppn: number,
  grant: number,
): void {
  if (request.type === ats) {
    answerAts(result, ppn, grant);
    return;
  }
  answerNothing(result, success);
  result.ppn = ppn;
  result.pageOffset = request.iovaLow & 0xfff;
}

function answerAts(result: TranslationResult, ppn: number, grant: number): void {
  answerNothing(result, success);
  result.r = (grant & R) !== 0;
  result.w = (grant & W) !== 0;
  // A device that may not touch the page does not learn where it is.
  if (!result.r && !result.w) return;
  result.x = (grant & X) !== 0;
  result.ppn = ppn;
  result.rangeBytes = POWERS_OF_TWO[grant >>> SHIFT_AT]!;
  result.priv = (grant & PRIV) !== 0;
  result.global = (grant & GLOBAL) !== 0;
}

/** Fills `result` for a request that is granted nothing and ends with `status`. */
export function answerNothing(result: TranslationResult, status: number): void {
  result.status = status;
  result.cause = 0;
  result.recorded = false;
  result.ppn = 0;
  result.pageOffset = 0;
  result.rangeBytes = 0;
  result.r = false;
  result.w = false;
  result.x = false;
  result.priv = false;
  result.global = false;
}
