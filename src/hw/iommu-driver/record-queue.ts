/**
 * The software end of a queue that the IOMMU fills: fault records or page requests. Which registers, and how large
 * a record is, is all that differs.
 *
 * Order (hazard S21): the pending bit is cleared first, then the records are read. One that arrives in between sets
 * the bit again. A queue that overflowed takes no record until `clearOverflow`, so what it holds can be read to its end.
 */
import { QueueBit } from '../iommu/registers.js';
import { type DriverParts, type QueueInMemory, writeQueueBase } from './registers-port.js';

/** Offsets of the queue's registers. */
export interface RecordQueueRegisters {
  readonly base: number;
  readonly head: number;
  readonly tail: number;
  readonly control: number;
}

const ON = QueueBit.enable | QueueBit.interruptEnable;

export class RecordQueue {
  readonly #parts: DriverParts;
  readonly #registers: RecordQueueRegisters;
  readonly #address: number;
  readonly #entries: number;
  readonly #recordBytes: number;
  #head = 0;

  constructor(
    parts: DriverParts,
    registers: RecordQueueRegisters,
    queue: QueueInMemory & { readonly recordBytes: number },
  ) {
    this.#parts = parts;
    this.#registers = registers;
    this.#address = queue.address;
    this.#entries = 2 ** queue.logEntries;
    this.#recordBytes = queue.recordBytes;
    writeQueueBase(parts.port, registers.base, queue);
    parts.port.writeRegister(registers.head, 0);
    parts.port.writeRegister(registers.control, ON);
  }

  /**
   * Hands every record to `read`, as an address. The slot is free when `read` has returned. Answers whether the queue
   * had overflowed before: then it is empty now, stays so until `clearOverflow`, and records were lost.
   */
  drain(read: (address: number) => void): boolean {
    const { port } = this.#parts;
    const { head, tail, control } = this.#registers;
    const lost = (port.readRegister(control) & QueueBit.overflow) !== 0;
    while (this.#head !== port.readRegister(tail)) {
      const address = this.#address + this.#head * this.#recordBytes;
      this.#head = (this.#head + 1) % this.#entries;
      read(address);
      port.writeRegister(head, this.#head);
    }
    return lost;
  }

  /** Lets an overflowed queue take records again. */
  clearOverflow(): void {
    this.#parts.port.writeRegister(this.#registers.control, ON | QueueBit.overflow);
  }
}
