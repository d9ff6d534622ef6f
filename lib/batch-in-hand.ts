/** A batch on its way into the queues: how much of it each is given, and when its caller wants to be told. */

/** A batch while its requests are being submitted. */
export class BatchInHand {
  readonly #requests: number;

  constructor(requests: number) {
    this.#requests = requests;
  }

  /** How many of them each of `queues` queues is given, behind one doorbell. */
  shareOf(queues: number): number {
    return Math.ceil(this.#requests / queues);
  }
}

/**
 * Where in one queue the requests of a batch are. Of several batches the oldest counts, until it is done: it must not
 * wait for those behind it. Counts are free-running, modulo 2^32.
 */
export class BatchPlace {
  #batch: BatchInHand | null = null;
  /** Number of its first request, and of the one behind its last. */
  #from = 0;
  #to = 0;

  /** Request number `tail - 1` belongs to `batch`; `head` requests are done. */
  note(batch: BatchInHand, tail: number, head: number): void {
    if (batch !== this.#batch && this.left(head) > 0) return;
    if (batch !== this.#batch) this.#from = (tail - 1) | 0;
    this.#batch = batch;
    this.#to = tail;
  }

  /** Requests at the head of the queue whose results are of use only together. */
  left(head: number): number {
    const begun = ((head - this.#from) | 0) >= 0;
    return begun ? Math.max(0, (this.#to - head) | 0) : 0;
  }
}
