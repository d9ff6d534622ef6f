/**
 * How a result came about, and how a call would. `via` stands on every result; `explain` answers the same
 * question beforehand.
 */

/** Which way a request took. An open union: backends may be added. */
export type Path = 'device' | 'software';

/** On every result. */
export interface Via {
  readonly path: Path;
  /** Device name as in /dev; absent for software. */
  readonly device?: string;
  /** Hardware queue number on the device; absent for software. Of a split input: the first block's. */
  readonly queue?: number;
  /** Requests that it took, 1 unless the input was split or a larger output was needed. */
  readonly attempts: number;
  /** Why this path. */
  readonly reason: string;
}

/** Software did it, for `reason`. */
export function softwareVia(reason: string): Via {
  return { path: 'software', attempts: 1, reason };
}

/** What a call would do. */
export interface Explanation {
  readonly path: Path;
  readonly reason: string;
  /** Devices that may be used. */
  readonly devices: readonly string[];
  /** Requests that the input would be cut into. */
  readonly requests: number;
}
