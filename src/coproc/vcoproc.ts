/**
 * A domain's instance of a coprocessor: what the kernel of that domain attaches its queues to. To the kernel it is a
 * `CoprocPort` like the raw hardware, loaded or not: registers of one that is not loaded are emulated, its interrupts
 * are latched, its queues wait.
 *
 * State is owned by the scheduler core (scheduler.ts), which is the only one to call what is marked so.
 */
import { assert } from '../base/assert.js';
import { NS_PER_US } from '../base/units.js';
import type { Clock } from '../hw/clock.js';
import type { ContextHardware, RegisterImage, RegisterReplay } from '../hw/context-hardware.js';
import type { CoprocIrq, CoprocPort, Done, QueueBinding } from '../hw/coproc-port.js';
import type { DeviceDescription, RegisterSpec } from '../hw/device-model.js';
import type { DeviceContextContents } from '../hw/iommu-driver/control.js';
import { errno } from '../uapi/errno.js';
import { InterruptLatch } from './interrupt-latch.js';
import type { Parameters, SchedulableVcoproc } from './policy.js';
import { SavedRegisters } from './saved-registers.js';

/** docs/lifecycle.md draws the transitions. */
export const vcoprocState = {
  /** Not loaded, and nothing to do. */
  SLEEPING: 'SLEEPING',
  /** Not loaded, with work. */
  WAITING: 'WAITING',
  RUNNING: 'RUNNING',
  /** Still loaded; it was asked to stop. */
  ASKED_TO_SLEEP: 'ASKED_TO_SLEEP',
  /** Out of service for good: it failed too often, or its coproc did. */
  ISOLATED: 'ISOLATED',
} as const;
/** One of `vcoprocState`. */
export type VcoprocState = (typeof vcoprocState)[keyof typeof vcoprocState];

const allowed: Readonly<Record<VcoprocState, readonly VcoprocState[]>> = {
  SLEEPING: ['WAITING', 'ISOLATED'],
  WAITING: ['RUNNING', 'SLEEPING', 'ISOLATED'],
  RUNNING: ['ASKED_TO_SLEEP', 'WAITING', 'SLEEPING', 'ISOLATED'],
  ASKED_TO_SLEEP: ['RUNNING', 'WAITING', 'SLEEPING', 'ISOLATED'],
  ISOLATED: [],
};

/** What a vcoproc asks of the scheduler core. */
export interface VcoprocOwner {
  /** Whether it has work may have changed. */
  workChanged(vcoproc: Vcoproc): void;
  /** The device is being reset: it takes no queues, and every vcoproc is told when that is over. */
  readonly resetting: boolean;
}

export interface VcoprocWiring {
  readonly hardware: ContextHardware;
  readonly owner: VcoprocOwner;
  readonly clock: Clock;
}

/** Where the registers of a context are. `moving`: being saved or restored; accesses wait for the end of it. */
type Registers = 'saved' | 'moving' | 'loaded';

/** An access to a register; false if it has to wait. */
type Access = () => boolean;

export class Vcoproc implements CoprocPort, SchedulableVcoproc {
  readonly id: number;
  readonly domainId: number;
  /** Number of its context on the hardware, which is used again when it is gone. The scheduler core gives it one. */
  context = -1;
  readonly interrupts: InterruptLatch;
  /** Its address spaces, for the switch; null until the domain has given them. */
  memory: DeviceContextContents | null = null;
  /** All that can be set of it, complete: what its policy knows, and the core's own. The framework writes them. */
  parameters: Parameters = {};
  /** Times that its context had to be reset, or could not be stopped or started. */
  failures = 0;
  /** Why it failed last. */
  lastFailure: string | null = null;
  readonly #hardware: ContextHardware;
  readonly #owner: VcoprocOwner;
  readonly #clock: Clock;
  readonly #saved: SavedRegisters;
  readonly #createdNs: number;
  readonly #waiting: Access[] = [];
  #isRetrying = false;
  /** Queues that wait for the end of a reset. */
  readonly #afterReset: (() => void)[] = [];
  #state: VcoprocState = vcoprocState.SLEEPING;
  #registers: Registers = 'saved';
  /** The hardware knows the context. */
  #exists = false;
  /** How often it was told of it. */
  #creations = 0;
  /** Counts the contexts that it has had. */
  #life = 0;
  #started = false;
  #busy = false;
  /** Register accesses wait that only the loaded context can take: a doorbell, or what is held back. */
  #isWanted = false;
  #receive: (irq: CoprocIrq) => void = () => {};

  constructor(id: number, domainId: number, wiring: VcoprocWiring) {
    this.id = id;
    this.domainId = domainId;
    this.#hardware = wiring.hardware;
    this.#owner = wiring.owner;
    this.#clock = wiring.clock;
    this.#createdNs = wiring.clock.nowNs();
    this.#saved = new SavedRegisters(wiring.hardware.description.registers);
    this.interrupts = new InterruptLatch(wiring.clock, (line) => this.#receive({ kind: 'device', line }));
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

  /** Its owner has queues that are started. */
  get started(): boolean {
    return this.#started;
  }

  /** Whether its owner asked to be told when it should give the coproc up. */
  get cooperates(): boolean {
    return this.parameters.cooperates === 1;
  }

  /** The hardware said that it has something to do. */
  get busy(): boolean {
    return this.#busy;
  }

  /** Register accesses wait that only the loaded context can take. */
  get wanted(): boolean {
    return this.#isWanted;
  }

  /** The hardware knows its context. */
  get exists(): boolean {
    return this.#exists;
  }

  /** Register accesses that wait for it to be loaded. */
  get stackedAccesses(): number {
    return this.#saved.stacked;
  }

  // What the kernel calls.

  attachQueue(binding: QueueBinding, done: Done): void {
    if (this.#state === vcoprocState.ISOLATED) {
      done(-errno.EIO);
      return;
    }
    if (this.#owner.resetting) {
      this.#afterReset.push(() => this.attachQueue(binding, done));
      return;
    }
    const life = this.#life;
    this.ensureContext((created) => {
      if (created < 0) done(created);
      else
        this.#hardware.attachQueue(this.context, binding, (attached) => {
          // The device was reset meanwhile, and the context with it: there is a new one to attach to.
          if (attached < 0 && life !== this.#life) this.attachQueue(binding, done);
          else done(attached);
        });
    });
  }

  detachQueue(queueNumber: number, done: Done): void {
    this.#hardware.detachQueue(queueNumber, done);
  }

  ringDoorbell(queueNumber: number, value: Uint8Array): void {
    this.#hardware.ringDoorbell(queueNumber, value);
  }

  wake(): void {
    this.#started = true;
    this.#owner.workChanged(this);
  }

  sleep(): void {
    this.#started = false;
    this.#owner.workChanged(this);
  }

  readRegister(offset: number, width: 32 | 64, done: (value: number) => void): void {
    if (this.#spec(offset)?.access === 'timer') done(this.#microseconds());
    else this.#inOrder(() => this.#read(offset, width, done));
  }

  /** `done` waits while the stack of writes is full: the writer is held back, nothing is lost. */
  writeRegister(offset: number, width: 32 | 64, value: number, done: Done): void {
    this.#inOrder(() => this.#write(offset, width, value, done));
  }

  onIrq(receive: (irq: CoprocIrq) => void): void {
    this.#receive = receive;
  }

  // What the framework and the scheduler core call.

  /** One transition, checked. */
  enter(next: VcoprocState): void {
    assert(allowed[this.#state].includes(next), `a vcoproc goes from ${this.#state} to ${next}`);
    this.#state = next;
    if (next === vcoprocState.ISOLATED) this.#registersAre('saved');
  }

  /** The hardware knows its context from then on. */
  ensureContext(done: Done): void {
    if (this.#exists) {
      done(0);
      return;
    }
    this.#exists = true;
    this.#creations += 1;
    const creation = this.#creations;
    this.#hardware.createContext(this.context, (result) => {
      // Unless the device was reset meanwhile, and the context was created anew.
      if (result < 0 && creation === this.#creations) this.#exists = false;
      done(result);
    });
  }

  /** Ends its context, which is not loaded, if the hardware knows it. */
  destroyContext(done: Done): void {
    if (this.#exists) this.#hardware.destroyContext(this.context, done);
    else done(0);
  }

  /** The hardware was reset: it has forgotten the context, with its registers, its queues and its work. */
  forgetContext(): void {
    this.#life += 1;
    this.#exists = false;
    this.#busy = false;
    this.#isWanted = false;
    this.#saved.reset();
    this.#registersAre('saved');
  }

  /** Its context is about to be saved or restored. Answers what is to be replayed. */
  registersMove(): readonly RegisterReplay[] {
    this.#registers = 'moving';
    return this.#saved.takeStacked();
  }

  registersSaved(image: RegisterImage): void {
    this.#saved.save(image);
    this.#registersAre('saved');
  }

  registersLoaded(): void {
    this.#isWanted = false;
    this.#registersAre('loaded');
  }

  /** The hardware reported whether it has something to do. */
  noteBusy(busy: boolean): void {
    this.#busy = busy;
    this.#owner.workChanged(this);
  }

  /** Hands an interrupt of the hardware to the domain. */
  deliver(irq: CoprocIrq): void {
    if (irq.kind === 'device') this.interrupts.raise(irq.line);
    else this.#receive(irq);
    // The owner believes them gone with the others if it hears of the reset later than of their being attached.
    if (irq.kind === 'reset' || irq.kind === 'lost')
      for (const attach of this.#afterReset.splice(0)) attach();
  }

  #registersAre(where: Registers): void {
    this.#registers = where;
    this.#retry();
  }

  /** Makes an access, or lets it wait: no access overtakes another. */
  #inOrder(access: Access): void {
    if (this.#waiting.length > 0 || !access()) this.#waiting.push(access);
  }

  #retry(): void {
    // An access that is answered may lead to the next change: then the loop below goes on with it.
    if (this.#isRetrying) return;
    this.#isRetrying = true;
    while (this.#waiting[0]?.() === true) this.#waiting.shift();
    this.#isRetrying = false;
  }

  #read(offset: number, width: 32 | 64, done: (value: number) => void): boolean {
    if (this.#registers === 'moving') return false;
    // It is about to be loaded for the doorbell, unless it never will be again.
    if (this.#saved.rings && this.#state !== vcoprocState.ISOLATED) return false;
    if (this.#registers === 'loaded') this.#hardware.readRegister(offset, width, done);
    else done(this.#saved.read(offset));
    return true;
  }

  #write(offset: number, width: 32 | 64, value: number, done: Done): boolean {
    if (this.#state === vcoprocState.ISOLATED) done(-errno.EIO);
    else if (this.#registers === 'moving') return false;
    else if (this.#registers === 'loaded') this.#hardware.writeRegister(offset, width, value, done);
    else if (this.#saved.holdsBack(offset)) {
      this.#want();
      return false;
    } else {
      this.#saved.write(offset, value);
      if (this.#spec(offset)?.access === 'doorbell') this.#want();
      done(0);
    }
    return true;
  }

  /** It has to be loaded, even if its queues have nothing to do. */
  #want(): void {
    this.#isWanted = true;
    this.#owner.workChanged(this);
  }

  #spec(offset: number): RegisterSpec | undefined {
    return this.description.registers.find(({ at }) => at === offset);
  }

  #microseconds(): number {
    return Math.floor((this.#clock.nowNs() - this.#createdNs) / NS_PER_US);
  }
}
