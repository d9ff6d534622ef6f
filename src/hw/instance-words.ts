/**
 * The words that one coprocessor instance shares with the kernel side: invalidations asked for and acknowledged,
 * page responses, and the count of control calls waiting. They stand for the wires between the IOMMU, the kernel
 * and the device. Each word has one writer; order and litmus tests are in docs/memory-model.md.
 */
import { limits } from '../base/limits.js';

/** Page request groups or stalled accesses that an instance can have waiting: the index of a group has 9 bits. */
export const PAGE_RESPONSE_INDICES = 512;

/** Values of a word of PAGE_RESPONSES besides a response code + 1. */
export const pageResponse = {
  /** Nobody waits. A response that comes all the same is ignored. */
  NONE: 0,
  /** A question was asked under this index; its response is on its way. */
  AWAITED: -1,
} as const;

/** Word indices inside an instance's block. */
export const instanceWord = {
  /** Kernel side: invalidation requests ever sent to this device. */
  INVALIDATIONS_REQUESTED: 0,
  /** Engine: how many of them it has acknowledged, at a point with no view of memory open. */
  INVALIDATIONS_ACKNOWLEDGED: 16,
  /** Kernel side: control calls ever sent to the engine thread. */
  CONTROL_SENT: 32,
  /**
   * PAGE_RESPONSE_INDICES words. The engine marks what it waits for and clears what it has taken; the kernel side writes
   * response code + 1 for a page request group, or for a stalled access, whose tag is the index.
   */
  PAGE_RESPONSES: 48,
} as const;

/** Words of one instance's block, a multiple of a cache line. */
export const INSTANCE_WORDS = instanceWord.PAGE_RESPONSES + PAGE_RESPONSE_INDICES;

/** Words of all instances' blocks. */
export const ALL_INSTANCE_WORDS = INSTANCE_WORDS * limits.INSTANCES_MAX;
