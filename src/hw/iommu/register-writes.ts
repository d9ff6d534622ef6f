/**
 * Register writes by software, with their side effects: queues that start and stop, bits that clear when written
 * as 1, interrupts that come straight back.
 *
 * Read-only registers ignore writes. One thread only; engine threads may set error bits meanwhile, so shared
 * words are changed bit by bit.
 */
import { type IommuRegisterFile, PendingBit, QueueBit, REGISTERS } from './registers.js';

const { ddtp, cqb, cqh, cqt, cqcsr, fqb, fqh, fqt, fqcsr, pqb, pqh, pqt, pqcsr, ipsr } = REGISTERS;

/** Bits of a base register or of ddtp that exist, per word. */
const BASE_LOW_MASK = 0xffff_fc1f;
const DDTP_LOW_MASK = 0xffff_fc0f;
const PPN_HIGH_MASK = 0x003f_ffff;

const RECORD_ERRORS = QueueBit.memoryFault | QueueBit.overflow;
const COMMAND_ERRORS =
  QueueBit.memoryFault | QueueBit.timeout | QueueBit.illegalCommand | QueueBit.fenceInterrupt;

interface QueueControl {
  readonly control: number;
  /** The index that the IOMMU owns. */
  readonly index: number;
  /** Bits that clear when written as 1, and that keep the interrupt pending. */
  readonly errors: number;
  readonly pending: number;
}

const QUEUES: readonly QueueControl[] = [
  { control: cqcsr.at, index: cqh.at, errors: COMMAND_ERRORS, pending: PendingBit.command },
  { control: fqcsr.at, index: fqt.at, errors: RECORD_ERRORS, pending: PendingBit.fault },
  { control: pqcsr.at, index: pqt.at, errors: RECORD_ERRORS, pending: PendingBit.pageRequest },
];

/** Plain registers: which bits of each word are kept. */
const KEPT_BITS: Readonly<Record<number, number>> = {
  [ddtp.at]: DDTP_LOW_MASK,
  [ddtp.at + 4]: PPN_HIGH_MASK,
  [cqb.at]: BASE_LOW_MASK,
  [cqb.at + 4]: PPN_HIGH_MASK,
  [fqb.at]: BASE_LOW_MASK,
  [fqb.at + 4]: PPN_HIGH_MASK,
  [pqb.at]: BASE_LOW_MASK,
  [pqb.at + 4]: PPN_HIGH_MASK,
  [cqt.at]: 0xffff_ffff,
  [fqh.at]: 0xffff_ffff,
  [pqh.at]: 0xffff_ffff,
};

/** What register writes work on. */
export interface RegisterWritesOptions {
  readonly registers: IommuRegisterFile;
  /** Names this thread in the append lock. */
  readonly lockHolder: number;
  /** Called to set a bit of ipsr. */
  readonly raise: (pending: number) => void;
}

/** Applies writes by software to the register file. */
export class RegisterWrites {
  readonly #options: RegisterWritesOptions;

  constructor(options: RegisterWritesOptions) {
    this.#options = options;
  }

  /** Writes the word at `offset`. */
  write(offset: number, value: number): void {
    const queue = QUEUES.find(({ control }) => control === offset);
    if (queue !== undefined) this.#writeControl(queue, value);
    else if (offset === ipsr.at) this.#acknowledge(value);
    else this.#writePlain(offset, value);
  }

  #writePlain(offset: number, value: number): void {
    const kept = KEPT_BITS[offset];
    if (kept === undefined) return;
    const { registers } = this.#options;
    registers.write32(offset, value & kept);
    // Another directory: nothing that was found in the old one may be used.
    if (offset === ddtp.at || offset === ddtp.at + 4) registers.invalidate();
  }

  #writeControl(queue: QueueControl, value: number): void {
    const { registers, lockHolder } = this.#options;
    // Under the lock: when a queue was stopped no record lands any more, and none lands while it starts.
    registers.lock(lockHolder);
    this.#applyControl(queue, value);
    registers.unlock();
    this.#reassert(queue);
  }

  #applyControl({ control, index, errors }: QueueControl, value: number): void {
    const { registers } = this.#options;
    const before = registers.clearBits(control, value & errors);
    if ((value & QueueBit.enable) === 0) {
      registers.clearBits(control, QueueBit.enable | QueueBit.on);
    } else if ((before & QueueBit.enable) === 0) {
      registers.clearBits(control, errors);
      registers.write32(index, 0);
      registers.setBits(control, QueueBit.enable | QueueBit.on);
    }
    if ((value & QueueBit.interruptEnable) === 0) registers.clearBits(control, QueueBit.interruptEnable);
    else registers.setBits(control, QueueBit.interruptEnable);
  }

  #acknowledge(value: number): void {
    this.#options.registers.clearBits(ipsr.at, value);
    for (const queue of QUEUES) if ((value & queue.pending) !== 0) this.#reassert(queue);
  }

  /** Sets the queue's interrupt while one of its error bits is set and its interrupt enabled. */
  #reassert(queue: QueueControl): void {
    const control = this.#options.registers.read32(queue.control);
    const asserts = (control & queue.errors) !== 0 && (control & QueueBit.interruptEnable) !== 0;
    if (asserts) this.#options.raise(queue.pending);
  }
}
