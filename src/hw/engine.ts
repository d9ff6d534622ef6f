/**
 * What executes SQEs inside one coprocessor instance. One instance has one engine; it completes each queue in order,
 * and serves the queues of the context that is loaded in the order of service-order.ts.
 *
 * The engine knows neither time nor threads: a host calls `step` until it answers IDLE, and arranges to call it
 * again when a doorbell, a page response or a control call comes. Between two steps no view of memory is open:
 * that is where invalidations are acknowledged and control calls take effect.
 */
import { limits } from '../base/limits.js';
import type { Trace } from '../base/trace.js';
import { NS_PER_MS, NS_PER_US } from '../base/units.js';
import { engineAsleep } from '../uapi/queue-layout.js';
import type { ContextIrq, RegisterImage, RegisterReplay, StepAnswer } from './context-hardware.js';
import type { QueueBinding } from './coproc-port.js';
import { type DeviceDescription, DmaFault } from './device-model.js';
import type { DmaPort } from './dma-port.js';
import { EngineContext } from './engine-context.js';
import {
  type ContextImage,
  loadContextImage,
  mistakeInImage,
  type SaveAnswer,
  saveContextImage,
} from './engine-image.js';
import { EngineQueue } from './engine-queue.js';

/** `step`: nothing can progress until somebody rings, answers or calls. */
export const IDLE = -1;
/** A request that costs more than this is preceded by an interrupt for what is finished already. */
const LONG_REQUEST_NS = NS_PER_MS;
/** What a device that cannot stop is asked to be given: about a segment. */
const DENIAL_HINT_NS = 100 * NS_PER_US;

export interface EngineOptions {
  readonly description: DeviceDescription;
  readonly port: DmaPort;
  /** Sends the completion interrupt of a queue to the thread that waits for it. */
  readonly interrupt: (binding: QueueBinding) => void;
  /** Reports to the kernel side. */
  readonly raise: (irq: ContextIrq) => void;
  readonly trace: Trace | null;
}

const STOPPED: StepAnswer = { kind: 'done' };

export class Engine {
  readonly #options: EngineOptions;
  readonly #port: DmaPort;
  readonly #trace: Trace | null;
  readonly #contexts = new Map<number, EngineContext>();
  #loaded: EngineContext | null = null;
  /** A stop was asked for and denied: what runs goes on to where it can be left, and nothing new is begun. */
  #draining = false;
  #shared = false;
  #ignoredDoorbells = 0;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#port = options.port;
    this.#trace = options.trace;
  }

  // Contexts.

  /** A new context in the state after power-on; false when there is one with this number, or no room for more. */
  createContext(id: number): boolean {
    if (this.#contexts.has(id) || this.#contexts.size >= limits.CONTEXTS_PER_INSTANCE) return false;
    const context: EngineContext = new EngineContext({
      id,
      description: this.#options.description,
      interrupt: (line) => this.#options.raise({ kind: 'device', line, context: id }),
      onQueueError: (queue) => this.#reportError(context, queue),
    });
    this.#contexts.set(id, context);
    return true;
  }

  /** Ends a context; false when there is none with this number. */
  destroyContext(id: number): boolean {
    const context = this.#contexts.get(id);
    if (context === undefined) return false;
    if (context === this.#loaded) this.#loaded = null;
    this.#contexts.delete(id);
    context.close();
    return true;
  }

  /** With more than one owner: work and idleness of contexts are reported. */
  share(shared: boolean): void {
    this.#shared = shared;
    for (const context of this.#contexts.values()) context.reported = 'nothing';
  }

  /** Lets the loaded context be left, if every request can be; else says when to ask again. */
  stop(): StepAnswer {
    const context = this.#loaded;
    if (context === null) return STOPPED;
    this.#draining = true;
    const { preemption } = this.#options.description;
    if (context.queues.some((queue) => !queue.canBeLeft(preemption))) {
      return { kind: 'retryIn', ns: DENIAL_HINT_NS };
    }
    this.#draining = false;
    this.#loaded = null;
    // What is finished is told of: it may stay so for long.
    for (const queue of context.queues) {
      queue.leave(preemption);
      this.#stall(queue);
    }
    this.#trace?.emit('context stopped', context.id);
    return STOPPED;
  }

  /** Loads a context, after what its owner did to the registers meanwhile. */
  start(id: number, accesses: readonly RegisterReplay[]): StepAnswer {
    const context = this.#contexts.get(id);
    if (context === undefined) return { kind: 'failed', reason: `the device has no context ${id}` };
    this.#draining = false;
    if (context === this.#loaded) return STOPPED;
    if (this.#loaded !== null) return { kind: 'failed', reason: `context ${this.#loaded.id} is loaded` };
    context.replay(accesses);
    this.#loaded = context;
    // Whatever made the framework load it: how it is gets told afresh, so that no report of the past stands for good.
    context.reported = 'nothing';
    for (const queue of context.queues) queue.setStalled(queue.dma.waiting);
    this.#trace?.emit('context started', id);
    return STOPPED;
  }

  /** Registers of a context. */
  image(id: number): RegisterImage {
    return this.#contexts.get(id)?.image() ?? [];
  }

  /** Drops every request of a context: they fail, its queues go on. */
  resetContext(id: number): StepAnswer {
    const context = this.#contexts.get(id);
    if (context === undefined) return { kind: 'failed', reason: `the device has no context ${id}` };
    for (const queue of context.queues)
      if (queue.inFlight && queue.error === null) this.#drop(context, queue);
    return STOPPED;
  }

  /** A context that is not loaded, as plain data. It stays as it is: whoever moves it ends it here before it goes on there. */
  saveContext(id: number): SaveAnswer {
    const context = this.#contexts.get(id);
    if (context === undefined) return { kind: 'failed', reason: `the device has no context ${id}` };
    if (context === this.#loaded) return { kind: 'failed', reason: `context ${id} is loaded; stop it first` };
    return saveContextImage(context, this.#options.description);
  }

  /**
   * A new context that goes on where `image` was taken, maybe on another instance; `bindings` are its queues, in the order
   * of the image. Refuses whatever is not an image of this kind of device, and then there is no such context.
   */
  loadContext(id: number, image: unknown, bindings: readonly QueueBinding[]): StepAnswer {
    const mistake = mistakeInImage(image, this.#options.description, bindings);
    if (mistake !== null) return { kind: 'failed', reason: mistake };
    if (!this.createContext(id))
      return { kind: 'failed', reason: `the device has no room for context ${id}` };
    for (const binding of bindings) this.attach(id, binding);
    const refusal = loadContextImage(this.#contexts.get(id)!, image as ContextImage);
    if (refusal === null) return STOPPED;
    this.destroyContext(id);
    return { kind: 'failed', reason: refusal };
  }

  /** Back to the state after power-on: no context, no queue. */
  reset(): void {
    this.#loaded = null;
    this.#draining = false;
    for (const id of [...this.#contexts.keys()]) this.destroyContext(id);
  }

  // Queues and registers.

  /** Makes a queue of a context known; false when there is no such context. */
  attach(id: number, binding: QueueBinding): boolean {
    const context = this.#contexts.get(id);
    if (context === undefined) return false;
    const { sqeBytes, preemption } = this.#options.description;
    context.attach(new EngineQueue(this.#port, binding, sqeBytes, preemption === 'restart'));
    return true;
  }

  /** Ends a queue; false when it is not attached. Requests in flight are dropped. */
  detach(queueNumber: number): boolean {
    for (const context of this.#contexts.values()) {
      const queue = context.queues.find(({ binding }) => binding.queueNumber === queueNumber);
      if (queue === undefined) continue;
      context.remove(queue);
      return true;
    }
    return false;
  }

  /** A store of a queue's hardware doorbell; one that names another queue is counted and has no effect. */
  hardwareDoorbell(queueNumber: number, value: Uint8Array): void {
    for (const { queues } of this.#contexts.values()) {
      const queue = queues.find(({ binding }) => binding.queueNumber === queueNumber);
      if (queue?.hardwareDoorbell(value) === true) return;
    }
    this.#ignoredDoorbells += 1;
  }

  /** Doorbell stores without effect since power-on. */
  get ignoredDoorbells(): number {
    return this.#ignoredDoorbells;
  }

  /** A register of the loaded context; 0 without one. */
  readRegister(offset: number): number {
    return this.#loaded?.registers.read(offset) ?? 0;
  }

  writeRegister(offset: number, value: number): void {
    this.#loaded?.registers.write(offset, value);
  }

  // Serving.

  /**
   * Serves one queue up to the next yield of its request. Answers the virtual cost in ns, or IDLE. Costs nothing
   * else than the look at each queue's tail when there is nothing to do.
   */
  step(): number {
    this.#port.acknowledge();
    const context = this.#loaded;
    const queue = context === null ? null : this.#draining ? firstRunning(context) : context.order.pick();
    if (this.#shared) this.#report(context, queue !== null);
    return context === null || queue === null ? IDLE : this.#serve(context, queue);
  }

  /** Publishes that the engine needs a wake from now on. The host looks once more with `step` before it sleeps. */
  setAsleep(asleep: boolean): void {
    for (const { queues } of this.#contexts.values()) {
      for (const queue of queues) {
        queue.setAsleep(asleep ? engineAsleep.NO_REQUESTS : engineAsleep.AWAKE);
        // Looked at after the first store: an SQE that comes later sees that the engine sleeps, and wakes it.
        if (asleep && queue.blocked) queue.setAsleep(engineAsleep.NO_COMPLETION_SLOT);
      }
    }
  }

  /** Tells the framework who has work: whoever is not loaded and got some, and the loaded one when that changes. */
  #report(loaded: EngineContext | null, works: boolean): void {
    for (const context of this.#contexts.values()) {
      const { id, reported } = context;
      const busy = context === loaded ? works : reported === 'work' || context.hasWork;
      const kind = busy ? 'work' : 'idle';
      if (kind === reported) continue;
      context.reported = kind;
      this.#options.raise({ kind, context: id });
    }
  }

  #serve(context: EngineContext, queue: EngineQueue): number {
    const begun = queue.inFlight;
    if (!begun && !queue.take()) return 0;
    if (queue.cancelled) return this.#cancel(context, queue);
    let cost = 0;
    if (queue.running !== null) queue.setStalled(false);
    else if (begun) this.#beginAgain(context, queue);
    else cost = this.#begin(context, queue);
    return cost + this.#advance(context, queue);
  }

  /** Ends a request that is not wanted any more, as one whose memory cannot be reached. */
  #cancel(context: EngineContext, queue: EngineQueue): number {
    const { device } = context;
    queue.setStalled(false);
    queue.abandonRequest();
    device.fail(queue.request, new DmaFault(0, 'read', 0));
    queue.owe(0);
    context.order.charge(queue, queue.charge(Number.POSITIVE_INFINITY));
    this.#trace?.emit('sqe completed', queue.binding.epoch);
    if (queue.complete()) this.#send(queue);
    return 0;
  }

  #begin({ device }: EngineContext, queue: EngineQueue): number {
    const { request } = queue;
    queue.owe(device.requestBytes(request));
    const cost = device.costNs(request);
    this.#trace?.emit('sqe taken', queue.binding.epoch);
    if (cost > LONG_REQUEST_NS && queue.unreported) this.#send(queue);
    queue.running = device.execute(request, queue.dma);
    return cost;
  }

  /** The context was left in the middle of the request. */
  #beginAgain({ device }: EngineContext, queue: EngineQueue): void {
    this.#trace?.emit('sqe resumed', queue.binding.epoch);
    queue.setStalled(false);
    queue.running = device.execute(queue.request, queue.dma);
  }

  #advance(context: EngineContext, queue: EngineQueue): number {
    const segmentBytes = this.#segmentBytes(context, queue);
    queue.dma.segmentBytes = segmentBytes;
    const cost = this.#next(context, queue);
    if (cost === DONE) {
      queue.running = null;
      context.order.charge(queue, queue.charge(Number.POSITIVE_INFINITY));
      this.#trace?.emit('sqe completed', queue.binding.epoch);
      if (queue.complete()) this.#send(queue);
      return 0;
    }
    if (cost >= 0) {
      context.order.charge(queue, queue.charge(segmentBytes));
      return cost;
    }
    this.#trace?.emit('queue stalled', queue.binding.epoch);
    this.#stall(queue);
    return 0;
  }

  #segmentBytes({ order, device }: EngineContext, { request }: EngineQueue): number {
    const bytes = order.segmentBytes;
    const whole = bytes < limits.SEGMENT_INPUT_BYTES && device.showsSegments?.(request) === true;
    return whole ? limits.SEGMENT_INPUT_BYTES : bytes;
  }

  /** The queue cannot progress: what is finished must reach the consumer whatever it armed for. */
  #stall(queue: EngineQueue): void {
    queue.setStalled(true);
    if (queue.unreported) this.#send(queue);
  }

  /** The cost of the next segment, AWAITING_PAGE, or DONE. */
  #next({ device }: EngineContext, queue: EngineQueue): number {
    try {
      const { done, value } = queue.running!.next();
      return done === true ? DONE : (value as number);
    } catch (error) {
      if (!(error instanceof DmaFault)) throw error;
      device.fail(queue.request, error);
      return DONE;
    }
  }

  /** Ends the request under way as one whose memory cannot be reached. */
  #drop({ device }: EngineContext, queue: EngineQueue): void {
    queue.abandonRequest();
    device.fail(queue.request, new DmaFault(0, 'read', 0));
    device.queueStopped(queue.binding.epoch);
    queue.complete();
    this.#send(queue);
  }

  #send(queue: EngineQueue): void {
    if (queue.claimInterrupt()) this.#options.interrupt(queue.binding);
  }

  /** A queue that broke a rule is out of service; its consumer and the kernel are told once. */
  #reportError(context: EngineContext, queue: EngineQueue): void {
    const { error, binding } = queue;
    queue.abandonRequest();
    this.#trace?.emit('queue error', binding.epoch, error!);
    this.#send(queue);
    const { queueNumber } = binding;
    this.#options.raise({ kind: 'queueError', queueNumber, reason: error!, context: context.id });
  }
}

/** A request under way that can go on. */
function firstRunning({ queues }: EngineContext): EngineQueue | null {
  return queues.find((queue) => queue.running !== null && queue.ready) ?? null;
}

const DONE = -2;
