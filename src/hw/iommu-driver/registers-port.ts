/**
 * The IOMMU as its driver sees it: registers by offset (registers.ts has the table). Writing has the side effects
 * that the specification gives it; writing the command queue's tail lets commands run.
 */
import type { PhysicalMemory } from '../physical-memory.js';

export interface IommuRegisterPort {
  /** The 32-bit register, or half of one, at byte `offset`, unsigned. */
  readRegister(offset: number): number;
  writeRegister(offset: number, value: number): void;
}

/** A queue in memory: its first byte, and log2 of its entries. */
export interface QueueInMemory {
  readonly address: number;
  readonly logEntries: number;
}

/** Page numbers stand at bit 10 of base registers and pointers, that is, at a quarter of the address. */
export function pageFieldLow(address: number): number {
  return (address / 4) % 0x1_0000_0000;
}

/** Programs a base register: log2(entries) - 1 and the page number. */
export function writeQueueBase(port: IommuRegisterPort, offset: number, queue: QueueInMemory): void {
  port.writeRegister(offset, pageFieldLow(queue.address) + queue.logEntries - 1);
  port.writeRegister(offset + 4, 0);
}

/** What the parts of the driver share. */
export interface DriverParts {
  readonly port: IommuRegisterPort;
  readonly memory: PhysicalMemory;
}
