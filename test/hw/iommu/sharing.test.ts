/**
 * Several IOMMU objects on one register file, as the threads of a machine have them.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { IOMMU_REGISTER_WORDS, IOMMU_REGISTERS, IommuRegisterFile } from '../../../src/hw/iommu/registers.js';
import { Access, COMMANDS, pte, TestMachine } from './machine.js';

const SV39 = 8n << 60n;

/** Device 0 reads page 7 at address 0. */
function mapped(): TestMachine {
  const machine = new TestMachine();
  machine.put(0, 0, 1n, 0n, 0n, SV39 | 1n);
  machine.put(1, 0, pte(2, 'v'));
  machine.put(2, 0, pte(3, 'v'));
  machine.put(3, 0, pte(7, 'vrua'));
  return machine.startQueues().setDirectory(2, 0);
}

describe('the caches of several threads', () => {
  // R109: a page that was taken away is out of reach when the invalidation is done, on every thread.
  test('does an invalidation on one thread reach the caches of all?', () => {
    const machine = mapped();
    const threads = [machine.iommu, machine.another(), machine.another()];
    for (const iommu of threads) expect(machine.translate({}, iommu).ppn).toBe(7);
    machine.put(3, 0, 0n);
    machine.command(COMMANDS.invalidateFirstStage);
    for (const iommu of threads) expect(machine.translate({}, iommu).cause).toBe(13);
  });

  test.each(Object.entries(COMMANDS).filter(([name]) => name !== 'fence'))(
    'does %s drop what is cached?',
    (_, low) => {
      const machine = mapped();
      for (const expected of [
        { hits: 0, misses: 1 },
        { hits: 1, misses: 1 },
      ]) {
        machine.read(0, 0);
        expect(machine.iommu.cacheCounters.iotlb).toMatchObject(expected);
      }
      const { invalidations } = machine.iommu.cacheCounters.iotlb;
      machine.command(low);
      machine.read(0, 0);
      expect(machine.iommu.cacheCounters.iotlb).toEqual({
        hits: 1,
        misses: 2,
        invalidations: invalidations + 1,
      });
    },
  );

  test('is another directory in force at once?', () => {
    const machine = mapped();
    machine.read(0, 0);
    machine.setDirectory(0, 0);
    expect(machine.read(0, 0).cause).toBe(256);
  });

  test('is an entry with V = 0 ever cached?', () => {
    const machine = mapped();
    machine.put(3, 0, 0n);
    expect(machine.read(0, 0).cause).toBe(13);
    machine.put(3, 0, pte(7, 'vrua'));
    expect(machine.read(0, 0).ppn).toBe(7);
  });

  test('does a cached permission to read allow a write?', () => {
    const machine = mapped();
    machine.read(0, 0);
    expect(machine.translate({ access: Access.write }).cause).toBe(15);
  });
});

describe('the append lock', () => {
  const HOLDER = 99;

  test('can the lock of a thread that died be taken from it, and from nobody else?', () => {
    const { registers } = mapped();
    registers.lock(HOLDER);
    expect(registers.recoverLock(HOLDER + 1)).toBe(false);
    expect(registers.recoverLock(HOLDER)).toBe(true);
    expect(registers.recoverLock(HOLDER)).toBe(false);
  });

  test('does a record wait for the thread that holds the lock?', async () => {
    const words = new Int32Array(new SharedArrayBuffer(IOMMU_REGISTER_WORDS * 4));
    const registers = new IommuRegisterFile(words);
    registers.reset();
    const before = words.slice();
    registers.lock(HOLDER);
    const at = words.findIndex((word, index) => word !== before[index]);
    const releases =
      'const { words, at } = require("node:worker_threads").workerData; Atomics.store(words, at, 0);';
    const worker = new Worker(releases, { eval: true, workerData: { words, at } });
    registers.lock(HOLDER + 1);
    expect(words[at]).toBe(HOLDER + 1);
    registers.unlock();
    await once(worker, 'exit');
  });
});

describe('the register table', () => {
  test('do registers overlap, or leave the public kilobyte?', () => {
    const bytes = IOMMU_REGISTERS.flatMap(({ at, width }) =>
      Array.from({ length: width / 8 }, (_, byte) => at + byte),
    );
    expect(new Set(bytes).size).toBe(bytes.length);
    expect(Math.max(...bytes)).toBeLessThan(1024);
  });

  test('can software write a read-only register?', () => {
    const machine = new TestMachine();
    for (const { at, access, reset } of IOMMU_REGISTERS) {
      if (access !== 'RO') continue;
      machine.iommu.writeRegister(at, 0xffff_ffff);
      expect(machine.iommu.readRegister(at)).toBe(reset % 2 ** 32);
    }
  });

  test('is a register file outside its array refused?', () => {
    const words = new Int32Array(IOMMU_REGISTER_WORDS + 1);
    expect(() => new IommuRegisterFile(words, 2)).toThrow(/lies inside its array/);
    expect(() => new IommuRegisterFile(words, 1)).not.toThrow();
  });
});
