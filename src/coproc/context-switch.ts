/**
 * The two halves of a context switch, in the order that the framework prescribes and no device can change (R2, R45):
 * stop, save registers, switch the memory off; switch the memory on, replay, start. Each step has to be answered within
 * STEP_TIMEOUT_NS; an answer that comes later is ignored, for the device has been reset by then.
 *
 * One of these is under way at a time. `abandon` ends it in the middle: what it would have answered is not answered.
 */
import { limits } from '../base/limits.js';
import type { CancelAlarm, Clock } from '../hw/clock.js';
import type { ContextHardware, RegisterImage, StepAnswer } from '../hw/context-hardware.js';
import type { Vcoproc } from './vcoproc.js';

/** How the memory of a domain becomes reachable for a device, and stops being so. */
export interface MemorySwitch {
  /** `done` when the device reaches the domain's memory. */
  enter(vcoproc: Vcoproc, done: () => void): void;
  /** `done` when the device reaches nothing, and no page request of the domain is under way (R37). */
  leave(vcoproc: Vcoproc, done: () => void): void;
}

export interface ContextSwitchParts {
  readonly hardware: ContextHardware;
  readonly memory: MemorySwitch;
  readonly clock: Clock;
}

const DONE: StepAnswer = { kind: 'done' };

/** A question to the device, until it is answered, its time is over, or nobody wants the answer any more. */
interface Step {
  isOver: boolean;
  cancelTimeout: CancelAlarm;
}

const newStep = (): Step => ({ isOver: false, cancelTimeout: () => {} });

export class ContextSwitch {
  readonly #parts: ContextSwitchParts;
  /** Whose memory the device reaches, or is about to. */
  #reached: Vcoproc | null = null;
  /** The memory is being switched: that is finished before anything else begins. */
  #isMemoryMoving = false;
  /** The last step of a switch. */
  #underWay = newStep();
  /** What an abandoned switch of the memory is followed by. */
  #afterMemory: (() => void) | null = null;

  constructor(parts: ContextSwitchParts) {
    this.#parts = parts;
  }

  /** Takes the loaded `vcoproc` off the coproc, unless the device denies. `stopped` is called when it executes no more. */
  leave(vcoproc: Vcoproc, stopped: () => void, done: (answer: StepAnswer) => void): void {
    this.pause(vcoproc, (answer) => {
      if (answer.kind !== 'done') {
        if (answer.kind === 'retryIn') vcoproc.registersLoaded();
        done(answer);
        return;
      }
      stopped();
      // The memory's own steps are bounded below: a device that acknowledges nothing is reset.
      this.#save(vcoproc, (saved) => {
        if (saved.kind !== 'done') done(saved);
        else this.#leaveMemory(() => done(DONE));
      });
    });
  }

  /** Loads `vcoproc`. `replays` is called before its stacked accesses are executed, if there are any. */
  enter(vcoproc: Vcoproc, replays: () => void, done: (answer: StepAnswer) => void): void {
    this.#step<number>(
      (created) => vcoproc.ensureContext(created),
      (result) => {
        if (result < 0) done({ kind: 'failed', reason: 'the device has no room for the context' });
        else this.#enterMemory(vcoproc, () => this.#start(vcoproc, replays, done));
      },
      done,
    );
  }

  #start(vcoproc: Vcoproc, replays: () => void, done: (answer: StepAnswer) => void): void {
    const accesses = vcoproc.registersMove();
    if (accesses.length > 0) replays();
    const { hardware } = this.#parts;
    this.#step<StepAnswer>((started) => hardware.start(vcoproc.context, accesses, started), done, done);
  }

  /**
   * Asks the device to stop the loaded `vcoproc`, and no more. Accesses to its registers wait until it is known what comes
   * of it: the device may have stopped when they arrive, and would not know of whom they are.
   */
  pause(vcoproc: Vcoproc, done: (answer: StepAnswer) => void): void {
    vcoproc.registersMove();
    this.#step<StepAnswer>((answer) => this.#parts.hardware.stop(answer), done, done);
  }

  /** Lets the loaded `vcoproc` go on: a stop that it denied, or that was a question only, is taken back. */
  resume(vcoproc: Vcoproc, done: (answer: StepAnswer) => void): void {
    const { hardware } = this.#parts;
    this.#step<StepAnswer>((resumed) => hardware.start(vcoproc.context, [], resumed), done, done);
  }

  /** Makes the device drop the requests of the loaded context. */
  resetContext(vcoproc: Vcoproc, done: (answer: StepAnswer) => void): void {
    this.#step<StepAnswer>(
      (answer) => this.#parts.hardware.resetContext(vcoproc.context, answer),
      done,
      done,
    );
  }

  /**
   * Resets the device, by force if need be; then it reaches no memory, even if it would not be reset. Accesses to registers
   * of the `loaded` context wait until it is forgotten.
   */
  resetDevice(loaded: Vcoproc | null, done: (answer: StepAnswer) => void): void {
    loaded?.registersMove();
    const leave = (answer: StepAnswer): void => this.#leaveMemory(() => done(answer));
    this.#step<StepAnswer>((answer) => this.#parts.hardware.resetDevice(answer), leave, leave);
  }

  /** The device has forgotten its contexts. Ends what is under way; `done` when it reaches no memory. */
  abandon(done: () => void): void {
    this.#underWay.isOver = true;
    this.#underWay.cancelTimeout();
    const leave = (): void => this.#leaveMemory(done);
    if (this.#isMemoryMoving) this.#afterMemory = leave;
    else leave();
  }

  /** Ends the context of a vcoproc that is not loaded; `done` says whether the device did. It cannot run any more, anyway. */
  destroy(vcoproc: Vcoproc, done: (isGone: boolean) => void): void {
    this.#ask<number>(
      newStep(),
      (destroyed) => vcoproc.destroyContext(destroyed),
      (result) => done(result >= 0),
      () => done(false),
    );
  }

  #enterMemory(vcoproc: Vcoproc, entered: () => void): void {
    this.#reached = vcoproc;
    this.#moveMemory((done) => this.#parts.memory.enter(vcoproc, done), entered);
  }

  /** Nothing, if the device reaches none. */
  #leaveMemory(left: () => void): void {
    const vcoproc = this.#reached;
    this.#reached = null;
    if (vcoproc === null) left();
    else this.#moveMemory((done) => this.#parts.memory.leave(vcoproc, done), left);
  }

  #moveMemory(act: (done: () => void) => void, next: () => void): void {
    this.#isMemoryMoving = true;
    act(() => {
      this.#isMemoryMoving = false;
      const after = this.#afterMemory ?? next;
      this.#afterMemory = null;
      after();
    });
  }

  #save(vcoproc: Vcoproc, done: (answer: StepAnswer) => void): void {
    this.#step<RegisterImage>(
      (saved) => this.#parts.hardware.saveRegisters(vcoproc.context, saved),
      (image) => {
        vcoproc.registersSaved(image);
        done(DONE);
      },
      done,
    );
  }

  #step<Answer>(
    act: (answer: (value: Answer) => void) => void,
    next: (value: Answer) => void,
    failed: (answer: StepAnswer) => void,
  ): void {
    this.#underWay = newStep();
    this.#ask(this.#underWay, act, next, failed);
  }

  /** Calls `act`; then `next` with its answer, or `failed` when none has come in time. One of them, once. */
  #ask<Answer>(
    step: Step,
    act: (answer: (value: Answer) => void) => void,
    next: (value: Answer) => void,
    failed: (answer: StepAnswer) => void,
  ): void {
    act((value) => {
      if (step.isOver) return;
      step.isOver = true;
      step.cancelTimeout();
      next(value);
    });
    // Answered at once, as most steps are: no alarm.
    if (step.isOver) return;
    step.cancelTimeout = this.#parts.clock.alarm(limits.STEP_TIMEOUT_NS, () => {
      step.isOver = true;
      failed({ kind: 'failed', reason: `a step was not answered within ${limits.STEP_TIMEOUT_NS} ns` });
    });
  }
}
