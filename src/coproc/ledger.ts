/**
 * Where the time of one coproc went. Every nanosecond belongs to exactly one account: a vcoproc that ran, one that denied
 * to stop, one whose register writes were replayed, a switch, or nobody. The accounts sum to the time that has passed,
 * always: time is not measured for each of them, but cut from one line.
 */
import type { ChargeKind } from './policy.js';

/** Accounts of one vcoproc, ns each. */
export type VcoprocTimes = Readonly<Record<ChargeKind, number>>;

/** Who pays for the stretch of time that is running now: a vcoproc, and what for; or the coproc itself. */
export type Account =
  | { readonly vcoproc: number; readonly kind: ChargeKind }
  | { readonly vcoproc: null; readonly kind: 'idle' | 'switch' };

/** The accounts of one coproc at one moment, ns. */
export interface LedgerSnapshot {
  readonly totalNs: number;
  readonly idleNs: number;
  /** Switching that is charged to nobody. */
  readonly switchNs: number;
  readonly vcoprocs: ReadonlyMap<number, VcoprocTimes>;
  /** What vcoprocs had used that do not exist any more. */
  readonly formerNs: number;
}

const NO_TIMES: VcoprocTimes = { run: 0, denied: 0, switch: 0, emulation: 0 };

export class Ledger {
  readonly #startNs: number;
  readonly #vcoprocs = new Map<number, Record<ChargeKind, number>>();
  #account: Account = { vcoproc: null, kind: 'idle' };
  #sinceNs: number;
  #idleNs = 0;
  #switchNs = 0;
  #formerNs = 0;

  constructor(nowNs: number) {
    this.#startNs = nowNs;
    this.#sinceNs = nowNs;
  }

  /** Who pays now. */
  get account(): Account {
    return this.#account;
  }

  /** Closes the stretch that ends now, and lets `next` pay from here on. Answers the stretch that was closed. */
  turnTo(next: Account, nowNs: number): { readonly account: Account; readonly ns: number } {
    const account = this.#account;
    const ns = nowNs - this.#sinceNs;
    this.#book(account, ns);
    this.#account = next;
    this.#sinceNs = nowNs;
    return { account, ns };
  }

  /** A vcoproc is gone; what it used stays in the sum. */
  forget(vcoproc: number): void {
    const times = this.#vcoprocs.get(vcoproc) ?? NO_TIMES;
    this.#formerNs += times.run + times.denied + times.switch + times.emulation;
    this.#vcoprocs.delete(vcoproc);
  }

  /** The accounts as they are at `nowNs`, the stretch that is running included. Changes nothing. */
  snapshot(nowNs: number): LedgerSnapshot {
    const copy = new Ledger(this.#startNs);
    copy.#idleNs = this.#idleNs;
    copy.#switchNs = this.#switchNs;
    for (const [id, times] of this.#vcoprocs) copy.#vcoprocs.set(id, { ...times });
    copy.#book(this.#account, nowNs - this.#sinceNs);
    return {
      totalNs: nowNs - this.#startNs,
      idleNs: copy.#idleNs,
      switchNs: copy.#switchNs,
      vcoprocs: copy.#vcoprocs,
      formerNs: this.#formerNs,
    };
  }

  #book(account: Account, ns: number): void {
    if (account.vcoproc === null) {
      if (account.kind === 'idle') this.#idleNs += ns;
      else this.#switchNs += ns;
      return;
    }
    const times = this.#vcoprocs.get(account.vcoproc) ?? { ...NO_TIMES };
    times[account.kind] += ns;
    this.#vcoprocs.set(account.vcoproc, times);
  }
}
