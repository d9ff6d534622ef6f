/**
 * The `null` policy: one vcoproc, one coproc, no time slices and no ticks. A second vcoproc is a configuration
 * mistake and is refused when it is added.
 */
import { assert } from '../../base/assert.js';
import {
  type Decision,
  definePolicy,
  type Parameters,
  type SchedulableVcoproc,
  type SchedulerPolicy,
} from '../policy.js';

class NullPolicy implements SchedulerPolicy {
  readonly visited = 0;
  #only: SchedulableVcoproc | null = null;
  #awake = false;

  add(vcoproc: SchedulableVcoproc): void {
    assert(this.#only === null, 'the null policy serves one vcoproc');
    this.#only = vcoproc;
  }

  remove(): void {
    this.#only = null;
    this.#awake = false;
  }

  wake(): void {
    this.#awake = true;
  }

  sleep(): void {
    this.#awake = false;
  }

  charge(): void {}

  adjust(): void {}

  configure(): void {}

  dump(): Parameters {
    return {};
  }

  schedule(_nowNs: number, current: SchedulableVcoproc | null): Decision {
    // A context that nobody else wants stays loaded: sleeping costs nothing, switching out would.
    return { next: this.#awake ? this.#only : current, sliceNs: null };
  }
}

/** One vcoproc alone; see the top of this file. */
export const nullPolicy = definePolicy({
  name: 'null',
  parameters: [],
  vcoprocParameters: [],
  vcoprocsMax: 1,
  create: () => new NullPolicy(),
});
