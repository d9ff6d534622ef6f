/**
 * A device's registers, made from its table: one declaration gives access, side effects and reset. What each
 * access kind does is written here and nowhere else.
 *
 * Registers of 32 and 64 bits; 64-bit values are exact below 2^53. Offsets that no register has read as zero and
 * ignore writes, as on the imitated hardware. A `timer` needs a clock, which hardware below the framework is not handed:
 * whoever owns the context answers it.
 */
import { assert } from '../base/assert.js';
import type { RegisterSpec } from './device-model.js';

export interface RegisterHooks {
  /** Value of a `live` register now. */
  readonly live?: (name: string) => number;
  /** A `doorbell` register was written. */
  readonly doorbell?: (name: string, value: number) => void;
}

export class RegisterFile {
  readonly #byOffset = new Map<number, RegisterSpec>();
  readonly #values = new Map<string, number>();
  readonly #hooks: RegisterHooks;

  constructor(specs: readonly RegisterSpec[], hooks: RegisterHooks = {}) {
    for (const spec of specs) {
      assert(spec.at % (spec.width / 8) === 0, `register ${spec.name} is aligned to its width`);
      assert(!this.#byOffset.has(spec.at), `register ${spec.name} has an offset of its own`);
      this.#byOffset.set(spec.at, spec);
    }
    this.#hooks = hooks;
    this.reset();
  }

  reset(): void {
    for (const spec of this.#byOffset.values()) this.#values.set(spec.name, spec.reset);
  }

  read(offset: number): number {
    const spec = this.#byOffset.get(offset);
    if (spec === undefined) return 0;
    if (spec.access === 'doorbell') return 0;
    if (spec.access === 'live') return this.#hooks.live?.(spec.name) ?? spec.reset;
    const value = this.#values.get(spec.name)!;
    if (spec.access === 'read-clear') this.#values.set(spec.name, 0);
    return value;
  }

  /** Values of all registers in the order of the table, without side effects: a saved context. */
  image(): number[] {
    return [...this.#byOffset.values()].map(({ name, access, reset }) =>
      access === 'live' ? (this.#hooks.live?.(name) ?? reset) : this.#values.get(name)!,
    );
  }

  write(offset: number, value: number): void {
    const spec = this.#byOffset.get(offset);
    if (spec === undefined) return;
    if (spec.access === 'RW') this.#values.set(spec.name, value);
    if (spec.access === 'W1C') this.#values.set(spec.name, clearOnes(this.#values.get(spec.name)!, value));
    if (spec.access === 'doorbell') this.#hooks.doorbell?.(spec.name, value);
  }

  /** Values of an image of the same table. What the device answers anew at each read stays its own. */
  restore(image: readonly number[]): void {
    for (const [index, { name, access }] of [...this.#byOffset.values()].entries()) {
      if (access !== 'live' && access !== 'timer') this.#values.set(name, image[index]!);
    }
  }

  /** What a register holds, without side effects. */
  valueOf(name: string): number {
    assert(this.#values.has(name), `${name} is a register of this device`);
    return this.#values.get(name)!;
  }

  /** What the device itself stores, whatever software may write. */
  set(name: string, value: number): void {
    assert(this.#values.has(name), `${name} is a register of this device`);
    this.#values.set(name, value);
  }
}

function clearOnes(value: number, ones: number): number {
  return Number(BigInt(value) & ~BigInt(ones));
}
