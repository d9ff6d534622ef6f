/**
 * The ctxs of one algorithm and direction, over all devices that have it, and the requests that wait for one of
 * them. Chooses the ctx that is expected to start a request first.
 *
 * Requests bind late: a ctx is given no more than it can finish soon, so that a slow request on one device never
 * holds up what another device could do.
 */
import { limits } from '../src/base/limits.js';
import { NS_PER_MS, NS_PER_US } from '../src/base/units.js';
import type { Ctx } from './ctx.js';
import type { Flight } from './flight.js';
import type { InFlightWindow } from './in-flight-window.js';
import type { QueueRevival } from './queue-revival.js';

/** Waking a sleeping engine costs about this much. */
const WAKE_NS = 25 * NS_PER_US;
/** Expected work that a ctx is given ahead; beyond it a request waits for whichever ctx is free first. */
const AHEAD_NS = 2 * NS_PER_MS;
/** Requests that a ctx is given ahead whatever they cost: enough to never run dry between two interrupts. */
const AHEAD_REQUESTS = 2;

/** A request that waits for memory and a ctx. */
export interface Waiting {
  /** Its input, bytes. */
  readonly sourceBytes: number;
  /** Its flight with memory assigned, or null when there is no memory now. */
  launch(): Flight | null;
  /** Gives back the memory that it holds while it waits: others need it to get on. */
  unstage(): void;
  /** The group has no ctx left. */
  abandoned(reason: string): void;
}

export class CtxGroup {
  readonly ctxs: Ctx[] = [];
  /** Those that wait; null where one has left, so that what is done with is not kept alive. */
  readonly #waiting: (Waiting | null)[] = [];
  /** Index of the first that waits; the array is cut when half of it is history. */
  #first = 0;
  #dispatching = false;
  /** No ctx is left; one may come later. */
  #closed = false;
  readonly #changed: (() => void)[] = [];
  readonly #window: InFlightWindow;
  readonly #revival: QueueRevival;

  /** `window` is what all groups of a pool share. */
  constructor(window: InFlightWindow, revival: QueueRevival) {
    this.#window = window;
    this.#revival = revival;
  }

  /** Asks for lost queues again, when it is time to. */
  revive(): void {
    this.#revival.tick();
  }

  /** Expected ns until the next request could start; 0 when one of `bytes` bytes could now, or queues are being opened. */
  delayNs(bytes: number): number {
    if (this.ctxs.length === 0 || (!this.hasWaiting && this.#pick(bytes) !== null)) return 0;
    return Math.max(1, Math.min(...this.ctxs.map(({ backlogNs }) => backlogNs)));
  }

  /** Whether no ctx is left. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Whether a request waits for memory or a ctx. */
  get hasWaiting(): boolean {
    return this.#first < this.#waiting.length;
  }

  /** Requests inside the ctxs. */
  get inFlight(): number {
    return this.ctxs.reduce((sum, ctx) => sum + ctx.inFlight, 0);
  }

  add(request: Waiting): void {
    if (this.#closed) request.abandoned('no queue is left');
    else this.#waiting.push(request);
  }

  /** Adds a request and launches what can be launched. */
  launch(request: Waiting): void {
    this.revive();
    // The usual case first: nobody waits, and a ctx has room.
    const alone = !this.hasWaiting && !this.#dispatching;
    const ctx = alone ? this.#pick(request.sourceBytes) : null;
    const flight = ctx === null ? null : request.launch();
    if (flight !== null) return ctx!.submit(flight);
    this.add(request);
    if (ctx !== null) this.dispatch();
  }

  /** Takes back a request that has not been launched; false when it is too late. */
  remove(request: Waiting): boolean {
    const index = this.#waiting.indexOf(request, this.#first);
    if (index < 0) return false;
    this.#waiting[index] = null;
    // What waited behind the first may be able to go.
    if (index === this.#first) this.dispatch();
    return true;
  }

  /** A ctx for a stream: the one with the fewest, once one is open; null when none will be. */
  async anyCtx(): Promise<Ctx | null> {
    if (this.ctxs.length === 0 && !this.#closed) {
      await new Promise<void>((resolve) => this.#changed.push(resolve));
    }
    return this.ctxs.reduce<Ctx | null>(
      (least, ctx) => (least === null || ctx.streams < least.streams ? ctx : least),
      null,
    );
  }

  /** Another ctx, the first or one in the place of one that was lost. */
  open(ctx: Ctx): void {
    this.ctxs.push(ctx);
    this.#closed = false;
    for (const resolve of this.#changed.splice(0)) resolve();
    this.dispatch();
  }

  /** The thread is awake: every ctx is looked at, which saves the others an interrupt. */
  look(): void {
    for (const ctx of [...this.ctxs]) ctx.look();
  }

  /** Launches what can be launched, in order. */
  dispatch(): void {
    // A completion inside a submission would come back here.
    if (this.#dispatching) return;
    this.#dispatching = true;
    while (this.hasWaiting) {
      const request = this.#waiting[this.#first] ?? null;
      const ctx = request === null ? null : this.#pick(request.sourceBytes);
      const flight = ctx === null ? null : this.#launch(request!);
      if (request !== null && flight === null) break;
      this.#waiting[this.#first] = null;
      this.#first += 1;
      if (flight !== null) ctx!.submit(flight);
    }
    this.#forgetHistory();
    this.#dispatching = false;
  }

  /** Its flight, or null when memory has to come back first. */
  #launch(request: Waiting): Flight | null {
    const flight = request.launch();
    // With requests in flight, memory comes back by itself; without, what waits may hold all of it.
    if (flight !== null || this.inFlight > 0) return flight;
    this.#unstageAll();
    const again = request.launch();
    if (again === null) request.unstage();
    return again;
  }

  #unstageAll(): void {
    for (let i = this.#first; i < this.#waiting.length; i++) this.#waiting[i]?.unstage();
  }

  /** A ctx was lost: what waits goes to the others, or fails with the last one. */
  drop(ctx: Ctx, reason: string): void {
    const index = this.ctxs.indexOf(ctx);
    if (index >= 0) this.ctxs.splice(index, 1);
    this.#revival.lose(ctx);
    if (this.ctxs.length === 0) this.abandonAll(reason);
  }

  abandonAll(reason: string): void {
    this.#closed = true;
    for (const resolve of this.#changed.splice(0)) resolve();
    const waiting = this.#waiting.splice(0).slice(this.#first);
    this.#first = 0;
    for (const request of waiting) request?.abandoned(reason);
  }

  /** The ctx that would start a request first, or null when all have enough to do. */
  #pick(bytes: number): Ctx | null {
    if (!this.#window.admits(bytes)) return null;
    let best: Ctx | null = null;
    let bestNs = Number.POSITIVE_INFINITY;
    for (const ctx of this.ctxs) {
      if (ctx.room <= 0 || (ctx.inFlight >= AHEAD_REQUESTS && ctx.backlogNs > AHEAD_NS)) continue;
      // Of a batch one queue gets its share after the other, so that the first engine works while the rest is submitted.
      if (ctx.filling) return ctx;
      const startNs = ctx.backlogNs + (ctx.engineAsleep ? WAKE_NS : 0);
      if (startNs >= bestNs) continue;
      best = ctx;
      bestNs = startNs;
    }
    return best;
  }

  #forgetHistory(): void {
    if (this.#first < limits.QUEUE_DEPTH || this.#first * 2 < this.#waiting.length) return;
    this.#waiting.splice(0, this.#first);
    this.#first = 0;
  }
}
