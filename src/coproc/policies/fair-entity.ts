/**
 * What the `fair` policy keeps of one vcoproc: its virtual runtime, its limits, and in which heap it is.
 *
 * Virtual runtime is time used divided by weight, in ns of a vcoproc of default weight. Whole numbers; the remainder of
 * each division is carried, so that sums are exact however small the pieces are.
 */
import { limits } from '../../base/limits.js';
import type { Parameters, SchedulableVcoproc } from '../policy.js';
import { type Allowance, BudgetServer, CapBucket } from './allowance.js';
import type { HeapEntry, IndexedHeap } from './indexed-heap.js';

export class FairEntity implements HeapEntry<FairEntity> {
  readonly vcoproc: SchedulableVcoproc;
  heap: IndexedHeap<FairEntity> | null = null;
  heapIndex = 0;
  hasWork = false;
  weight: number = limits.WEIGHT;
  isLatencySensitive = false;
  virtualNs: number;
  /** How far the others were ahead of it when it went to sleep, virtual ns. */
  claimNs = 0;
  /** From when on it may run, while it is held back. */
  releaseNs = 0;
  cap: CapBucket | null = null;
  budget: BudgetServer | null = null;
  /** Of the division by weight. */
  #remainder = 0;

  constructor(vcoproc: SchedulableVcoproc, virtualNs: number) {
    this.vcoproc = vcoproc;
    this.virtualNs = virtualNs;
  }

  /** `portionNs` is of the cap. */
  adjust(parameters: Parameters, portionNs: number, nowNs: number): void {
    const { weight, latencyClass, budgetNs, periodNs } = parameters;
    if (weight !== this.weight) this.#remainder = 0;
    this.weight = weight!;
    this.isLatencySensitive = latencyClass === 1;
    this.#adjustCap(parameters.cap!, portionNs, nowNs);
    if (budgetNs === 0 || periodNs === 0) this.budget = null;
    else if (this.budget === null) this.budget = new BudgetServer(budgetNs!, periodNs!, nowNs);
    else this.budget.change(budgetNs!, periodNs!);
  }

  #adjustCap(percent: number, portionNs: number, nowNs: number): void {
    if (percent === 0) this.cap = null;
    else if (this.cap === null) this.cap = new CapBucket(percent, portionNs, nowNs);
    else this.cap.change(percent, portionNs, nowNs);
  }

  /** `ns` of the coproc as virtual time of this one, rounded down. */
  virtualOf(ns: number): number {
    return Math.floor((ns * limits.WEIGHT) / this.weight);
  }

  /** Adds `ns` to its virtual runtime, but leaves it no further ahead of `virtualNowNs` than a debt can be. */
  use(ns: number, virtualNowNs: number): void {
    const scaled = Math.min(ns, limits.DEBT_NS_MAX) * limits.WEIGHT + this.#remainder;
    this.#remainder = scaled % this.weight;
    const virtualNs = this.virtualNs + (scaled - this.#remainder) / this.weight;
    this.virtualNs = Math.min(virtualNs, virtualNowNs + this.virtualOf(limits.DEBT_NS_MAX));
  }

  /** Its limits take `ns` up to `nowNs` off. */
  spend(ns: number, nowNs: number): void {
    for (const allowance of this.#allowances()) allowance.charge(ns, nowNs);
  }

  /** From when on its limits let it run. */
  readyNs(nowNs: number): number {
    return this.#allowances().reduce(
      (latest, allowance) => Math.max(latest, allowance.readyNs(nowNs)),
      nowNs,
    );
  }

  /** For how long its limits let it run from now on. */
  runwayNs(nowNs: number): number {
    return this.#allowances().reduce(
      (least, allowance) => Math.min(least, allowance.runwayNs(nowNs)),
      Number.POSITIVE_INFINITY,
    );
  }

  #allowances(): Allowance[] {
    return [this.cap, this.budget].filter((allowance) => allowance !== null);
  }
}
