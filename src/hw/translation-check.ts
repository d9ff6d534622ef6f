/**
 * The checking mode: whoever wants to know whether the caches tell the truth is handed each answer that came out of
 * one, before it is used. It compares the answer with a walk of its own and throws when they differ. Absent in
 * production, where it costs a comparison with null.
 */
import type { TranslationRequest, TranslationResult } from './iommu/translation.js';

/** Which cache answered: the IOMMU's own, or that of a device. */
export type CacheName = 'IOTLB' | 'ATC';

/**
 * Judges one cached answer. `request` and `result` are reused by the caller: nothing of them may be kept. What an ATC
 * answers looks like an untranslated access that succeeded, by a device that holds the permission already.
 */
export type TranslationCheck = (
  cache: CacheName,
  request: Readonly<TranslationRequest>,
  result: Readonly<TranslationResult>,
) => void;
