/**
 * The IOMMU's driver against the real IOMMU: does every invalidation end, in order, whatever the devices do; is every
 * page request handled, and every stalled access; is a context ever half changed?
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { limits } from '../../src/base/limits.js';
import { MiB, PAGE_BYTES } from '../../src/base/units.js';
import type { FaultModel } from '../../src/hw/fault-model.js';
import { FrameTable, frameOwner } from '../../src/hw/frame-table.js';
import { ATS } from '../../src/hw/iommu/command-layouts.js';
import { Iommu, type IommuOptions } from '../../src/hw/iommu/iommu.js';
import { IOMMU_REGISTER_WORDS, IommuRegisterFile } from '../../src/hw/iommu/registers.js';
import {
  Access,
  type IommuMessage,
  newTranslationRequest,
  newTranslationResult,
  RequestType,
} from '../../src/hw/iommu/translation.js';
import { invalidateAtc, invalidateWholeAtc } from '../../src/hw/iommu-driver/commands.js';
import type { PageRequestRecord, StallRecord } from '../../src/hw/iommu-driver/control.js';
import { blocksOf, invalidationCommands } from '../../src/hw/iommu-driver/invalidation.js';
import { IommuDriver } from '../../src/hw/iommu-driver/iommu-driver.js';
import { PageTable, pte, type TableMemory } from '../../src/hw/page-table.js';
import { PhysicalMemory } from '../../src/hw/physical-memory.js';

/** A machine with nothing but an IOMMU. `woken` is the wire: somebody must call `service` for it. */
class Board {
  readonly memory = PhysicalMemory.create(8 * MiB);
  readonly frames = new FrameTable(this.memory);
  readonly sent: IommuMessage[] = [];
  readonly requests: PageRequestRecord[] = [];
  readonly stalls: StallRecord[] = [];
  readonly iommu: Iommu;
  readonly driver: IommuDriver;
  /** Called before every register access of the driver. */
  onAccess: () => void = () => {};
  woken = false;
  /** How many page requests had been received each time that some were said to be lost. */
  readonly losses: number[] = [];

  /** `listens`: there is a receiver of page faults. */
  constructor(options: Partial<IommuOptions> = {}, listens = true) {
    const registers = new IommuRegisterFile(new Int32Array(IOMMU_REGISTER_WORDS));
    registers.reset();
    this.iommu = new Iommu({
      memory: this.memory,
      registers,
      lockHolder: 1,
      sendMessage: (message) => this.sent.push(message),
      interrupt: () => {
        this.woken = true;
      },
      ...options,
    });
    const port = {
      readRegister: (offset: number) => {
        this.onAccess();
        return this.iommu.readRegister(offset);
      },
      writeRegister: (offset: number, value: number) => {
        this.onAccess();
        this.iommu.writeRegister(offset, value);
      },
    };
    this.driver = new IommuDriver({ port, memory: this.memory, frames: this.frames });
    if (!listens) return;
    this.driver.onPageRequests({
      pageRequested: (request) => void this.requests.push(request),
      stalled: (event) => void this.stalls.push(event),
      requestsLost: () => void this.losses.push(this.requests.length),
    });
  }

  get tables(): TableMemory {
    return {
      allocateTable: () => this.frames.allocate({ frames: 1, owner: frameOwner.FIRST_DOMAIN }),
      freeTable: (address) => this.frames.release(address),
      toPhysical: (address) => address,
    };
  }

  /** Serves the wire until it is quiet. */
  settle(): void {
    while (this.woken) {
      this.woken = false;
      this.driver.service();
    }
  }

  /** The device acknowledges the oldest `count` invalidations. */
  acknowledge(count = this.sent.length): void {
    for (const { id } of this.sent.splice(0, count)) if (id !== 0) this.iommu.invalidationCompleted(id);
    this.settle();
  }

  /** A device with an empty process directory, its context installed. */
  device(deviceId: number, faultModel: FaultModel = 'pageRequests') {
    const directory = this.driver.createProcessDirectory(deviceId, this.tables)!;
    this.install(deviceId, directory.root, faultModel);
    return directory;
  }

  install(deviceId: number, processDirectory: number, faultModel: FaultModel = 'pageRequests'): void {
    this.driver.setDeviceContext(deviceId, { secondStage: null, processDirectory, faultModel }, () => {});
    this.settle();
  }

  /** An address space with one page at `va`: its root and the page. */
  space(va: number) {
    const table = PageTable.create(this.memory, this.tables)!;
    const page = this.tables.allocateTable()!;
    table.map({ va, gpa: page, flags: pte.R | pte.W | pte.U });
    return { root: table.root, page, table };
  }

  /** Physical page that an ATS request is granted, or -1. */
  ask(deviceId: number, pasid: number, va: number): number {
    const [request, result] = [newTranslationRequest(), newTranslationResult()];
    Object.assign(request, { type: RequestType.ats, deviceId, pasid });
    request.iovaHigh = Math.floor(va / 2 ** 32);
    request.iovaLow = va >>> 0;
    this.iommu.translate(request, result);
    return result.status === 0 && result.r ? result.ppn * PAGE_BYTES : -1;
  }

  /** An untranslated access that may be stalled under `tag`: whether it is. */
  access(access: { deviceId?: number; pasid: number; va: number; tag: number; access?: number }): boolean {
    const [request, result] = [newTranslationRequest(), newTranslationResult()];
    const { deviceId = 0, pasid, va, tag: stallTag, access: kind = Access.read } = access;
    Object.assign(request, { deviceId, pasid, stallTag, access: kind });
    request.iovaHigh = Math.floor(va / 2 ** 32);
    request.iovaLow = va >>> 0;
    this.iommu.translate(request, result);
    return result.stalled;
  }

  plead(prgi: number, pasid = 1, last = true): boolean {
    const message = { rid: 0, dsv: false, dseg: 0, pasid, privileged: false, execute: false };
    const payloadLow = (prgi << 3) | (last ? 4 : 0) | 3;
    return this.iommu.pageRequest({ ...message, payloadHigh: 0x10, payloadLow }).queued;
  }
}

const VA = 0x10_0000_0000;

describe('directories', () => {
  it('a device reaches an address space under its PASID, and the ring address space without one', () => {
    const board = new Board();
    const directory = board.device(3);
    const [process, ring] = [board.space(VA), board.space(0x4000)];
    expect(directory.set(0xf_ffff, { root: process.root, pscid: 1 })).toBe(true);
    expect(directory.set(0, { root: ring.root, pscid: 2 })).toBe(true);
    expect(board.ask(3, 0xf_ffff, VA)).toBe(process.page);
    expect(board.ask(3, -1, 0x4000)).toBe(ring.page);
    expect([board.ask(3, 1, VA), board.ask(2, 0xf_ffff, VA)]).toEqual([-1, -1]);
  });

  it('a cleared process reaches nothing once the fence has come back, and its pages go back', () => {
    const board = new Board();
    const directory = board.device(0);
    const free = board.frames.freeFrames;
    const { root, page } = board.space(VA);
    directory.set(70_000, { root, pscid: 1 });
    expect(board.ask(0, 70_000, VA)).toBe(page);
    directory.clear(70_000);
    const device = { deviceId: 0, pasid: 70_000 };
    let done = false;
    board.driver.invalidateProcess({ pscid: 1, gscid: null, devices: [device], device }, () => {
      done = true;
    });
    expect(done).toBe(false);
    board.acknowledge();
    expect(done).toBe(true);
    expect(board.ask(0, 70_000, VA)).toBe(-1);
    directory.destroy();
    // Root table, two levels below it and the page stay; root, middle and leaf of the directory are back.
    expect(board.frames.freeFrames).toBe(free - 4 + 1);
  });

  it('replacing a device context: no access uses the old tables from the call on (S25)', () => {
    const board = new Board();
    const [first, second] = [board.device(0), board.driver.createProcessDirectory(0, board.tables)!];
    const [old, next] = [board.space(VA), board.space(VA)];
    first.set(1, { root: old.root, pscid: 1 });
    second.set(1, { root: next.root, pscid: 2 });
    expect(board.ask(0, 1, VA)).toBe(old.page);
    board.driver.invalidateDevice(0, () => {});
    const seen: number[] = [];
    board.onAccess = () => seen.push([old.page, -1, next.page].indexOf(board.ask(0, 1, VA)));
    board.install(0, second.root);
    board.acknowledge();
    board.onAccess = () => {};
    expect(board.ask(0, 1, VA)).toBe(next.page);
    // First the old tables, then none, then the new ones; never back.
    expect(seen).toEqual([...seen].sort());
    expect(new Set(seen)).toEqual(new Set([0, 1, 2]));
  });
});

describe('invalidations', () => {
  it('wait for the device, and are done in order, each once', () => {
    const board = new Board();
    board.device(0);
    const done: number[] = [];
    const devices = [{ deviceId: 0, pasid: 1 }];
    for (let each = 0; each < 3; each++) {
      board.driver.invalidate({ pscid: 1, gscid: null, devices }, () => done.push(each));
    }
    board.settle();
    expect(done).toEqual([]);
    board.acknowledge();
    board.acknowledge();
    board.acknowledge();
    expect(done).toEqual([0, 1, 2]);
  });

  it('a full command queue loses nothing: a device that answers late gets every invalidation done', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({ pages: fc.integer({ min: 1, max: 40 }), devices: fc.integer({ min: 0, max: 5 }) }),
          {
            minLength: 1,
            maxLength: 120,
          },
        ),
        fc.integer({ min: 1, max: 50 }),
        (batches, atOnce) => {
          const board = new Board();
          const done: number[] = [];
          for (const [index, { pages, devices }] of batches.entries()) {
            const bound = Array.from({ length: devices }, (_, deviceId) => ({ deviceId, pasid: 1 }));
            const range = { va: VA, bytes: pages * PAGE_BYTES };
            board.driver.invalidate({ pscid: 1, gscid: null, devices: bound, range }, () => done.push(index));
          }
          board.settle();
          while (board.sent.length > 0) board.acknowledge(atOnce);
          expect(done).toEqual(batches.map((_, index) => index));
          expect(board.driver.backlog).toBe(0);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('one invalidation larger than the command queue ends, though the fence is not in the queue yet', () => {
    const board = new Board();
    const devices = Array.from({ length: limits.INSTANCES_MAX }, (_, deviceId) => ({ deviceId, pasid: 1 }));
    const range = { va: VA + PAGE_BYTES, bytes: (limits.INVALIDATION_PAGES_MAX - 2) * PAGE_BYTES };
    const commands = invalidationCommands({ pscid: 1, gscid: null, devices, range }).length;
    expect(commands).toBeGreaterThan(2 * limits.IOMMU_QUEUE_ENTRIES);
    let [done, acknowledged] = [false, 0];
    board.driver.invalidate({ pscid: 1, gscid: null, devices, range }, () => {
      done = true;
    });
    board.settle();
    while (board.sent.length > 0) {
      acknowledged += Math.min(3, board.sent.length);
      board.acknowledge(3);
    }
    expect(done).toBe(true);
    expect(acknowledged).toBe(commands - range.bytes / PAGE_BYTES);
  });

  it('a device that never answers cannot grow the backlog beyond its bound, and what waits is not lost', () => {
    const board = new Board();
    const done: number[] = [];
    const count = 20_000;
    for (let each = 0; each < count; each++) {
      const devices = [{ deviceId: 0, pasid: 1 + (each % 7) }];
      const range = { va: VA + each * PAGE_BYTES, bytes: PAGE_BYTES };
      board.driver.invalidate({ pscid: each % 7, gscid: null, devices, range }, () => done.push(each));
      expect(board.driver.backlog).toBeLessThanOrEqual(limits.IOMMU_COMMAND_BACKLOG + 4);
    }
    while (board.sent.length > 0) board.acknowledge();
    expect(done).toEqual(Array.from({ length: count }, (_, each) => each));
  });

  it('responses to page requests and stalled accesses pass a full queue unmerged, in order', () => {
    const board = new Board({ stall: true });
    for (let each = 0; each < 6000; each++) {
      board.driver.invalidate({ pscid: 1, gscid: null, devices: [{ deviceId: 0, pasid: 1 }] }, () => {});
      // Many of them are the same command.
      if (each % 2 === 0) board.driver.respond({ deviceId: 0, pasid: 1, prgi: each % 512, code: 0 });
      else board.driver.resume({ deviceId: 0, tag: each % 512, retry: each % 3 === 0 });
    }
    const responses: (readonly [string, number])[] = [];
    while (board.sent.length > 0) {
      for (const { type, payloadHigh, payloadLow } of board.sent) {
        if (type === 'pageGroupResponse') responses.push([type, payloadHigh & 0x1ff]);
        if (type === 'stallResponse') responses.push([`${type} ${payloadHigh >>> 12}`, payloadLow]);
      }
      board.acknowledge();
    }
    expect(responses).toEqual(
      Array.from({ length: 6000 }, (_, each) => {
        const stall = `stallResponse ${each % 3 === 0 ? 0 : 1}`;
        return [each % 2 === 0 ? 'pageGroupResponse' : stall, each % 512];
      }),
    );
  });

  it('ask no device for its cache that never had ATS; the fence waits for its accesses instead', () => {
    const board = new Board({ stall: true, drainsUntranslated: true });
    // One has page requests, one stalls, one has neither; of the last nothing is known.
    for (const [deviceId, model] of (['pageRequests', 'stall', 'none'] as const).entries())
      board.device(deviceId, model);
    while (board.sent.length > 0) board.acknowledge();
    let done = 0;
    const devices = [0, 1, 2, 3].map((deviceId) => ({ deviceId, pasid: 1 }));
    const range = { va: VA, bytes: 3 * PAGE_BYTES };
    board.driver.invalidate({ pscid: 1, gscid: null, devices, range }, () => done++);
    board.driver.invalidateProcess({ pscid: 1, gscid: null, devices, device: devices[1]! }, () => done++);
    for (const { deviceId } of devices) board.driver.invalidateDevice(deviceId, () => done++);
    const asked = new Set<number>();
    let drains = 0;
    while (board.sent.length > 0) {
      expect(done).toBe(drains);
      for (const { type, rid } of board.sent) {
        if (type === 'invalidationRequest') asked.add(rid);
        else drains += 1;
      }
      board.acknowledge();
    }
    expect([done, drains, [...asked]]).toEqual([6, 6, [0, 3]]);
  });

  it('still ask a device that had ATS once: its cache may hold what it was told then', () => {
    const board = new Board({ stall: true });
    const directory = board.device(0);
    board.install(0, directory.root, 'none');
    board.driver.invalidateDevice(0, () => {});
    expect(board.sent.map(({ rid }) => rid)).toEqual([0, 0]);
  });

  it('name pages up to the bound, and everything above it (S24)', () => {
    const devices = [{ deviceId: 0, pasid: 1 }];
    const cost = (pages: number) =>
      invalidationCommands({ pscid: 1, gscid: null, devices, range: { va: VA, bytes: pages * PAGE_BYTES } })
        .length;
    expect(cost(1)).toBe(2);
    expect(cost(limits.INVALIDATION_PAGES_MAX)).toBe(limits.INVALIDATION_PAGES_MAX + 1);
    expect(cost(limits.INVALIDATION_PAGES_MAX + 1)).toBe(2);
    expect(cost(1_000_000)).toBe(2);
  });

  it('the ranges sent to a device cover exactly the pages asked for', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 26), fc.integer({ min: 1, max: 300 }), (firstPage, pages) => {
        const blocks = [...blocksOf({ va: firstPage * PAGE_BYTES, bytes: pages * PAGE_BYTES })];
        let next = firstPage * PAGE_BYTES;
        for (const { va, bytes } of blocks) {
          expect(va).toBe(next);
          expect([va % bytes, Math.log2(bytes) % 1]).toEqual([0, 0]);
          expect(decodePayload(invalidateAtc(0, 1, va, bytes))).toEqual({ va, bytes });
          next += bytes;
        }
        expect(next).toBe((firstPage + pages) * PAGE_BYTES);
      }),
    );
  });

  it('everything is everything', () => {
    const { va, bytes } = decodePayload(invalidateWholeAtc(0, 1));
    expect([va, bytes]).toEqual([0, 2 ** 64]);
  });
});

/** The range that an invalidation names, as PCI Express defines it, found bit by bit. */
function decodePayload(command: DataView): { va: number; bytes: number } {
  const { payloadLow, payloadHigh } = ATS.fields;
  const payload = (BigInt(payloadHigh.read(command, 0)) << 32n) | BigInt(payloadLow.read(command, 0));
  if (((payload >> 11n) & 1n) === 0n) return { va: Number(payload & ~0xfffn), bytes: PAGE_BYTES };
  let bit = 12n;
  while (((payload >> bit) & 1n) === 1n) bit += 1n;
  const bytes = 1n << (bit + 1n);
  return { va: Number(payload & ~(bytes - 1n) & ~0xfffn), bytes: Number(bytes) };
}

describe('page requests and faults', () => {
  it('a request that arrives at any moment of the handler is handled without another arrival (S21)', () => {
    for (let moment = 0; moment < 60; moment++) {
      const board = new Board();
      board.device(0);
      board.plead(1);
      let accesses = 0;
      board.onAccess = () => {
        if (accesses++ === moment) board.plead(2);
      };
      board.settle();
      board.onAccess = () => {};
      if (accesses <= moment) break;
      board.settle();
      expect(board.requests.map(({ prgi }) => prgi)).toEqual([1, 2]);
    }
  });

  it('an overflow is reported once, cleared, and later requests are handled (S22, D6)', () => {
    const board = new Board();
    board.device(0);
    for (let each = 0; each < limits.IOMMU_QUEUE_ENTRIES + 20; each++) board.plead(each);
    board.settle();
    expect([board.requests.length, board.losses.length]).toEqual([limits.IOMMU_QUEUE_ENTRIES - 1, 1]);
    board.plead(7);
    board.settle();
    expect([board.requests.length, board.losses.length]).toEqual([limits.IOMMU_QUEUE_ENTRIES, 1]);
  });

  it('a group torn by an overflow at any moment of the handler is void before its index comes again (S22)', () => {
    for (let moment = 0; moment < 60; moment++) {
      const board = new Board();
      board.device(0);
      board.plead(1);
      let accesses = 0;
      let torn = -1;
      board.onAccess = () => {
        if (accesses++ !== moment) return;
        // Members of one group until one is lost, and its last with it.
        while (board.plead(7, 1, false));
        expect(board.plead(7)).toBe(false);
        torn = board.requests.length;
      };
      board.settle();
      board.onAccess = () => {};
      if (accesses <= moment) break;
      board.settle();
      const members = board.requests.slice(torn).filter(({ prgi }) => prgi === 7);
      expect(members.length).toBeGreaterThan(0);
      expect(board.losses).toEqual([board.requests.length]);
    }
  });

  it('shows what the device asked for', () => {
    const board = new Board();
    board.device(0);
    board.plead(511, 0xabcde);
    board.settle();
    expect(board.requests).toEqual([
      {
        deviceId: 0,
        pasid: 0xabcde,
        read: true,
        write: true,
        execute: false,
        privileged: false,
        last: true,
        prgi: 511,
        va: VA,
      },
    ]);
  });

  it('keeps the newest faults, however many there are', () => {
    const board = new Board();
    board.device(0);
    const [request, result] = [newTranslationRequest(), newTranslationResult()];
    Object.assign(request, { pasid: 5, iovaHigh: 0x10 });
    for (let each = 0; each < 3 * limits.FAULT_HISTORY; each++) {
      request.iovaLow = each * PAGE_BYTES;
      board.iommu.translate(request, result);
      if (each % 100 === 0) board.settle();
    }
    board.settle();
    expect(board.driver.faults.length).toBe(limits.FAULT_HISTORY);
    const newest = board.driver.faults.toArray().at(-1)!;
    expect(newest).toMatchObject({ deviceId: 0, pasid: 5, cause: 266 });
    // The queue overflowed on the way and was opened again.
    request.iovaLow = 0x7777_0000;
    board.iommu.translate(request, result);
    board.settle();
    expect(board.driver.faults.toArray().at(-1)!.iova).toBe(0x10_7777_0000n);
  });

  it('service may be called at any time, any number of times, from inside itself', () => {
    const board = new Board();
    board.device(0);
    let done = 0;
    board.driver.service();
    board.driver.invalidate({ pscid: 1, gscid: null, devices: [] }, () => {
      done += 1;
      board.driver.service();
    });
    board.driver.service();
    board.driver.service();
    expect(done).toBe(1);
  });
});

describe('stalled accesses', () => {
  /** A board whose device 0 stalls, with an address space of one page as process 5. */
  function stallBoard() {
    const board = new Board({ stall: true });
    const directory = board.device(0, 'stall');
    const space = board.space(VA);
    directory.set(5, { root: space.root, pscid: 1 });
    return { board, directory, space };
  }

  it.each([
    ['read', Access.read],
    ['write', Access.write],
    ['execute', Access.execute],
  ] as const)('are shown with what a %s was about to do, and are no faults', (name, access) => {
    const { board } = stallBoard();
    expect(board.access({ pasid: 5, va: VA + 5 * PAGE_BYTES + 123, tag: 0xffff, access })).toBe(true);
    board.settle();
    expect(board.stalls).toEqual([
      { deviceId: 0, pasid: 5, va: VA + 5 * PAGE_BYTES, access: name, tag: 0xffff },
    ]);
    expect(board.driver.faults.length).toBe(0);
  });

  it('show any address exactly, up to the last page of 64 bits', () => {
    const { board } = stallBoard();
    for (const page of [2 ** 38, 2 ** 63, 2 ** 64 - PAGE_BYTES]) {
      board.access({ pasid: 5, va: page, tag: 1 });
      board.settle();
      expect(board.stalls.at(-1)!.va).toBe(page);
    }
  });

  it('are answered to the device that made them, with what was decided', () => {
    const { board } = stallBoard();
    board.driver.resume({ deviceId: 0, tag: 3, retry: true });
    board.driver.resume({ deviceId: 127, tag: 511, retry: false });
    expect(board.sent).toMatchObject([
      { type: 'stallResponse', rid: 0, payloadLow: 3, payloadHigh: 0 },
      { type: 'stallResponse', rid: 127, payloadLow: 511, payloadHigh: 1 << 12 },
    ]);
  });

  it('are all handed over, whatever else faults and however full the queue', () => {
    const step = fc.constantFrom('stall', 'stall', 'fault', 'flood', 'service', 'drain');
    const property = fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), (steps) => {
      const { board } = stallBoard();
      const stalled: number[] = [];
      for (const [tag, act] of steps.entries()) {
        if (act === 'stall' && board.access({ pasid: 5, va: VA + PAGE_BYTES, tag })) stalled.push(tag);
        // A process that does not exist: cause 266, which nothing can resolve.
        if (act === 'fault') expect(board.access({ pasid: 6, va: VA, tag })).toBe(false);
        if (act === 'flood')
          for (let each = 0; each < limits.IOMMU_QUEUE_ENTRIES; each++)
            board.access({ pasid: 6, va: VA, tag });
        if (act === 'service') board.settle();
        if (act === 'drain') board.driver.drainPageRequests();
      }
      board.settle();
      expect(board.stalls.map(({ tag }) => tag)).toEqual(stalled);
      expect(board.driver.faults.toArray().every(({ cause }) => cause === 266)).toBe(true);
      expect(board.access({ pasid: 5, va: VA + PAGE_BYTES, tag: 99 })).toBe(true);
    });
    fc.assert(property, { numRuns: 100 });
  });

  it('of a process that has ended are handed over before its PASID is given up (S10)', () => {
    const { board, directory } = stallBoard();
    board.access({ pasid: 5, va: VA + PAGE_BYTES, tag: 1 });
    directory.clear(5);
    const device = { deviceId: 0, pasid: 5 };
    let seen = -1;
    board.driver.invalidateProcess({ pscid: 1, gscid: null, devices: [device], device }, () => {
      board.driver.drainPageRequests();
      seen = board.stalls.length;
    });
    board.acknowledge();
    expect(seen).toBe(1);
    expect(board.access({ pasid: 5, va: VA, tag: 2 })).toBe(false);
  });

  it('are aborted when nobody resolves faults: a device never waits for ever', () => {
    const board = new Board({ stall: true }, false);
    board.device(0, 'stall').set(5, { root: board.space(VA).root, pscid: 1 });
    expect(board.access({ pasid: 5, va: VA + PAGE_BYTES, tag: 9 })).toBe(true);
    board.settle();
    expect(board.sent).toMatchObject([{ type: 'stallResponse', payloadLow: 9, payloadHigh: 1 << 12 }]);
  });
});
