/**
 * What memory of processes must look like, without pages, tables, caches or swap: for each process a map from addresses
 * to pages of bytes. Operations are generated here and turned into requests; whoever drives a kernel or a whole machine
 * issues them and hands each answer back, in whatever order answers come. `answered` throws when one is wrong.
 *
 * Requests may overlap. While one that changes what is allowed is under way, an access may meet the state before it or
 * after it; as soon as it is answered, only the state after it. A fork sees each byte as it was at some time between its
 * request and its answer. Everything else has exactly one right answer.
 */
import fc from 'fast-check';
import { assert } from '../../src/base/assert.js';
import { PAGE_BYTES } from '../../src/base/units.js';
import { allows } from '../../src/kernel/protection.js';
import { errno } from '../../src/uapi/errno.js';
import type { Protection, SyscallRequest } from '../../src/uapi/syscall.js';

const WEIGHTS = {
  mmap: 2,
  munmap: 2,
  protect: 2,
  pageOut: 3,
  write: 6,
  read: 4,
  deviceWrite: 6,
  deviceRead: 4,
  pin: 2,
  unpin: 1,
  pinnedWrite: 2,
  pinnedRead: 2,
  fork: 2,
  exit: 1,
} as const;
type Kind = keyof typeof WEIGHTS;

/** One step of a run; its numbers choose among what there is when its turn comes. */
export interface Operation {
  readonly kind: Kind;
  readonly process: number;
  readonly mapping: number;
  readonly page: number;
  readonly pages: number;
  readonly offset: number;
  readonly value: number;
  readonly device: number;
}

/** Bytes of a page that are written and read: its first, one inside, its last. */
const OFFSETS = [0, 2049, PAGE_BYTES - 1] as const;
/** Devices that every process can use. */
export const DEVICES = 2;
const PROTECTIONS: readonly Protection[] = ['none', 'read', 'readWrite', 'readWrite'];
const PROCESSES_MAX = 6;
const MAPPINGS_MAX = 5;
const PAGES_MAX = 4;

/** Steps of any kind, those that move bytes more often. */
export function operation(): fc.Arbitrary<Operation> {
  const kinds = Object.entries(WEIGHTS) as [Kind, number][];
  return fc.record({
    kind: fc.oneof(...kinds.map(([kind, weight]) => ({ weight, arbitrary: fc.constant(kind) }))),
    process: fc.nat(PROCESSES_MAX - 1),
    mapping: fc.nat(MAPPINGS_MAX - 1),
    page: fc.nat(PAGES_MAX - 1),
    pages: fc.integer({ min: 1, max: PAGES_MAX }),
    offset: fc.nat(OFFSETS.length - 1),
    value: fc.integer({ min: 1, max: 255 }),
    device: fc.nat(DEVICES - 1),
  });
}

interface Range {
  readonly va: number;
  readonly bytes: number;
}

/** A byte of a page that is pinned, for a device that knows its frames and no addresses. */
interface PinnedByte {
  readonly pin: number;
  /** Page of the pin. */
  readonly index: number;
  readonly offset: number;
}

/** What each kind of request says. Devices have numbers below DEVICES. */
interface Requests {
  mmap: { readonly memory: 'pool' | 'demand'; readonly bytes: number; readonly prefault: boolean };
  munmap: Range;
  protect: Range & { readonly protection: Protection };
  pageOut: Range;
  pin: Range;
  unpin: { readonly pin: number };
  read: { readonly va: number };
  write: { readonly va: number; readonly value: number };
  deviceRead: { readonly va: number; readonly device: number };
  deviceWrite: { readonly va: number; readonly device: number; readonly value: number };
  pinnedRead: PinnedByte;
  pinnedWrite: PinnedByte & { readonly value: number };
  fork: { readonly child: number };
  // biome-ignore lint/complexity/noBannedTypes: it says nothing more.
  exit: {};
}

/** A request of one kind. Processes have numbers of the model's own, from 0. */
export type RequestOf<K extends Kind> = { readonly kind: K; readonly process: number } & Requests[K];
/** What is to be asked of the system under test. */
export type ModelRequest = { [K in Kind]: RequestOf<K> }[Kind];

/** A request as the system call that it is; null for those that are none. */
export function syscallOf(request: ModelRequest): SyscallRequest | null {
  switch (request.kind) {
    case 'mmap': {
      const { memory: kind, bytes, prefault } = request;
      return { call: 'mmapAnonymous', kind, bytes, prefault };
    }
    case 'munmap':
    case 'pageOut':
    case 'pin':
      return { call: request.kind, address: request.va, bytes: request.bytes };
    case 'protect':
      return { call: 'mprotect', address: request.va, bytes: request.bytes, protection: request.protection };
    case 'unpin':
      return { call: 'unpin', pin: request.pin };
    case 'read':
      return { call: 'readMemory', address: request.va, bytes: 1 };
    case 'write':
      return { call: 'writeMemory', address: request.va, source: Uint8Array.of(request.value) };
    default:
      return null;
  }
}

/** A page of bytes. Where a fork may have seen several, all of them. */
class ModelPage {
  readonly mapping: ModelMapping;
  protection: Protection;
  /** Changes under way: a protection that is coming, or the end of the page. */
  readonly changes: (Protection | 'unmap')[] = [];
  /** Copies that forks under way are making of this page. */
  readonly copies = new Set<ModelPage>();
  readonly #cells: Map<number, Set<number>>;

  constructor(mapping: ModelMapping, protection: Protection, cells = new Map<number, Set<number>>()) {
    this.mapping = mapping;
    this.protection = protection;
    this.#cells = cells;
  }

  /** The bytes that may be at `offset`. */
  at(offset: number): ReadonlySet<number> {
    return this.#cells.get(offset) ?? new Set([0]);
  }

  write(offset: number, value: number): void {
    this.#cells.set(offset, new Set([value]));
    for (const copy of this.copies) copy.#cells.set(offset, new Set([...copy.at(offset), value]));
  }

  /** What was read tells which of the possible bytes it is. */
  saw(offset: number, value: number): void {
    this.#cells.set(offset, new Set([value]));
  }

  copyFor(mapping: ModelMapping): ModelPage {
    const cells = new Map([...this.#cells].map(([offset, values]) => [offset, new Set(values)]));
    return new ModelPage(mapping, this.protection, cells);
  }

  get isLeaving(): boolean {
    return this.changes.includes('unmap');
  }

  /** Protections that an access may meet now. */
  get protections(): Protection[] {
    return [this.protection, ...this.changes.filter((change) => change !== 'unmap')];
  }
}

interface ModelMapping {
  readonly va: number;
  readonly pages: number;
  readonly kind: 'pool' | 'demand';
}

interface ModelPin {
  readonly process: ModelProcess;
  /** Its pages, when nothing of them was changing while it was made; otherwise none. */
  readonly pages: readonly ModelPage[];
}

class ModelProcess {
  readonly number: number;
  readonly mappings: ModelMapping[] = [];
  readonly pages = new Map<number, ModelPage>();
  readonly pins = new Map<number, ModelPin>();
  ending = false;
  /** Forks of it under way. */
  forks = 0;

  constructor(number: number) {
    this.number = number;
  }
}

/** A request without an answer. */
interface InFlight {
  readonly request: ModelRequest;
  readonly process: ModelProcess;
  /** Pages that it accesses, and how; at each, whether it was allowed and refused at some time since. */
  readonly touches: readonly { readonly va: number; allowed: boolean; refused: boolean }[];
  readonly access: 'read' | 'write';
  /** The child that a fork makes. */
  readonly child: ModelProcess | null;
}

interface MemoryModelOptions {
  /** Whether the system under test may run out of memory: then a request may have no effect, and say ENOMEM. */
  readonly scarce?: boolean;
}

/** The reference: what is in memory, and which answers are right. */
export class MemoryModel {
  readonly #scarce: boolean;
  readonly #processes: ModelProcess[] = [];
  readonly #inFlight = new Map<ModelRequest, InFlight>();
  #numbers = 0;

  constructor({ scarce = false }: MemoryModelOptions = {}) {
    this.#scarce = scarce;
  }

  /** A process with no memory: its number. */
  start(): number {
    const process = new ModelProcess(this.#numbers++);
    this.#processes.push(process);
    return process.number;
  }

  /** Processes that can make requests. */
  get live(): number[] {
    return this.#processes.filter(({ ending }) => !ending).map(({ number }) => number);
  }

  /** Requests without an answer. */
  get waiting(): readonly ModelRequest[] {
    return [...this.#inFlight.keys()];
  }

  /** Pages of a process, with what may be done with them and the bytes that may be in them. */
  *pagesOf(
    number: number,
  ): Generator<{ va: number; protection: Protection; at: (offset: number) => ReadonlySet<number> }> {
    for (const [va, page] of this.#find(number).pages) {
      yield { va, protection: page.protection, at: (offset) => page.at(offset) };
    }
  }

  /** The request that `step` stands for now, or null when there is nothing that it could be about. */
  plan(step: Operation): ModelRequest | null {
    const live = this.#processes.filter(({ ending }) => !ending);
    const process = live[step.process % Math.max(1, live.length)];
    const request = process === undefined ? null : this.#plan(process, step);
    if (request !== null) this.begin(request);
    return request;
  }

  /** `request` is about to be issued: for those that were not planned. */
  begin(request: ModelRequest): void {
    const process = this.#find(request.process);
    const child = request.kind === 'fork' ? this.#snapshot(process, request.child) : null;
    const touches = pagesTouched(request).map((va) => ({ va, allowed: false, refused: false }));
    const access = isRead(request) ? 'read' : 'write';
    this.#inFlight.set(request, { request, process, touches, access, child });
    if (request.kind === 'exit') process.ending = true;
    // A second request for the same pin, made before the first is answered, would rightly be refused.
    if (request.kind === 'unpin') process.pins.delete(request.pin);
    if (request.kind === 'munmap') this.#change(process, request, 'unmap');
    if (request.kind === 'protect') this.#change(process, request, request.protection);
    this.#observe();
  }

  /** The answer to a request, once; throws when it is wrong. */
  answered(request: ModelRequest, ret: number): void {
    const flight = this.#inFlight.get(request);
    assert(flight !== undefined, `${request.kind} is answered once`);
    this.#observe();
    this.#inFlight.delete(request);
    const told = `${JSON.stringify(request)} answered ${ret}`;
    if (ret === -errno.ENOMEM && this.#scarce) this.#takeBack(flight);
    else this.#take(flight, ret, told);
    this.#observe();
  }

  #take(flight: InFlight, ret: number, told: string): void {
    const { request } = flight;
    switch (request.kind) {
      case 'mmap':
        return this.#mapped(flight, request, ret, told);
      case 'munmap':
      case 'protect':
        return this.#changed(flight, request, ret, told);
      case 'pageOut':
        return assert(ret >= 0 || flight.process.ending, told);
      case 'read':
      case 'deviceRead':
        return this.#wasRead(flight, request.va, ret, told);
      case 'write':
      case 'deviceWrite':
        return this.#wasWritten(flight, request, ret, told);
      case 'pin':
        return this.#pinned(flight, ret, told);
      case 'unpin':
        return assert(ret === 0 || flight.process.ending, told);
      case 'pinnedRead':
        return this.#wasReadByPin(flight, request, ret, told);
      case 'pinnedWrite':
        return flight.process.pins
          .get(request.pin)
          ?.pages[request.index]?.write(request.offset, request.value);
      case 'fork':
        return this.#forked(flight, ret, told);
      case 'exit':
        assert(ret === 0, told);
        this.#processes.splice(this.#processes.indexOf(flight.process), 1);
    }
  }

  /** Nothing of the request came about. */
  #takeBack({ request, process, child }: InFlight): void {
    if (request.kind === 'munmap') this.#unchange(process, request, 'unmap');
    if (request.kind === 'protect') this.#unchange(process, request, request.protection);
    if (child !== null) this.#endSnapshot(process, child);
    assert(request.kind !== 'exit' && request.kind !== 'unpin', 'an end needs no memory');
  }

  #mapped({ process }: InFlight, { memory: kind, bytes }: RequestOf<'mmap'>, va: number, told: string): void {
    if (process.ending && va < 0) return;
    assert(va > 0, told);
    const mapping = { va, pages: bytes / PAGE_BYTES, kind };
    process.mappings.push(mapping);
    for (let at = va; at < va + bytes; at += PAGE_BYTES) {
      assert(!process.pages.has(at), `${told}: somebody has the address, or has not given it up yet`);
      process.pages.set(at, new ModelPage(mapping, 'readWrite'));
    }
  }

  #changed(
    { process }: InFlight,
    request: RequestOf<'protect'> | RequestOf<'munmap'>,
    ret: number,
    told: string,
  ): void {
    const change = request.kind === 'protect' ? request.protection : 'unmap';
    const pages = pagesIn(process, request);
    // A part that was unmapped meanwhile makes it fail as a whole.
    const isWhole = pages.length === request.bytes / PAGE_BYTES && pages.every(([, page]) => !page.isLeaving);
    assert(ret === 0 || process.ending || (change !== 'unmap' && !isWhole), told);
    this.#unchange(process, request, change);
    if (ret !== 0) return;
    for (const [va, page] of pages) {
      if (change === 'unmap') process.pages.delete(va);
      else page.protection = change;
    }
  }

  #wasRead(flight: InFlight, va: number, ret: number, told: string): void {
    const page = this.#judge(flight, va, ret, told);
    if (page === null) return;
    const offset = va % PAGE_BYTES;
    assert(page.at(offset).has(ret), `${told}, not ${[...page.at(offset)]}`);
    page.saw(offset, ret);
  }

  #wasWritten(
    flight: InFlight,
    { va, value }: RequestOf<'write'> | RequestOf<'deviceWrite'>,
    ret: number,
    told: string,
  ): void {
    const { process } = flight;
    const page = this.#judge(flight, va, ret, told);
    // Of a process that ends while it forks: what was written on the way may be in the child.
    const ofEnding = ret >= 0 && process.ending ? process.pages.get(va - (va % PAGE_BYTES)) : undefined;
    (page ?? ofEnding)?.write(va % PAGE_BYTES, value);
  }

  /** The page of an access that went through; null for one that was refused, if it could be. */
  #judge(
    { request, process, touches, access }: InFlight,
    va: number,
    ret: number,
    told: string,
  ): ModelPage | null {
    // A device is not told why a page could not be had.
    const lacksMemory = this.#scarce && 'device' in request;
    const wasRefused = lacksMemory || touches.some(({ refused }) => refused);
    // Of a process that is ending nothing is looked at any more.
    assert(ret >= 0 || wasRefused || process.ending, `${told}, although it was allowed all the time`);
    if (ret < 0 || process.ending) return null;
    assert(isAllowed(process, va, access), `${told}, although it is not allowed`);
    return process.pages.get(va - (va % PAGE_BYTES)) ?? null;
  }

  #pinned({ process, touches }: InFlight, ret: number, told: string): void {
    if (ret < 0) {
      assert(touches.some(({ refused }) => refused) || process.ending, told);
      return;
    }
    assert(ret > 0 && (process.ending || touches.every(({ allowed }) => allowed)), told);
    assert(!process.pins.has(ret), `${told}: the number is in use`);
    const isExact = touches.every(({ refused }) => !refused);
    const pages = isExact ? touches.map(({ va }) => process.pages.get(va)!) : [];
    process.pins.set(ret, { process, pages });
  }

  #wasReadByPin({ process }: InFlight, request: RequestOf<'pinnedRead'>, ret: number, told: string): void {
    const page = process.pins.get(request.pin)?.pages[request.index];
    if (page === undefined || process.ending) return;
    assert(page.at(request.offset).has(ret), `${told}, not ${[...page.at(request.offset)]}`);
    page.saw(request.offset, ret);
  }

  #forked({ process, child }: InFlight, ret: number, told: string): void {
    assert(ret === 0 || process.ending, told);
    this.#endSnapshot(process, child!);
    if (ret === 0) this.#processes.push(child!);
  }

  /** The child as the parent is now; what is written until the fork is answered, it may have or not. */
  #snapshot(parent: ModelProcess, number: number): ModelProcess {
    const child = new ModelProcess(number);
    for (const mapping of parent.mappings) child.mappings.push(mapping);
    for (const [va, page] of parent.pages) {
      const copy = page.copyFor(page.mapping);
      child.pages.set(va, copy);
      page.copies.add(copy);
    }
    parent.forks += 1;
    return child;
  }

  #endSnapshot(parent: ModelProcess, child: ModelProcess): void {
    parent.forks -= 1;
    for (const [va, copy] of child.pages) parent.pages.get(va)?.copies.delete(copy);
  }

  #change(process: ModelProcess, range: { va: number; bytes: number }, change: Protection | 'unmap'): void {
    for (const [, page] of pagesIn(process, range)) page.changes.push(change);
  }

  #unchange(process: ModelProcess, range: { va: number; bytes: number }, change: Protection | 'unmap'): void {
    for (const [, { changes }] of pagesIn(process, range)) {
      const index = changes.indexOf(change);
      if (index >= 0) changes.splice(index, 1);
    }
  }

  /** Notes what each request in flight could have met. */
  #observe(): void {
    for (const { process, touches, access } of this.#inFlight.values()) {
      for (const touch of touches) {
        touch.allowed ||= isAllowed(process, touch.va, access);
        touch.refused ||= isRefused(process, touch.va, access);
      }
    }
  }

  #find(number: number): ModelProcess {
    const process = this.#processes.find((other) => other.number === number);
    assert(process !== undefined, `process ${number} is there`);
    return process;
  }

  #plan(process: ModelProcess, step: Operation): ModelRequest | null {
    const { number } = process;
    switch (step.kind) {
      case 'mmap':
        return planMapping(process, step);
      case 'munmap':
        return planRange(process, step, (va, bytes) => ({ kind: 'munmap', process: number, va, bytes }));
      case 'protect':
        return planRange(process, step, (va, bytes) => {
          const protection = PROTECTIONS[step.value % PROTECTIONS.length]!;
          return { kind: 'protect', process: number, va, bytes, protection };
        });
      case 'unpin':
      case 'pinnedRead':
      case 'pinnedWrite':
        return planPin(process, step);
      case 'fork': {
        // A fork while the parent's map is changing has more than one right answer for whole mappings.
        const steady = [...process.pages.values()].every(({ changes }) => changes.length === 0);
        if (!steady || this.#processes.length >= PROCESSES_MAX) return null;
        return { kind: 'fork', process: number, child: this.#numbers++ };
      }
      case 'exit':
        return this.live.length > 1 ? { kind: 'exit', process: number } : null;
      default:
        return planAccess(process, step);
    }
  }
}

/** A new mapping, while none of its forks is looking. */
function planMapping(
  { number, mappings, forks }: ModelProcess,
  { pages, value }: Operation,
): ModelRequest | null {
  if (mappings.length >= MAPPINGS_MAX || forks > 0) return null;
  const [memory, prefault] = [value % 3 === 0 ? 'pool' : 'demand', value % 2 === 0] as const;
  return { kind: 'mmap', process: number, memory, bytes: pages * PAGE_BYTES, prefault };
}

/** Pages of one mapping that are all there; of a pool all, for it is unmapped as a whole. */
function planRange(
  process: ModelProcess,
  step: Operation,
  request: (va: number, bytes: number) => ModelRequest,
): ModelRequest | null {
  const mapping = process.mappings[step.mapping % Math.max(1, process.mappings.length)];
  if (mapping === undefined || process.forks > 0) return null;
  const isWhole = mapping.kind === 'pool' && step.kind === 'munmap';
  const first = isWhole ? 0 : step.page % mapping.pages;
  const wanted = isWhole ? mapping.pages : Math.min(step.pages, mapping.pages - first);
  let count = 0;
  while (count < wanted && isThere(process, mapping, first + count, step.kind)) count += 1;
  if (count === 0 || (isWhole && count < wanted)) return null;
  return request(mapping.va + first * PAGE_BYTES, count * PAGE_BYTES);
}

/** Whether the page is there, for good. Of two protections under way at once either may be the last. */
function isThere({ pages }: ModelProcess, mapping: ModelMapping, index: number, kind: Kind): boolean {
  const page = pages.get(mapping.va + index * PAGE_BYTES);
  if (page?.mapping !== mapping || page.isLeaving) return false;
  return kind !== 'protect' || page.changes.length === 0;
}

/** An access to a page that is there, or was, or lies just behind the end of a mapping. */
function planAccess({ number, mappings }: ModelProcess, step: Operation): ModelRequest | null {
  const mapping = mappings[step.mapping % Math.max(1, mappings.length)];
  if (mapping === undefined) return null;
  const page = mapping.va + (step.page % (mapping.pages + 1)) * PAGE_BYTES;
  const bytes = Math.min(step.pages, mapping.pages) * PAGE_BYTES;
  const { value, device } = step;
  const va = page + OFFSETS[step.offset]!;
  if (step.kind === 'pageOut' || step.kind === 'pin')
    return { kind: step.kind, process: number, va: page, bytes };
  if (step.kind === 'read') return { kind: 'read', process: number, va };
  if (step.kind === 'write') return { kind: 'write', process: number, va, value };
  if (step.kind === 'deviceRead') return { kind: 'deviceRead', process: number, va, device };
  return { kind: 'deviceWrite', process: number, va, value, device };
}

function planPin(
  { number, pins }: ModelProcess,
  { kind, mapping, page, offset, value }: Operation,
): ModelRequest | null {
  const [pin, made] = [...pins][mapping % Math.max(1, pins.size)] ?? [0, null];
  if (made === null) return null;
  if (kind === 'unpin') return { kind, process: number, pin };
  if (made.pages.length === 0) return null;
  const place = { process: number, pin, index: page % made.pages.length, offset: OFFSETS[offset]! };
  return kind === 'pinnedRead' ? { kind, ...place } : { kind: 'pinnedWrite', ...place, value };
}

function pagesTouched(request: ModelRequest): number[] {
  if (request.kind === 'pin') {
    return Array.from({ length: request.bytes / PAGE_BYTES }, (_, index) => request.va + index * PAGE_BYTES);
  }
  const accesses = ['read', 'write', 'deviceRead', 'deviceWrite'];
  return accesses.includes(request.kind) && 'va' in request ? [request.va - (request.va % PAGE_BYTES)] : [];
}

function isRead({ kind }: ModelRequest): boolean {
  return kind === 'read' || kind === 'deviceRead';
}

function isAllowed({ pages }: ModelProcess, va: number, access: 'read' | 'write'): boolean {
  const page = pages.get(va - (va % PAGE_BYTES));
  return page?.protections.some((protection) => allows(protection, access)) ?? false;
}

function isRefused({ pages, ending }: ModelProcess, va: number, access: 'read' | 'write'): boolean {
  const page = pages.get(va - (va % PAGE_BYTES));
  if (page === undefined || page.isLeaving || ending) return true;
  return page.protections.some((protection) => !allows(protection, access));
}

function pagesIn(
  { pages }: ModelProcess,
  { va, bytes }: { va: number; bytes: number },
): [number, ModelPage][] {
  return [...pages].filter(([at]) => at >= va && at < va + bytes);
}
