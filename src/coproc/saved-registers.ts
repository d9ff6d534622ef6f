/**
 * The registers of a context that is not loaded, as its owner finds them: reads come from the image that was saved when
 * it was stopped, writes are stacked and replayed when it is started (R27 to R30). Made from the device's register table
 * alone; what each kind does here is what it does on a device that is never shared.
 *
 * Merging keeps the stack short and changes nothing that a device could notice: a write to an RW register that directly
 * follows another one to it replaces that one, W1C writes that follow each other are united. Doorbells are never merged,
 * and nothing is merged across one.
 */
import { limits } from '../base/limits.js';
import type { RegisterImage, RegisterReplay } from '../hw/context-hardware.js';
import type { RegisterSpec } from '../hw/device-model.js';

export class SavedRegisters {
  readonly #byOffset = new Map<number, { readonly spec: RegisterSpec; readonly index: number }>();
  #image: number[];
  #stack: RegisterReplay[] = [];

  /** Registers in the state after power-on. */
  constructor(specs: readonly RegisterSpec[]) {
    for (const [index, spec] of specs.entries()) this.#byOffset.set(spec.at, { spec, index });
    this.#image = specs.map(({ reset }) => reset);
  }

  /** Accesses that wait for the context to be loaded. */
  get stacked(): number {
    return this.#stack.length;
  }

  /** A doorbell is stacked: what registers say after it is known to the device alone. */
  get rings(): boolean {
    return this.#stack.some(({ offset }) => this.#spec(offset)?.access === 'doorbell');
  }

  /** The context was stopped; nothing is stacked. */
  save(image: RegisterImage): void {
    this.#image = [...image];
  }

  /** Takes what has to be replayed, in order. */
  takeStacked(): readonly RegisterReplay[] {
    const stack = this.#stack;
    this.#stack = [];
    return stack;
  }

  /** Back to the state after power-on. */
  reset(): void {
    for (const { spec, index } of this.#byOffset.values()) this.#image[index] = spec.reset;
    this.#stack = [];
  }

  /** Whether a write at `offset` needs room on a stack that is full: then its writer has to wait. */
  holdsBack(offset: number): boolean {
    const isFull = this.#stack.length >= limits.STACKED_WRITES;
    return isFull && this.#hasEffect(offset) && !this.#merges(offset);
  }

  /** Value at `offset` as a device that is never shared would answer it now; 0 where there is no register. */
  read(offset: number): number {
    const found = this.#byOffset.get(offset);
    if (found === undefined || found.spec.access === 'doorbell') return 0;
    let value = this.#image[found.index]!;
    for (const access of this.#stack)
      if (access.offset === offset) value = applied(found.spec, value, access);
    if (found.spec.access === 'read-clear' && value !== 0) this.#clear(offset, found.index);
    return value;
  }

  /** Stacks a write. `holdsBack` has said that it need not wait. */
  write(offset: number, value: number): void {
    if (!this.#hasEffect(offset)) return;
    if (this.#merges(offset)) this.#stack.push(merged(this.#spec(offset)!, this.#stack.pop()!, value));
    else this.#stack.push({ op: 'write', offset, value });
  }

  /** The image says 0 from now on; the device is told when the context is loaded. */
  #clear(offset: number, index: number): void {
    this.#image[index] = 0;
    this.#stack.push({ op: 'read', offset, value: 0 });
  }

  #spec(offset: number): RegisterSpec | undefined {
    return this.#byOffset.get(offset)?.spec;
  }

  #hasEffect(offset: number): boolean {
    const access = this.#spec(offset)?.access;
    return access === 'RW' || access === 'W1C' || access === 'doorbell';
  }

  #merges(offset: number): boolean {
    const last = this.#stack.at(-1);
    return last?.op === 'write' && last.offset === offset && this.#spec(offset)?.access !== 'doorbell';
  }
}

function applied({ access }: RegisterSpec, value: number, replay: RegisterReplay): number {
  if (replay.op === 'read') return 0;
  return access === 'W1C' ? Number(BigInt(value) & ~BigInt(replay.value)) : replay.value;
}

function merged(spec: RegisterSpec, last: RegisterReplay, value: number): RegisterReplay {
  if (spec.access === 'RW') return { ...last, value };
  return { ...last, value: Number(BigInt(last.value) | BigInt(value)) };
}
