/**
 * The words that one coprocessor instance shares with the kernel side: invalidations asked for and acknowledged,
 * page responses, and the count of control calls waiting. They stand for the wires between the IOMMU, the kernel
 * and the device. Each word has one writer; order and litmus tests are in docs/memory-model.md.
 */
import { limits } from '../base/limits.js';

/** Page request groups that an instance can have waiting: the index in a message has 9 bits. */
export const PAGE_REQUEST_GROUPS = 512;

/** Word indices inside an instance's block. */
export const instanceWord = {
  /** Kernel side: invalidation requests ever sent to this device. */
  INVALIDATIONS_REQUESTED: 0,
  /** Engine: how many of them it has acknowledged, at a point with no view of memory open. */
  INVALIDATIONS_ACKNOWLEDGED: 16,
  /** Kernel side: control calls ever sent to the engine thread. */
  CONTROL_SENT: 32,
  /** Kernel side writes response code + 1 for a group, the engine clears it: PAGE_REQUEST_GROUPS words. */
  PAGE_RESPONSES: 48,
} as const;

/** Words of one instance's block, a multiple of a cache line. */
export const INSTANCE_WORDS = instanceWord.PAGE_RESPONSES + PAGE_REQUEST_GROUPS;

/** Words of all instances' blocks. */
export const ALL_INSTANCE_WORDS = INSTANCE_WORDS * limits.INSTANCES_MAX;
