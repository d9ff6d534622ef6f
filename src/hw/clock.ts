/**
 * Time as the machine sees it. The inline host injects a virtual clock; the threaded host injects real time. Below
 * src/machine nobody asks for the time in any other way.
 *
 * The virtual clock advances only to the next event and dispatches events in the order of (time, sequence), so a
 * run depends on nothing but its inputs.
 */
import { assert } from '../base/assert.js';

/** Cancels an alarm that has not gone off. */
export type CancelAlarm = () => void;

export interface Clock {
  /** Nanoseconds since the machine started. */
  nowNs(): number;
  /** Calls `fire` once, `delayNs` from now. */
  alarm(delayNs: number, fire: () => void): CancelAlarm;
}

interface Event {
  readonly atNs: number;
  readonly sequence: number;
  readonly fire: () => void;
  cancelled: boolean;
}

/** Below this many cancelled events it is not worth the while to take them out. */
const COMPACT_FROM = 64;

function before(a: Event, b: Event): boolean {
  return a.atNs < b.atNs || (a.atNs === b.atNs && a.sequence < b.sequence);
}

/** A clock that moves only when it is told to, with its event queue (a binary heap). */
export class VirtualClock implements Clock {
  #heap: Event[] = [];
  /** Events in the heap that were cancelled. */
  #cancelled = 0;
  #nowNs = 0;
  #sequence = 0;
  #dispatched = 0;

  nowNs(): number {
    return this.#nowNs;
  }

  /** Events dispatched since the start. */
  get dispatched(): number {
    return this.#dispatched;
  }

  alarm(delayNs: number, fire: () => void): CancelAlarm {
    assert(delayNs >= 0 && Number.isFinite(delayNs), `an alarm lies in the future, not ${delayNs} ns away`);
    const event: Event = { atNs: this.#nowNs + delayNs, sequence: this.#sequence++, fire, cancelled: false };
    this.#heap.push(event);
    this.#siftUp(this.#heap.length - 1);
    return () => {
      if (event.cancelled) return;
      event.cancelled = true;
      this.#cancelled += 1;
      if (this.#cancelled > COMPACT_FROM && this.#cancelled * 2 > this.#heap.length) this.#compact();
    };
  }

  /** Moves to the next event and dispatches it; false when none is left. */
  step(): boolean {
    for (;;) {
      const event = this.#pop();
      if (event === undefined) return false;
      if (event.cancelled) {
        this.#cancelled -= 1;
        continue;
      }
      // From here on cancelling it changes nothing.
      event.cancelled = true;
      this.#nowNs = event.atNs;
      this.#dispatched += 1;
      event.fire();
      return true;
    }
  }

  /** Takes the cancelled events out: alarms that never go off must not pile up until they are due. */
  #compact(): void {
    // Sorted by `before`, an array is a heap.
    this.#heap = this.#heap.filter(({ cancelled }) => !cancelled).sort((a, b) => (before(a, b) ? -1 : 1));
    this.#cancelled = 0;
  }

  #pop(): Event | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    heap[0] = last;
    this.#siftDown();
    return first;
  }

  #siftUp(start: number): void {
    const heap = this.#heap;
    let index = start;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!before(heap[index]!, heap[parent]!)) return;
      [heap[index], heap[parent]] = [heap[parent]!, heap[index]!];
      index = parent;
    }
  }

  #siftDown(): void {
    const heap = this.#heap;
    let index = 0;
    for (;;) {
      let least = index;
      for (const child of [2 * index + 1, 2 * index + 2]) {
        if (child < heap.length && before(heap[child]!, heap[least]!)) least = child;
      }
      if (least === index) return;
      [heap[index], heap[least]] = [heap[least]!, heap[index]!];
      index = least;
    }
  }
}
