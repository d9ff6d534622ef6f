/**
 * One coprocessor instance on the inline host: the engine as an actor on the virtual clock. A step of the engine is
 * one event; its cost is the time to the next.
 */
import type { Prng } from '../../base/prng.js';
import type { Clock } from '../../hw/clock.js';
import type { CoprocHardware, CoprocIrq, Done, QueueBinding } from '../../hw/coproc-port.js';
import type { DeviceDescription } from '../../hw/device-model.js';
import { type Engine, IDLE } from '../../hw/engine.js';

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
  /** This instance serves the queue from now on. */
  readonly attached: (binding: QueueBinding) => void;
  readonly makeEngine: (raise: (irq: CoprocIrq) => void) => Engine;
}

export class InlineHardware implements CoprocHardware {
  readonly instance: string;
  readonly deviceId: number;
  readonly description: DeviceDescription;
  readonly #clock: Clock;
  readonly #jitter: Prng;
  readonly #attached: (binding: QueueBinding) => void;
  readonly #engine: Engine;
  #scheduled = false;
  #receive: (irq: CoprocIrq) => void = () => {};

  constructor(parts: InlineHardwareParts) {
    this.instance = parts.instance;
    this.deviceId = parts.deviceId;
    this.description = parts.description;
    this.#clock = parts.clock;
    this.#jitter = parts.jitter;
    this.#attached = parts.attached;
    this.#engine = parts.makeEngine((irq) => this.#clock.alarm(0, () => this.#receive(irq)));
    this.#engine.stop();
  }

  /** A doorbell, a page response or an invalidation: the engine looks soon. */
  ring(): void {
    if (this.#scheduled) return;
    this.#engine.setAsleep(false);
    this.#schedule(WAKE_NS + this.#jitter.below(WAKE_JITTER_NS));
  }

  attachQueue(binding: QueueBinding, done: Done): void {
    this.#engine.attach(binding);
    this.#attached(binding);
    this.ring();
    done(0);
  }

  detachQueue(queueNumber: number, done: Done): void {
    this.#engine.detach(queueNumber);
    done(0);
  }

  ringDoorbell(queueNumber: number, value: Uint8Array): void {
    this.#engine.hardwareDoorbell(queueNumber, value);
    this.ring();
  }

  wake(): void {}

  sleep(): void {}

  start(done: Done): void {
    this.#engine.start();
    this.ring();
    done(0);
  }

  stop(done: Done): void {
    this.#engine.stop();
    done(0);
  }

  resetDevice(done: Done): void {
    this.#engine.reset();
    done(0);
  }

  readRegister(offset: number, _width: 32 | 64, done: (value: number) => void): void {
    done(this.#engine.registers.read(offset));
  }

  writeRegister(offset: number, _width: 32 | 64, value: number, done: Done): void {
    this.#engine.registers.write(offset, value);
    done(0);
  }

  onIrq(receive: (irq: CoprocIrq) => void): void {
    this.#receive = receive;
  }

  #schedule(delayNs: number): void {
    this.#scheduled = true;
    this.#clock.alarm(delayNs, () => this.#step());
  }

  #step(): void {
    this.#scheduled = false;
    const cost = this.#engine.step();
    // One thread: nobody can ring between the last look and the flag.
    if (cost === IDLE) this.#engine.setAsleep(true);
    else this.#schedule(cost);
  }
}
