/**
 * The stall extension (SPEC.md, "The stall extension"): whether this IOMMU has it. The answer is a bit of the register
 * file, so all threads that share the file agree.
 */
import { type IommuRegisterFile, REGISTERS } from './registers.js';

/** Bit 56 of `capabilities`, one of those that the specification leaves to vendors, in its high word. */
const STALL_CAPABILITY = 1 << 24;
const CAPABILITIES_HIGH = REGISTERS.capabilities.at + 4;

/** Gives the extension to every IOMMU on `registers`. Before the first device context is looked up. */
export function addStallExtension(registers: IommuRegisterFile): void {
  registers.setBits(CAPABILITIES_HIGH, STALL_CAPABILITY);
}

/** Whether the IOMMUs on `registers` have the extension. */
export function hasStallExtension(registers: IommuRegisterFile): boolean {
  return (registers.read32(CAPABILITIES_HIGH) & STALL_CAPABILITY) !== 0;
}
