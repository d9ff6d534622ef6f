/**
 * How long the loaded context has been denying to stop, and whether its owner was asked to yield: once for a denial, if it
 * cooperates (R43), and told when that is over. Whether it does what it promised changes nothing about how long it may
 * deny.
 */
import type { Vcoproc } from './vcoproc.js';

export class Denial {
  #sinceNs: number | null = null;
  #asked: Vcoproc | null = null;

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
