/**
 * The checking mode as the tests use it: each cached answer is compared with an uncached walk, and a cache that grants
 * what the tables do not is an error that says where they part. A cache may grant less: then it is slow, not wrong.
 *
 * Nothing is compared while an invalidation is under way, for between the change of a table and the end of its
 * invalidation a cache may hold what was there before; how often that was the excuse is counted.
 */
import type { IommuRegisterFile } from '../../src/hw/iommu/registers.js';
import {
  Access,
  RequestType,
  type TranslationRequest,
  type TranslationResult,
} from '../../src/hw/iommu/translation.js';
import type { PhysicalMemory } from '../../src/hw/physical-memory.js';
import type { CacheName } from '../../src/hw/translation-check.js';
import type { TranslationCheckFactory } from '../../src/machine/checking.js';
import { type Asker, type Found, NoTranslation, UncachedWalk } from './uncached-walk.js';

/** What a checking mode has seen since it was made, on all of its machines. */
export interface CheckingCounters {
  /** Answers that the walk confirmed, per cache. */
  readonly confirmed: Record<CacheName, number>;
  /** Answers that differ, while an invalidation was under way. */
  excused: number;
  /** What was thrown, so that a caller who swallows it is noticed. */
  readonly contradictions: string[];
}

/** A factory to install or to hand to a machine, and what it counts. */
export interface CheckingMode {
  readonly factory: TranslationCheckFactory;
  readonly counters: CheckingCounters;
}

/** A checking mode of its own. */
export function checkingMode(): CheckingMode {
  const counters: CheckingCounters = { confirmed: { IOTLB: 0, ATC: 0 }, excused: 0, contradictions: [] };
  const factory: TranslationCheckFactory = ({ memory, registers, pendingInvalidations }) => {
    const comparison = new Comparison(memory, registers);
    return (cache, request, result) => {
      const difference = comparison.differenceOf(request, result);
      if (difference === null) {
        counters.confirmed[cache] += 1;
      } else if (pendingInvalidations(cache, request.deviceId)) {
        counters.excused += 1;
      } else {
        const report = comparison.describe(cache, request, result, difference);
        counters.contradictions.push(report);
        throw new Error(report);
      }
    };
  };
  return { factory, counters };
}

class Comparison {
  readonly #walk: UncachedWalk;

  constructor(memory: PhysicalMemory, registers: IommuRegisterFile) {
    this.#walk = new UncachedWalk(memory, registers);
  }

  /** What the cached answer grants and the tables do not; null when there is nothing. */
  differenceOf(request: Readonly<TranslationRequest>, result: Readonly<TranslationResult>): string | null {
    const isAts = request.type === RequestType.ats;
    if (isAts && !result.r && !result.w) return null;
    try {
      const found = this.#walk.find(askerOf(request));
      return isAts ? wrongGrant(request, result, found) : wrongAccess(request, result, found);
    } catch (error) {
      if (!(error instanceof NoTranslation)) throw error;
      return `the tables grant nothing: ${error.message}`;
    }
  }

  describe(
    cache: CacheName,
    request: Readonly<TranslationRequest>,
    result: Readonly<TranslationResult>,
    difference: string,
  ): string {
    const iova = (BigInt(request.iovaHigh) << 32n) | BigInt(request.iovaLow);
    const answer = `${request.type === RequestType.ats ? grantText(result) : accessText(request)} at ${physicalText(result)}`;
    const space = request.pasid < 0 ? 'no PASID' : `PASID ${request.pasid}`;
    return [
      `${cache} of device ${request.deviceId}, ${space}, address 0x${iova.toString(16)}: ${difference}`,
      `  cached: ${answer}`,
      ...this.#walk.pathOf(askerOf(request)).map((step) => `  walk: ${step}`),
    ].join('\n');
  }
}

function askerOf(request: Readonly<TranslationRequest>): Asker {
  const { deviceId, pasid, privileged, iovaHigh, iovaLow } = request;
  const ats = request.type === RequestType.ats;
  const fetches = ats ? request.execute && pasid >= 0 : request.access === Access.execute;
  return { ats, deviceId, pasid, privileged, fetches, iovaHigh, iovaLow };
}

/** An ATS answer grants a range; the one asked for must be in its place in it. */
function wrongGrant(
  { iovaHigh, iovaLow }: Readonly<TranslationRequest>,
  result: Readonly<TranslationResult>,
  found: Found,
): string | null {
  const page = iovaHigh * 2 ** 20 + Math.floor(iovaLow / 4096);
  const granted = result.ppn + (page % (result.rangeBytes / 4096));
  if (granted !== found.page) return otherPage(found);
  if (result.rangeBytes > found.bytes) return `the tables grant no more than ${found.bytes} bytes`;
  const excess = (['r', 'w', 'x', 'global'] as const).filter((flag) => result[flag] && !found[flag]);
  return excess.length === 0 ? null : `the tables do not grant ${excess.join(', ')}`;
}

function wrongAccess(
  { access, iovaLow }: Readonly<TranslationRequest>,
  result: Readonly<TranslationResult>,
  found: Found,
): string | null {
  if (result.ppn !== found.page || result.pageOffset !== iovaLow % 4096) return otherPage(found);
  const flag = (['r', 'w', 'x'] as const)[access]!;
  return found[flag] ? null : `the tables do not grant ${flag}`;
}

const otherPage = ({ page }: Found): string => `the tables name the page at 0x${(page * 4096).toString(16)}`;

function grantText(result: Readonly<TranslationResult>): string {
  const flags = (['r', 'w', 'x', 'global'] as const).filter((flag) => result[flag]);
  return `${flags.join(', ')} for ${result.rangeBytes} bytes`;
}

function accessText({ access }: Readonly<TranslationRequest>): string {
  return ['read', 'write', 'execute'][access]!;
}

function physicalText({ ppn, pageOffset }: Readonly<TranslationResult>): string {
  return `0x${(ppn * 4096 + pageOffset).toString(16)}`;
}
