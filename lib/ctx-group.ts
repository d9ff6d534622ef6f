/**
 * The ctxs of one algorithm and direction, over all devices that have it, and the requests that wait for one of
 * them. Chooses the ctx that is expected to start a request first.
 *
 * Requests bind late: a ctx is given no more than it can finish soon, so that a slow request on one device never
 * holds up what another device could do.
 *
 * Steps of streams wait apart. They have their memory, which another request may be waiting for, and without them it
 * would never come back. The two lines take turns.
 */
import { NS_PER_MS, NS_PER_US } from '../src/base/units.js';
import type { Ctx } from './ctx.js';
import type { Flight } from './flight.js';
import type { InFlightWindow } from './in-flight-window.js';
import type { QueueRevival } from './queue-revival.js';
import { WaitingLine } from './waiting-line.js';

/** Waking a sleeping engine costs about this much. */
const WAKE_NS = 25 * NS_PER_US;
/** Expected work that a ctx is given ahead; beyond it a request waits for whichever ctx is free first. */
const AHEAD_NS = 2 * NS_PER_MS;
/** Requests that a ctx is given ahead whatever they cost: enough to never run dry between two interrupts. */
const AHEAD_REQUESTS = 2;

/** What waits for a ctx. */
interface Waiting {
  /** Its input, bytes. */
  readonly sourceBytes: number;
  /** The group has no ctx left, or not the one that it needs. */
  abandoned(reason: string): void;
}

/** A request that waits for memory and a ctx. */
export interface WaitingRequest extends Waiting {
  /** Its flight with memory assigned, or null when there is no memory now. */
  launch(): Flight | null;
  /** Gives back the memory that it holds while it waits: others need it to get on. */
  unstage(): void;
}

/** A step of a stream, which waits for the ctx that the stream lives in. */
export interface WaitingStep extends Waiting {
  readonly ctx: Ctx;
  readonly flight: Flight;
}

export class CtxGroup {
  readonly ctxs: Ctx[] = [];
  readonly #requests = new WaitingLine<WaitingRequest>();
  readonly #steps = new WaitingLine<WaitingStep>();
  /** Whether it is the turn of the steps. */
  #stepsNext = false;
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

  /** Whether anything waits here. */
  get hasWaiting(): boolean {
    return !this.#requests.isEmpty || !this.#steps.isEmpty;
  }

  /** Requests inside the ctxs. */
  get inFlight(): number {
    return this.ctxs.reduce((sum, ctx) => sum + ctx.inFlight, 0);
  }

  add(request: WaitingRequest): void {
    if (this.#closed) request.abandoned('no queue is left');
    else this.#requests.push(request);
  }

  /** Adds a request and launches what can be launched. */
  launch(request: WaitingRequest): void {
    this.revive();
    // The usual case first: nobody waits, and a ctx has room.
    const alone = !this.hasWaiting && !this.#dispatching;
    const ctx = alone ? this.#pick(request.sourceBytes) : null;
    const flight = ctx === null ? null : request.launch();
    if (flight !== null) return ctx!.submit(flight);
    this.add(request);
    if (ctx !== null) this.dispatch();
  }

  /** Submits a step in its turn. Its ctx is not lost. */
  launchStep(step: WaitingStep): void {
    this.#steps.push(step);
    this.dispatch();
  }

  /** Takes back a request that has not been launched; false when it is too late. */
  remove(request: WaitingRequest): boolean {
    const wasHead = this.#requests.head === request;
    if (!this.#requests.remove(request)) return false;
    // What waited behind the first may be able to go.
    if (wasHead) this.dispatch();
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
    while (this.#dispatchOne());
    this.#dispatching = false;
  }

  /** Whether one of the two lines got on: the one whose turn it is, or else the other. */
  #dispatchOne(): boolean {
    const steps = this.#stepsNext;
    const head = steps ? this.#steps.head : this.#requests.head;
    // The window is for all: whoever waits for it in its turn is not overtaken, or a large one would wait for ever.
    if (head !== null && !this.#window.admits(head.sourceBytes)) return false;
    if (steps) return this.#submitStep() || this.#submitRequest();
    return this.#submitRequest() || this.#submitStep();
  }

  #submitRequest(): boolean {
    const request = this.#requests.head;
    const ctx = request === null ? null : this.#pick(request.sourceBytes);
    const flight = ctx === null ? null : this.#launch(request!);
    if (flight === null) return false;
    this.#requests.shift();
    this.#stepsNext = true;
    ctx!.submit(flight);
    return true;
  }

  #submitStep(): boolean {
    const step = this.#steps.head;
    if (step === null || step.ctx.room <= 0 || !this.#window.admits(step.sourceBytes)) return false;
    this.#steps.shift();
    this.#stepsNext = false;
    step.ctx.submit(step.flight);
    return true;
  }

  /** Its flight, or null when memory has to come back first. */
  #launch(request: WaitingRequest): Flight | null {
    const flight = request.launch();
    // With requests in flight, memory comes back by itself; without, what waits may hold all of it.
    if (flight !== null || this.inFlight > 0) return flight;
    for (const other of this.#requests.all) other.unstage();
    const again = request.launch();
    if (again === null) request.unstage();
    return again;
  }

  /** A ctx was lost: what waits goes to the others, or fails with the last one. */
  drop(ctx: Ctx, reason: string): void {
    const index = this.ctxs.indexOf(ctx);
    if (index >= 0) this.ctxs.splice(index, 1);
    this.#revival.lose(ctx);
    for (const step of this.#steps.all) {
      if (step.ctx === ctx && this.#steps.remove(step)) step.abandoned(reason);
    }
    if (this.ctxs.length === 0) this.abandonAll(reason);
  }

  abandonAll(reason: string): void {
    this.#closed = true;
    for (const resolve of this.#changed.splice(0)) resolve();
    for (const waiting of [...this.#requests.clear(), ...this.#steps.clear()]) waiting.abandoned(reason);
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
}
