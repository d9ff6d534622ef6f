/**
 * The memory half of a context switch for the simulated coprocessor (sim-hardware.ts): it notes whose memory the device
 * reaches, and insists on the order: entered when none is, left by the one that entered (R37).
 */
import { assert } from '../base/assert.js';
import type { Clock } from '../hw/clock.js';
import type { MemorySwitch } from './context-switch.js';
import type { Vcoproc } from './vcoproc.js';

/** What both halves cost, ns; 0 where absent, and then answered at once. */
export interface SimMemoryCosts {
  readonly enterNs?: number;
  readonly leaveNs?: number;
}

/** The memory of one device. */
export class SimMemory implements MemorySwitch {
  readonly #clock: Clock;
  readonly #costs: SimMemoryCosts;
  readonly #note: (event: 'enter' | 'leave', vcoproc: Vcoproc) => void;
  #vcoproc: Vcoproc | null = null;
  #isMoving = false;

  /** `note` is told when the memory of a vcoproc becomes reachable, and when it is no more. */
  constructor(
    clock: Clock,
    costs: SimMemoryCosts = {},
    note: (event: 'enter' | 'leave', vcoproc: Vcoproc) => void = () => {},
  ) {
    this.#clock = clock;
    this.#costs = costs;
    this.#note = note;
  }

  /** The context whose owner's memory the device reaches; null = none. */
  get context(): number | null {
    return this.#isMoving ? null : (this.#vcoproc?.context ?? null);
  }

  enter(vcoproc: Vcoproc, done: () => void): void {
    assert(this.#vcoproc === null && !this.#isMoving, 'no memory is reached when another is entered');
    this.#move(this.#costs.enterNs, () => {
      this.#vcoproc = vcoproc;
      this.#note('enter', vcoproc);
      done();
    });
  }

  leave(vcoproc: Vcoproc, done: () => void): void {
    assert(this.#vcoproc === vcoproc && !this.#isMoving, 'the memory that is left was entered');
    this.#vcoproc = null;
    this.#move(this.#costs.leaveNs, () => {
      this.#note('leave', vcoproc);
      done();
    });
  }

  #move(ns: number | undefined, done: () => void): void {
    if (ns === undefined || ns === 0) {
      done();
      return;
    }
    this.#isMoving = true;
    this.#clock.alarm(ns, () => {
      this.#isMoving = false;
      done();
    });
  }
}
