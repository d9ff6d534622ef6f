/**
 * A second implementation of translation, to compare the IOMMU with: no caches, no shared words, one exception
 * per fault, 64-bit values as bigints, read from top to bottom. Written from the specification's description of
 * the process, in another style than src/hw/iommu and without a line of it, so that the two do not share bugs.
 */

import {
  ACCESSED,
  bit,
  bits,
  grants,
  isGoodContext,
  type Leaf,
  leafOf,
  shapeOf,
  type Wanted,
  withMarks,
} from './reference-entries.js';

/** A request as the reference takes it; `pasid` null = none. */
export interface ReferenceRequest {
  readonly kind: 'untranslated' | 'translated' | 'ats';
  readonly deviceId: number;
  readonly pasid: number | null;
  readonly privileged: boolean;
  /** Not for ATS. */
  readonly access: 'read' | 'write' | 'execute';
  /** ATS only. */
  readonly noWrite: boolean;
  /** ATS only. */
  readonly execute: boolean;
  readonly iova: bigint;
}

/** A fault record that is to be stored. */
interface ReferenceRecord {
  readonly cause: number;
  readonly ttyp: number;
  readonly did: number;
  readonly pv: number;
  readonly pid: number;
  readonly priv: number;
  readonly iotval: bigint;
  readonly iotval2: bigint;
}

/** An answer in the shape of the tests; `ats` is null unless an ATS request was granted something. */
export interface ReferenceAnswer {
  readonly status: 'success' | 'unsupportedRequest' | 'completerAbort';
  readonly cause: number;
  /** Physical byte address of an untranslated or translated request that succeeded. */
  readonly pa: bigint | null;
  readonly ats: {
    readonly start: bigint;
    readonly bytes: number;
    readonly r: boolean;
    readonly w: boolean;
    readonly x: boolean;
    readonly priv: boolean;
    readonly global: boolean;
  } | null;
  readonly record: ReferenceRecord | null;
}

/** Memory of the reference: dwords; outside it an access fails. */
export interface ReferenceMemory {
  readonly bytes: number;
  read(address: number): bigint;
  write(address: number, value: bigint): void;
}

class Fault extends Error {
  override readonly cause: number;
  readonly iotval2: bigint;
  constructor(cause: number, iotval2 = 0n) {
    super(`cause ${cause}`);
    this.cause = cause;
    this.iotval2 = iotval2;
  }
}

/** Thrown by the second stage, turned into the cause that fits what the address was for. */
class SecondStageFault extends Error {
  readonly kind: 'page' | 'access';
  constructor(kind: 'page' | 'access') {
    super(kind);
    this.kind = kind;
  }
}

/** The walk over `memory` under the directory that `ddtp` names. */
export class ReferenceWalk {
  readonly memory: ReferenceMemory;
  readonly ddtp: bigint;
  readonly bareBytes: number;
  /** Takes every leaf as marked accessed already, whatever is stored. */
  readonly assumesAccessed: boolean;

  constructor(memory: ReferenceMemory, ddtp: bigint, bareBytes: number, assumesAccessed = false) {
    this.memory = memory;
    this.ddtp = ddtp;
    this.bareBytes = bareBytes;
    this.assumesAccessed = assumesAccessed;
  }

  translate(request: ReferenceRequest): ReferenceAnswer {
    const seen = { silent: false };
    try {
      return this.#succeed(request, this.#walk(request, seen));
    } catch (fault) {
      if (!(fault instanceof Fault)) throw fault;
      return this.#fail(request, fault, seen.silent);
    }
  }

  #succeed(request: ReferenceRequest, found: { first: Leaf; second: Leaf; pa: bigint }): ReferenceAnswer {
    const { first, second, pa } = found;
    const done = { status: 'success', cause: 0, record: null } as const;
    if (request.kind !== 'ats') return { ...done, pa, ats: null };
    const r = first.r && second.r;
    const w = first.w && first.d && second.w && second.d;
    if (!r && !w) return { ...done, pa: null, ats: null };
    const bytes = Math.min(first.bytes, second.bytes);
    const x = r && first.x && second.x && request.execute && request.pasid !== null;
    const priv = request.privileged && request.pasid !== null;
    const global = first.global && request.pasid !== null;
    return { ...done, pa: null, ats: { start: pa - (pa % BigInt(bytes)), bytes, r, w, x, priv, global } };
  }

  #fail(request: ReferenceRequest, { cause, iotval2 }: Fault, silent: boolean): ReferenceAnswer {
    const none = { cause, pa: null, ats: null };
    if (request.kind === 'ats' && [12, 13, 15, 20, 21, 23, 266].includes(cause)) {
      return { ...none, status: 'success', record: null };
    }
    const aborts = request.kind === 'ats' && [1, 5, 7, 265, 267].includes(cause);
    const status = aborts ? 'completerAbort' : 'unsupportedRequest';
    if (silent && ![256, 257, 258, 259].includes(cause)) return { ...none, status, record: null };
    const hasPasid = request.pasid !== null;
    const record = {
      cause,
      ttyp: transactionType(request),
      did: request.deviceId,
      pv: hasPasid ? 1 : 0,
      pid: request.pasid ?? 0,
      priv: hasPasid && request.privileged ? 1 : 0,
      iotval: request.iova,
      iotval2,
    };
    return { ...none, status, record };
  }

  #walk(request: ReferenceRequest, seen: { silent: boolean }): { first: Leaf; second: Leaf; pa: bigint } {
    const bare = this.#bareLeaf(request.iova >> 12n);
    const asIs = { first: bare, second: bare, pa: request.iova };
    const mode = Number(bits(this.ddtp, 3, 0));
    if (mode === 0 || mode > 4) throw new Fault(256);
    if (mode === 1) {
      if (request.kind === 'untranslated') return asIs;
      throw new Fault(260);
    }
    const context = this.#deviceContext(mode - 1, request.deviceId);
    const tc = context[0]!;
    seen.silent = bit(tc, 4);
    const hasProcesses = bit(tc, 5);
    const fscMode = Number(bits(context[3]!, 63, 60));
    if (request.kind !== 'untranslated' && !bit(tc, 1)) throw new Fault(260);
    if (request.pasid !== null) {
      if (!hasProcesses) throw new Fault(260);
      if (fscMode === 1 && request.pasid >= 256) throw new Fault(260);
      if (fscMode === 2 && request.pasid >= 131072) throw new Fault(260);
    }
    if (request.kind === 'translated') return asIs;
    const supervisor = request.privileged && request.pasid !== null;
    let root = context[3]!;
    let sum = false;
    if (hasProcesses) {
      const processId = request.pasid ?? (bit(tc, 9) ? 0 : null);
      if (processId === null || fscMode === 0) {
        root = 0n;
      } else {
        const process = this.#processContext(context, fscMode, processId, intent(request));
        if (supervisor && !bit(process[0]!, 1)) throw new Fault(260);
        sum = bit(process[0]!, 2);
        root = process[1]!;
      }
    }
    const first =
      bits(root, 63, 60) === 0n ? bare : this.#firstStage(context, root, request, { supervisor, sum });
    const second = this.#finalStage(context, first, request);
    return { first, second, pa: second.page * 4096n + bits(request.iova, 11, 0) };
  }

  /** The leaf before this access leaves its marks. */
  #asFound(leaf: bigint): bigint {
    return this.assumesAccessed ? leaf | ACCESSED : leaf;
  }

  #bareLeaf(page: bigint): Leaf {
    return { page, bytes: this.bareBytes, r: true, w: true, x: true, d: true, global: false };
  }

  #read(address: bigint): bigint {
    if (address + 8n > BigInt(this.memory.bytes)) throw new SecondStageFault('access');
    return this.memory.read(Number(address));
  }

  #readOr(cause: number, address: bigint): bigint {
    if (address + 8n > BigInt(this.memory.bytes)) throw new Fault(cause);
    return this.memory.read(Number(address));
  }

  #deviceContext(levels: number, deviceId: number): readonly bigint[] {
    const id = BigInt(deviceId);
    if (levels < 3 && bits(id, 23, 16) !== 0n) throw new Fault(260);
    if (levels < 2 && bits(id, 15, 7) !== 0n) throw new Fault(260);
    let page = bits(this.ddtp, 53, 10);
    for (let level = levels; level > 1; level--) {
      const index = level === 3 ? bits(id, 23, 16) : bits(id, 15, 7);
      const entry = this.#readOr(257, page * 4096n + index * 8n);
      if (!bit(entry, 0)) throw new Fault(258);
      if (bits(entry, 9, 1) !== 0n || bits(entry, 63, 54) !== 0n) throw new Fault(259);
      page = bits(entry, 53, 10);
    }
    const at = page * 4096n + bits(id, 6, 0) * 32n;
    this.#readOr(257, at + 24n);
    const context = [0n, 8n, 16n, 24n].map((offset) => this.#readOr(257, at + offset));
    if (!bit(context[0]!, 0)) throw new Fault(258);
    if (!isGoodContext(context)) throw new Fault(259);
    return context;
  }

  #processContext(
    context: readonly bigint[],
    levels: number,
    processId: number,
    { guestPageFault }: Intents,
  ): readonly bigint[] {
    const id = BigInt(processId);
    let page = bits(context[3]!, 43, 0);
    const locate = (offset: bigint, bytes: bigint): bigint => {
      try {
        const leaf = this.#secondStage(context, page, { must: 'read', marksDirty: false });
        const address = leaf.page * 4096n + offset;
        this.#read(address + bytes - 8n);
        return address;
      } catch (fault) {
        if (!(fault instanceof SecondStageFault)) throw fault;
        if (fault.kind === 'access') throw new Fault(265);
        throw new Fault(guestPageFault, (page * 4096n + offset) | 1n);
      }
    };
    for (let level = levels; level > 1; level--) {
      const index = level === 3 ? bits(id, 19, 17) : bits(id, 16, 8);
      const entry = this.#read(locate(index * 8n, 8n));
      if (!bit(entry, 0)) throw new Fault(266);
      if (bits(entry, 9, 1) !== 0n || bits(entry, 63, 54) !== 0n) throw new Fault(267);
      page = bits(entry, 53, 10);
    }
    const at = locate(bits(id, 7, 0) * 16n, 16n);
    const [ta, fsc] = [this.#read(at), this.#read(at + 8n)];
    if (!bit(ta, 0)) throw new Fault(266);
    const goodMode = [0n, 8n].includes(bits(fsc, 63, 60));
    if (bits(ta, 11, 3) !== 0n || bits(ta, 63, 32) !== 0n || bits(fsc, 59, 44) !== 0n || !goodMode) {
      throw new Fault(267);
    }
    return [ta, fsc];
  }

  #firstStage(
    context: readonly bigint[],
    root: bigint,
    request: ReferenceRequest,
    who: { supervisor: boolean; sum: boolean },
  ): Leaf {
    const causes = intent(request);
    const top = bits(request.iova, 63, 38);
    if (top !== 0n && top !== (1n << 26n) - 1n) throw new Fault(causes.pageFault);
    let table = bits(root, 43, 0);
    let global = false;
    for (const level of [2, 1, 0]) {
      const index = bits(request.iova, 20 + 9 * level, 12 + 9 * level);
      let address = 0n;
      try {
        const mapped = this.#secondStage(context, table, { must: 'read', marksDirty: false });
        address = mapped.page * 4096n + index * 8n;
        this.#read(address);
      } catch (fault) {
        if (!(fault instanceof SecondStageFault)) throw fault;
        if (fault.kind === 'access') throw new Fault(causes.accessFault);
        throw new Fault(causes.guestPageFault, (table * 4096n) | 1n);
      }
      const entry = this.#read(address);
      const shape = shapeOf(entry, level);
      if (shape === 'invalid') throw new Fault(causes.pageFault);
      global ||= bit(entry, 5);
      if (shape === 'pointer') {
        table = bits(entry, 53, 10);
        continue;
      }
      const userPage = bit(entry, 4);
      const allowed = who.supervisor ? !userPage || (who.sum && causes.pageFault !== 12) : userPage;
      const wanted = wantedBy(request);
      if (!allowed || !grants(entry, wanted.must)) throw new Fault(causes.pageFault);
      const marked = withMarks(entry, wanted);
      if (marked !== this.#asFound(entry)) {
        if (!bit(context[0]!, 8)) throw new Fault(causes.pageFault);
        try {
          this.#secondStage(context, table, { must: 'write', marksDirty: true });
        } catch (fault) {
          if (fault instanceof SecondStageFault) throw new Fault(causes.guestPageFault, (table * 4096n) | 3n);
          throw fault;
        }
        this.memory.write(Number(address), marked);
      }
      return { ...leafOf(marked, level, request.iova >> 12n), global };
    }
    throw new Fault(causes.pageFault);
  }

  #finalStage(context: readonly bigint[], first: Leaf, request: ReferenceRequest): Leaf {
    const causes = intent(request);
    try {
      return this.#secondStage(context, first.page, wantedBy(request));
    } catch (fault) {
      if (!(fault instanceof SecondStageFault)) throw fault;
      if (fault.kind === 'access') throw new Fault(causes.accessFault);
      throw new Fault(causes.guestPageFault, first.page * 4096n + bits(request.iova, 11, 2) * 4n);
    }
  }

  #secondStage(context: readonly bigint[], page: bigint, wanted: Wanted): Leaf {
    const iohgatp = context[1]!;
    if (bits(iohgatp, 63, 60) === 0n) return this.#bareLeaf(page);
    if (page >> 29n !== 0n) throw new SecondStageFault('page');
    let table = bits(iohgatp, 43, 0);
    for (const level of [2, 1, 0]) {
      const index = level === 2 ? bits(page, 28, 18) : bits(page, 9 * level + 8, 9 * level);
      const address = table * 4096n + index * 8n;
      const entry = this.#read(address);
      const shape = shapeOf(entry, level);
      if (shape === 'invalid') throw new SecondStageFault('page');
      if (shape === 'pointer') {
        table = bits(entry, 53, 10);
        continue;
      }
      if (!bit(entry, 4) || !grants(entry, wanted.must)) throw new SecondStageFault('page');
      const marked = withMarks(entry, wanted);
      if (marked !== this.#asFound(entry)) {
        if (!bit(context[0]!, 7)) throw new SecondStageFault('page');
        this.memory.write(Number(address), marked);
      }
      return leafOf(marked, level, page);
    }
    throw new SecondStageFault('page');
  }
}

function wantedBy(request: ReferenceRequest): Wanted {
  if (request.kind === 'ats') return { must: 'nothing', marksDirty: !request.noWrite };
  return { must: request.access, marksDirty: request.access === 'write' };
}

interface Intents {
  readonly accessFault: number;
  readonly pageFault: number;
  readonly guestPageFault: number;
}

function intent(request: ReferenceRequest): Intents {
  const fetches =
    request.kind === 'ats' ? request.execute && request.pasid !== null : request.access === 'execute';
  if (fetches) return { accessFault: 1, pageFault: 12, guestPageFault: 20 };
  const writes = request.kind !== 'ats' && request.access === 'write';
  if (writes) return { accessFault: 7, pageFault: 15, guestPageFault: 23 };
  return { accessFault: 5, pageFault: 13, guestPageFault: 21 };
}

function transactionType(request: ReferenceRequest): number {
  if (request.kind === 'ats') return 8;
  const within = { execute: 1, read: 2, write: 3 }[request.access];
  return request.kind === 'translated' ? within + 4 : within;
}
