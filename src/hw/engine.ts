/**
 * What executes SQEs inside one coprocessor instance. One instance has one engine; it completes each queue in
 * order and shares itself between the queues of the running context by deficit round robin in bytes.
 *
 * The engine knows neither time nor threads: a host calls `step` until it answers IDLE, and arranges to call it
 * again when a doorbell, a page response or a control call comes. Between two steps no view of memory is open:
 * that is where invalidations are acknowledged and control calls take effect.
 */

import { limits } from '../base/limits.js';
import type { Trace } from '../base/trace.js';
import { NS_PER_MS } from '../base/units.js';
import { engineAsleep } from '../uapi/queue-layout.js';
import type { CoprocIrq, QueueBinding } from './coproc-port.js';
import { type DeviceDescription, type DeviceModel, DmaFault } from './device-model.js';
import type { DmaPort } from './dma-port.js';
import { EngineQueue } from './engine-queue.js';
import { RegisterFile } from './register-map.js';

/** `step`: nothing can progress until somebody rings, answers or calls. */
export const IDLE = -1;
/** A request that costs more than this is preceded by an interrupt for what is finished already. */
const LONG_REQUEST_NS = NS_PER_MS;

export interface EngineOptions {
  readonly description: DeviceDescription;
  readonly port: DmaPort;
  /** Sends the completion interrupt of a queue to the thread that waits for it. */
  readonly interrupt: (binding: QueueBinding) => void;
  /** Reports to the kernel side. */
  readonly raise: (irq: CoprocIrq) => void;
  readonly trace: Trace | null;
}

export class Engine {
  readonly registers: RegisterFile;
  readonly #device: DeviceModel;
  readonly #port: DmaPort;
  readonly #sqeBytes: number;
  readonly #interrupt: (binding: QueueBinding) => void;
  readonly #raise: (irq: CoprocIrq) => void;
  readonly #trace: Trace | null;
  readonly #queues: EngineQueue[] = [];
  /** Index of the queue that is served now. */
  #turn = 0;
  #stopped = false;
  #ignoredDoorbells = 0;

  constructor({ description, port, interrupt, raise, trace }: EngineOptions) {
    this.#device = description.create();
    this.#port = port;
    this.#sqeBytes = description.sqeBytes;
    this.#interrupt = interrupt;
    this.#raise = raise;
    this.#trace = trace;
    this.registers = new RegisterFile(description.registers, {
      live: (name) => this.#device.liveRegister?.(name) ?? 0,
      doorbell: (name, value) => this.#device.registerWritten?.(name, value),
    });
  }

  attach(binding: QueueBinding): void {
    this.#queues.push(new EngineQueue(this.#port, binding, this.#sqeBytes));
  }

  /** Ends a queue; false when it is not attached. Requests in flight are dropped. */
  detach(queueNumber: number): boolean {
    const index = this.#queues.findIndex(({ binding }) => binding.queueNumber === queueNumber);
    if (index < 0) return false;
    const [queue] = this.#queues.splice(index, 1);
    queue!.close();
    this.#device.queueStopped(queue!.binding.epoch);
    if (index < this.#turn) this.#turn -= 1;
    return true;
  }

  /** A store of a queue's hardware doorbell; one that names another queue is counted and has no effect. */
  hardwareDoorbell(queueNumber: number, value: Uint8Array): void {
    const queue = this.#queues.find(({ binding }) => binding.queueNumber === queueNumber);
    if (queue === undefined || !queue.hardwareDoorbell(value)) this.#ignoredDoorbells += 1;
  }

  /** Doorbell stores without effect since power-on. */
  get ignoredDoorbells(): number {
    return this.#ignoredDoorbells;
  }

  start(): void {
    this.#stopped = false;
    for (const queue of this.#queues) queue.setStalled(queue.dma.waiting);
  }

  /** Takes effect at once: the engine is between two steps. What is finished is told of: it may stay so for long. */
  stop(): void {
    this.#stopped = true;
    for (const queue of this.#queues) this.#stall(queue);
  }

  /** Back to the state after power-on. */
  reset(): void {
    for (const queue of this.#queues.splice(0)) queue.close();
    this.#device.reset();
    this.registers.reset();
    this.#turn = 0;
  }

  /**
   * Serves one queue up to the next yield of its request. Answers the virtual cost in ns, or IDLE. Costs nothing
   * else than the look at each queue's tail when there is nothing to do.
   */
  step(): number {
    this.#port.acknowledge();
    if (this.#stopped) return IDLE;
    const cost = this.#round();
    if (cost !== IDLE) return cost;
    return this.#creditWaiting() ? this.#round() : IDLE;
  }

  /** Publishes that the engine needs a wake from now on. The host looks once more with `step` before it sleeps. */
  setAsleep(asleep: boolean): void {
    for (const queue of this.#queues) {
      queue.setAsleep(asleep ? engineAsleep.NO_REQUESTS : engineAsleep.AWAKE);
      // Looked at after the first store: an SQE that comes later sees that the engine sleeps, and wakes it.
      if (asleep && queue.blocked) queue.setAsleep(engineAsleep.NO_COMPLETION_SLOT);
    }
  }

  /** Looks at each queue once, in turn, and serves the first that is ready and has credit; IDLE when none has. */
  #round(): number {
    const count = this.#queues.length;
    for (let looked = 0; looked < count; looked++) {
      const queue = this.#queues[this.#turn % count]!;
      if (queue.ready && queue.deficitBytes > 0) return this.#serve(queue);
      if (queue.claimError()) this.#reportError(queue);
      queue.credit(1);
      this.#turn = (this.#turn + 1) % count;
    }
    return IDLE;
  }

  /** Lets as many rounds pass at once as the least indebted queue that waits needs; false when none waits. */
  #creditWaiting(): boolean {
    let least = Number.NEGATIVE_INFINITY;
    for (const queue of this.#queues) if (queue.ready) least = Math.max(least, queue.deficitBytes);
    if (least === Number.NEGATIVE_INFINITY) return false;
    const rounds = Math.floor(Math.max(0, -least) / limits.QUEUE_QUANTUM_BYTES) + 1;
    if (least <= 0) for (const queue of this.#queues) queue.credit(rounds);
    return true;
  }

  #serve(queue: EngineQueue): number {
    let cost = 0;
    if (queue.running === null) {
      if (!queue.take()) return 0;
      cost = this.#begin(queue);
    } else {
      queue.setStalled(false);
    }
    return cost + this.#advance(queue);
  }

  #begin(queue: EngineQueue): number {
    const { request } = queue;
    queue.owe(this.#device.requestBytes(request));
    const cost = this.#device.costNs(request);
    this.#trace?.emit('sqe taken', queue.binding.epoch);
    if (cost > LONG_REQUEST_NS && queue.unreported) this.#send(queue);
    queue.running = this.#device.execute(request, queue.dma);
    return cost;
  }

  #advance(queue: EngineQueue): number {
    const cost = this.#next(queue);
    if (cost === DONE) {
      queue.running = null;
      queue.charge(Number.POSITIVE_INFINITY);
      this.#trace?.emit('sqe completed', queue.binding.epoch);
      if (queue.complete()) this.#send(queue);
      return 0;
    }
    if (cost >= 0) {
      queue.charge(limits.SEGMENT_INPUT_BYTES);
      return cost;
    }
    this.#trace?.emit('queue stalled', queue.binding.epoch);
    this.#stall(queue);
    return 0;
  }

  /** The queue cannot progress: what is finished must reach the consumer whatever it armed for. */
  #stall(queue: EngineQueue): void {
    queue.setStalled(true);
    if (queue.unreported) this.#send(queue);
  }

  /** The cost of the next segment, AWAITING_PAGE, or DONE. */
  #next(queue: EngineQueue): number {
    try {
      const { done, value } = queue.running!.next();
      return done === true ? DONE : (value as number);
    } catch (error) {
      if (!(error instanceof DmaFault)) throw error;
      this.#device.fail(queue.request, error);
      return DONE;
    }
  }

  #send(queue: EngineQueue): void {
    if (queue.claimInterrupt()) this.#interrupt(queue.binding);
  }

  /** A queue that broke a rule is out of service; its consumer and the kernel are told once. */
  #reportError(queue: EngineQueue): void {
    const { error, binding } = queue;
    queue.abandonRequest();
    this.#trace?.emit('queue error', binding.epoch, error!);
    this.#send(queue);
    this.#raise({ kind: 'queueError', queueNumber: binding.queueNumber, reason: error! });
  }
}

const DONE = -2;
