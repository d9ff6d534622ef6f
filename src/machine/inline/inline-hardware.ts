/**
 * One coprocessor instance on the inline host: the engine as an actor on the virtual clock. A step of the engine is
 * one event; its cost is the time to the next.
 */
import type { Prng } from '../../base/prng.js';
import type { Clock } from '../../hw/clock.js';
import type {
  ContextHardware,
  ContextIrq,
  RegisterImage,
  RegisterReplay,
  StepAnswer,
} from '../../hw/context-hardware.js';
import type { Done, QueueBinding } from '../../hw/coproc-port.js';
import type { DeviceDescription } from '../../hw/device-model.js';
import { type Engine, IDLE } from '../../hw/engine.js';
import { errno } from '../../uapi/errno.js';

/** From a doorbell to the first look of a sleeping engine, ns: a base and a random part. */
const WAKE_NS = 100;
const WAKE_JITTER_NS = 64;

export interface InlineHardwareParts {
  readonly instance: string;
  readonly deviceId: number;
  readonly description: DeviceDescription;
  readonly clock: Clock;
  /** Draws the delay of each wake. */
  readonly jitter: Prng;
  /** What saving and what restoring the registers of a context takes, ns; counts when contexts share the device. */
  readonly switchNs: number;
  /** This instance serves the queue from now on. */
  readonly attached: (binding: QueueBinding) => void;
  /** It was reset unasked: its queues are served no more. */
  readonly lost: (reason: string) => void;
  readonly makeEngine: (raise: (irq: ContextIrq) => void) => Engine;
}

export class InlineHardware implements ContextHardware {
  readonly instance: string;
  readonly deviceId: number;
  readonly description: DeviceDescription;
  readonly #parts: InlineHardwareParts;
  readonly #engine: Engine;
  #scheduled = false;
  #hangs = false;
  #shared = false;
  #receive: (irq: ContextIrq) => void = () => {};

  constructor(parts: InlineHardwareParts) {
    this.instance = parts.instance;
    this.deviceId = parts.deviceId;
    this.description = parts.description;
    this.#parts = parts;
    this.#engine = parts.makeEngine((irq) => parts.clock.alarm(0, () => this.#receive(irq)));
  }

  /** A doorbell, a page response or an invalidation: the engine looks soon. */
  ring(): void {
    if (this.#scheduled || this.#hangs) return;
    this.#engine.setAsleep(false);
    this.#schedule(WAKE_NS + this.#parts.jitter.below(WAKE_JITTER_NS));
  }

  /** From now on the engine makes no step, acknowledges nothing and answers nothing, until it is reset. For tests. */
  hang(): void {
    this.#hangs = true;
  }

  /** Resets an engine that does not do what is asked of it. */
  forceReset(reason: string): void {
    this.#reset();
    // At once: a queue that is started after the reset must not be taken for one of those that were dropped.
    this.#receive({ kind: 'reset', reason });
    this.#parts.lost(reason);
  }

  createContext(context: number, done: Done): void {
    done(this.#engine.createContext(context) ? 0 : -errno.ENOSPC);
  }

  destroyContext(context: number, done: Done): void {
    this.#engine.destroyContext(context);
    done(0);
  }

  share(shared: boolean): void {
    this.#shared = shared;
    this.#engine.share(shared);
    this.ring();
  }

  stop(done: (answer: StepAnswer) => void): void {
    if (!this.#hangs) done(this.#engine.stop());
  }

  saveRegisters(context: number, done: (image: RegisterImage) => void): void {
    this.#afterSwitching(() => done(this.#engine.image(context)));
  }

  start(context: number, accesses: readonly RegisterReplay[], done: (answer: StepAnswer) => void): void {
    this.#afterSwitching(() => {
      done(this.#engine.start(context, accesses));
      this.ring();
    });
  }

  resetContext(context: number, done: (answer: StepAnswer) => void): void {
    if (!this.#hangs) done(this.#engine.resetContext(context));
  }

  resetDevice(done: (answer: StepAnswer) => void): void {
    this.#reset();
    this.#parts.lost('the framework reset it');
    done({ kind: 'done' });
  }

  attachQueue(context: number, binding: QueueBinding, done: Done): void {
    const attached = this.#engine.attach(context, binding);
    if (attached) this.#parts.attached(binding);
    this.ring();
    done(attached ? 0 : -errno.EIO);
  }

  detachQueue(queueNumber: number, done: Done): void {
    this.#engine.detach(queueNumber);
    done(0);
  }

  ringDoorbell(queueNumber: number, value: Uint8Array): void {
    this.#engine.hardwareDoorbell(queueNumber, value);
    this.ring();
  }

  readRegister(offset: number, _width: 32 | 64, done: (value: number) => void): void {
    if (!this.#hangs) done(this.#engine.readRegister(offset));
  }

  writeRegister(offset: number, _width: 32 | 64, value: number, done: Done): void {
    if (this.#hangs) return;
    this.#engine.writeRegister(offset, value);
    done(0);
  }

  onIrq(receive: (irq: ContextIrq) => void): void {
    this.#receive = receive;
  }

  /** What was asked for meanwhile is acknowledged with the next step: no request of the past can use it. */
  #reset(): void {
    this.#hangs = false;
    this.#engine.reset();
    this.ring();
  }

  /** With one context a switch happens once, and its cost is nobody's concern. */
  #afterSwitching(act: () => void): void {
    if (this.#hangs) return;
    if (this.#shared && this.#parts.switchNs > 0) this.#parts.clock.alarm(this.#parts.switchNs, act);
    else act();
  }

  #schedule(delayNs: number): void {
    this.#scheduled = true;
    this.#parts.clock.alarm(delayNs, () => this.#step());
  }

  #step(): void {
    this.#scheduled = false;
    if (this.#hangs) return;
    const cost = this.#engine.step();
    // One thread: nobody can ring between the last look and the flag.
    if (cost === IDLE) this.#engine.setAsleep(true);
    else this.#schedule(cost);
  }
}
