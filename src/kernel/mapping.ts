/**
 * One mapping of an address space (a VMA): its kinds, its states, and what may be cut out of it.
 */
import { PAGE_BYTES } from '../base/units.js';
import type { DemandPage } from './demand-page.js';
import { ProtectionRuns } from './protection.js';

type MappingKind = 'pool' | 'demand' | 'queue';

/**
 * live: accesses are served. dead: entries are gone, the address is still held (its device was removed). draining:
 * on its way out, waiting for every cache.
 */
type MappingState = 'live' | 'dead' | 'draining';

export interface Mapping {
  readonly va: number;
  readonly bytes: number;
  readonly kind: MappingKind;
  /** Guest-physical address of the first frame; -1 for `demand`. */
  readonly gpa: number;
  state: MappingState;
  /** `demand`: the pages touched so far, by address. */
  readonly pages: Map<number, DemandPage>;
  /** What the process may do with its pages. */
  readonly protections: ProtectionRuns;
  /** Called once, when nothing names the mapping any more. */
  readonly onGone: () => void;
}

type NewMapping = Pick<Mapping, 'va' | 'bytes' | 'kind' | 'gpa' | 'onGone'>;

/** A live mapping without pages, readable and writable unless `protections` say otherwise. */
export function newMapping(shape: NewMapping, protections = new ProtectionRuns()): Mapping {
  return { ...shape, state: 'live', pages: new Map(), protections };
}

/** Whether [va, va + bytes) lies in `mapping`. */
export function covers(mapping: Mapping, va: number, bytes: number): boolean {
  return va >= mapping.va && va + bytes <= mapping.va + mapping.bytes;
}

/** The pages of a demand mapping in [va, va + bytes) that were touched. */
export function* pagesIn(mapping: Mapping, va: number, bytes: number): Generator<[number, DemandPage]> {
  for (const [at, page] of mapping.pages) if (at >= va && at < va + bytes) yield [at, page];
}

/** Whole pages, at least one, without wrapping around (hazard S30). */
export function isPageRange(va: number, bytes: number): boolean {
  if (!Number.isSafeInteger(va) || !Number.isSafeInteger(bytes) || va < 0 || bytes <= 0) return false;
  return va % PAGE_BYTES === 0 && bytes % PAGE_BYTES === 0 && Number.isSafeInteger(va + bytes);
}

/** Whether [va, va + bytes), which starts in `mapping`, can be removed from it. */
export function isRemovable(mapping: Mapping, va: number, bytes: number): boolean {
  if (mapping.kind === 'demand') return covers(mapping, va, bytes);
  return va === mapping.va && bytes === mapping.bytes;
}

/** Whether something of `mapping` is left on both sides of [va, va + bytes). */
export function isInside(mapping: Mapping, va: number, bytes: number): boolean {
  return va > mapping.va && va + bytes < mapping.va + mapping.bytes;
}

/** A demand mapping in three: before, at and after [va, va + bytes). Pieces of no bytes are not to be listed. */
export function splitDemand(mapping: Mapping, va: number, bytes: number): [Mapping, Mapping, Mapping] {
  const piece = (start: number, end: number): Mapping => {
    const part = newMapping(
      { ...mapping, va: start, bytes: end - start },
      mapping.protections.slice(start, end),
    );
    for (const [at, page] of pagesIn(mapping, start, end - start)) part.pages.set(at, page);
    return part;
  };
  const end = va + bytes;
  return [piece(mapping.va, va), piece(va, end), piece(end, mapping.va + mapping.bytes)];
}
