/**
 * Commands of the IOMMU as tables (RISC-V IOMMU 1.0, "Command-Queue"). A bit that the command's table does not
 * name is reserved: a command that sets it is illegal.
 */
import { defineLayout, type Layout } from '../../base/layout.js';
import { reservedBits } from './layouts.js';

/** Size of every command. */
export const COMMAND_BYTES = 16;

/** Values of the opcode field. */
export const Opcode = { iotinval: 1, iofence: 2, iodir: 3, ats: 4, resume: 64 } as const;

const OPERATION = {
  opcode: { at: 0, bits: [0, 6], doc: 'what to do' },
  func3: { at: 0, bits: [7, 9], doc: 'which variant of it' },
} as const;

/** IOTINVAL.VMA (func3 0) and IOTINVAL.GVMA (func3 1). */
export const IOTINVAL = defineLayout('IOTINVAL', COMMAND_BYTES, 'RISC-V IOMMU 1.0, IOTINVAL', {
  ...OPERATION,
  av: { at: 0, bits: [10, 10], doc: 'only the page of the address' },
  pscid: { at: 0, bits: [12, 31], doc: 'tag of the first stage' },
  pscv: { at: 4, bits: [0, 0], doc: 'only that PSCID' },
  gv: { at: 4, bits: [1, 1], doc: 'only that GSCID' },
  gscid: { at: 4, bits: [12, 27], doc: 'tag of the second stage' },
  addressLow: { at: 8, bits: [10, 31], doc: 'bits 33:12 of the address' },
  addressHigh: { at: 12, bits: [0, 29], doc: 'bits 63:34 of the address' },
});

/** IOFENCE.C. */
export const IOFENCE = defineLayout('IOFENCE', COMMAND_BYTES, 'RISC-V IOMMU 1.0, IOFENCE.C', {
  ...OPERATION,
  av: { at: 0, bits: [10, 10], doc: 'store the data at the address' },
  wsi: { at: 0, bits: [11, 11], doc: 'raise the wired interrupt' },
  pr: { at: 0, bits: [12, 12], doc: 'earlier reads are done' },
  pw: { at: 0, bits: [13, 13], doc: 'earlier writes are done' },
  data: { at: 4, doc: 'the word to store' },
  addressLow: { at: 8, doc: 'bits 33:2 of the address' },
  addressHigh: { at: 12, bits: [0, 29], doc: 'bits 63:34 of the address' },
});

/** IODIR.INVAL_DDT (func3 0) and IODIR.INVAL_PDT (func3 1). */
export const IODIR = defineLayout('IODIR', COMMAND_BYTES, 'RISC-V IOMMU 1.0, IODIR', {
  ...OPERATION,
  pid: { at: 0, bits: [12, 31], doc: 'PASID' },
  dv: { at: 4, bits: [1, 1], doc: 'only that device' },
  did: { at: 4, bits: [8, 31], doc: 'device id' },
});

/** ATS.INVAL (func3 0) and ATS.PRGR (func3 1). */
export const ATS = defineLayout('ATS', COMMAND_BYTES, 'RISC-V IOMMU 1.0, ATS commands', {
  ...OPERATION,
  pid: { at: 0, bits: [12, 31], doc: 'PASID' },
  pv: { at: 4, bits: [0, 0], doc: 'the message carries the PASID' },
  dsv: { at: 4, bits: [1, 1], doc: 'the segment number counts' },
  rid: { at: 4, bits: [8, 23], doc: 'requester id of the receiver' },
  dseg: { at: 4, bits: [24, 31], doc: 'segment number of the receiver' },
  payloadLow: { at: 8, doc: 'bits 31:0 of the message payload' },
  payloadHigh: { at: 12, doc: 'bits 63:32 of the message payload' },
});

/** STALL.RESUME: answers a stalled access. Exists only with the stall extension. */
export const RESUME = defineLayout('RESUME', COMMAND_BYTES, 'src/hw/iommu/SPEC.md, The stall extension', {
  ...OPERATION,
  abort: { at: 0, bits: [10, 10], doc: '0 the device tries the access again, 1 it is aborted' },
  tag: { at: 0, bits: [12, 27], doc: 'stall tag of the access, as its record had it' },
  did: { at: 4, bits: [8, 31], doc: 'device id' },
});

interface CommandShape {
  /** Values of func3 that exist, from 0. */
  readonly variants: number;
  /** Reserved bits of each of the four words. */
  readonly reserved: readonly number[];
}

function shapeOf(layout: Layout, variants: number): CommandShape {
  return { variants, reserved: [0, 4, 8, 12].map((at) => reservedBits(layout, at)) };
}

const SHAPES: Readonly<Record<number, CommandShape>> = {
  [Opcode.iotinval]: shapeOf(IOTINVAL, 2),
  [Opcode.iofence]: shapeOf(IOFENCE, 1),
  [Opcode.iodir]: shapeOf(IODIR, 2),
  [Opcode.ats]: shapeOf(ATS, 2),
  [Opcode.resume]: shapeOf(RESUME, 1),
};

/** Whether `command` (16 bytes) is one that the IOMMU knows and leaves its reserved bits alone. */
export function isWellFormed(command: DataView, hasStallExtension: boolean): boolean {
  const opcode = IOFENCE.fields.opcode.read(command, 0);
  if (opcode === Opcode.resume && !hasStallExtension) return false;
  const shape = SHAPES[opcode];
  if (shape === undefined || IOFENCE.fields.func3.read(command, 0) >= shape.variants) return false;
  return shape.reserved.every((reserved, word) => (command.getInt32(word * 4, true) & reserved) === 0);
}
