/**
 * The shared words of the bare ring, one cache line each, as indices into an Int32Array. Counts run freely modulo
 * 2^32. Both sides import this file; nothing else is shared between them.
 */

/** Entries of the submission ring and of the completion ring; a power of two. */
export const RING_ENTRIES = 256;
/** Turns a count into an index of a ring. */
export const RING_MASK = RING_ENTRIES - 1;

/** Index of each word. */
export const ringWord = {
  /** Written by the caller: entries ever submitted. The engine sleeps on it. */
  SUBMITTED: 0,
  /** Written by the engine: entries ever completed. */
  COMPLETED: 16,
  /** Written by the caller: the engine posts a message when its count of completions equals this. */
  EVENT_INDEX: 32,
  /** Written by the engine: 1 = asleep, needs a notify. */
  ASLEEP: 48,
  /** First entry of the submission ring. */
  SUBMISSIONS: 64,
  /** First entry of the completion ring. */
  COMPLETIONS: 64 + RING_ENTRIES,
} as const;

/** Bytes of the whole shared block. */
export const RING_BYTES = (64 + 2 * RING_ENTRIES) * Int32Array.BYTES_PER_ELEMENT;

/** What the engine thread is started with. */
export interface RingWorkerData {
  readonly shared: SharedArrayBuffer;
  /** Turns of the idle loop before sleeping. */
  readonly idleSpins: number;
}
