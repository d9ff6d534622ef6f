/**
 * What the operations on one address space share: its table, its mappings, its frames, and the one way in which
 * something is taken away from everybody who may have cached it.
 */
import type { Trace } from '../base/trace.js';
import type { DemandPage } from './demand-page.js';
import type { Mapping } from './mapping.js';
import type { MappingList } from './mapping-list.js';
import type { PageInstaller } from './page-installer.js';
import type { ProcessMemory } from './process-memory.js';
import type { SwapStore } from './swap-store.js';

/** Whole pages from a page boundary. */
export interface PageRange {
  readonly va: number;
  readonly bytes: number;
}

export interface SpaceParts {
  readonly pscid: number;
  readonly mappings: MappingList;
  readonly pages: PageInstaller;
  readonly frames: ProcessMemory;
  readonly swap: SwapStore;
  readonly trace: Trace | null;
  /** Demand pages in memory, those that came first at the front: who has to leave when room is needed. */
  readonly resident: Map<DemandPage, number>;
  /** Pages being written out, each lot with those who want to know how many left memory. */
  readonly departures: Set<((count: number) => void)[]>;
  /** Whether the process is ending: every fault fails. */
  readonly quiet: () => boolean;
  /**
   * After entries were cleared or restricted: `done` when no cache of IOMMU or device remembers what they were, no page
   * request for them is under way, and every thread has left the accesses that it had begun. Without a range, the
   * whole address space.
   */
  readonly forget: (range: PageRange | null, done: () => void) => void;
  /** Makes room by writing pages out; `done` gets how many left memory, 0 when none could. */
  readonly reclaim: (done: (freed: number) => void) => void;
}

/** Puts the bytes of a demand page into the frame `gpa`. */
export function makeResident(parts: SpaceParts, at: number, page: DemandPage, gpa: number): void {
  page.gpa = gpa;
  parts.resident.set(page, at);
}

/** Gives up what a demand page holds, wherever it is. No entry and no cache names it. */
export function dropPage(parts: SpaceParts, page: DemandPage): void {
  parts.resident.delete(page);
  if (page.gpa >= 0) parts.frames.freeTable(page.gpa);
  if (page.slot >= 0) parts.swap.release(page.slot);
  page.gpa = -1;
  page.slot = -1;
}

/** Calls `act` when no page of `mappings` in the range is changing; at once, or later. */
export function whenSettled(parts: SpaceParts, range: PageRange | null, act: () => void): void {
  const busy = findBusy(parts.mappings, range);
  if (busy === null) act();
  else busy.whenSettled(() => whenSettled(parts, range, act));
}

function findBusy(mappings: MappingList, range: PageRange | null): DemandPage | null {
  for (const mapping of range === null ? mappings : overlapping(mappings, range)) {
    for (const [at, page] of mapping.pages) {
      const inside = range === null || (at >= range.va && at < range.va + range.bytes);
      if (inside && page.busy) return page;
    }
  }
  return null;
}

function overlapping(mappings: MappingList, { va }: PageRange): Iterable<Mapping> {
  const mapping = mappings.find(va);
  return mapping === null ? [] : [mapping];
}
