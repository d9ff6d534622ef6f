/**
 * A tiny machine for tests of the IOMMU: memory, a register file, and tables built by page and slot, so that a
 * case is one line.
 */
import { Iommu, type IommuOptions } from '../../../src/hw/iommu/iommu.js';
import { IOMMU_REGISTER_WORDS, IommuRegisterFile, REGISTERS } from '../../../src/hw/iommu/registers.js';
import {
  Access,
  type IommuMessage,
  NO_PASID,
  newTranslationRequest,
  newTranslationResult,
  RequestType,
  type TranslationRequest,
  type TranslationResult,
} from '../../../src/hw/iommu/translation.js';
import { PhysicalMemory } from '../../../src/hw/physical-memory.js';

/** Pages that the machine uses for its queues; tables go elsewhere. */
const QUEUE_PAGES = { command: 60, fault: 61, pageRequest: 62 } as const;
/** Entries of each queue: 128 commands and fault records fit their page. */
export const QUEUE_ENTRIES = 128;

const MEMORY_BYTES = 2 ** 18;
const QUEUE_LOG = Math.log2(QUEUE_ENTRIES) - 1;

/** Flags of page-table entries by letter, as datasheets write them. */
const PTE_BITS = { v: 1, r: 2, w: 4, x: 8, u: 16, g: 32, a: 64, d: 128 } as const;

/** A page-table entry that names `page`: `pte(7, 'vrwuad')`. */
export function pte(page: number, flags: string): bigint {
  let entry = BigInt(page) << 10n;
  for (const flag of flags) entry |= BigInt(PTE_BITS[flag as keyof typeof PTE_BITS]);
  return entry;
}

export class TestMachine {
  readonly memory = PhysicalMemory.create(MEMORY_BYTES);
  readonly registers = new IommuRegisterFile(new Int32Array(new SharedArrayBuffer(IOMMU_REGISTER_WORDS * 4)));
  readonly messages: IommuMessage[] = [];
  interrupts = 0;
  readonly iommu: Iommu;
  #instances = 0;

  constructor(options: Partial<IommuOptions> = {}) {
    this.registers.reset();
    this.iommu = this.another(options);
  }

  /** One more IOMMU object on the same registers and memory, as another thread has it. */
  another(options: Partial<IommuOptions> = {}): Iommu {
    return new Iommu({
      memory: this.memory,
      registers: this.registers,
      lockHolder: ++this.#instances,
      sendMessage: (message) => this.messages.push(message),
      interrupt: () => this.interrupts++,
      ...options,
    });
  }

  /** Stores dwords from slot `slot` (8 bytes each) of `page` on. */
  put(page: number, slot: number, ...dwords: bigint[]): void {
    for (const [index, dword] of dwords.entries()) {
      this.memory.data.setBigUint64(page * 4096 + (slot + index) * 8, dword, true);
    }
  }

  dword(page: number, slot: number): bigint {
    return this.memory.data.getBigUint64(page * 4096 + slot * 8, true);
  }

  write64(offset: number, value: bigint): void {
    this.iommu.writeRegister(offset, Number(value & 0xffff_ffffn));
    this.iommu.writeRegister(offset + 4, Number(value >> 32n));
  }

  /** Starts the three queues, interrupts on. */
  startQueues(): this {
    this.write64(REGISTERS.cqb.at, queueBase(QUEUE_PAGES.command));
    this.write64(REGISTERS.fqb.at, queueBase(QUEUE_PAGES.fault));
    this.write64(REGISTERS.pqb.at, queueBase(QUEUE_PAGES.pageRequest));
    for (const { at } of [REGISTERS.cqcsr, REGISTERS.fqcsr, REGISTERS.pqcsr]) this.iommu.writeRegister(at, 3);
    return this;
  }

  /** Mode of the directory, and the page of its root. */
  setDirectory(mode: number, page: number): this {
    this.write64(REGISTERS.ddtp.at, (BigInt(page) << 10n) | BigInt(mode));
    return this;
  }

  /** Writes a command and rings the doorbell. */
  command(low: bigint, high = 0n): void {
    const tail = this.registers.read32(REGISTERS.cqt.at);
    this.put(QUEUE_PAGES.command, tail * 2, low, high);
    this.iommu.writeRegister(REGISTERS.cqt.at, (tail + 1) % QUEUE_ENTRIES);
  }

  /** The three control registers, and the pending interrupts. */
  status(): { cqcsr: number; fqcsr: number; pqcsr: number; ipsr: number } {
    const { cqcsr, fqcsr, pqcsr, ipsr } = REGISTERS;
    const read = ({ at }: { at: number }) => this.registers.read32(at);
    return { cqcsr: read(cqcsr), fqcsr: read(fqcsr), pqcsr: read(pqcsr), ipsr: read(ipsr) };
  }

  /** Takes the oldest fault record, as dwords; null when there is none. */
  takeFault(): bigint[] | null {
    const head = this.registers.read32(REGISTERS.fqh.at);
    if (head === this.registers.read32(REGISTERS.fqt.at)) return null;
    this.iommu.writeRegister(REGISTERS.fqh.at, (head + 1) % QUEUE_ENTRIES);
    return [0, 1, 2, 3].map((slot) => this.dword(QUEUE_PAGES.fault, head * 4 + slot));
  }

  /** Translates on `iommu`, the machine's own unless given. */
  translate(request: Partial<TranslationRequest>, iommu = this.iommu): TranslationResult {
    const result = newTranslationResult();
    iommu.translate({ ...newTranslationRequest(), ...request }, result);
    return result;
  }

  /** Reads without a PASID: the answer in short. */
  read(deviceId: number, iova: number): TranslationResult {
    return this.translate({ deviceId, iovaLow: iova >>> 0, iovaHigh: Math.floor(iova / 2 ** 32) });
  }
}

function queueBase(page: number): bigint {
  return (BigInt(page) << 10n) | BigInt(QUEUE_LOG);
}

/** Dword 0 of the usual invalidation commands: everything. */
export const COMMANDS = {
  invalidateFirstStage: 1n,
  invalidateSecondStage: 1n | (1n << 7n),
  invalidateDevices: 3n,
  fence: 2n,
} as const;

/** ATS.INVAL of a whole address space, to `rid`. */
export function invalidateAtc(rid: number): bigint {
  return 4n | (BigInt(rid) << 40n);
}

export { Access, NO_PASID, RequestType };
