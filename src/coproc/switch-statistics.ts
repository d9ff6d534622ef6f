/**
 * What the switches of one coproc cost (R3): counts, and the distribution of both halves in powers of two of ns.
 */

/** Buckets of a histogram: bucket n counts durations below 2^n ns and not below 2^(n-1). */
const BUCKETS = 48;

/** What the switches of one coproc cost, up to one moment. */
export interface SwitchSnapshot {
  /** Switches in, and out. */
  readonly entered: number;
  readonly left: number;
  readonly denials: number;
  readonly contextResets: number;
  readonly deviceResets: number;
  /** Sum of both halves, ns. */
  readonly totalNs: number;
  readonly leaveHistogram: readonly number[];
  readonly enterHistogram: readonly number[];
}

export class SwitchStatistics {
  readonly #leave = new Array<number>(BUCKETS).fill(0);
  readonly #enter = new Array<number>(BUCKETS).fill(0);
  #denials = 0;
  #contextResets = 0;
  #deviceResets = 0;
  #totalNs = 0;

  /** A context was switched out: `ns` from its stop to the end of its memory switch. */
  left(ns: number): void {
    this.#count(this.#leave, ns);
  }

  /** A context was switched in, in `ns`. */
  entered(ns: number): void {
    this.#count(this.#enter, ns);
  }

  denied(): void {
    this.#denials += 1;
  }

  contextReset(): void {
    this.#contextResets += 1;
  }

  deviceReset(): void {
    this.#deviceResets += 1;
  }

  snapshot(): SwitchSnapshot {
    const sum = (histogram: readonly number[]): number =>
      histogram.reduce((total, count) => total + count, 0);
    return {
      entered: sum(this.#enter),
      left: sum(this.#leave),
      denials: this.#denials,
      contextResets: this.#contextResets,
      deviceResets: this.#deviceResets,
      totalNs: this.#totalNs,
      leaveHistogram: [...this.#leave],
      enterHistogram: [...this.#enter],
    };
  }

  #count(histogram: number[], ns: number): void {
    this.#totalNs += ns;
    const bucket = Math.min(BUCKETS - 1, ns < 1 ? 0 : Math.floor(Math.log2(ns)) + 1);
    histogram[bucket]! += 1;
  }
}
