/**
 * What `fork` does with an address space.
 *
 * | memory of the parent | the child gets |
 * |---|---|
 * | demand page | the same frame, copy-on-write on both sides |
 * | demand page in the swap store | the same slot; each reads a frame of its own back |
 * | pinned demand page, pool | a copy: the frame stays with the parent and its devices (hazard V3, R111) |
 * | queue region | nothing there: an access faults (hazard U9) |
 *
 * The call is answered when no device and no thread of the parent can write through a translation of the time before:
 * from then on neither sees the other's writes.
 */
import { PAGE_BYTES, pagesFor } from '../base/units.js';
import { errno } from '../uapi/errno.js';
import { DemandPage } from './demand-page.js';
import { type Mapping, newMapping } from './mapping.js';
import { leafKind } from './page-installer.js';
import { makeResident, type SpaceParts, whenSettled } from './space-parts.js';

/**
 * Fills the empty address space `child`; `done` gets 0, ENOMEM when the child's quota or memory is used up, ESRCH when
 * the parent ends meanwhile. After an error the caller destroys the child.
 */
export function forkInto(parent: SpaceParts, child: SpaceParts, done: (ret: number) => void): void {
  whenSettled(parent, null, () => {
    if (parent.quiet()) {
      done(-errno.ESRCH);
      return;
    }
    parent.trace?.emit('fork', parent.pscid, child.pscid);
    let ret = 0;
    for (const mapping of parent.mappings) if (ret === 0) ret = inherit(parent, child, mapping);
    // Also after an error: what is shared already must not be written to by devices of the parent.
    parent.forget(null, () => done(ret));
  });
}

function inherit(parent: SpaceParts, child: SpaceParts, mapping: Mapping): number {
  if (mapping.kind === 'queue' || mapping.state !== 'live') return 0;
  return mapping.kind === 'pool' ? copyPool(parent, child, mapping) : inheritPages(parent, child, mapping);
}

function copyPool(parent: SpaceParts, child: SpaceParts, mapping: Mapping): number {
  const { va, bytes, protections } = mapping;
  const count = pagesFor(bytes);
  const gpa = child.frames.allocateViewable(count);
  if (gpa === null) return -errno.ENOMEM;
  const onGone = (): void => child.frames.quarantine(gpa, count);
  child.mappings.insert(
    newMapping({ va, bytes, kind: 'pool', gpa, onGone }, protections.slice(va, va + bytes)),
  );
  for (let offset = 0; offset < bytes; offset += PAGE_BYTES) {
    child.frames.bytesOf(gpa + offset).set(parent.frames.bytesOf(mapping.gpa + offset));
  }
  return 0;
}

function inheritPages(parent: SpaceParts, child: SpaceParts, mapping: Mapping): number {
  const { va, bytes, protections } = mapping;
  const heir = newMapping({ ...mapping }, protections.slice(va, va + bytes));
  child.mappings.insert(heir);
  for (const [at, page] of mapping.pages) {
    const own = new DemandPage();
    heir.pages.set(at, own);
    if (!inheritPage({ parent, child }, at, page, own)) return -errno.ENOMEM;
  }
  return 0;
}

function inheritPage(
  { parent, child }: { parent: SpaceParts; child: SpaceParts },
  at: number,
  page: DemandPage,
  own: DemandPage,
): boolean {
  if (page.slot >= 0) {
    parent.swap.share(page.slot);
    own.slot = page.slot;
    return true;
  }
  if (parent.frames.domain.pins(page.gpa) > 0) return copyPage({ parent, child }, at, page, own);
  if (!child.frames.shareFrame(page.gpa)) return false;
  makeResident(child, at, own, page.gpa);
  const mayWrite = (parent.pages.entry(at) & leafKind.WRITABLE) === leafKind.WRITABLE;
  if (mayWrite) parent.pages.change(at, PAGE_BYTES, leafKind.COPY_ON_WRITE);
  return true;
}

function copyPage(
  { parent, child }: { parent: SpaceParts; child: SpaceParts },
  at: number,
  page: DemandPage,
  own: DemandPage,
): boolean {
  const gpa = child.frames.allocateTable();
  if (gpa === null) return false;
  child.frames.bytesOf(gpa).set(parent.frames.bytesOf(page.gpa));
  makeResident(child, at, own, gpa);
  return true;
}
