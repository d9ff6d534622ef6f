/**
 * Two limits on the time of a vcoproc, whatever the others do: a cap (a share that it never exceeds), and a budget in each
 * period (a deferrable server, as in Xen's RTDS). Both answer when it may run, and for how long. All sums are whole
 * numbers; what is used beyond the limit, because a device denied to stop, is owed and paid by waiting longer.
 */
import { limits } from '../../base/limits.js';

/** A limit on the time of one vcoproc. */
export interface Allowance {
  /** It used `ns` up to `nowNs`. */
  charge(ns: number, nowNs: number): void;
  /** From when on it may run; `nowNs` or earlier: at once. */
  readyNs(nowNs: number): number;
  /** For how long it may run from `nowNs` on until it has to be asked again; only for one that is ready. */
  runwayNs(nowNs: number): number;
}

/**
 * A cap as a token bucket. The bucket fills with time at the rate of the cap and holds one portion; once it is empty, the
 * vcoproc waits until it is half full again. So in any stretch of time it uses at most the cap of it, and one portion. The
 * other half is room for what flows in while others keep it waiting.
 */
export class CapBucket implements Allowance {
  /** In hundredths of a ns: a percentage of whole ns stays a whole number. */
  #credit: number;
  #filledNs: number;
  #isSpent = false;
  #percent: number;
  #portion: number;

  constructor(percent: number, portionNs: number, nowNs: number) {
    this.#percent = percent;
    this.#portion = portionNs * 100;
    this.#credit = this.#portion;
    this.#filledNs = nowNs;
  }

  get percent(): number {
    return this.#percent;
  }

  get creditNs(): number {
    return Math.floor(this.#credit / 100);
  }

  /** In force at once; what is owed stays owed. */
  change(percent: number, portionNs: number, nowNs: number): void {
    this.#fill(nowNs, 0);
    this.#percent = percent;
    this.#portion = portionNs * 100;
    this.#credit = Math.min(this.#credit, this.#portion);
  }

  charge(ns: number, nowNs: number): void {
    this.#fill(nowNs, ns);
    if (this.#credit <= 0) this.#isSpent = true;
  }

  readyNs(nowNs: number): number {
    // What has flown in is only looked at here: the time that is charged next may lie before `nowNs`.
    if (!this.#isSpent) return nowNs;
    const enoughNs = this.#filledNs + Math.ceil((this.#portion / 2 - this.#credit) / this.#percent);
    if (enoughNs <= nowNs) this.#isSpent = false;
    return enoughNs;
  }

  runwayNs(nowNs: number): number {
    const credit = Math.min(this.#portion, this.#credit + (nowNs - this.#filledNs) * this.#percent);
    return this.#percent === 100 ? Number.POSITIVE_INFINITY : Math.ceil(credit / (100 - this.#percent));
  }

  /** Time without use fills up to the brim; in time of use it flows in and out at once, and does not run over. */
  #fill(nowNs: number, usedNs: number): void {
    const startNs = Math.max(this.#filledNs, nowNs - usedNs);
    const full = Math.min(this.#credit + (startNs - this.#filledNs) * this.#percent, this.#portion);
    const filled = full + (nowNs - startNs) * this.#percent - usedNs * 100;
    this.#credit = Math.max(Math.min(filled, this.#portion), -100 * limits.DEBT_NS_MAX);
    this.#filledNs = nowNs;
  }
}

/** A budget in each period. What is left at the end of a period is lost; what was used too much is taken from the next. */
export class BudgetServer implements Allowance {
  #budgetNs: number;
  #periodNs: number;
  #leftNs: number;
  #endNs: number;

  constructor(budgetNs: number, periodNs: number, nowNs: number) {
    this.#budgetNs = budgetNs;
    this.#periodNs = periodNs;
    this.#leftNs = budgetNs;
    this.#endNs = nowNs + periodNs;
  }

  get leftNs(): number {
    return this.#leftNs;
  }

  /** End of the period: the deadline of its budget. */
  get endNs(): number {
    return this.#endNs;
  }

  /** In force with the next period. */
  change(budgetNs: number, periodNs: number): void {
    this.#budgetNs = budgetNs;
    this.#periodNs = periodNs;
  }

  charge(ns: number, nowNs: number): void {
    // The part before the end of the period belongs to it, even if it is charged late.
    const before = Math.min(ns, Math.max(0, this.#endNs - (nowNs - ns)));
    this.#leftNs -= before;
    this.catchUp(nowNs);
    this.#leftNs = Math.max(this.#leftNs - (ns - before), -limits.DEBT_NS_MAX);
  }

  readyNs(nowNs: number): number {
    this.catchUp(nowNs);
    if (this.#leftNs > 0) return nowNs;
    const periodsOwed = Math.floor(-this.#leftNs / this.#budgetNs);
    return this.#endNs + periodsOwed * this.#periodNs;
  }

  runwayNs(nowNs: number): number {
    this.catchUp(nowNs);
    return Math.min(this.#leftNs, this.#endNs - nowNs);
  }

  /** Begins the period in which `nowNs` lies. */
  catchUp(nowNs: number): void {
    if (nowNs < this.#endNs) return;
    const periods = Math.floor((nowNs - this.#endNs) / this.#periodNs) + 1;
    this.#endNs += periods * this.#periodNs;
    this.#leftNs = Math.min(this.#leftNs + periods * this.#budgetNs, this.#budgetNs);
  }
}
