/**
 * A domain's instance of a coprocessor: what the kernel of that domain attaches its queues to. To the kernel it is
 * a `CoprocPort` like the raw hardware.
 *
 * State is owned by the scheduler core (scheduler.ts), which is the only one to call `enter`.
 */
import { assert } from '../base/assert.js';
import type { CoprocHardware, CoprocIrq, CoprocPort, Done, QueueBinding } from '../hw/coproc-port.js';
import type { DeviceDescription } from '../hw/device-model.js';
import type { SchedulableVcoproc } from './policy.js';

/** docs/lifecycle.md draws the transitions. */
export const vcoprocState = { SLEEPING: 'SLEEPING', WAITING: 'WAITING', RUNNING: 'RUNNING' } as const;
export type VcoprocState = (typeof vcoprocState)[keyof typeof vcoprocState];

const allowed: Readonly<Record<VcoprocState, readonly VcoprocState[]>> = {
  SLEEPING: ['WAITING'],
  WAITING: ['RUNNING', 'SLEEPING'],
  RUNNING: ['WAITING', 'SLEEPING'],
};

/** What a vcoproc asks of the scheduler core. */
export interface VcoprocOwner {
  wake(vcoproc: Vcoproc): void;
  sleep(vcoproc: Vcoproc): void;
}

export class Vcoproc implements CoprocPort, SchedulableVcoproc {
  readonly id: number;
  readonly domainId: number;
  readonly #hardware: CoprocHardware;
  readonly #owner: VcoprocOwner;
  #state: VcoprocState = vcoprocState.SLEEPING;
  #receive: (irq: CoprocIrq) => void = () => {};

  constructor(id: number, domainId: number, wiring: { hardware: CoprocHardware; owner: VcoprocOwner }) {
    this.id = id;
    this.domainId = domainId;
    this.#hardware = wiring.hardware;
    this.#owner = wiring.owner;
  }

  get instance(): string {
    return this.#hardware.instance;
  }

  get deviceId(): number {
    return this.#hardware.deviceId;
  }

  get description(): DeviceDescription {
    return this.#hardware.description;
  }

  get state(): VcoprocState {
    return this.#state;
  }

  /** Scheduler core only: one transition, checked. */
  enter(next: VcoprocState): void {
    assert(allowed[this.#state].includes(next), `a vcoproc goes from ${this.#state} to ${next}`);
    this.#state = next;
  }

  attachQueue(binding: QueueBinding, done: Done): void {
    this.#hardware.attachQueue(binding, done);
  }

  detachQueue(queueNumber: number, done: Done): void {
    this.#hardware.detachQueue(queueNumber, done);
  }

  ringDoorbell(queueNumber: number, value: Uint8Array): void {
    this.#hardware.ringDoorbell(queueNumber, value);
  }

  wake(): void {
    this.#owner.wake(this);
  }

  sleep(): void {
    this.#owner.sleep(this);
  }

  readRegister(offset: number, width: 32 | 64, done: (value: number) => void): void {
    this.#hardware.readRegister(offset, width, done);
  }

  writeRegister(offset: number, width: 32 | 64, value: number, done: Done): void {
    this.#hardware.writeRegister(offset, width, value, done);
  }

  onIrq(receive: (irq: CoprocIrq) => void): void {
    this.#receive = receive;
  }

  /** Framework only: hands an interrupt of the hardware to the domain. */
  deliver(irq: CoprocIrq): void {
    this.#receive(irq);
  }
}
