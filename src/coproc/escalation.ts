/**
 * What happens to a context that cannot be stopped or started, or that denies for too long (R26, R48, R49): its requests
 * are dropped; if that does not help, the device is reset; a vcoproc that fails too often, and a device that others keep
 * having to be reset for, are taken out of service. The machine goes on in any case.
 */
import { limits } from '../base/limits.js';
import type { ContextIrq } from '../hw/context-hardware.js';
import type { ContextSwitch } from './context-switch.js';
import type { Roster } from './roster.js';
import type { SwitchStatistics } from './switch-statistics.js';
import { type Vcoproc, vcoprocState } from './vcoproc.js';

const { ISOLATED } = vcoprocState;

export interface EscalationParts {
  readonly roster: Roster;
  readonly contextSwitch: ContextSwitch;
  readonly statistics: SwitchStatistics;
  /** Who is loaded; null = nobody. */
  readonly current: () => Vcoproc | null;
  /** Nothing is loaded from now on. */
  readonly unloaded: () => void;
  /** Whether a vcoproc has work may have changed. */
  readonly workChanged: (vcoproc: Vcoproc) => void;
}

export class Escalation {
  readonly #parts: EscalationParts;
  /** Those because of which the device had to be reset, by id: one that does it over and over condemns itself alone. */
  readonly #culprits = new Set<number>();
  #isolated = false;
  #resetting = false;

  constructor(parts: EscalationParts) {
    this.#parts = parts;
  }

  /** The coproc is out of service for good. */
  get isolated(): boolean {
    return this.#isolated;
  }

  /** The device is being reset: a context that was created now might go with the others, or stay. */
  get resetting(): boolean {
    return this.#resetting;
  }

  /** Gets the device out of the context of `guilty`, by harder and harder means; `done` when nothing is loaded. */
  escalate(guilty: Vcoproc, reason: string, done: () => void): void {
    const { contextSwitch, statistics } = this.#parts;
    const further = (): void => this.#resetDevice(guilty, reason, done);
    statistics.contextReset();
    contextSwitch.resetContext(guilty, (answer) => {
      if (answer.kind === 'done') this.#leave(guilty, further, () => this.blame(guilty, reason, done));
      else further();
    });
  }

  /** Nothing is loaded any more, because of `guilty`. */
  blame(guilty: Vcoproc, reason: string, done: () => void): void {
    this.#parts.unloaded();
    this.#parts.roster.standBy(guilty);
    this.#noteFailure(guilty, reason);
    done();
  }

  /** Every context of the device is gone. Not while settled: what changes by it is decided upon later. */
  forgetContexts(): void {
    const { roster, workChanged } = this.#parts;
    this.#resetting = false;
    roster.freeContextsOfTheGone();
    for (const vcoproc of roster.vcoprocs) {
      vcoproc.forgetContext();
      workChanged(vcoproc);
      roster.standBy(vcoproc);
    }
  }

  /** The device was reset: everybody who is in service hears of it. */
  tellAll(news: Extract<ContextIrq, { kind: 'reset' }>): void {
    for (const vcoproc of this.#parts.roster.vcoprocs) {
      if (vcoproc.state !== ISOLATED) vcoproc.deliver(news);
    }
  }

  /** The coproc is out of service, and every vcoproc with it. */
  isolateAll(reason: string): void {
    this.#isolated = true;
    for (const vcoproc of this.#parts.roster.vcoprocs) {
      if (vcoproc.state !== ISOLATED) this.#isolate(vcoproc, reason);
    }
  }

  #leave(guilty: Vcoproc, further: () => void, left: () => void): void {
    const executesNoMore = (): void => {};
    this.#parts.contextSwitch.leave(guilty, executesNoMore, (answer) => {
      if (answer.kind === 'done') left();
      else further();
    });
  }

  #resetDevice(guilty: Vcoproc, reason: string, done: () => void): void {
    this.#culprits.add(guilty.id);
    this.#parts.statistics.deviceReset();
    this.#resetting = true;
    this.#parts.contextSwitch.resetDevice(this.#parts.current(), (answer) => {
      this.#parts.unloaded();
      this.forgetContexts();
      this.#noteFailure(guilty, reason);
      if (answer.kind !== 'done' || this.#culprits.size >= limits.DEVICE_FAILURES_MAX) {
        this.isolateAll(reason);
      } else this.tellAll({ kind: 'reset', reason });
      done();
    });
  }

  /** Counts a failure, which may be one too many. */
  #noteFailure(guilty: Vcoproc, reason: string): void {
    guilty.failures += 1;
    guilty.lastFailure = reason;
    if (guilty.failures >= limits.CONTEXT_FAILURES_MAX) this.#isolate(guilty, reason);
  }

  #isolate(vcoproc: Vcoproc, reason: string): void {
    vcoproc.enter(ISOLATED);
    vcoproc.lastFailure = reason;
    this.#parts.roster.sleep(vcoproc);
    vcoproc.deliver({ kind: 'lost', reason });
  }
}
