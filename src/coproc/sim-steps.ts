/**
 * How the steps of the simulated coprocessor (sim-hardware.ts) are answered: after what they cost, or in one of the ways in
 * which a device lets the framework down. A device that is reset or lost fails what is in flight.
 */
import type { Prng } from '../base/prng.js';
import type { CancelAlarm, Clock } from '../hw/clock.js';

/** What a step costs, ns: always the same, or from `least` to `most`, equally likely. */
export type SimCost = number | { readonly least: number; readonly most: number };

/** What the steps of a switch cost; 0 where absent, and then answered at once. */
export interface SimCosts {
  readonly stop?: SimCost;
  readonly save?: SimCost;
  /** Of a start that loads a context; both of the following. */
  readonly restore?: SimCost;
  readonly start?: SimCost;
}

/** The steps that can go wrong. */
export type SimStep = 'create' | 'destroy' | 'stop' | 'save' | 'start' | 'resetContext' | 'resetDevice';

/** How a step goes wrong. */
export type SimFault =
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'retryIn'; readonly ns: number }
  /** It is done, and answered so much later. */
  | { readonly kind: 'late'; readonly ns: number }
  | { readonly kind: 'silent' };

/** Asked at each step: null, or what goes wrong. `context` is null for the whole device. */
export type SimFaults = (step: SimStep, context: number | null) => SimFault | null;

/** What steps need. */
export interface SimStepsParts {
  readonly clock: Clock;
  readonly prng: Prng;
  readonly faultOf: SimFaults;
}

/** One step: of which context, what it costs, and how it is answered when it fails. */
export interface SimStepRequest<Answer> {
  readonly step: SimStep;
  readonly context: number | null;
  /** All of them. */
  readonly costs?: readonly SimCost[];
  readonly failure: Answer;
}

/** A step that was not answered yet. */
interface InFlight {
  readonly cancel: CancelAlarm;
  readonly fail: () => void;
}

/** The steps of one device. */
export class SimSteps {
  readonly #parts: SimStepsParts;
  readonly #inFlight = new Set<InFlight>();
  #isLost = false;

  constructor(parts: SimStepsParts) {
    this.#parts = parts;
  }

  /** The device is gone: every step fails from now on. */
  lose(): void {
    this.#isLost = true;
  }

  get isLost(): boolean {
    return this.#isLost;
  }

  /**
   * Performs a step, unless something is to go wrong with it: `begin` at once, and what that answers when the cost has
   * passed.
   */
  perform<Answer>(
    { step, context, costs = [], failure }: SimStepRequest<Answer>,
    done: (answer: Answer) => void,
    begin: () => () => Answer,
  ): void {
    const fault = this.#parts.faultOf(step, context);
    const costNs = costs.reduce<number>((sum, cost) => sum + this.#drawn(cost), 0);
    if (this.#isLost) done(failure);
    else if (fault === null) this.answerAfter(costNs, done, failure, begin());
    else if (fault.kind === 'late') this.answerAfter(costNs + fault.ns, done, failure, begin());
    else if (fault.kind !== 'silent') {
      const isStepAnswer = typeof failure === 'object' && failure !== null && 'kind' in failure;
      done(isStepAnswer ? (fault as Answer) : failure);
    }
  }

  /** Answers when `ns` have passed; `failure` if the device is reset or lost before. */
  answerAfter<Answer>(
    ns: number,
    done: (answer: Answer) => void,
    failure: Answer,
    answer: () => Answer,
  ): void {
    if (ns === 0) {
      done(answer());
      return;
    }
    const cancel = this.#parts.clock.alarm(ns, () => {
      this.#inFlight.delete(step);
      done(answer());
    });
    const step: InFlight = { cancel, fail: () => done(failure) };
    this.#inFlight.add(step);
  }

  /** Ends what is in flight. Answers what makes it fail: for later, since who hears of it may ask for new steps. */
  abort(): () => void {
    const steps = [...this.#inFlight];
    this.#inFlight.clear();
    for (const { cancel } of steps) cancel();
    return () => {
      for (const { fail } of steps) fail();
    };
  }

  #drawn(cost: SimCost): number {
    return typeof cost === 'number' ? cost : cost.least + this.#parts.prng.below(cost.most - cost.least + 1);
  }
}
