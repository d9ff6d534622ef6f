/**
 * Memory and registers that make no sense: the IOMMU answers with a specified fault, ends every walk, and writes
 * nowhere but where the tables let it.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Iommu } from '../../../src/hw/iommu/iommu.js';
import { MARK_ATTEMPTS } from '../../../src/hw/iommu/pte.js';
import { IOMMU_REGISTER_WORDS, IommuRegisterFile, REGISTERS } from '../../../src/hw/iommu/registers.js';
import { newTranslationRequest, newTranslationResult } from '../../../src/hw/iommu/translation.js';
import type { MemoryView } from '../../../src/hw/memory-view.js';
import { NO_PASID, pte, TestMachine } from './machine.js';

const SPECIFIED_CAUSES = [0, 1, 5, 7, 12, 13, 15, 20, 21, 23, 256, 257, 258, 259, 260, 265, 266, 267];
const MEMORY_PAGES = 8;
const SV39 = 8n << 60n;

/** Random memory, in which every address that is used is checked. */
class StrictMemory implements MemoryView {
  readonly bytes = MEMORY_PAGES * 4096;
  readonly words = new Uint32Array(this.bytes / 4);

  load32(address: number): number {
    return this.words[this.#index(address)]!;
  }

  store32(address: number, value: number): void {
    this.words[this.#index(address)] = value;
  }

  compareExchange32(address: number, expected: number, next: number): number {
    const found = this.load32(address);
    if (found === expected) this.store32(address, next);
    return found;
  }

  #index(address: number): number {
    expect(Number.isInteger(address / 4) && address >= 0 && address < this.bytes).toBe(true);
    return address / 4;
  }
}

function iommuOn(memory: MemoryView): Iommu {
  const registers = new IommuRegisterFile(new Int32Array(IOMMU_REGISTER_WORDS));
  registers.reset();
  return new Iommu({ memory, registers, lockHolder: 1, sendMessage: () => {}, interrupt: () => {} });
}

const u32 = fc.oneof(fc.nat(255), fc.integer({ min: 0, max: 2 ** 32 - 1 }));
/** Words as they occur in tables: pointers into memory and flags, or anything. */
const word = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .record({ page: fc.nat(MEMORY_PAGES), low: fc.nat(1023) })
      .map(({ page, low }) => (page << 10) | low),
  },
  { weight: 4, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: u32 },
);
const registerWrite = fc.record({
  offset: fc.constantFrom(
    ...Object.values(REGISTERS).flatMap(({ at, width }) => (width === 64 ? [at, at + 4] : [at])),
  ),
  value: fc.oneof(word, u32),
});
const request = fc.record({
  type: fc.constantFrom(0, 1, 2),
  deviceId: fc.oneof(fc.nat(200), fc.nat(2 ** 24 - 1)),
  pasid: fc.oneof(fc.constant(NO_PASID), fc.nat(10), fc.nat(2 ** 20 - 1)),
  privileged: fc.boolean(),
  access: fc.constantFrom(0, 1, 2),
  noWrite: fc.boolean(),
  execute: fc.boolean(),
  iovaHigh: u32,
  iovaLow: u32,
  stallTag: fc.constantFrom(-1, 0, 0xffff),
});

// R109
test('does any memory, any register and any request make the IOMMU throw, hang or leave memory?', () => {
  fc.assert(
    fc.property(
      fc.array(word, { minLength: 64, maxLength: 512, size: 'max' }),
      fc.array(registerWrite, { maxLength: 20 }),
      fc.array(request, { minLength: 1, maxLength: 20 }),
      (words, writes, requests) => {
        const memory = new StrictMemory();
        for (let at = 0; at < memory.words.length; at++) memory.words[at] = words[at % words.length]!;
        const iommu = iommuOn(memory);
        const result = newTranslationResult();
        for (const { offset, value } of writes) iommu.writeRegister(offset, value);
        for (const asked of requests) {
          iommu.translate(asked, result);
          expect(SPECIFIED_CAUSES).toContain(result.cause);
          const {
            deviceId: rid,
            pasid,
            privileged,
            execute,
            iovaHigh: payloadHigh,
            iovaLow: payloadLow,
          } = asked;
          iommu.pageRequest({
            rid: rid & 0xffff,
            dsv: true,
            dseg: rid >>> 16,
            pasid,
            privileged,
            execute,
            payloadHigh,
            payloadLow,
          });
        }
      },
    ),
    { numRuns: 300 },
  );
});

describe('tables that point at themselves', () => {
  test('does a device directory end?', () => {
    const machine = new TestMachine().startQueues().setDirectory(4, 1);
    for (let slot = 0; slot < 512; slot++) machine.put(1, slot, pte(1, 'v'));
    expect(machine.read(0x12345, 0)).toMatchObject({ status: 1, cause: 259, recorded: true });
  });

  test('do first-stage and second-stage tables end?', () => {
    const machine = new TestMachine().startQueues().setDirectory(2, 0);
    machine.put(0, 0, 1n, SV39 | 4n, 0n, SV39 | 4n);
    machine.put(0, 4, 1n, 0n, 0n, SV39 | 4n);
    for (let slot = 0; slot < 512 * 4; slot++) machine.put(4, slot, pte(4, 'v'));
    expect(machine.read(0, 0).cause).toBe(21);
    expect(machine.read(1, 0).cause).toBe(13);
  });
});

test.each([
  ['device directory', 3, 257],
  ['device context', 2, 257],
])('is a %s outside memory an access fault?', (_, mode, cause) => {
  const machine = new TestMachine().startQueues().setDirectory(mode, 2 ** 43);
  expect(machine.read(0, 0)).toMatchObject({ status: 1, cause, recorded: true });
});

describe('an entry that changes while it is marked', () => {
  /** Device 0 has a first stage whose only leaf names page 7; `change` happens before each marking. */
  function contended(change: (machine: TestMachine) => void): { machine: TestMachine; iommu: Iommu } {
    const machine = new TestMachine();
    machine.put(0, 0, 1n | (1n << 8n), 0n, 0n, SV39 | 1n);
    machine.put(1, 0, pte(2, 'v'));
    machine.put(2, 0, pte(3, 'v'));
    machine.put(3, 0, pte(7, 'vrwu'));
    const { memory } = machine;
    const watched: MemoryView = {
      bytes: memory.bytes,
      load32: (address) => memory.load32(address),
      store32: (address, value) => memory.store32(address, value),
      compareExchange32: (address, expected, next) => {
        change(machine);
        return memory.compareExchange32(address, expected, next);
      },
    };
    const iommu = machine.another({ memory: watched });
    machine.startQueues().setDirectory(2, 0);
    return { machine, iommu };
  }

  test('is read again: a revoked page is not granted', () => {
    const { machine, iommu } = contended(({ put }) => put.call(machine, 3, 0, 0n));
    const result = newTranslationResult();
    iommu.translate({ ...newTranslationRequest(), deviceId: 0 }, result);
    expect(result.cause).toBe(13);
    expect(machine.dword(3, 0)).toBe(0n);
  });

  test('is read again: a moved page is granted where it is now', () => {
    const { machine, iommu } = contended(() => machine.put(3, 0, pte(9, 'vrwu')));
    const result = newTranslationResult();
    iommu.translate({ ...newTranslationRequest(), deviceId: 0 }, result);
    expect(result.ppn).toBe(9);
    expect(machine.dword(3, 0)).toBe(pte(9, 'vrwua'));
  });

  test('ends in a page fault when it never stops changing', () => {
    let changes = 0;
    const { iommu } = contended((machine) => machine.put(3, 0, pte(20 + (changes++ % 2), 'vrwu')));
    const result = newTranslationResult();
    iommu.translate({ ...newTranslationRequest(), deviceId: 0 }, result);
    expect(result.cause).toBe(13);
    expect(changes).toBe(MARK_ATTEMPTS);
  });
});
