/**
 * Trace points. A part of the machine that is handed a trace emits what happened to it; what is emitted depends on
 * the run and nothing else, so the same seed gives the same lines. Codec output and its length stay out of it: they
 * may differ between versions of Node.
 */
import { type History, packagedHistory } from './history.js';

export interface Trace {
  /** Something happened at `point`, e.g. `sqe taken`, to `subject`, e.g. a queue's epoch. */
  emit(point: string, subject: number | string, detail?: number | string): void;
}

/** Keeps the newest lines, each with its virtual time. */
export class TraceTail implements Trace {
  readonly #nowNs: () => number;
  readonly #lines: History<string>;

  constructor(nowNs: () => number, capacity: number) {
    this.#nowNs = nowNs;
    this.#lines = packagedHistory(capacity);
  }

  emit(point: string, subject: number | string, detail?: number | string): void {
    const more = detail === undefined ? '' : ` ${detail}`;
    this.#lines.push(`${this.#nowNs()} ${point} ${subject}${more}`);
  }

  /** The kept lines, oldest first: `TIME_NS POINT SUBJECT [DETAIL]`. */
  lines(): string[] {
    return this.#lines.toArray();
  }
}
