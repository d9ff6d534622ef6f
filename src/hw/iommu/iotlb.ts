/**
 * The translation cache: grants by requester, PASID and page.
 *
 * Direct-mapped, in one Int32Array. An entry is alive only under the generation it was filled in, which every
 * invalidation command changes: invalidating costs nothing, reaches the caches of all threads, and drops more than
 * the command asked for, which the specification allows. GSCID and PSCID therefore need no place in the key.
 *
 * Only what a new walk would find as well is to be kept here: no fault, no entry with V = 0.
 */
import { pagesOf, requiredGrant } from './grant.js';
import { CacheCounters, type InspectedCache, isPageOf } from './inspected-cache.js';
import { RequestType, type TranslationRequest } from './translation.js';

/** Words of an entry. */
const GENERATION = 0;
const REQUESTER = 1;
const PASID = 2;
const IOVA_HIGH = 3;
const IOVA_PAGE = 4;
const PPN_LOW = 5;
const PPN_HIGH = 6;
const GRANT = 7;
const ENTRY_WORDS = 8;

/** One thread's translation cache. */
export class Iotlb implements InspectedCache {
  readonly #entries: Int32Array;
  readonly #mask: number;
  readonly counters = new CacheCounters();

  /** Page of the grant found last. */
  ppn = 2 ** 43;

  /** `entryCount` is a power of two, or 0 for no cache. */
  constructor(entryCount: number) {
    this.#entries = new Int32Array(entryCount * ENTRY_WORDS);
    this.#mask = entryCount - 1;
  }

  /** The grant for `request` if it is known under `generation`, its page in `ppn`; otherwise 0. */
  lookUp(generation: number, request: TranslationRequest): number {
    if (this.#mask < 0) return 0;
    const entries = this.#entries;
    const requester = requesterWord(request);
    const at = this.#slot(request, requester);
    const grant = entries[at + GRANT]!;
    const required = requiredGrant(request);
    if (
      entries[at + GENERATION] !== generation ||
      entries[at + REQUESTER] !== requester ||
      entries[at + IOVA_PAGE] !== request.iovaLow >>> 12 ||
      entries[at + IOVA_HIGH] !== (request.iovaHigh | 0) ||
      entries[at + PASID] !== request.pasid ||
      (grant & required) !== required
    ) {
      this.counters.missed(generation);
      return 0;
    }
    this.counters.hits++;
    this.ppn = this.#page(at);
    return grant;
  }

  #page(at: number): number {
    return (this.#entries[at + PPN_LOW]! >>> 0) + this.#entries[at + PPN_HIGH]! * 0x1_0000_0000;
  }

  /** Keeps `grant` of page `ppn` as the answer to `request`, found by a walk that began under `generation`. */
  fill(generation: number, request: TranslationRequest, ppn: number, grant: number): void {
    if (this.#mask < 0) return;
    const entries = this.#entries;
    const requester = requesterWord(request);
    const at = this.#slot(request, requester);
    entries[at + GENERATION] = generation;
    entries[at + REQUESTER] = requester;
    entries[at + PASID] = request.pasid;
    entries[at + IOVA_HIGH] = request.iovaHigh;
    entries[at + IOVA_PAGE] = request.iovaLow >>> 12;
    // The array keeps the low 32 bits of what is stored.
    entries[at + PPN_LOW] = ppn;
    entries[at + PPN_HIGH] = Math.floor(ppn / 0x1_0000_0000);
    entries[at + GRANT] = grant;
  }

  namesPage(generation: number, ppn: number): boolean {
    const entries = this.#entries;
    for (let at = 0; at < entries.length; at += ENTRY_WORDS) {
      const grant = entries[at + GRANT]!;
      if (grant === 0 || entries[at + GENERATION] !== generation) continue;
      if (isPageOf(ppn, this.#page(at), pagesOf(grant))) return true;
    }
    return false;
  }

  /** Index of the first word of the entry that `request` may be in. */
  #slot(request: TranslationRequest, requester: number): number {
    const page = (request.iovaLow >>> 12) + Math.imul(request.iovaHigh, 0x9e37_79b1);
    const space = Math.imul(request.pasid + 1, 0x85eb_ca6b) + Math.imul(requester, 0xc2b2_ae35);
    return ((page + (space >>> 11)) & this.#mask) * ENTRY_WORDS;
  }
}

/** Requester and everything that a grant depends on besides the PASID and the page. */
function requesterWord(request: TranslationRequest): number {
  let kind = request.privileged ? 1 : 0;
  if (request.type === RequestType.ats) kind |= 2 | (request.noWrite ? 4 : 0) | (request.execute ? 8 : 0);
  return (request.deviceId << 8) | kind;
}
