/**
 * The shared queue context: the hardware's own state of one queue, kept in memory so that the kernel can fail or
 * replay what was in flight when an engine died. Written by the engine that serves the queue, except `state`,
 * which the kernel may also set; read by the kernel. The user side never sees it.
 */
import { defineLayout } from '../base/layout.js';

/** One cache line a queue; contexts of an instance stand side by side. */
export const QUEUE_CONTEXT_BYTES = 64;

export const queueContextLayout = defineLayout('queue context', QUEUE_CONTEXT_BYTES, 'docs/memory-model.md', {
  sqHead: { at: 0, doc: 'SQEs ever taken by the engine, modulo 2^32' },
  cqTail: { at: 4, doc: 'CQEs ever published by the engine, modulo 2^32' },
  reserved: { at: 8, doc: 'CQ slots reserved for requests in flight: 0 or 1' },
  state: { at: 12, doc: 'see queueContextState' },
  phase: { at: 16, doc: 'phase bit of the next CQE' },
  slotInFlight: { at: 20, doc: 'SQ slot of the request in flight plus 1, 0 = none' },
});

export const queueContextState = { DETACHED: 0, SERVED: 1, ERROR: 2 } as const;
