/**
 * The three queues and their registers, from the side of software.
 */
import { describe, expect, test } from 'vitest';
import { ResponseCode } from '../../../src/hw/iommu/causes.js';
import { PendingBit, QueueBit, REGISTERS } from '../../../src/hw/iommu/registers.js';
import type { PageRequest } from '../../../src/hw/iommu/translation.js';
import { COMMANDS, invalidateAtc, NO_PASID, QUEUE_ENTRIES, TestMachine } from './machine.js';

const RUNNING = QueueBit.on | QueueBit.enable | QueueBit.interruptEnable;
const ONE_LEVEL = 2;
/** V, EN_ATS and EN_PRI: everything Bare, page requests allowed. */
const OPEN_CONTEXT = 7n;

/** A machine whose device 0 passes everything and may ask for pages; all other contexts are invalid. */
function machineWithQueues(): TestMachine {
  const machine = new TestMachine();
  machine.put(0, 0, OPEN_CONTEXT, 0n, 0n, 0n);
  return machine.startQueues().setDirectory(ONE_LEVEL, 0);
}

function pageRequest(changes: Partial<PageRequest> = {}): PageRequest {
  const nobody = { rid: 0, dsv: false, dseg: 0, pasid: NO_PASID, privileged: false, execute: false };
  // Last of group 1, read.
  return { ...nobody, payloadHigh: 0, payloadLow: 0x100d, ...changes };
}

describe('the command queue', () => {
  test('does a fence store its word and say so?', () => {
    const machine = machineWithQueues();
    machine.command(COMMANDS.fence | (1n << 10n) | (1n << 11n) | (0xabcdn << 32n), 0x5008n >> 2n);
    expect(machine.memory.load32(0x5008)).toBe(0xabcd);
    expect(machine.registers.read32(REGISTERS.cqh.at)).toBe(1);
    expect(machine.status()).toMatchObject({
      cqcsr: RUNNING | QueueBit.fenceInterrupt,
      ipsr: PendingBit.command,
    });
    expect(machine.interrupts).toBe(1);
  });

  test('does a fence wait until every earlier invalidation was completed?', () => {
    const machine = machineWithQueues();
    machine.command(invalidateAtc(5));
    machine.command(invalidateAtc(6));
    machine.command(COMMANDS.fence);
    expect(machine.messages.map(({ rid }) => rid)).toEqual([5, 6]);
    for (const [index, { id }] of machine.messages.entries()) {
      expect(machine.registers.read32(REGISTERS.cqh.at)).toBe(2);
      machine.iommu.invalidationCompleted(id);
      expect(machine.registers.read32(REGISTERS.cqh.at)).toBe(2 + index);
    }
  });

  test('may a device complete an invalidation while it is being sent, or twice, or one never sent?', () => {
    const machine = new TestMachine({
      sendMessage: ({ id }) => {
        machine.iommu.invalidationCompleted(id);
        machine.iommu.invalidationCompleted(id);
        machine.iommu.invalidationCompleted(12_345);
      },
    });
    machine.startQueues();
    machine.command(invalidateAtc(5));
    machine.command(COMMANDS.fence);
    expect(machine.registers.read32(REGISTERS.cqh.at)).toBe(2);
  });

  test('does an endless stream of invalidations wait for a silent device, and lose none?', () => {
    const machine = machineWithQueues();
    const total = 3 * QUEUE_ENTRIES - 1;
    for (let written = 0; written < total; written++) machine.command(invalidateAtc(5));
    expect(machine.messages.length).toBeLessThan(total);
    for (let next = 0; next < machine.messages.length; next++) {
      machine.iommu.invalidationCompleted(machine.messages[next]!.id);
    }
    expect(machine.messages.length).toBe(total);
    expect(machine.registers.read32(REGISTERS.cqh.at)).toBe(machine.registers.read32(REGISTERS.cqt.at));
  });

  test.each([
    ['an unknown opcode', 0x7fn, 0n],
    ['an unknown variant', COMMANDS.fence | (1n << 7n), 0n],
    ['a reserved bit', COMMANDS.invalidateFirstStage | (1n << 11n), 0n],
    ['a reserved bit of the second dword', COMMANDS.invalidateFirstStage, 1n << 63n],
    ['GVMA for one PSCID', COMMANDS.invalidateSecondStage | (1n << 32n), 0n],
    ['INVAL_DDT with a process', COMMANDS.invalidateDevices | (1n << 12n), 0n],
    ['INVAL_PDT without a device', COMMANDS.invalidateDevices | (1n << 7n), 0n],
  ])('stops at %s, and goes on when software repaired it', (_, low, high) => {
    const machine = machineWithQueues();
    machine.command(low, high);
    expect(machine.status()).toMatchObject({
      cqcsr: RUNNING | QueueBit.illegalCommand,
      ipsr: PendingBit.command,
    });
    machine.command(COMMANDS.fence);
    expect(machine.registers.read32(REGISTERS.cqh.at)).toBe(0);
    machine.put(60, 0, COMMANDS.fence, 0n);
    machine.iommu.writeRegister(REGISTERS.cqcsr.at, 3 | QueueBit.illegalCommand);
    expect(machine.registers.read32(REGISTERS.cqh.at)).toBe(2);
    expect(machine.status().cqcsr).toBe(RUNNING);
  });

  test('is a fence that stores outside memory a memory fault of the queue?', () => {
    const machine = machineWithQueues();
    machine.command(COMMANDS.fence | (1n << 10n), (1n << 62n) - 1n);
    expect(machine.status().cqcsr).toBe(RUNNING | QueueBit.memoryFault);
    expect(machine.registers.read32(REGISTERS.cqh.at)).toBe(0);
  });

  test('do commands wait while the queue is off?', () => {
    const machine = new TestMachine();
    machine.write64(REGISTERS.cqb.at, (60n << 10n) | 6n);
    machine.command(COMMANDS.fence);
    expect(machine.registers.read32(REGISTERS.cqh.at)).toBe(0);
    machine.iommu.writeRegister(REGISTERS.cqcsr.at, QueueBit.enable);
    expect(machine.registers.read32(REGISTERS.cqh.at)).toBe(1);
  });
});

describe('the fault queue', () => {
  test('does a full queue keep its records, count the loss, and go on when software says so?', () => {
    const machine = machineWithQueues();
    for (let asked = 0; asked < QUEUE_ENTRIES; asked++) machine.read(1, asked * 4096);
    expect(machine.status()).toMatchObject({ fqcsr: RUNNING | QueueBit.overflow, ipsr: PendingBit.fault });
    expect(machine.registers.counter('faultsRecorded')).toBe(QUEUE_ENTRIES - 1);
    expect(machine.registers.counter('faultsDropped')).toBe(1);
    for (let taken = 0; taken < QUEUE_ENTRIES - 1; taken++)
      expect(machine.takeFault()![2]).toBe(BigInt(taken * 4096));
    expect(machine.read(1, 0).recorded).toBe(false);
    machine.iommu.writeRegister(REGISTERS.fqcsr.at, 3 | QueueBit.overflow);
    expect(machine.read(1, 0).recorded).toBe(true);
  });

  test('is a queue that is not in memory a memory fault?', () => {
    const machine = machineWithQueues();
    machine.write64(REGISTERS.fqb.at, ((2n ** 43n) << 10n) | 31n);
    expect(machine.read(1, 0).recorded).toBe(false);
    expect(machine.status().fqcsr).toBe(RUNNING | QueueBit.memoryFault);
  });

  test('does starting the queue again forget errors and records?', () => {
    const machine = machineWithQueues();
    machine.read(1, 0);
    machine.write64(REGISTERS.fqb.at, (2n ** 53n) | 6n);
    machine.read(1, 0);
    machine.iommu.writeRegister(REGISTERS.fqcsr.at, 0);
    expect(machine.status().fqcsr).toBe(QueueBit.memoryFault);
    machine.iommu.writeRegister(REGISTERS.fqcsr.at, 3);
    expect(machine.status().fqcsr).toBe(RUNNING);
    expect(machine.registers.read32(REGISTERS.fqt.at)).toBe(0);
  });
});

describe('pending interrupts', () => {
  test('does an interrupt come once until it is acknowledged, and again while its error stays?', () => {
    const machine = machineWithQueues();
    machine.read(1, 0);
    machine.read(1, 0);
    expect(machine.interrupts).toBe(1);
    machine.iommu.writeRegister(REGISTERS.ipsr.at, PendingBit.fault);
    expect(machine.status().ipsr).toBe(0);
    machine.command(0x7fn);
    machine.iommu.writeRegister(REGISTERS.ipsr.at, PendingBit.command);
    expect(machine.status().ipsr).toBe(PendingBit.command);
    expect(machine.interrupts).toBe(3);
  });

  test('does a queue with its interrupt disabled stay silent?', () => {
    const machine = machineWithQueues();
    machine.iommu.writeRegister(REGISTERS.fqcsr.at, QueueBit.enable);
    expect(machine.read(1, 0).recorded).toBe(true);
    expect(machine.interrupts).toBe(0);
  });

  test('may the interrupt handler acknowledge at once?', () => {
    const machine = new TestMachine({
      interrupt: () => machine.iommu.writeRegister(REGISTERS.ipsr.at, PendingBit.fault),
    });
    machine.startQueues().setDirectory(ONE_LEVEL, 0);
    machine.read(1, 0);
    expect(machine.status().ipsr).toBe(0);
  });
});

describe('page requests', () => {
  test('is a request of a device that may ask queued as it came?', () => {
    const machine = machineWithQueues();
    const outcome = machine.iommu.pageRequest(pageRequest({ pasid: 7, privileged: true, execute: true }));
    expect(outcome).toEqual({ queued: true, recorded: false, response: null });
    expect(machine.dword(62, 0)).toBe((7n << 12n) | (7n << 32n));
    expect(machine.dword(62, 1)).toBe(0x100dn);
  });

  test('is a discarded group answered once, by its last request?', () => {
    const machine = machineWithQueues();
    machine.iommu.writeRegister(REGISTERS.pqcsr.at, 0);
    expect(machine.iommu.pageRequest(pageRequest({ payloadLow: 0x1009 })).response).toBeNull();
    expect(machine.iommu.pageRequest(pageRequest()).response).toMatchObject({
      code: ResponseCode.responseFailure,
      prgi: 1,
    });
  });

  test('is a full queue answered with success, so that the device asks again later?', () => {
    const machine = machineWithQueues();
    machine.write64(REGISTERS.pqb.at, 62n << 10n);
    expect(machine.iommu.pageRequest(pageRequest()).queued).toBe(true);
    for (const _ of [1, 2]) {
      expect(machine.iommu.pageRequest(pageRequest()).response).toMatchObject({ code: ResponseCode.success });
    }
    expect(machine.status().pqcsr).toBe(RUNNING | QueueBit.overflow);
  });

  // R109
  test('is a device without a valid context refused, and recorded?', () => {
    const machine = machineWithQueues();
    const { queued, recorded, response } = machine.iommu.pageRequest(pageRequest({ rid: 3 }));
    expect({ queued, recorded, code: response?.code }).toEqual({ queued: false, recorded: true, code: 15 });
    expect(machine.takeFault()![0]).toBe(258n | (9n << 34n) | (3n << 40n));
  });
});
