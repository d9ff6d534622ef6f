/**
 * `mprotect`: changes what a process, and every device that works for it, may do with pages. In both directions caches
 * forget the old entry before the call is answered: one that remembers a page as read-only would refuse a write for
 * ever.
 */
import { PAGE_BYTES } from '../base/units.js';
import { errno } from '../uapi/errno.js';
import type { Protection } from '../uapi/syscall.js';
import { covers, isPageRange, type Mapping, pagesIn } from './mapping.js';
import { type LeafKind, leafKind } from './page-installer.js';
import { type PageRange, type SpaceParts, whenSettled } from './space-parts.js';

/**
 * `done` gets 0; EINVAL for a range of no whole pages, ENOMEM outside one mapping or when it has too many different parts,
 * EACCES for a queue's region.
 */
export function protect(
  parts: SpaceParts,
  range: PageRange,
  protection: Protection,
  done: (ret: number) => void,
): void {
  if (!isPageRange(range.va, range.bytes)) done(-errno.EINVAL);
  else whenSettled(parts, range, () => protectNow(parts, range, protection, done));
}

function protectNow(
  parts: SpaceParts,
  range: PageRange,
  protection: Protection,
  done: (ret: number) => void,
): void {
  const { va, bytes } = range;
  const mapping = parts.quiet() ? null : parts.mappings.find(va);
  if (mapping === null || mapping.state !== 'live' || !covers(mapping, va, bytes)) {
    done(-errno.ENOMEM);
  } else if (mapping.kind === 'queue') {
    done(-errno.EACCES);
  } else if (!makePart(parts, mapping, range, protection)) {
    // A leaf may have been cut all the same: nobody is to go on with the larger one.
    parts.forget(range, () => done(-errno.ENOMEM));
  } else {
    restrict(parts, mapping, range, protection);
    parts.trace?.emit('protection changed', parts.pscid, `${va.toString(16)} ${protection}`);
    parts.forget(range, () => done(0));
  }
}

/** Makes the range a part of its own, of leaves and of protections; false when memory or the bound on parts stops it. */
function makePart(
  { pages }: SpaceParts,
  { protections }: Mapping,
  { va, bytes }: PageRange,
  to: Protection,
): boolean {
  return pages.cutAt(va) && pages.cutAt(va + bytes) && protections.set(va, va + bytes, to);
}

function restrict(parts: SpaceParts, mapping: Mapping, { va, bytes }: PageRange, to: Protection): void {
  const { pages, frames } = parts;
  if (mapping.kind === 'pool') {
    if (to === 'none') pages.clear(va, bytes);
    else pages.change(va, bytes, to === 'read' ? leafKind.READ_ONLY : leafKind.WRITABLE);
    return;
  }
  for (const [at, page] of pagesIn(mapping, va, bytes)) {
    if (page.gpa < 0) continue;
    if (to === 'none') pages.clear(at, PAGE_BYTES);
    else pages.change(at, PAGE_BYTES, smallKind(to, frames.domain.holders(page.gpa) > 1));
  }
}

function smallKind(to: Protection, shared: boolean): LeafKind {
  if (to === 'read') return leafKind.READ_ONLY;
  return shared ? leafKind.COPY_ON_WRITE : leafKind.WRITABLE;
}
