/**
 * ioctls of a uacce queue and the structures they carry. Source: Linux include/uapi/misc/uacce/uacce.h and
 * include/uapi/misc/uacce/hisi_qm.h.
 */
import { defineLayout } from '../base/layout.js';

/** INIT -> STARTED. No argument. EINVAL in any other state. */
export const UACCE_CMD_START_Q = 0x5700;
/** Stops the queue: STARTED -> INIT. No argument. The hardware queue is freed at the last close only. */
export const UACCE_CMD_PUT_Q = 0x5701;
/** `{ u16 id; u16 qc_type }`: in qc_type 0 or 1 (else EINVAL), out id = hardware queue number. */
export const UACCE_CMD_QM_SET_QP_CTX = 0xc004480a;
/** `{ u32 sqe_size; u16 sq_depth; u16 cq_depth; u64 reserved }`: out only. */
export const UACCE_CMD_QM_SET_QP_INFO = 0xc010480b;

export const qpContextArgument = defineLayout('hisi_qp_ctx', 4, 'hisi_qm.h', {
  id: { at: 0, width: 16, doc: 'out: hardware queue number' },
  qcType: { at: 2, width: 16, doc: 'in: direction of the queue, 0 or 1' },
});

export const qpInfoArgument = defineLayout('hisi_qp_info', 16, 'hisi_qm.h', {
  sqeBytes: { at: 0, doc: 'out: bytes of one SQE' },
  sqDepth: { at: 4, width: 16, doc: 'out: SQ entries' },
  cqDepth: { at: 6, width: 16, doc: 'out: CQ entries' },
  reserved: { at: 8, width: 64, doc: 'zero' },
});

/** Queue file regions: the mmap page offset *is* the type. */
export const queueRegion = { MMIO: 0, DUS: 1 } as const;

/** Bit of the `flags` attribute: PASID and device page faults. */
export const UACCE_DEV_SVA = 1;

/** States of a uacce queue. */
export const uacceQueueState = { ZOMBIE: 0, INIT: 1, STARTED: 2 } as const;
export type UacceQueueState = (typeof uacceQueueState)[keyof typeof uacceQueueState];
