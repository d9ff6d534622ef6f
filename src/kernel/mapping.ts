/**
 * One mapping of an address space (a VMA): its kinds, its states, and what may be cut out of it.
 */
import { PAGE_BYTES } from '../base/units.js';

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
  /** `demand`: the pages present now, address to guest-physical address. */
  readonly pages: Map<number, number>;
  /** Called once, when nothing names the mapping any more. */
  readonly onGone: () => void;
}

type NewMapping = Pick<Mapping, 'va' | 'bytes' | 'kind' | 'gpa' | 'onGone'>;

/** A live mapping without pages. */
export function newMapping(shape: NewMapping): Mapping {
  return { ...shape, state: 'live', pages: new Map() };
}

/** Whole pages, at least one, without wrapping around (hazard S30). */
export function isPageRange(va: number, bytes: number): boolean {
  if (!Number.isSafeInteger(va) || !Number.isSafeInteger(bytes) || va < 0 || bytes <= 0) return false;
  return va % PAGE_BYTES === 0 && bytes % PAGE_BYTES === 0 && Number.isSafeInteger(va + bytes);
}

/** Whether [va, va + bytes), which starts in `mapping`, can be removed from it. */
export function isRemovable(mapping: Mapping, va: number, bytes: number): boolean {
  if (mapping.kind === 'demand') return va + bytes <= mapping.va + mapping.bytes;
  return va === mapping.va && bytes === mapping.bytes;
}

/** A demand mapping in three: before, at and after [va, va + bytes). Pieces of no bytes are not to be listed. */
export function splitDemand(mapping: Mapping, va: number, bytes: number): [Mapping, Mapping, Mapping] {
  const piece = (start: number, end: number): Mapping => {
    const part = newMapping({ ...mapping, va: start, bytes: end - start });
    for (const [page, gpa] of mapping.pages) if (page >= start && page < end) part.pages.set(page, gpa);
    return part;
  };
  const end = va + bytes;
  return [piece(mapping.va, va), piece(va, end), piece(end, mapping.va + mapping.bytes)];
}
