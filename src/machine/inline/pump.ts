/**
 * Lets the virtual machine run while user code waits. After each event that user code can see, the pump returns to
 * Node's event loop, so that promises settle before the next event: user code is an actor like the others.
 */
import type { VirtualClock } from '../../hw/clock.js';

/** Events in a row without a return to Node's event loop. */
const EVENTS_PER_TURN = 1000;

export class Pump {
  readonly #clock: VirtualClock;
  #scheduled = false;
  #userRuns = false;

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  /** There may be something to do. */
  soon(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.#turn());
  }

  /** User code was told something: it runs before the next event. */
  userRuns(): void {
    this.#userRuns = true;
  }

  /** Dispatches events until none is left, without letting user code run in between. */
  runUntilIdle(): number {
    let events = 0;
    while (this.#clock.step()) events += 1;
    return events;
  }

  #turn(): void {
    this.#scheduled = false;
    this.#userRuns = false;
    for (let events = 0; events < EVENTS_PER_TURN && !this.#userRuns; events++) {
      if (!this.#clock.step()) return;
    }
    this.soon();
  }
}
