/**
 * What a context of the simulated coprocessor (sim-hardware.ts) has to do: requests that come in a pattern, each a number
 * of ns of the coprocessor's time. Only bursts are random, and draw from a stream that is handed in.
 */
import type { Prng } from '../base/prng.js';

/** A pattern of requests; all times in whole ns. */
export type SimLoad =
  /** Only what `SimHardware.give` gives it. */
  | { readonly kind: 'given' }
  /** It always has more. */
  | { readonly kind: 'always' }
  /** A request each `periodNs`, the first after `offsetNs`. */
  | {
      readonly kind: 'periodic';
      readonly periodNs: number;
      readonly workNs: number;
      readonly offsetNs?: number;
    }
  /** A request after each gap of 1 to 2 * `gapNs` - 1 ns, equally likely. */
  | { readonly kind: 'bursty'; readonly gapNs: number; readonly workNs: number }
  /** A request `idleNs` after the end of the one before: it toggles between sleeping and waking. */
  | { readonly kind: 'toggling'; readonly idleNs: number; readonly workNs: number };

/** When the next request comes, counted from now, and how much it is; null = none by itself. */
export interface SimArrival {
  readonly delayNs: number;
  readonly workNs: number;
}

/** The first request of a context. */
export function firstArrival(load: SimLoad, prng: Prng): SimArrival | null {
  switch (load.kind) {
    case 'given':
      return null;
    case 'always':
      return { delayNs: 0, workNs: Number.POSITIVE_INFINITY };
    case 'periodic':
      return { delayNs: load.offsetNs ?? 0, workNs: load.workNs };
    case 'bursty':
      return { delayNs: gap(load.gapNs, prng), workNs: load.workNs };
    case 'toggling':
      return { delayNs: 0, workNs: load.workNs };
  }
}

/** The request after the one that has just come. */
export function arrivalAfterArrival(load: SimLoad, prng: Prng): SimArrival | null {
  if (load.kind === 'periodic') return { delayNs: load.periodNs, workNs: load.workNs };
  if (load.kind === 'bursty') return { delayNs: gap(load.gapNs, prng), workNs: load.workNs };
  return null;
}

/** The request after everything that had come is done. */
export function arrivalAfterEnd(load: SimLoad): SimArrival | null {
  return load.kind === 'toggling' ? { delayNs: load.idleNs, workNs: load.workNs } : null;
}

function gap(gapNs: number, prng: Prng): number {
  return 1 + prng.below(2 * gapNs - 1);
}
