/**
 * The memory of one queue, shared by the user side (lib/) and the device side (src/hw): its DUS region (SQ, CQ,
 * status words) and its MMIO region (our words on page 0, the hardware's own doorbell on page 1).
 *
 * Source: HiSilicon queue manager v3 for DUS, CQE and the doorbell. Page 0 of MMIO is ours; who writes which word
 * in which order is docs/memory-model.md.
 */
import { defineLayout } from '../base/layout.js';
import { alignUp, PAGE_BYTES } from '../base/units.js';

export const CQE_BYTES = 16;

export const cqeLayout = defineLayout('CQE', CQE_BYTES, 'HiSilicon queue manager v3', {
  commandId: { at: 4, width: 16, doc: 'command id, zero here' },
  sqHead: { at: 8, width: 16, doc: 'index of the SQE that this completes, below the SQ depth' },
  sqNumber: { at: 10, width: 16, doc: 'hardware queue number' },
  phase: {
    at: 14,
    width: 16,
    bits: [0, 0],
    doc: 'phase: 1 on the first pass over the CQ, toggles each wrap',
  },
  status: { at: 14, width: 16, bits: [1, 15], doc: 'status of the queue, 0 = fine' },
});

/** Byte offset, inside a CQE, of the half-word with the phase: written last, with release order. */
export const CQE_PHASE_OFFSET = 14;

/** Shape of a queue's DUS region, derived from its entry size and depths. */
export interface DusShape {
  readonly sqeBytes: number;
  readonly sqDepth: number;
  readonly cqDepth: number;
  /** Byte offset of the CQ. The SQ starts at 0. */
  readonly cqOffset: number;
  /** u32: 1 = queue disabled, receive answers ETIME. */
  readonly rxStatusOffset: number;
  /** u32: 1 = queue disabled, send answers ETIME. */
  readonly txStatusOffset: number;
  /** Size of the region: rings rounded up to pages, and one page. */
  readonly bytes: number;
}

export function dusShape(sqeBytes: number, sqDepth: number, cqDepth: number): DusShape {
  const cqOffset = sqeBytes * sqDepth;
  const bytes = alignUp(cqOffset + CQE_BYTES * cqDepth, PAGE_BYTES) + PAGE_BYTES;
  return {
    sqeBytes,
    sqDepth,
    cqDepth,
    cqOffset,
    rxStatusOffset: bytes - 8,
    txStatusOffset: bytes - 4,
    bytes,
  };
}

/** Bytes of a queue's MMIO region. */
export const QUEUE_MMIO_BYTES = 2 * PAGE_BYTES;

/** Byte offsets of our words on page 0, a cache line each. All are 32-bit; counts run freely modulo 2^32. */
export const queueWord = {
  /** Written by the user side: SQEs ever submitted. */
  SQ_TAIL: 0x000,
  /** Written by the user side: CQEs ever consumed. */
  CQ_HEAD: 0x040,
  /** Written by the user side: the engine interrupts when its count of CQEs equals this. */
  EVENT_INDEX: 0x080,
  /** Written by the engine: why it needs a wake for this queue, see `engineAsleep`. */
  ENGINE_ASLEEP: 0x0c0,
  /** Written by the engine: 1 while a request of this queue cannot progress (page fault, switched out). */
  STALLED: 0x100,
  /** Set by the engine when it sends an interrupt, cleared by the consumer before it looks. */
  INTERRUPT_PENDING: 0x140,
  /** Written by the user side: a bit for each of the first CANCEL_SLOTS slots, set while its request is not wanted. */
  CANCELLED: 0x180,
  /** Written by the kernel: 1 while the domain is asked to yield and what this queue has the device do is in the way. */
  YIELD: 0x200,
} as const;

/** Slots whose requests can be cancelled: as many bits as `CANCELLED` has, 32 words. */
export const CANCEL_SLOTS = 1024;

/** Values of the ENGINE_ASLEEP word. */
export const engineAsleep = {
  AWAKE: 0,
  /** Asleep: a new SQ tail must wake it. */
  NO_REQUESTS: 1,
  /** Asleep with this queue's CQ full: a new CQ head must wake it, and so must a new SQ tail. */
  NO_COMPLETION_SLOT: 2,
} as const;

/** Offset, in the MMIO region, of the hardware's own doorbell of versions 2 and later. */
export const HARDWARE_DOORBELL_OFFSET = 0x1000;

/** The 64-bit doorbell as two words. One address serves SQ and CQ, so every store of it is an event. */
export const hardwareDoorbell = defineLayout('doorbell', 8, 'HiSilicon queue manager v2 and later', {
  sqNumber: {
    at: 0,
    bits: [0, 9],
    doc: 'hardware queue number; a number of another queue is ignored and counted',
  },
  command: { at: 0, bits: [12, 15], doc: '0 = SQ, 1 = CQ' },
  index: { at: 4, bits: [0, 15], doc: 'new SQ tail or new CQ head, as an index into the ring' },
  priority: { at: 4, bits: [16, 31], doc: 'CQ: 1 = interrupt on the next CQE' },
});
export const doorbellCommand = { SQ: 0, CQ: 1 } as const;
