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
