/**
 * Memory of domains: does each live in its own, wherever its addresses point; does a process in it find what it finds
 * in the host's; and does everything come back, cleared, when it ends?
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { limits } from '../../src/base/limits.js';
import { MEGAPAGE_BYTES, MiB, PAGE_BYTES } from '../../src/base/units.js';
import { CpuMemory } from '../../src/hw/cpu-memory.js';
import { FrameTable, frameOwner } from '../../src/hw/frame-table.js';
import { Access, newTranslationRequest, newTranslationResult } from '../../src/hw/iommu/translation.js';
import { PageTable, pte } from '../../src/hw/page-table.js';
import { PhysicalMemory } from '../../src/hw/physical-memory.js';
import { GuestMemoryDomain } from '../../src/kernel/guest-memory.js';
import { type HostMemoryDomain, type MemoryDomain, tablesIn } from '../../src/kernel/memory-domain.js';
import { errno } from '../../src/uapi/errno.js';
import { UACCE_CMD_PUT_Q as PUT, queueRegion, UACCE_CMD_START_Q as START } from '../../src/uapi/ioctl.js';
import { dusShape } from '../../src/uapi/queue-layout.js';
import { pagesOf, tablesBelow } from '../hw/second-stage-walk.js';
import { Bench, FakePort, fakeDriver, User, WAITING } from './bench.js';

const { GUEST_BASE } = limits;
const FIRST_GUEST = frameOwner.FIRST_DOMAIN + 1;
const shape = dusShape(128, fakeDriver.sqDepth, fakeDriver.cqDepth);

/** Memory of 8 MiB without a kernel, and a domain of `bytes`. */
function board(bytes = MiB, quotaFrames?: number) {
  const memory = PhysicalMemory.create(8 * MiB);
  const frames = new FrameTable(memory);
  const free = frames.freeFrames;
  const quota = quotaFrames === undefined ? {} : { quotaFrames };
  const domain = GuestMemoryDomain.create({ memory, frames, owner: FIRST_GUEST, gscid: 1, bytes, ...quota })!;
  return { memory, frames, free, domain };
}

describe('the memory of a domain', () => {
  it.each([PAGE_BYTES, MiB, MEGAPAGE_BYTES, 2 * MEGAPAGE_BYTES + 3 * PAGE_BYTES])(
    'of %i bytes is mapped as a whole, apart from every table, and nothing else is (R47, R50)',
    (bytes) => {
      const { memory, frames, free, domain } = board(bytes);
      const pages = pagesOf(memory, domain.secondStage.root);
      expect(pages.size).toBe(bytes / PAGE_BYTES);
      const tables = tablesBelow(memory, domain.secondStage.root);
      for (const [gpa, { pa }] of pages) {
        expect(gpa >= GUEST_BASE && gpa < GUEST_BASE + bytes).toBe(true);
        expect([domain.toPa(gpa), frames.owner(pa), tables.includes(pa)]).toEqual([pa, FIRST_GUEST, false]);
      }
      expect(domain.quotaFrames).toBe(pages.size);
      domain.destroy();
      expect(frames.freeFrames).toBe(free);
    },
  );

  it('is all that the domain can allocate, to the last frame, or less by quota', () => {
    const { domain } = board(MiB);
    expect(domain.alloc(256)).toBe(GUEST_BASE);
    expect([domain.alloc(1), domain.usedFrames]).toEqual([null, 256]);
    const { domain: bounded } = board(MiB, 10);
    expect(bounded.alloc(11)).toBeNull();
    expect([bounded.alloc(10), bounded.alloc(1), bounded.quotaFrames]).toEqual([GUEST_BASE, null, 10]);
  });

  it('an address outside it is our own bug, just outside at both ends, and so is a physical one', () => {
    const { domain } = board(MiB);
    expect(domain.toPa(GUEST_BASE + MiB - 1)).toBe(domain.toPa(GUEST_BASE) + MiB - 1);
    for (const gpa of [GUEST_BASE - 1, GUEST_BASE + MiB, 0, domain.toPa(GUEST_BASE), Number.NaN]) {
      expect(() => domain.toPa(gpa)).toThrow('broken invariant');
      expect(() => domain.free(gpa, 1)).toThrow('broken invariant');
      expect(() => domain.pin(gpa)).toThrow('broken invariant');
    }
  });

  it('neighbours are neighbours in both addresses, and both are aligned alike up to 2 MiB', () => {
    const { domain } = board(3 * MEGAPAGE_BYTES);
    domain.alloc(3);
    for (const alignFrames of [1, 2, 64, 512]) {
      const gpa = domain.alloc(512, { contiguous: true, alignFrames })!;
      for (const address of [gpa, domain.toPa(gpa)]) expect(address % (alignFrames * PAGE_BYTES)).toBe(0);
      expect(domain.toPa(gpa + 511 * PAGE_BYTES)).toBe(domain.toPa(gpa) + 511 * PAGE_BYTES);
      domain.free(gpa, 512);
    }
    expect(() => domain.alloc(1, { alignFrames: 1024 })).toThrow('broken invariant');
  });

  it('through any sequence of calls no frame has two owners, all read as zeros, and none is lost', () => {
    const step = fc.record({
      act: fc.constantFrom('alloc', 'alloc', 'free', 'free', 'share', 'pin', 'unpin'),
      who: fc.nat(1),
      frames: fc.integer({ min: 1, max: 5 }),
      alignFrames: fc.constantFrom(1, 1, 2, 8),
      pick: fc.nat(100),
    });
    const property = fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const { memory, frames, free, domain: first } = board(16 * PAGE_BYTES);
      const options = { memory, frames, owner: FIRST_GUEST + 1, gscid: 2, bytes: 16 * PAGE_BYTES };
      const domains = [first, GuestMemoryDomain.create({ ...options, quotaFrames: 12 })!];
      const models = domains.map(() => new Map<number, { holders: number; pins: number }>());
      for (const { act, who, pick, ...request } of steps) {
        const [domain, model] = [domains[who]!, models[who]!];
        const gpa = [...model.keys()][pick % Math.max(1, model.size)];
        const counts = gpa === undefined ? undefined : model.get(gpa)!;
        if (act === 'alloc') {
          const start = domain.alloc(request.frames, { alignFrames: request.alignFrames });
          for (let frame = 0; start !== null && frame < request.frames; frame++) {
            const at = start + frame * PAGE_BYTES;
            expect(model.has(at)).toBe(false);
            const bytes = memory.view(domain.toPa(at), PAGE_BYTES);
            expect(bytes.every((byte) => byte === 0)).toBe(true);
            bytes.fill(who + 1);
            model.set(at, { holders: 1, pins: 0 });
          }
        } else if (gpa === undefined || counts === undefined) continue;
        else if (act === 'share') {
          // A frame that only a pin keeps has no holder who could share it.
          if (counts.holders === 0) continue;
          domain.share(gpa);
          counts.holders += 1;
        } else if (act === 'pin') {
          domain.pin(gpa);
          counts.pins += 1;
        } else if (act === 'unpin' && counts.pins > 0) {
          domain.unpin(gpa);
          counts.pins -= 1;
        } else if (act === 'free' && counts.holders > 0) {
          domain.free(gpa, 1);
          counts.holders -= 1;
        }
        if (counts !== undefined && counts.holders + counts.pins === 0) model.delete(gpa!);
      }
      for (const [who, domain] of domains.entries()) {
        expect(domain.usedFrames).toBe(models[who]!.size);
        for (const [gpa, { holders, pins }] of models[who]!) {
          expect([domain.holders(gpa), domain.pins(gpa)]).toEqual([holders, pins]);
          expect(memory.u8[domain.toPa(gpa)]).toBe(who + 1);
          for (let pin = 0; pin < pins; pin++) domain.unpin(gpa);
          for (let holder = 0; holder < holders; holder++) domain.free(gpa, 1);
        }
        domain.destroy();
      }
      expect(frames.freeFrames).toBe(free);
    });
    fc.assert(property, { numRuns: 100 });
  });
});

describe('creation and end', () => {
  /** `left` free frames in a row from 2 MiB on, and no others. */
  function scarce(left: number) {
    const memory = PhysicalMemory.create(8 * MiB);
    const frames = new FrameTable(memory);
    while (frames.allocate({ frames: 1, owner: frameOwner.MACHINE }) !== null);
    for (let frame = 0; frame < left; frame++) frames.release(2 * MiB + frame * PAGE_BYTES);
    const create = () =>
      GuestMemoryDomain.create({ memory, frames, owner: FIRST_GUEST, gscid: 1, bytes: MiB });
    return { frames, create };
  }

  it('whatever is missing, memory for the domain or for its tables: null, and nothing is left behind', () => {
    for (const left of [0, 1, 255, 256, 257, 259, 260, 261]) {
      const { frames, create } = scarce(left);
      for (let attempt = 0; attempt < 2; attempt++) {
        expect([create(), frames.freeFrames]).toEqual([null, left]);
      }
    }
  });

  it('exactly enough is enough: the carve-out, a root of four pages and two tables', () => {
    const { frames, create } = scarce(256 + 4 + 2);
    const domain = create()!;
    expect(frames.freeFrames).toBe(0);
    domain.destroy();
    expect(frames.freeFrames).toBe(256 + 4 + 2);
  });

  it('a size that is none is our own bug', () => {
    const { memory, frames } = board();
    for (const bytes of [0, -PAGE_BYTES, 1, limits.GUEST_BYTES_MAX + PAGE_BYTES, Number.NaN]) {
      const options = { memory, frames, owner: FIRST_GUEST + 1, gscid: 2, bytes };
      expect(() => GuestMemoryDomain.create(options)).toThrow('broken invariant');
    }
  });

  it('memory that a domain left reads as zeros, to the next domain and to the host (X4, G4)', () => {
    const { memory, frames, domain } = board(2 * MiB);
    const start = domain.toPa(GUEST_BASE);
    // What devices of a hostile domain wrote: nothing of it was ever allocated.
    memory.view(start, 2 * MiB).fill(0x66);
    domain.destroy();
    const next = GuestMemoryDomain.create({ memory, frames, owner: FIRST_GUEST, gscid: 1, bytes: MiB })!;
    expect(next.toPa(GUEST_BASE)).toBe(start);
    const isZero = (pa: number, bytes: number) => memory.view(pa, bytes).every((byte) => byte === 0);
    // All of it, allocated or not: devices of the next domain reach it already.
    expect(isZero(start, MiB)).toBe(true);
    for (let taken = frames.freeFrames; taken > 0; taken--) {
      const pa = frames.allocate({ frames: 1, owner: frameOwner.FIRST_DOMAIN })!;
      expect(isZero(pa, PAGE_BYTES)).toBe(true);
    }
  });

  it('a domain that still holds something does not end, and one that has ended is out of use', () => {
    const { domain } = board();
    const gpa = domain.alloc(1)!;
    domain.pin(gpa);
    domain.free(gpa, 1);
    expect(() => domain.destroy()).toThrow('broken invariant');
    domain.unpin(gpa);
    domain.destroy();
    for (const act of [() => domain.destroy(), () => domain.alloc(1)])
      expect(act).toThrow('broken invariant');
  });
});

/** A kernel with domains, and devices and processes of theirs. */
class World {
  readonly bench = new Bench();
  readonly domains: GuestMemoryDomain[] = [];

  domain(bytes: number): GuestMemoryDomain {
    const { memory, frames } = this.bench;
    const index = this.domains.length;
    const domain = GuestMemoryDomain.create({
      memory,
      frames,
      owner: FIRST_GUEST + index,
      gscid: index + 1,
      bytes,
    })!;
    this.domains.push(domain);
    this.#watch(domain);
    return domain;
  }

  /** A frame of the domain is free only when nothing leads to it any more (hazards S1, S31), as in the bench for the host. */
  #watch(domain: GuestMemoryDomain): void {
    const expectForgotten = (gpa: number): void => {
      if (domain.holders(gpa) + domain.pins(gpa) > 0) return;
      expect(this.bench.iommu.cachesFrame(domain.toPa(gpa) / PAGE_BYTES)).toEqual([]);
    };
    const { free, unpin } = GuestMemoryDomain.prototype;
    domain.free = (gpa, frames) => {
      free.call(domain, gpa, frames);
      for (let frame = 0; frame < frames; frame++) expectForgotten(gpa + frame * PAGE_BYTES);
    };
    domain.unpin = (gpa) => {
      unpin.call(domain, gpa);
      expectForgotten(gpa);
    };
  }

  /** A device of its own for `domain`: path, and the port on which it was announced. */
  device(domain: MemoryDomain, deviceId: number) {
    const port = new FakePort(deviceId);
    let name: string | number = WAITING;
    this.bench.kernel.addDevice({ port, driver: fakeDriver, domain }, (answer) => {
      name = answer;
    });
    return { name: String(name), path: `/dev/${name}`, port };
  }

  user(memory: MemoryDomain, quotaFrames?: number): User {
    const quota = quotaFrames === undefined ? {} : { quotaFrames };
    return new User(this.bench, this.bench.kernel.createProcess({ memory, waiter: 0, ...quota })!);
  }

  /** A process of the host with some memory; checks when called that not a bit of the host's has changed since. */
  hostMemory(): () => void {
    const { memory, frames, host } = this.bench;
    const user = this.user(host);
    user.fill(user.pool(4 * PAGE_BYTES), 4 * PAGE_BYTES, 0x77);
    const owned: [at: number, bytes: Uint8Array][] = [];
    for (let at = 0; at < memory.bytes; at += PAGE_BYTES) {
      const isOwned = frames.owner(at) === frameOwner.FIRST_DOMAIN;
      if (isOwned) owned.push([at, memory.view(at, PAGE_BYTES).slice()]);
    }
    return () => {
      for (const [at, bytes] of owned) expect(memory.view(at, PAGE_BYTES)).toEqual(bytes);
    };
  }

  /** What becomes of a fetch, a read and a write under `pasid`: causes, 0 = none. */
  causes(deviceId: number, pasid: number, va: number): number[] {
    return [Access.execute, Access.read, Access.write].map((access) => {
      const [request, result] = [newTranslationRequest(), newTranslationResult()];
      Object.assign(request, { deviceId, pasid, access });
      request.iovaHigh = Math.floor(va / 2 ** 32);
      request.iovaLow = va >>> 0;
      this.bench.iommu.translate(request, result);
      return result.cause;
    });
  }
}

describe('domains apart', () => {
  it('whatever a hostile first stage says, just outside its memory a device faults, 20, 21 or 23 (R50)', () => {
    const world = new World();
    const { bench } = world;
    const domain = world.domain(MiB);
    const device = world.device(domain, 0);
    const user = world.user(domain);
    user.open(device.path);
    const table = new PageTable(bench.memory, tablesIn(domain), user.process.space.root);
    const physical = domain.toPa(GUEST_BASE);
    const outside = [GUEST_BASE - PAGE_BYTES, GUEST_BASE + MiB, physical, domain.secondStage.root, 0];
    const hostIsAsBefore = world.hostMemory();
    for (const [index, gpa] of [...outside, GUEST_BASE].entries()) {
      const va = 2 ** 30 + index * PAGE_BYTES;
      const flags = pte.R | pte.W | pte.X | pte.U | pte.A | pte.D;
      table.map({ va, gpa, flags });
      const causes = world.causes(0, 1, va);
      expect(causes).toEqual(gpa === GUEST_BASE ? [20, 0, 0] : [20, 21, 23]);
      expect(bench.ask(0, 1, va).r).toBe(gpa === GUEST_BASE);
      if (gpa !== GUEST_BASE) expect(bench.driver.faults.toArray().at(-1)?.guestAddress).toBe(BigInt(gpa));
    }
    hostIsAsBefore();
  });

  it('a hostile process directory or page table outside its memory names nothing (R47)', () => {
    const world = new World();
    const { bench } = world;
    const domain = world.domain(MiB);
    const directory = bench.driver.createProcessDirectory(0, tablesIn(domain))!;
    const host = world.user(bench.host);
    directory.set(1, { root: host.process.space.root, pscid: 1 });
    const install = (processDirectory: number): void => {
      const { secondStage } = domain;
      const contents = { secondStage, processDirectory, faultModel: 'pageRequests' } as const;
      bench.driver.setDeviceContext(0, contents, () => {});
    };
    const hostIsAsBefore = world.hostMemory();
    // A first stage whose root is a table of the host, and directories that are physical addresses.
    for (const root of [directory.root, domain.toPa(directory.root), domain.secondStage.root]) {
      install(root);
      const causes = world.causes(0, 1, 0);
      expect(causes).toEqual([20, 21, 23]);
    }
    hostIsAsBefore();
  });

  it('two domains with equal guest addresses never meet: each device reaches the bytes of its own (R47)', () => {
    const step = fc.record({
      who: fc.nat(1),
      what: fc.constantFrom('pool', 'demand', 'unmap', 'fork'),
      pages: fc.integer({ min: 1, max: 4 }),
    });
    const property = fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      const world = new World();
      const { bench } = world;
      const domains = [world.domain(MiB), world.domain(MiB)];
      const devices = domains.map((domain, index) => world.device(domain, index));
      const users = domains.map((domain) => world.user(domain));
      const pasids = users.map((user, index) => {
        user.open(devices[index]!.path);
        return user.pasid(index);
      });
      const live: { va: number; bytes: number }[][] = [[], []];
      const children: User[] = [];
      for (const { who, what, pages } of steps) {
        const user = users[who]!;
        const bytes = pages * PAGE_BYTES;
        if (what === 'fork') children.push(user.child());
        else if (what === 'unmap') {
          const gone = live[who]!.shift();
          if (gone !== undefined) expect(user.munmap(gone.va, gone.bytes).ret).toBe(0);
        } else {
          const va = user[what](bytes);
          expect(user.fill(va, bytes, who + 1)).toBe(bytes);
          live[who]!.push({ va, bytes });
        }
      }
      for (const [who, domain] of domains.entries()) {
        const [start, end] = [domain.toPa(GUEST_BASE), domain.toPa(GUEST_BASE + MiB - 1)];
        for (const { va, bytes } of live[who]!) {
          for (let at = va; at < va + bytes; at += PAGE_BYTES) {
            const { physical } = bench.ask(who, pasids[who]!, at);
            expect(physical >= start && physical <= end).toBe(true);
            expect(bench.memory.u8[physical]).toBe(who + 1);
            // The other's device does not know the address, or finds its own bytes there.
            const other = bench.ask(1 - who, pasids[1 - who]!, at).physical;
            expect(other < 0 || bench.memory.u8[other] === 2 - who).toBe(true);
          }
        }
      }
      for (const user of [...children, ...users]) expect(user.exit().ret).toBe(0);
      for (const { name } of devices) expect(bench.removeDevice(name).ret).toBe(0);
      for (const domain of domains) domain.destroy();
      expect(bench.frames.freeFrames).toBe(bench.freeAtStart);
    });
    fc.assert(property, { numRuns: 25 });
  });

  it('a full domain takes nothing from another or from the host: its own pages go to swap', () => {
    const world = new World();
    const [small, large] = [world.domain(64 * PAGE_BYTES), world.domain(MiB)];
    const [poor, rich, host] = [world.user(small), world.user(large), world.user(world.bench.host)];
    const bytes = 100 * PAGE_BYTES;
    for (const user of [rich, host]) user.fill(user.demand(bytes), bytes, 1);
    const resident = () => [rich, host].map((user) => user.process.space.residentPages);
    expect(resident()).toEqual([100, 100]);
    const va = poor.demand(bytes);
    for (let page = 0; page < 100; page++) expect(poor.write(va + page * PAGE_BYTES, page + 1)).toBe(1);
    expect(resident()).toEqual([100, 100]);
    expect(small.usedFrames).toBeLessThanOrEqual(64);
    for (let page = 0; page < 100; page++) {
      expect(poor.read(va + page * PAGE_BYTES, 1)).toEqual(Uint8Array.of(page + 1));
    }
    expect(poor.pool(65 * PAGE_BYTES)).toBe(-errno.ENOMEM);
  });
});

/** Kinds of domain that must look the same from inside. */
const kinds: readonly [string, (world: World) => HostMemoryDomain | GuestMemoryDomain][] = [
  ['the host', ({ bench }) => bench.host],
  ['a domain mapped by pages', (world) => world.domain(MEGAPAGE_BYTES - PAGE_BYTES)],
  ['a domain mapped by megapages', (world) => world.domain(4 * MEGAPAGE_BYTES)],
];

describe.each(kinds)('a process in %s', (_kind, domainIn) => {
  /** A process bound to device 0 under `pasid`. */
  function inside() {
    const world = new World();
    const { bench } = world;
    const domain = domainIn(world);
    const device = world.device(domain, 0);
    const user = world.user(domain);
    const fd = user.open(device.path);
    const pasid = user.pasid();
    /** What the device reads at `va`. */
    const seen = (va: number): number | undefined => bench.memory.u8[bench.ask(0, pasid, va).physical];
    return { world, bench, domain, device, user, fd, pasid, seen };
  }

  it('gets demand pages at the first access, of device or CPU, zeroed, and both see the same bytes', () => {
    const { bench, domain, user, pasid, seen } = inside();
    const va = user.demand(2 * PAGE_BYTES);
    expect(bench.ask(0, pasid, va).r).toBe(false);
    bench.requestPage({ pasid, va });
    expect(bench.responses.at(-1)).toMatchObject({ pasid, code: 0 });
    expect(seen(va)).toBe(0);
    user.write(va, 7);
    user.write(va + PAGE_BYTES, 8);
    expect([seen(va), seen(va + PAGE_BYTES)]).toEqual([7, 8]);
    const secondStageRoot = domain.secondStage?.root ?? null;
    const cpu = new CpuMemory({ memory: bench.memory, rootTable: user.process.space.root, secondStageRoot });
    const read = new Uint8Array(1);
    expect([cpu.tryRead(va, read), read[0]]).toEqual([1, 7]);
  });

  it('gets pools that are contiguous in the memory of the machine', () => {
    const { bench, user, pasid } = inside();
    const reply = user.issue({ call: 'mmapAnonymous', kind: 'pool', bytes: 9 * PAGE_BYTES });
    for (let page = 0; page < 9; page++) {
      const offset = page * PAGE_BYTES + 5;
      expect(bench.ask(0, pasid, reply.ret + offset).physical).toBe(reply.physicalAddress! + offset);
    }
  });

  it('forks: copies on write apart, pools copied', () => {
    const { user, seen } = inside();
    const [demand, pool] = [user.demand(PAGE_BYTES), user.pool(PAGE_BYTES)];
    for (const va of [demand, pool]) user.write(va, 1);
    const child = user.child();
    for (const va of [demand, pool]) {
      expect(child.read(va, 1)).toEqual(Uint8Array.of(1));
      child.write(va, 2);
      expect([user.read(va, 1), seen(va)]).toEqual([Uint8Array.of(1), 1]);
      user.write(va, 3);
      expect([child.read(va, 1), seen(va)]).toEqual([Uint8Array.of(2), 3]);
    }
    child.exit();
  });

  it('swaps: what was written out is out of reach of the device, and comes back as it was', () => {
    const { bench, user, pasid, seen } = inside();
    const va = user.demand(3 * PAGE_BYTES);
    user.fill(va, 3 * PAGE_BYTES, 9);
    expect(user.pageOut(va, 3 * PAGE_BYTES).ret).toBe(3);
    expect(bench.ask(0, pasid, va).r).toBe(false);
    bench.requestPage({ pasid, va });
    expect([seen(va), user.read(va + PAGE_BYTES, 1)]).toEqual([9, Uint8Array.of(9)]);
  });

  it('pins pages, which stay where they are, and protects others', () => {
    const { bench, user, pasid } = inside();
    const va = user.demand(2 * PAGE_BYTES);
    const pin = user.pin(va, PAGE_BYTES).ret;
    const { physical } = bench.ask(0, pasid, va);
    expect(user.pageOut(va, PAGE_BYTES).ret).toBe(0);
    expect(bench.ask(0, pasid, va)).toMatchObject({ w: true, physical });
    expect(user.unpin(pin)).toBe(0);
    expect(user.mprotect(va, PAGE_BYTES, 'read').ret).toBe(0);
    expect(bench.ask(0, pasid, va)).toMatchObject({ r: true, w: false });
  });

  it('has rings that its device reaches without a PASID, where the process sees them, until they are put', () => {
    const { bench, device, user, fd } = inside();
    const dus = user.mmap(fd, queueRegion.DUS, shape.bytes);
    user.write(dus + PAGE_BYTES, 0x5a);
    expect(user.ioctl(fd, START).ret).toBe(0);
    const { ringAddress, mmioAddress } = device.port.bindings.get(0)!;
    const { physical } = bench.ask(0, -1, ringAddress + PAGE_BYTES);
    expect(bench.memory.u8[physical]).toBe(0x5a);
    expect(bench.ask(0, -1, ringAddress - PAGE_BYTES).r).toBe(false);
    const mmio = user.mmap(fd, queueRegion.MMIO, PAGE_BYTES);
    user.write(mmio + 64, 0x33);
    expect(bench.memory.u8[mmioAddress + 64]).toBe(0x33);
    expect(user.ioctl(fd, PUT).ret).toBe(0);
    for (const [va, bytes] of [
      [dus, shape.bytes],
      [mmio, PAGE_BYTES],
    ] as const) {
      user.munmap(va, bytes);
    }
    user.close(fd);
    expect(bench.ask(0, -1, ringAddress).r).toBe(false);
  });

  it('leaves nothing behind in its domain, nor the domain in the machine', () => {
    const { bench, domain, device, user } = inside();
    user.fill(user.demand(5 * PAGE_BYTES), 5 * PAGE_BYTES, 1);
    user.pool(5 * PAGE_BYTES);
    const child = user.child();
    for (const each of [child, user]) expect(each.exit().ret).toBe(0);
    expect(bench.removeDevice(device.name).ret).toBe(0);
    expect(domain.usedFrames).toBe(0);
    if (domain instanceof GuestMemoryDomain) domain.destroy();
    expect(bench.frames.freeFrames).toBe(bench.freeAtStart);
  });
});

it('a pool of megapages in a domain of megapages is one leaf in both stages', () => {
  const world = new World();
  const domain = world.domain(4 * MEGAPAGE_BYTES);
  const { path } = world.device(domain, 0);
  const user = world.user(domain);
  user.open(path);
  expect(world.bench.ask(0, 1, user.pool(MEGAPAGE_BYTES)).bytes).toBe(MEGAPAGE_BYTES);
});
