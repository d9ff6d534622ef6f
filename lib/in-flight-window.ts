/** How many input bytes the requests of a pool may have in its queues at once: what comes beyond waits. */
export class InFlightWindow {
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Whether there is a limit at all. */
  get limited(): boolean {
    return this.#maxBytes !== Number.POSITIVE_INFINITY;
  }

  /** Whether a request of `bytes` bytes may go now. One always may, however large: otherwise it never could. */
  admits(bytes: number): boolean {
    return this.#bytes === 0 || this.#bytes + bytes <= this.#maxBytes;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
  }

  remove(bytes: number): void {
    this.#bytes -= bytes;
  }
}
