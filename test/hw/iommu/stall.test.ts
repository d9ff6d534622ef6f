/**
 * The stall extension and the fence that waits for untranslated accesses: nothing of either is there unless it was
 * asked for, every access is answered exactly once, and no access uses a page that a fence said was free.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DmaFault } from '../../../src/hw/device-model.js';
import { AWAITING_PAGE, DmaPort } from '../../../src/hw/dma-port.js';
import {
  ALL_INSTANCE_WORDS,
  instanceWord,
  PAGE_RESPONSE_INDICES,
  pageResponse,
} from '../../../src/hw/instance-words.js';
import type { IommuOptions } from '../../../src/hw/iommu/iommu.js';
import { PendingBit, QueueBit, REGISTERS } from '../../../src/hw/iommu/registers.js';
import type { IommuMessage } from '../../../src/hw/iommu/translation.js';
import { QueueDma } from '../../../src/hw/queue-dma.js';
import { DeviceWires } from '../../../src/machine/device-wires.js';
import {
  Access,
  COMMANDS,
  invalidateAtc,
  NO_PASID,
  pte,
  QUEUE_ENTRIES,
  RequestType,
  TestMachine,
} from './machine.js';

const SV39 = 8n << 60n;
const PD8 = 1n << 60n;
const SV39X4 = 8n << 60n;
const TC = { valid: 1n, enAts: 2n, dtf: 16n, pdtv: 32n, gade: 128n, sade: 256n, stall: 1n << 24n } as const;
const ONE_LEVEL = 2;
/** Pages of the tables of `stalling`. */
const PAGES = { directory: 0, processes: 1, root: 2, middle: 3, leaves: 4, secondRoot: 8 } as const;
const PASID = 1;
const RUNNING = QueueBit.on | QueueBit.enable | QueueBit.interruptEnable;

/** A machine with the extension whose device 0 stalls, with an address space of 512 absent pages as process 1. */
function stalling(options: Partial<IommuOptions> = {}): TestMachine {
  const machine = new TestMachine({ stall: true, ...options });
  context(machine, TC.stall);
  machine.put(PAGES.processes, 2 * PASID, 1n, SV39 | BigInt(PAGES.root));
  machine.put(PAGES.root, 0, pte(PAGES.middle, 'v'));
  machine.put(PAGES.middle, 0, pte(PAGES.leaves, 'v'));
  return machine.startQueues().setDirectory(ONE_LEVEL, PAGES.directory);
}

/** Sets bits of tc of device 0, in place; it stays valid, with a process directory. */
function context(machine: TestMachine, bits: bigint, secondStage = 0n): void {
  const tc = TC.valid | TC.pdtv | TC.sade | TC.gade | bits;
  machine.put(PAGES.directory, 0, tc, secondStage, 0n, PD8 | BigInt(PAGES.processes));
  if (machine.status().cqcsr !== 0) machine.command(COMMANDS.invalidateDevices);
}

/** An access of process 1 that may be stalled under tag 5, unless said otherwise. */
function touch(machine: TestMachine, changes: Parameters<TestMachine['translate']>[0] = {}) {
  return machine.translate({ pasid: PASID, iovaLow: 0x7123, stallTag: 5, ...changes });
}

function resume(tag: number, abort = 0, did = 0): bigint {
  return 64n | (BigInt(abort) << 10n) | (BigInt(tag) << 12n) | (BigInt(did) << 40n);
}

const FENCE = COMMANDS.fence;
const PR = 1n << 12n;
const PW = 1n << 13n;

describe('without the extension', () => {
  const plain = () => stalling({ stall: false });

  test('is there nothing of it in the capabilities?', () => {
    const capabilities = (machine: TestMachine) =>
      [0, 4].map((half) => machine.iommu.readRegister(REGISTERS.capabilities.at + half));
    expect(capabilities(new TestMachine())).toEqual([0x1302_0210, 0x1ee]);
    expect(capabilities(new TestMachine({ stall: true }))).toEqual([0x1302_0210, 0x1ee | (1 << 24)]);
  });

  test('is the bit of the context ignored, with or without ATS?', () => {
    const machine = plain();
    expect(touch(machine)).toMatchObject({ status: 1, cause: 13, stalled: false, recorded: true });
    expect(machine.takeFault()).toEqual([13n | (1n << 12n) | (1n << 32n) | (2n << 34n), 0n, 0x7123n, 0n]);
    context(machine, TC.stall | TC.enAts);
    expect(touch(machine).cause).toBe(13);
  });

  test('is the command illegal?', () => {
    const machine = plain();
    machine.command(resume(5));
    expect(machine.status().cqcsr).toBe(RUNNING | QueueBit.illegalCommand);
    expect(machine.messages).toEqual([]);
  });
});

describe('an access that stalls', () => {
  test.each([
    ['read', Access.read, 13n, 2n],
    ['write', Access.write, 15n, 3n],
    ['execute', Access.execute, 12n, 1n],
  ] as const)('is a %s recorded with its tag and the mark?', (_, access, cause, transaction) => {
    const machine = stalling();
    expect(touch(machine, { access, stallTag: 0xffff })).toMatchObject({ stalled: true, recorded: true });
    const origin = (1n << 12n) | (1n << 32n) | (transaction << 34n);
    expect(machine.takeFault()).toEqual([(2048n + cause) | origin, 0x8000_ffffn, 0x7123n, 0n]);
    expect(machine.takeFault()).toBeNull();
    expect(machine.status().ipsr).toBe(PendingBit.fault);
  });

  test('is one that the second stage forbids, with the guest address?', () => {
    const machine = stalling();
    context(machine, TC.stall, SV39X4 | BigInt(PAGES.secondRoot));
    expect(touch(machine, { access: Access.write })).toMatchObject({ cause: 23, stalled: true });
    const [first, mark, , guest] = machine.takeFault()!;
    // The process directory itself was not to be reached.
    expect([first! & 0xfffn, mark, guest]).toEqual([2048n + 23n, 0x8000_0005n, BigInt(4096 + 16) | 1n]);
  });

  test('is software told although DTF silences faults?', () => {
    const machine = stalling();
    context(machine, TC.stall | TC.dtf);
    expect(touch(machine)).toMatchObject({ stalled: true, recorded: true });
    expect(touch(machine, { stallTag: -1 })).toMatchObject({ stalled: false, recorded: false });
  });

  test('does the mark not stay in the next record of a fault?', () => {
    const machine = stalling();
    touch(machine);
    machine.read(1, 0);
    expect([machine.takeFault()![1], machine.takeFault()![1]]).toEqual([0x8000_0005n, 0n]);
  });

  test('does it succeed when it is made again with the page there?', () => {
    const machine = stalling();
    touch(machine);
    machine.put(PAGES.leaves, 7, pte(20, 'vrwu'));
    expect(touch(machine)).toMatchObject({ status: 0, stalled: false, ppn: 20, pageOffset: 0x123 });
    expect(touch(machine)).toMatchObject({ status: 0, stalled: false, ppn: 20 });
  });
});

describe('an access that does not stall', () => {
  test.each([
    ['the device did not offer to', {}, { stallTag: -1 }],
    ['the context does not say so', { bits: 0n }, {}],
    ['it is an ATS request', { bits: TC.enAts }, { type: RequestType.ats }],
    ['it is a translated request', {}, { type: RequestType.translated }],
    ['no process has the PASID', {}, { pasid: 2 }],
    ['the PASID is too wide', {}, { pasid: 256 }],
    ['the device has no context', {}, { deviceId: 1 }],
  ])('ends at once because %s', (_, { bits = TC.stall }: { bits?: bigint }, changes) => {
    const machine = stalling();
    context(machine, bits);
    expect(touch(machine, changes).stalled).toBe(false);
    const fault = machine.takeFault();
    if (fault !== null) expect([fault[0]! & 0xfffn & 2048n, fault[1]]).toEqual([0n, 0n]);
  });

  test('is a table outside memory no page fault?', () => {
    const machine = stalling();
    machine.put(PAGES.middle, 0, pte(2 ** 30, 'v'));
    expect(touch(machine)).toMatchObject({ status: 1, cause: 5, stalled: false });
  });

  test('is a context that stalls and has ATS misconfigured?', () => {
    const machine = stalling();
    context(machine, TC.stall | TC.enAts);
    expect(touch(machine)).toMatchObject({ status: 1, cause: 259, stalled: false });
  });

  test.each([
    ['off', (machine: TestMachine) => machine.iommu.writeRegister(REGISTERS.fqcsr.at, 0)],
    ['full', (machine: TestMachine) => machine.write64(REGISTERS.fqh.at, 1n)],
    [
      'not in memory',
      (machine: TestMachine) => machine.write64(REGISTERS.fqb.at, ((2n ** 43n) << 10n) | 31n),
    ],
  ])('is it aborted, once, when the fault queue is %s?', (_, spoil) => {
    const machine = stalling();
    spoil(machine);
    expect(touch(machine)).toMatchObject({ status: 1, cause: 13, recorded: false, stalled: false });
    expect(machine.registers.counter('faultsDropped')).toBe(1);
    expect(machine.registers.counter('faultsRecorded')).toBe(0);
  });
});

describe('a look into the cache', () => {
  test('does it find what was translated, and leave nothing behind where it finds nothing?', () => {
    const machine = stalling();
    machine.put(PAGES.leaves, 7, pte(20, 'vrwu'));
    const asked = { ...newRequest(), iovaLow: 0x7000 };
    const result = machine.translate({ deviceId: 99 });
    machine.takeFault();
    expect(machine.iommu.lookUp(asked, result)).toBe(false);
    expect([machine.takeFault(), machine.dword(PAGES.leaves, 7)]).toEqual([null, pte(20, 'vrwu')]);
    touch(machine);
    expect(machine.iommu.lookUp(asked, result)).toBe(true);
    expect(result).toMatchObject({ status: 0, stalled: false, ppn: 20 });
    // It was read, so it is not known to be writable.
    expect(machine.iommu.lookUp({ ...asked, access: Access.write }, result)).toBe(false);
  });

  function newRequest() {
    const kind = { type: RequestType.untranslated, access: Access.read, stallTag: 5 };
    return {
      ...kind,
      deviceId: 0,
      pasid: PASID,
      privileged: false,
      noWrite: false,
      execute: false,
      iovaHigh: 0,
    };
  }
});

describe('the command', () => {
  test.each([
    ['retry', 0],
    ['abort', 1],
  ])('does "%s" reach the device, whether its access is stalled or not?', (_, abort) => {
    const machine = stalling();
    for (const [tag, did] of [
      [5, 0],
      [0xffff, 0xffff],
    ] as const) {
      machine.command(resume(tag, abort, did));
      expect(machine.messages.pop()).toEqual({
        type: 'stallResponse',
        id: 0,
        rid: did,
        dsv: false,
        dseg: 0,
        pasid: NO_PASID,
        payloadHigh: abort << 12,
        payloadLow: tag,
      });
    }
  });

  test('is a device beyond 16 bits named by its segment?', () => {
    const machine = stalling();
    machine.command(resume(1, 0, 0x12_3456));
    expect(machine.messages).toMatchObject([{ rid: 0x3456, dsv: true, dseg: 0x12 }]);
  });

  test('is every bit without a meaning reserved?', () => {
    const named = resume(0xffff, 1, 0xff_ffff) | 0x7fn;
    for (let bit = 7; bit < 128; bit++) {
      if (bit < 64 && ((named >> BigInt(bit)) & 1n) === 1n) continue;
      const machine = stalling();
      const command = resume(5) | (1n << BigInt(bit));
      machine.command(command & (2n ** 64n - 1n), command >> 64n);
      expect([bit, machine.status().cqcsr]).toEqual([bit, RUNNING | QueueBit.illegalCommand]);
      expect(machine.messages).toEqual([]);
    }
  });
});

describe('a fence that drains', () => {
  const draining = () => stalling({ drainsUntranslated: true });
  const head = (machine: TestMachine) => machine.registers.read32(REGISTERS.cqh.at);
  const drains = (machine: TestMachine) => machine.messages.filter(({ type }) => type === 'drainRequest');

  test.each([
    ['reads', PR],
    ['writes', PW],
    ['both', PR | PW],
  ])('does one for %s ask once, and wait until all have ended?', (_, bits) => {
    const machine = draining();
    machine.command(FENCE | bits | (1n << 10n) | (0xabcdn << 32n), 0x5008n >> 2n);
    const [{ id }] = machine.messages as [IommuMessage];
    expect(machine.messages).toMatchObject([{ type: 'drainRequest', rid: -1, pasid: NO_PASID }]);
    machine.iommu.runCommands();
    expect([head(machine), machine.memory.load32(0x5008), drains(machine).length]).toEqual([0, 0, 1]);
    machine.iommu.invalidationCompleted(id);
    expect([head(machine), machine.memory.load32(0x5008), drains(machine).length]).toEqual([1, 0xabcd, 1]);
  });

  test('does one for neither, or on a machine that need not, ask nobody?', () => {
    for (const [machine, command] of [
      [draining(), FENCE],
      [stalling(), FENCE | PR | PW],
    ] as const) {
      machine.command(command);
      expect([head(machine), machine.messages]).toEqual([1, []]);
    }
  });

  test('does it ask after every earlier invalidation is over, and each fence for itself?', () => {
    const machine = draining();
    machine.command(invalidateAtc(5));
    machine.command(FENCE | PR);
    machine.command(FENCE | PW);
    expect(machine.messages.map(({ type }) => type)).toEqual(['invalidationRequest']);
    for (let fence = 0; fence < 2; fence++) {
      machine.iommu.invalidationCompleted(machine.messages.at(-1)!.id);
      expect(drains(machine)).toHaveLength(fence + 1);
      expect(head(machine)).toBe(1 + fence);
    }
    machine.iommu.invalidationCompleted(machine.messages.at(-1)!.id);
    expect(head(machine)).toBe(3);
    expect(new Set(machine.messages.map(({ id }) => id)).size).toBe(3);
  });

  test('may it be over before the request for it has returned?', () => {
    const machine = stalling({
      drainsUntranslated: true,
      sendMessage: ({ id }) => machine.iommu.invalidationCompleted(id),
    });
    machine.command(FENCE | PR);
    machine.command(FENCE | PW);
    expect(head(machine)).toBe(2);
  });

  test('does the first fence of a queue that was stopped and started ask again?', () => {
    const machine = draining();
    machine.command(FENCE | PR);
    machine.iommu.writeRegister(REGISTERS.cqcsr.at, 0);
    machine.iommu.invalidationCompleted(machine.messages[0]!.id);
    expect(head(machine)).toBe(0);
    machine.iommu.writeRegister(REGISTERS.cqcsr.at, QueueBit.enable);
    expect([head(machine), drains(machine).length]).toEqual([0, 2]);
    machine.iommu.invalidationCompleted(machine.messages[1]!.id);
    expect(head(machine)).toBe(1);
  });
});

/** Pages that accesses go to, their frames, and what the frames hold while they are theirs and afterwards. */
const TARGETS = 4;
const FIRST_FRAME = 40;
const MINE = 0x40;
const SOMEBODY_ELSES = 0xee;

interface Running {
  readonly dma: QueueDma;
  readonly steps: Generator<number, Uint8Array, void>;
  readonly page: number;
}

/** A device with a port on a machine that stalls, and software that does everything wrong that it may. */
class Story {
  readonly words = new Int32Array(new SharedArrayBuffer(ALL_INSTANCE_WORDS * 4));
  readonly wires = new DeviceWires(this.words, () => {});
  readonly machine: TestMachine;
  readonly port: DmaPort;
  readonly running: Running[] = [];
  /** Stalled accesses that software has read of and not answered, by tag. */
  readonly unanswered = new Map<number, number>();
  readonly outcomes = { read: 0, faulted: 0, stalled: 0 };
  /** Pages that are mapped. */
  readonly mapped = new Set<number>();
  /** Pages whose frame may be reached until a fence is over. */
  readonly leaving = new Set<number>();
  #fences = 0;

  constructor() {
    this.machine = stalling({ drainsUntranslated: true, sendMessage: (message) => this.wires.send(message) });
    this.wires.completed = (id) => this.machine.iommu.invalidationCompleted(id);
    this.wires.connect(0);
    this.port = new DmaPort({
      memory: this.machine.memory,
      iommu: this.machine.another({ stall: true, cacheEntries: 16 }),
      deviceId: 0,
      words: this.words,
      acknowledged: () => {},
      faultModel: 'stall',
    });
  }

  start(page: number): void {
    const dma = new QueueDma(this.port, PASID);
    this.running.push({ dma, steps: dma.read(page * 4096, 8), page });
    this.advance(this.running.length - 1);
  }

  /** One step of access `index`, and what it ends with is judged. */
  advance(index: number): void {
    const access = this.running[index % Math.max(1, this.running.length)];
    if (access === undefined || access.dma.waiting) return;
    try {
      const { done, value } = access.steps.next();
      if (done !== true) {
        expect(value).toBe(AWAITING_PAGE);
        this.outcomes.stalled += 1;
        return;
      }
      expect(this.mapped.has(access.page) || this.leaving.has(access.page)).toBe(true);
      expect([...value]).toEqual(new Array(8).fill(MINE + access.page));
      this.outcomes.read += 1;
    } catch (error) {
      if (!(error instanceof DmaFault)) throw error;
      this.outcomes.faulted += 1;
    }
    this.#forget(access);
  }

  abandon(index: number): void {
    const access = this.running[index % Math.max(1, this.running.length)];
    if (access === undefined) return;
    access.steps.return(new Uint8Array(0));
    access.dma.abandon();
    this.#forget(access);
  }

  /** Software reads the fault queue to its end. */
  readFaults(): void {
    for (let fault = this.machine.takeFault(); fault !== null; fault = this.machine.takeFault()) {
      if ((fault[0]! & 2048n) === 0n) continue;
      const tag = Number(fault[1]! & 0xffffn);
      // A tag names one access until it is answered.
      expect(this.unanswered.has(tag)).toBe(false);
      this.unanswered.set(tag, Number(fault[2]! >> 12n));
    }
  }

  answer(choice: number, retry: boolean): void {
    const [tag, page] = [...this.unanswered][choice % Math.max(1, this.unanswered.size)] ?? [];
    if (tag === undefined || page === undefined) return;
    this.unanswered.delete(tag);
    if (retry) this.map(page);
    this.#command(resume(tag, retry ? 0 : 1));
  }

  map(page: number): void {
    if (this.mapped.has(page) || this.leaving.has(page)) return;
    this.mapped.add(page);
    this.machine.memory.view((FIRST_FRAME + page) * 4096, 8).fill(MINE + page);
    this.machine.put(PAGES.leaves, page, pte(FIRST_FRAME + page, 'vrwu'));
  }

  /** Takes a page away; its frame goes to somebody else when the fence behind the invalidation is over. */
  unmap(page: number): void {
    if (!this.mapped.delete(page)) return;
    this.leaving.add(page);
    this.machine.put(PAGES.leaves, page, 0n);
    this.#command(COMMANDS.invalidateFirstStage);
    const word = BigInt(0x3_9000 + page * 4);
    this.#fences += 1;
    this.#command(FENCE | PR | PW | (1n << 10n) | (BigInt(this.#fences) << 32n), word >> 2n);
    const fence = this.#fences;
    this.#watched.push(() => {
      if (this.machine.memory.load32(Number(word)) !== fence) return false;
      this.leaving.delete(page);
      this.machine.memory.view((FIRST_FRAME + page) * 4096, 8).fill(SOMEBODY_ELSES);
      return true;
    });
  }

  readonly #watched: (() => boolean)[] = [];

  /** The engine is between two steps. */
  pause(): void {
    this.port.acknowledge();
    for (let times = 0; times <= TARGETS; times++) {
      this.wires.collect();
      for (const [index, isOver] of [...this.#watched.entries()].reverse()) {
        if (isOver()) this.#watched.splice(index, 1);
      }
      this.port.acknowledge();
    }
  }

  /** Faults of another device, until the queue has lost one. */
  flood(): void {
    while (this.machine.read(1, 0).recorded);
  }

  clearOverflow(): void {
    this.readFaults();
    this.machine.iommu.writeRegister(REGISTERS.fqcsr.at, 3 | QueueBit.overflow);
  }

  /** The fault queue starts anew. What was in it is lost, so software aborts whatever may be stalled. */
  restartFaultQueue(): void {
    this.machine.iommu.writeRegister(REGISTERS.fqcsr.at, 0);
    this.machine.iommu.writeRegister(REGISTERS.fqh.at, 0);
    this.machine.iommu.writeRegister(REGISTERS.fqcsr.at, 3);
    this.unanswered.clear();
    for (let tag = 0; tag < PAGE_RESPONSE_INDICES; tag++) this.#command(resume(tag, 1));
  }

  /** An answer to an access that is not stalled. */
  answerNobody(tag: number): void {
    this.readFaults();
    if (!this.unanswered.has(tag)) this.#command(resume(tag, tag % 2));
  }

  /** Well-meaning software serves everything; no access may be left waiting. */
  finish(): void {
    for (let round = 0; round < 20 * (this.running.length + 1) && this.running.length > 0; round++) {
      this.pause();
      this.clearOverflow();
      while (this.unanswered.size > 0) this.answer(0, true);
      this.advance(round);
    }
    expect(this.running).toEqual([]);
    this.clearOverflow();
    while (this.unanswered.size > 0) this.answer(0, false);
    this.pause();
    expect(this.leaving.size).toBe(0);
    const free = Array.from({ length: PAGE_RESPONSE_INDICES }, () => this.port.responses.take());
    expect(free).not.toContain(-1);
    const word = instanceWord.PAGE_RESPONSES;
    expect([...this.words.subarray(word, word + 2)]).toEqual([pageResponse.AWAITED, pageResponse.AWAITED]);
  }

  /** A full command queue is waited for: what fills it is a fence, and that waits for the engine. */
  #command(low: bigint, high = 0n): void {
    const { cqh, cqt } = REGISTERS;
    const { registers } = this.machine;
    while ((registers.read32(cqt.at) + 1) % QUEUE_ENTRIES === registers.read32(cqh.at)) this.pause();
    this.machine.command(low, high);
  }

  #forget(access: Running): void {
    this.running.splice(this.running.indexOf(access), 1);
  }
}

const ACTS: Readonly<Record<string, (story: Story, choice: number) => void>> = {
  start: (story, choice) => story.start(choice % TARGETS),
  advance: (story, choice) => story.advance(choice),
  abandon: (story, choice) => story.abandon(choice),
  read: (story) => story.readFaults(),
  retry: (story, choice) => story.answer(choice, true),
  abort: (story, choice) => story.answer(choice, false),
  map: (story, choice) => story.map(choice % TARGETS),
  unmap: (story, choice) => story.unmap(choice % TARGETS),
  pause: (story) => story.pause(),
  flood: (story) => story.flood(),
  clear: (story) => story.clearOverflow(),
  restart: (story) => story.restartFaultQueue(),
  nobody: (story, choice) => story.answerNobody(choice),
};

test('do all accesses end, rightly, however stalls, answers, invalidations and a lossy queue interleave?', () => {
  const total = { read: 0, faulted: 0, stalled: 0 };
  const often = ['start', 'advance', 'read', 'retry', 'pause'];
  const act = fc.record({
    name: fc.constantFrom(...Object.keys(ACTS), ...often, ...often),
    choice: fc.nat(PAGE_RESPONSE_INDICES - 1),
  });
  const property = fc.property(fc.array(act, { minLength: 30, maxLength: 120 }), (acts) => {
    const story = new Story();
    for (const { name, choice } of acts) ACTS[name]!(story, choice);
    story.finish();
    for (const name of ['read', 'faulted', 'stalled'] as const) total[name] += story.outcomes[name];
  });
  fc.assert(property, { numRuns: 150 });
  // It is about something: each outcome came up.
  expect(Math.min(total.read, total.faulted, total.stalled)).toBeGreaterThan(100);
});
