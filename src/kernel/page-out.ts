/**
 * Writes demand pages of one address space out to the swap store. A page leaves memory only when no device and no
 * thread can still write to it; until then it is busy, and whoever faults on it waits.
 *
 * A pinned page stays (hazard V3). One that a fork shares stays, too, for its frame would not be free; only a process at
 * its own quota gains by giving up its part of it.
 */
import { limits } from '../base/limits.js';
import { PAGE_BYTES } from '../base/units.js';
import type { DemandPage } from './demand-page.js';
import { makeResident, type PageRange, type SpaceParts } from './space-parts.js';

interface Leaving {
  readonly at: number;
  readonly page: DemandPage;
}

/** Which pages may leave: those that no other process holds, or also those whose frame a fork shares. */
export type Leavers = 'unshared' | 'all';

/** Writes out what can be of the pages in the range; `done` gets how many left memory. */
export function pageOut(parts: SpaceParts, range: PageRange, done: (count: number) => void): void {
  const leaving: Leaving[] = [];
  for (const [page, at] of parts.resident) {
    const isInside = at >= range.va && at < range.va + range.bytes;
    if (isInside && mayLeave(parts, page, 'unshared')) leaving.push({ at, page });
  }
  writeOut(parts, leaving, done);
}

/**
 * Writes out the pages that were brought in first and not used since; `done` gets how many left memory. Where none can
 * be written out because all are on their way, those are waited for.
 */
export function pageOutOldest(parts: SpaceParts, which: Leavers, done: (count: number) => void): void {
  const leaving = oldest(parts, which);
  const [underWay] = parts.departures;
  if (leaving.length === 0 && underWay !== undefined) underWay.push(done);
  else writeOut(parts, leaving, done);
}

/** Second chance: a page that was used goes to the back of the row once, with its mark taken off. */
function oldest(parts: SpaceParts, which: Leavers): Leaving[] {
  const leaving: Leaving[] = [];
  for (let left = 2 * parts.resident.size; left > 0 && leaving.length < limits.RECLAIM_PAGES; left--) {
    const [page, at] = parts.resident.entries().next().value!;
    parts.resident.delete(page);
    parts.resident.set(page, at);
    const listed = leaving.some((other) => other.page === page);
    if (!listed && mayLeave(parts, page, which) && !parts.pages.clearUsed(at)) leaving.push({ at, page });
  }
  return leaving;
}

function mayLeave({ frames }: SpaceParts, page: DemandPage, which: Leavers): boolean {
  const { domain } = frames;
  if (page.busy || domain.pins(page.gpa) > 0) return false;
  return which === 'all' || domain.holders(page.gpa) === 1;
}

function writeOut(parts: SpaceParts, leaving: readonly Leaving[], done: (count: number) => void): void {
  if (leaving.length === 0) {
    done(0);
    return;
  }
  for (const { at, page } of leaving) {
    page.begin();
    parts.resident.delete(page);
    parts.pages.clear(at, PAGE_BYTES);
  }
  const others: ((count: number) => void)[] = [];
  parts.departures.add(others);
  parts.forget(hull(leaving), () => {
    parts.departures.delete(others);
    let count = 0;
    for (const { at, page } of leaving) count += store(parts, at, page) ? 1 : 0;
    for (const { page } of leaving) page.settle();
    parts.trace?.emit('pages written out', parts.pscid, count);
    done(count);
    for (const tell of others) tell(count);
  });
}

/** Whether the store had room; if not, the page stays where it is. */
function store(parts: SpaceParts, at: number, page: DemandPage): boolean {
  const { frames, swap } = parts;
  const slot = swap.write(frames.bytesOf(page.gpa));
  if (slot === null) {
    makeResident(parts, at, page, page.gpa);
    return false;
  }
  page.slot = slot;
  frames.freeTable(page.gpa);
  page.gpa = -1;
  return true;
}

function hull(leaving: readonly Leaving[]): PageRange {
  let [first, last] = [Number.POSITIVE_INFINITY, 0];
  for (const { at } of leaving) {
    first = Math.min(first, at);
    last = Math.max(last, at);
  }
  return { va: first, bytes: last - first + PAGE_BYTES };
}
