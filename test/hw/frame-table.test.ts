// Can a frame be lost, handed out twice, or handed out with somebody's bytes in it?
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PAGE_BYTES } from '../../src/base/units.js';
import { FrameTable, frameOwner } from '../../src/hw/frame-table.js';
import { PhysicalMemory } from '../../src/hw/physical-memory.js';

/** 64 KiB: 16 frames, of which the first is never handed out. */
const FRAMES = 16;
const newTable = (): { memory: PhysicalMemory; frames: FrameTable } => {
  const memory = PhysicalMemory.create(FRAMES * PAGE_BYTES);
  return { memory, frames: new FrameTable(memory) };
};

describe('frames', () => {
  it('through any sequence of calls each has one owner, reads as zeros when new, and none is lost', () => {
    const step = fc.record({
      act: fc.constantFrom('allocate', 'allocate', 'release', 'retain', 'pin', 'unpin'),
      frames: fc.integer({ min: 1, max: 6 }),
      alignFrames: fc.constantFrom(1, 1, 2, 4),
      pick: fc.nat(100),
    });
    const property = fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const { memory, frames } = newTable();
      const held = new Map<number, { references: number; pins: number }>();
      for (const { act, pick, ...request } of steps) {
        if (act === 'allocate') {
          const first = frames.allocate({ ...request, owner: frameOwner.FIRST_DOMAIN });
          if (first === null) continue;
          expect(first % (request.alignFrames * PAGE_BYTES)).toBe(0);
          for (let frame = 0; frame < request.frames; frame++) {
            const address = first + frame * PAGE_BYTES;
            expect(address > 0 && address < FRAMES * PAGE_BYTES && !held.has(address)).toBe(true);
            expect(memory.view(address, PAGE_BYTES).every((byte) => byte === 0)).toBe(true);
            memory.view(address, PAGE_BYTES).fill(0x5e);
            held.set(address, { references: 1, pins: 0 });
          }
          continue;
        }
        const address = [...held.keys()][pick % Math.max(1, held.size)];
        if (address === undefined) continue;
        const counts = held.get(address)!;
        if (act === 'retain' || act === 'pin') {
          frames[act](address);
          counts[act === 'pin' ? 'pins' : 'references'] += 1;
        } else if (counts[act === 'unpin' ? 'pins' : 'references'] > 0) {
          frames[act](address);
          counts[act === 'unpin' ? 'pins' : 'references'] -= 1;
        }
        if (counts.references + counts.pins === 0) held.delete(address);
      }
      expect(frames.freeFrames).toBe(FRAMES - 1 - held.size);
      for (const [address, { references, pins }] of held) {
        expect([frames.references(address), frames.pins(address)]).toEqual([references, pins]);
      }
    });
    fc.assert(property, { numRuns: 200 });
  });

  it('all of them can be had, one more cannot, and after their release all can be had once more', () => {
    const { frames } = newTable();
    const request = { frames: FRAMES - 1, owner: frameOwner.FIRST_DOMAIN };
    for (let round = 0; round < 2; round++) {
      expect(frames.allocate(request)).toBe(PAGE_BYTES);
      expect(frames.allocate({ ...request, frames: 1 })).toBeNull();
      for (let frame = 1; frame < FRAMES; frame++) frames.release(frame * PAGE_BYTES);
    }
  });

  it('a fragmented table refuses what does not fit in one piece, and keeps its count', () => {
    const { frames } = newTable();
    const addresses = Array.from({ length: FRAMES - 1 }, () => frames.allocate({ frames: 1, owner: 2 })!);
    for (const address of addresses.filter((_, index) => index % 2 === 0)) frames.release(address);
    expect([frames.freeFrames, frames.allocate({ frames: 2, owner: 2 })]).toEqual([8, null]);
    expect(frames.allocate({ frames: 1, owner: 2 })).toBe(PAGE_BYTES);
  });

  it('a pinned frame outlives its owner; a release, unpin or retain too many is our own bug and stops', () => {
    const { frames } = newTable();
    const address = frames.allocate({ frames: 1, owner: 2 })!;
    frames.pin(address);
    frames.release(address);
    expect(frames.owner(address)).toBe(2);
    expect(() => frames.release(address)).toThrow('broken invariant');
    frames.unpin(address);
    expect(frames.owner(address)).toBe(frameOwner.FREE);
    for (const act of ['release', 'retain', 'pin', 'unpin'] as const) {
      expect(() => frames[act](address)).toThrow('broken invariant');
    }
  });
});

describe('carve-outs', () => {
  const DOMAIN = frameOwner.FIRST_DOMAIN + 1;
  const addressesOf = (part: FrameTable): number[] =>
    Array.from({ length: part.frameCount }, (_, frame) => (part.firstFrame + frame) * PAGE_BYTES);

  it('through any sequence of calls no frame is in two hands, inside or outside, and all read as zeros (R68, X4)', () => {
    const step = fc.record({
      act: fc.constantFrom('carve', 'take back', 'host', 'host', 'inside', 'inside', 'release', 'release'),
      frames: fc.integer({ min: 1, max: 6 }),
      alignFrames: fc.constantFrom(1, 2, 4),
      pick: fc.nat(100),
    });
    const property = fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const { memory, frames } = newTable();
      const parts: FrameTable[] = [];
      const held: { table: FrameTable; address: number }[] = [];
      const expectZeros = (address: number): void => {
        expect(memory.view(address, PAGE_BYTES).every((byte) => byte === 0)).toBe(true);
      };
      const allocate = (
        table: FrameTable,
        request: { frames: number; owner: number; alignFrames: number },
      ) => {
        const first = table.allocate(request);
        for (let frame = 0; first !== null && frame < request.frames; frame++) {
          const address = first + frame * PAGE_BYTES;
          expect(held.some((other) => other.address === address)).toBe(false);
          const home = parts.find((part) => addressesOf(part).includes(address)) ?? frames;
          expect(home).toBe(table);
          expectZeros(address);
          memory.view(address, PAGE_BYTES).fill(0x5e);
          held.push({ table, address });
        }
      };
      for (const { act, pick, ...request } of steps) {
        const part = parts[pick % Math.max(1, parts.length)];
        if (act === 'host') allocate(frames, { ...request, owner: frameOwner.FIRST_DOMAIN });
        else if (act === 'inside' && part !== undefined) allocate(part, { ...request, owner: DOMAIN });
        else if (act === 'release' && held.length > 0) {
          const [taken] = held.splice(pick % held.length, 1);
          taken!.table.release(taken!.address);
        } else if (act === 'take back' && part !== undefined && !held.some(({ table }) => table === part)) {
          // A device of the domain wrote where nobody had allocated anything.
          for (const address of addressesOf(part)) memory.view(address, PAGE_BYTES).fill(0x66);
          frames.takeBack(part);
          parts.splice(parts.indexOf(part), 1);
        } else if (act === 'carve') {
          const fresh = frames.carve({ ...request, owner: DOMAIN });
          if (fresh === null) continue;
          expect(fresh.firstFrame % request.alignFrames).toBe(0);
          addressesOf(fresh).forEach(expectZeros);
          parts.push(fresh);
        }
      }
      const outside = held.filter(({ table }) => table === frames).length;
      const carved = parts.reduce((sum, { frameCount }) => sum + frameCount, 0);
      expect(frames.freeFrames).toBe(FRAMES - 1 - outside - carved);
      for (const part of parts) {
        const inside = held.filter(({ table }) => table === part).length;
        expect(part.freeFrames).toBe(part.frameCount - inside);
      }
    });
    fc.assert(property, { numRuns: 200 });
  });

  it('every frame of one can be had, its first included, and addresses stay physical', () => {
    const { frames } = newTable();
    frames.allocate({ frames: 2, owner: frameOwner.FIRST_DOMAIN });
    const part = frames.carve({ frames: 4, owner: DOMAIN, alignFrames: 4 })!;
    expect([part.firstFrame, part.frameCount, part.freeFrames]).toEqual([4, 4, 4]);
    expect(part.allocate({ frames: 4, owner: DOMAIN })).toBe(4 * PAGE_BYTES);
    expect(part.allocate({ frames: 1, owner: DOMAIN })).toBeNull();
  });

  it('none that fits is null, and takes nothing; alignment is that of physical addresses', () => {
    const { frames } = newTable();
    expect(frames.carve({ frames: FRAMES, owner: DOMAIN })).toBeNull();
    expect(frames.carve({ frames: 9, owner: DOMAIN, alignFrames: 8 })).toBeNull();
    expect(frames.freeFrames).toBe(FRAMES - 1);
    const part = frames.carve({ frames: 6, owner: DOMAIN, alignFrames: 2 })!;
    expect(part.firstFrame).toBe(2);
    expect(part.allocate({ frames: 4, owner: DOMAIN, alignFrames: 4 })).toBe(4 * PAGE_BYTES);
    expect(part.allocate({ frames: 2, owner: DOMAIN, alignFrames: 4 })).toBeNull();
  });

  it('of the host, taken back while something is held inside, or asked about frames of others is our own bug', () => {
    const { frames } = newTable();
    expect(() => frames.carve({ frames: 1, owner: frameOwner.FIRST_DOMAIN })).toThrow('broken invariant');
    const part = frames.carve({ frames: 4, owner: DOMAIN, alignFrames: 4 })!;
    const address = part.allocate({ frames: 1, owner: DOMAIN })!;
    part.pin(address);
    part.release(address);
    expect(() => frames.takeBack(part)).toThrow('broken invariant');
    part.unpin(address);
    for (const outside of [address - PAGE_BYTES, address + 4 * PAGE_BYTES]) {
      for (const act of ['owner', 'references', 'pins', 'retain', 'release', 'pin', 'unpin'] as const) {
        expect(() => part[act](outside)).toThrow('broken invariant');
      }
    }
    frames.takeBack(part);
    expect(() => frames.takeBack(part)).toThrow('broken invariant');
  });
});
