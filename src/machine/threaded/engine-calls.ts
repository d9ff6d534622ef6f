/**
 * Calls that an engine thread has not answered, oldest first, and the bound within which it has to.
 */
import type { Clock } from '../../hw/clock.js';
import type { StepAnswer } from '../../hw/context-hardware.js';
import { OverdueAlarm } from '../overdue-alarm.js';
import type { EngineAnswer, EngineRequest } from './messages.js';

/** A call that is open. */
interface OpenCall {
  readonly kind: EngineRequest['kind'];
  readonly sinceNs: number;
  readonly done: (value: EngineAnswer) => void;
}

export interface EngineCallsParts {
  readonly clock: Clock;
  /** How long the thread may take to answer a call, ns. */
  readonly boundNs: number;
  /** It has taken longer. */
  readonly overdue: () => void;
}

export class EngineCalls {
  readonly #clock: Clock;
  readonly #alarm: OverdueAlarm;
  readonly #calls = new Map<number, OpenCall>();
  #sequence = 0;

  constructor({ clock, boundNs, overdue }: EngineCallsParts) {
    this.#clock = clock;
    this.#alarm = new OverdueAlarm({ clock, boundNs, overdue });
  }

  /** A call is about to be made; its number. */
  open(kind: EngineRequest['kind'], done: (value: EngineAnswer) => void): number {
    const sequence = ++this.#sequence;
    this.#calls.set(sequence, { kind, sinceNs: this.#clock.nowNs(), done });
    this.#watch();
    return sequence;
  }

  /** The answer to call number `sequence` has come; what kind of call it was, null if nobody waits for it. */
  answered(sequence: number, value: EngineAnswer): EngineRequest['kind'] | null {
    const call = this.#calls.get(sequence);
    if (call === undefined) return null;
    this.#calls.delete(sequence);
    this.#watch();
    call.done(value);
    return call.kind;
  }

  /** The thread has ended: whatever is open has to be answered otherwise. */
  takeAll(): readonly Pick<OpenCall, 'done'>[] {
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    this.#watch();
    return calls;
  }

  #watch(): void {
    const [oldest] = this.#calls.values();
    this.#alarm.watch(oldest?.sinceNs ?? null);
  }
}

/** Answers of a thread that is well, and of one that will not be started again. */
export const STEP_DONE: StepAnswer = { kind: 'done' };
export const STEP_GONE: StepAnswer = {
  kind: 'failed',
  reason: 'its engine thread cannot be started any more',
};

/** How a step of a switch ended; a thread that ended without an answer failed, too. */
export function stepOf(answer: EngineAnswer): StepAnswer {
  if (typeof answer === 'object' && 'kind' in answer) return answer;
  return { kind: 'failed', reason: 'its engine thread ended' };
}
