/** What a ctx fills anew for each request instead of making it: the hot path allocates nothing. */
import type { Outcome, Transfer } from './user-driver.js';

/** A transfer to be filled for each SQE. */
export function newTransfer(): Transfer {
  return {
    tag: 0,
    source: 0,
    sourceBytes: 0,
    destination: 0,
    destinationBytes: 0,
    dictionaryBytes: 0,
    state: 0,
    streamNew: false,
    final: true,
    flush: 0,
    checksum: 0,
    totalBytes: 0,
  };
}

/** An outcome to be filled from each completion. */
export function newOutcome(): Outcome {
  return {
    tag: 0,
    verdict: 'ok',
    status: 0,
    consumed: 0,
    produced: 0,
    checksum: 0,
    totalBytes: 0,
    dataError: null,
  };
}
