// Does the device-side cache ever answer what it was not told, or was told to forget?
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MEGAPAGE_BYTES, PAGE_BYTES } from '../../src/base/units.js';
import { CACHED_ADDRESS_END, permission, TranslationCache } from '../../src/hw/translation-cache.js';

const { READ, WRITE } = permission;
const RW = READ | WRITE;

describe('the translation cache', () => {
  it('answers what was filled last, or nothing; never anything else, whatever falls on one entry', () => {
    const pages = fc.oneof(fc.nat(40), fc.integer({ min: 2 ** 32 - 20, max: 2 ** 32 - 1 }));
    const step = fc.record({
      act: fc.constantFrom('fill', 'fill', 'find', 'find', 'flush'),
      pasid: fc.constantFrom(-1, 1, 2, 2 ** 20 - 1),
      page: pages,
      permissions: fc.constantFrom(READ, RW),
      megapage: fc.boolean(),
    });
    const property = fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
      const cache = new TranslationCache(16);
      const told = new Map<string, { physical: number; permissions: number }>();
      for (const { act, pasid, page, permissions, megapage } of steps) {
        const bytes = megapage ? MEGAPAGE_BYTES : PAGE_BYTES;
        const address = page * PAGE_BYTES + 5;
        const key = (size: number): string => `${pasid} ${size} ${Math.floor(address / size)}`;
        // One megapage of memory for each: the physical address tells which fill it came from.
        const physical = (Math.floor(address / bytes) % 500) * MEGAPAGE_BYTES;
        if (act === 'fill') {
          cache.fill(pasid, address, { bytes, physical, permissions });
          told.set(key(bytes), { physical, permissions });
        } else if (act === 'flush') {
          cache.flush();
          told.clear();
        } else {
          const got = cache.find(pasid, address, permissions);
          if (got < 0) continue;
          const matches = [MEGAPAGE_BYTES, PAGE_BYTES].some((size) => {
            const entry = told.get(key(size));
            return (
              entry !== undefined &&
              (entry.permissions & permissions) === permissions &&
              got === entry.physical + (address % size)
            );
          });
          expect(matches).toBe(true);
        }
      }
    });
    fc.assert(property, { numRuns: 200 });
  });

  it('an entry is found at every byte of its page and at no byte around it', () => {
    for (const bytes of [PAGE_BYTES, MEGAPAGE_BYTES]) {
      const cache = new TranslationCache(64);
      const at = 3 * bytes;
      cache.fill(7, at + 123, { bytes, physical: 0x40_0000, permissions: READ });
      expect(cache.find(7, at, READ)).toBe(0x40_0000);
      expect(cache.find(7, at + bytes - 1, READ)).toBe(0x40_0000 + bytes - 1);
      for (const other of [at - 1, at + bytes]) expect(cache.find(7, other, READ)).toBe(-1);
      expect([cache.find(8, at, READ), cache.find(-1, at, READ), cache.find(7, at, WRITE)]).toEqual([
        -1, -1, -1,
      ]);
    }
  });

  it('S1: names a page exactly as long as some address leads to it', () => {
    const answer = fc.record({
      pasid: fc.constantFrom(-1, 1, 2),
      page: fc.nat(5000),
      frame: fc.nat(5000),
      isMegapage: fc.boolean(),
    });
    const property = fc.property(fc.array(answer, { maxLength: 40 }), fc.nat(5000), (answers, other) => {
      const cache = new TranslationCache(16);
      for (const { pasid, page, frame, isMegapage } of answers) {
        const bytes = isMegapage ? MEGAPAGE_BYTES : PAGE_BYTES;
        const physical = Math.floor((frame * PAGE_BYTES) / bytes) * bytes;
        cache.fill(pasid, page * PAGE_BYTES, { bytes, physical, permissions: RW });
      }
      const reached = new Set<number>();
      for (const { pasid, page } of answers) {
        const start = Math.floor(page / 512) * 512;
        for (const at of [page, ...Array.from({ length: 512 }, (_, index) => start + index)]) {
          const found = cache.find(pasid, at * PAGE_BYTES, READ);
          if (found >= 0) reached.add(found / PAGE_BYTES);
        }
      }
      for (const ppn of reached) expect(cache.holdsPage(ppn)).toBe(true);
      // A page hidden behind a megapage is still held: it comes into sight when the megapage is replaced.
      const told = answers.some(({ frame, isMegapage }) =>
        isMegapage ? Math.floor(frame / 512) === Math.floor(other / 512) : frame === other,
      );
      if (!told) expect(cache.holdsPage(other)).toBe(false);
      cache.flush();
      for (const ppn of [other, ...reached]) expect(cache.holdsPage(ppn)).toBe(false);
    });
    fc.assert(property);
  });

  it('an empty cache names no page, page 0 included', () => {
    expect(new TranslationCache(16).holdsPage(0)).toBe(false);
  });

  it('an answer for a range between a page and a megapage, or beyond, is cut to the unit that holds the address', () => {
    const cache = new TranslationCache(64);
    cache.fill(1, 0x1_3000, { bytes: 0x1_0000, physical: 0x80_0000, permissions: RW });
    expect([cache.find(1, 0x1_3456, RW), cache.find(1, 0x1_2000, RW)]).toEqual([0x80_3456, -1]);
    cache.fill(1, 5 * MEGAPAGE_BYTES, { bytes: 512 * MEGAPAGE_BYTES, physical: 0, permissions: RW });
    expect(cache.find(1, 5 * MEGAPAGE_BYTES + 9, RW)).toBe(5 * MEGAPAGE_BYTES + 9);
  });

  it('works up to its last address', () => {
    const cache = new TranslationCache(64);
    const last = CACHED_ADDRESS_END - PAGE_BYTES;
    cache.fill(1, last, { bytes: PAGE_BYTES, physical: 0x7000, permissions: RW });
    expect([cache.find(1, last + 1, RW), cache.find(1, last - PAGE_BYTES, RW)]).toEqual([0x7001, -1]);
  });
});
