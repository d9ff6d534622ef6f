/**
 * In-memory structures of the RISC-V IOMMU as tables: directory entries, contexts, page-table entries and queue
 * records. Everything a table does not name is reserved.
 *
 * Fields wider than their word are two rows (`...Low`, `...High`). Walkers do not read through the tables, which
 * would be slow; they use masks that `maskOf` and `reservedBits` derive from the tables, so no bit is written
 * down twice.
 */
import { defineLayout, type Field, type Layout } from '../../base/layout.js';

/** A page number as three of the structures hold it: bits 53:10. */
const PPN_AT_10 = {
  ppnLow: { at: 0, bits: [10, 31], doc: 'bits 21:0 of the page number' },
  ppnHigh: { at: 4, bits: [0, 21], doc: 'bits 43:22 of the page number' },
} as const;

/** An entry of the device or process directory that points to the next level. */
export const DIRECTORY_ENTRY = defineLayout('DirectoryEntry', 8, 'RISC-V IOMMU 1.0, Non-leaf DDT entry', {
  valid: { at: 0, bits: [0, 0], doc: 'V' },
  ...PPN_AT_10,
});

/** A device context in its 32-byte form. */
export const DEVICE_CONTEXT = defineLayout('DeviceContext', 32, 'RISC-V IOMMU 1.0, Device-Context', {
  valid: { at: 0, bits: [0, 0], doc: 'V' },
  enAts: { at: 0, bits: [1, 1], doc: 'EN_ATS: ATS and translated requests allowed' },
  enPri: { at: 0, bits: [2, 2], doc: 'EN_PRI: page requests allowed' },
  t2gpa: { at: 0, bits: [3, 3], doc: 'T2GPA: not supported, must be 0' },
  dtf: { at: 0, bits: [4, 4], doc: 'DTF: do not record faults of translation' },
  pdtv: { at: 0, bits: [5, 5], doc: 'PDTV: fsc is a process directory' },
  prpr: { at: 0, bits: [6, 6], doc: 'PRPR: automatic page responses carry the PASID' },
  gade: { at: 0, bits: [7, 7], doc: 'GADE: hardware sets A and D in the second stage' },
  sade: { at: 0, bits: [8, 8], doc: 'SADE: hardware sets A and D in the first stage' },
  dpe: { at: 0, bits: [9, 9], doc: 'DPE: a request without PASID is of process 0' },
  sbe: { at: 0, bits: [10, 10], doc: 'SBE: big endian, not supported' },
  sxl: { at: 0, bits: [11, 11], doc: 'SXL: 32-bit tables, not supported' },
  stall: {
    at: 0,
    bits: [24, 24],
    doc: 'STALL: with the stall extension, page faults stall; otherwise ignored',
  },
  custom: { at: 0, bits: [25, 31], doc: 'for custom use, ignored' },
  iohgatpPpnLow: { at: 8, doc: 'second-stage root, bits 31:0 of the page number' },
  iohgatpPpnHigh: { at: 12, bits: [0, 11], doc: 'second-stage root, bits 43:32' },
  gscid: { at: 12, bits: [12, 27], doc: 'GSCID: tag of the second stage' },
  iohgatpMode: { at: 12, bits: [28, 31], doc: '0 Bare, 8 Sv39x4' },
  pscid: { at: 16, bits: [12, 31], doc: 'PSCID: tag of the first stage, when PDTV = 0' },
  fscPpnLow: { at: 24, doc: 'first-stage root or process directory, bits 31:0 of the page number' },
  fscPpnHigh: { at: 28, bits: [0, 11], doc: 'the same, bits 43:32' },
  fscMode: {
    at: 28,
    bits: [28, 31],
    doc: 'PDTV = 0: 0 Bare, 8 Sv39; PDTV = 1: 0 Bare, 1 PD8, 2 PD17, 3 PD20',
  },
});

/** A process context. */
export const PROCESS_CONTEXT = defineLayout('ProcessContext', 16, 'RISC-V IOMMU 1.0, Process-Context', {
  valid: { at: 0, bits: [0, 0], doc: 'V' },
  ens: { at: 0, bits: [1, 1], doc: 'ENS: supervisor requests allowed' },
  sum: { at: 0, bits: [2, 2], doc: 'SUM: supervisor may read and write user pages' },
  pscid: { at: 0, bits: [12, 31], doc: 'PSCID: tag of the first stage' },
  fscPpnLow: { at: 8, doc: 'first-stage root, bits 31:0 of the page number' },
  fscPpnHigh: { at: 12, bits: [0, 11], doc: 'the same, bits 43:32' },
  fscMode: { at: 12, bits: [28, 31], doc: '0 Bare, 8 Sv39' },
});

/** A page-table entry of either stage. */
export const PAGE_TABLE_ENTRY = defineLayout('PageTableEntry', 8, 'RISC-V privileged specification, Sv39', {
  v: { at: 0, bits: [0, 0], doc: 'valid' },
  r: { at: 0, bits: [1, 1], doc: 'readable' },
  w: { at: 0, bits: [2, 2], doc: 'writable' },
  x: { at: 0, bits: [3, 3], doc: 'executable' },
  u: { at: 0, bits: [4, 4], doc: 'user page' },
  g: { at: 0, bits: [5, 5], doc: 'global' },
  a: { at: 0, bits: [6, 6], doc: 'accessed' },
  d: { at: 0, bits: [7, 7], doc: 'dirty' },
  rsw: { at: 0, bits: [8, 9], doc: 'for software, ignored' },
  ...PPN_AT_10,
  n: { at: 4, bits: [31, 31], doc: 'N: a range of several pages' },
});

const RECORD_ORIGIN = {
  pid: { at: 0, bits: [12, 31], doc: 'PASID, 0 without one' },
  pv: { at: 4, bits: [0, 0], doc: 'the request had a PASID' },
  priv: { at: 4, bits: [1, 1], doc: 'supervisor privilege, 0 without a PASID' },
  did: { at: 4, bits: [8, 31], doc: 'device id' },
} as const;

/** A record of the fault queue. */
export const FAULT_RECORD = defineLayout('FaultRecord', 32, 'RISC-V IOMMU 1.0, Fault-queue record', {
  ...RECORD_ORIGIN,
  cause: { at: 0, bits: [0, 11], doc: 'cause code' },
  ttyp: { at: 4, bits: [2, 7], doc: 'transaction type' },
  stallTag: { at: 8, bits: [0, 15], doc: 'which access of the device is stalled, 0 when none is' },
  stalled: { at: 8, bits: [31, 31], doc: 'the access is stalled and waits for an answer (custom use)' },
  iotvalLow: { at: 16, doc: 'bits 31:0 of the address' },
  iotvalHigh: { at: 20, doc: 'bits 63:32 of the address' },
  iotval2Low: { at: 24, doc: 'bits 31:0 of the guest-physical address of a second-stage page fault' },
  iotval2High: { at: 28, doc: 'bits 63:32 of the same' },
});

/** A record of the page-request queue. */
export const PAGE_RECORD = defineLayout('PageRecord', 16, 'RISC-V IOMMU 1.0, Page-request-queue record', {
  ...RECORD_ORIGIN,
  exec: { at: 4, bits: [2, 2], doc: 'execute asked for, 0 without a PASID' },
  payloadLow: { at: 8, doc: 'bits 31:0 of the message payload' },
  payloadHigh: { at: 12, doc: 'bits 63:32 of the message payload' },
});

/** The bits of `field` inside its 32-bit word, as a signed word. */
export function maskOf(field: Field): number {
  const [low, high] = field.spec.bits ?? [0, 31];
  return high - low === 31 ? -1 : ((1 << (high - low + 1)) - 1) << low;
}

/** The bits of the 32-bit word at byte `at` that no row of `layout` names, as a signed word. */
export function reservedBits(layout: Layout, at: number): number {
  let named = 0;
  for (const field of Object.values(layout.fields)) if (field.spec.at === at) named |= maskOf(field);
  return ~named;
}
