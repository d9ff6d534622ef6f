/**
 * Resolves page faults of one address space, those of CPUs and those of devices alike: a fresh page of zeros, a page
 * read back from the swap store, a copy of a page that a fork shares, or a refusal.
 *
 * Most faults are answered at once. One that takes a permission or a frame away from caches (copy-on-write) is answered
 * when they have forgotten it, and so is one that must wait for room. A fault on a page that is changing waits and is
 * looked at afresh, so an answer is never about a state that is gone.
 */
import { assert } from '../base/assert.js';
import { limits } from '../base/limits.js';
import { PAGE_BYTES } from '../base/units.js';
import { pte } from '../hw/page-table.js';
import { DemandPage } from './demand-page.js';
import type { Mapping } from './mapping.js';
import { type LeafKind, leafKind } from './page-installer.js';
import { allows } from './protection.js';
import { makeResident, type SpaceParts } from './space-parts.js';

export type Access = 'read' | 'write' | 'execute';
/** What became of a page fault: retry, never, or not for want of memory. */
export type FaultAnswer = 'resolved' | 'refused' | 'noMemory';

interface Fault {
  readonly va: number;
  readonly access: Access;
  readonly done: (answer: FaultAnswer) => void;
  /** How often room was made for it. */
  readonly attempt: number;
}

/** A page of a demand mapping, at its address. */
interface Place {
  readonly mapping: Mapping;
  readonly at: number;
}

export class FaultHandler {
  readonly #parts: SpaceParts;

  constructor(parts: SpaceParts) {
    this.#parts = parts;
  }

  /** Resolves a fault at `va`; `done` is called exactly once, at once or later. */
  handle(va: number, access: Access, done: (answer: FaultAnswer) => void): void {
    this.#look({ va, access, done, attempt: 0 });
  }

  #look(fault: Fault): void {
    const { va, access, done } = fault;
    const mapping = this.#parts.quiet() ? null : this.#parts.mappings.find(va);
    const at = va - (va % PAGE_BYTES);
    if (mapping === null || mapping.state !== 'live' || !allows(mapping.protections.at(at), access)) {
      done('refused');
    } else if (mapping.kind !== 'demand') {
      this.#show(fault, { mapping, at });
    } else {
      this.#lookAtPage(fault, { mapping, at });
    }
  }

  /** A page of a pool or queue: its frame is there, at most its leaf is missing. */
  #show(fault: Fault, { mapping, at }: Place): void {
    const { pages } = this.#parts;
    const kind = kindFor(mapping, at, false);
    const shown = pages.entry(at) !== 0 || pages.installPage(at, mapping.gpa + (at - mapping.va), kind);
    if (shown) fault.done('resolved');
    else this.#makeRoom(fault);
  }

  #lookAtPage(fault: Fault, place: Place): void {
    const page = place.mapping.pages.get(place.at);
    if (page?.busy === true) page.whenSettled(() => this.#look(fault));
    else if (page === undefined || page.gpa < 0) this.#bring(fault, place, page ?? new DemandPage());
    else if (this.#parts.pages.entry(place.at) === 0) this.#install(fault, place, page);
    else if (fault.access === 'write') this.#makeWritable(fault, place, page);
    else fault.done('resolved');
  }

  /** Zeros for a page that was never touched, its bytes for one that was written out. */
  #bring(fault: Fault, place: Place, page: DemandPage): void {
    const { frames, swap } = this.#parts;
    const gpa = frames.allocateTable();
    if (gpa === null) {
      this.#makeRoom(fault);
      return;
    }
    if (page.slot >= 0) {
      swap.read(page.slot, frames.bytesOf(gpa));
      swap.release(page.slot);
      page.slot = -1;
    }
    makeResident(this.#parts, place.at, page, gpa);
    place.mapping.pages.set(place.at, page);
    this.#install(fault, place, page);
  }

  #install(fault: Fault, { mapping, at }: Place, page: DemandPage): void {
    const { pages, frames } = this.#parts;
    const kind = kindFor(mapping, at, frames.domain.holders(page.gpa) > 1);
    if (!pages.installPage(at, page.gpa, kind)) this.#makeRoom(fault);
    else if (fault.access === 'write' && kind !== leafKind.WRITABLE) this.#look(fault);
    else fault.done('resolved');
  }

  #makeWritable(fault: Fault, { at }: Place, page: DemandPage): void {
    const { pages, frames } = this.#parts;
    if ((pages.entry(at) & pte.W) !== 0) fault.done('resolved');
    else if (frames.domain.holders(page.gpa) > 1) this.#copy(fault, at, page);
    else this.#takeOver(fault, at, page);
  }

  /** Nobody shares the page any more. Caches that know it as read-only have to ask again. */
  #takeOver(fault: Fault, at: number, page: DemandPage): void {
    page.begin();
    const changed = this.#parts.pages.change(at, PAGE_BYTES, leafKind.WRITABLE);
    assert(changed, 'a demand page has a small leaf');
    this.#parts.forget({ va: at, bytes: PAGE_BYTES }, () => {
      page.settle();
      this.#look(fault);
    });
  }

  /**
   * Breaks the sharing. The old frame is read only when nobody can write to it through a translation of the time before
   * the fork, and the copy is named only then.
   */
  #copy(fault: Fault, at: number, page: DemandPage): void {
    const { frames, pages, forget, trace } = this.#parts;
    const gpa = frames.allocateTable();
    if (gpa === null) {
      this.#makeRoom(fault);
      return;
    }
    page.begin();
    trace?.emit('copy on write', this.#parts.pscid, at.toString(16));
    pages.clear(at, PAGE_BYTES);
    forget({ va: at, bytes: PAGE_BYTES }, () => {
      const old = page.gpa;
      frames.bytesOf(gpa).set(frames.bytesOf(old));
      page.gpa = gpa;
      const installed = pages.installPage(at, gpa, leafKind.WRITABLE);
      assert(installed, 'the table of a page that was there is there');
      frames.freeTable(old);
      page.settle();
      this.#look(fault);
    });
  }

  /** No frame was left. Others have to go first, a bounded number of times. */
  #makeRoom(fault: Fault): void {
    if (fault.attempt >= limits.RECLAIM_ATTEMPTS) {
      fault.done('noMemory');
      return;
    }
    this.#parts.reclaim((freed) => {
      if (freed === 0) fault.done(this.#parts.quiet() ? 'refused' : 'noMemory');
      else this.#look({ ...fault, attempt: fault.attempt + 1 });
    });
  }
}

function kindFor(mapping: Mapping, at: number, shared: boolean): LeafKind {
  if (mapping.protections.at(at) !== 'readWrite') return leafKind.READ_ONLY;
  return shared ? leafKind.COPY_ON_WRITE : leafKind.WRITABLE;
}
