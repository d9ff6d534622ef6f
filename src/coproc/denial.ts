/**
 * How long the loaded context has been denying to stop, when it is worth asking again, and whether its owner was asked to
 * yield: once for a denial, if it cooperates (R43), and told when that is over. Whether it does what it promised changes
 * nothing about how long it may deny.
 */
import { limits } from '../base/limits.js';
import type { Vcoproc } from './vcoproc.js';

export class Denial {
  #sinceNs: number | null = null;
  #asked: Vcoproc | null = null;
  #retryNs = 0;

  /** Whether a stop was denied and neither granted nor taken back since. */
  get isOn(): boolean {
    return this.#sinceNs !== null;
  }

  /** The device denied to stop the context of `vcoproc`, not for the first time perhaps. */
  note(vcoproc: Vcoproc, nowNs: number): void {
    if (this.#sinceNs !== null) return;
    this.#sinceNs = nowNs;
    if (!vcoproc.cooperates) return;
    this.#asked = vcoproc;
    vcoproc.deliver({ kind: 'pleaseYield' });
  }

  /** The device said when another attempt is worth the while, which is believed within bounds: how long that is, ns. */
  retryIn(hintNs: number, nowNs: number): number {
    const { SWITCH_RETRY_NS_MIN: least, SWITCH_RETRY_NS_MAX: most } = limits;
    const waitNs = hintNs > least ? Math.min(Math.ceil(hintNs), most) : least;
    this.#retryNs = nowNs + waitNs;
    return waitNs;
  }

  /** What could not be left is over: another attempt is worth the while at once. */
  retryNow(): void {
    this.#retryNs = 0;
  }

  /** How long another attempt has to wait, ns; 0 or less when it need not. */
  waitNs(nowNs: number): number {
    return this.isOn ? this.#retryNs - nowNs : 0;
  }

  lastedNs(nowNs: number): number {
    return this.#sinceNs === null ? 0 : nowNs - this.#sinceNs;
  }

  /** The context was left, by whatever means, or may go on. */
  end(): void {
    const asked = this.#asked;
    this.#sinceNs = null;
    this.#asked = null;
    asked?.deliver({ kind: 'yieldOver' });
  }
}
