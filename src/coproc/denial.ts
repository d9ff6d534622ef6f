/** How long the loaded context has been denying to stop. */
export class Denial {
  #sinceNs: number | null = null;

  /** Whether a stop was denied and neither granted nor taken back since. */
  get isOn(): boolean {
    return this.#sinceNs !== null;
  }

  /** The device denied; true the first time. */
  note(nowNs: number): boolean {
    if (this.#sinceNs !== null) return false;
    this.#sinceNs = nowNs;
    return true;
  }

  lastedNs(nowNs: number): number {
    return this.#sinceNs === null ? 0 : nowNs - this.#sinceNs;
  }

  end(): void {
    this.#sinceNs = null;
  }
}
