/**
 * A simulated coprocessor for studies and tests of the framework: contexts that have work for so many ns, registers, and
 * no memory. It runs on whatever clock it is given; on a virtual one, a hundred seconds of a thousand contexts take a
 * moment, since there is one event for each stretch of work and not one for each part of it.
 *
 * The load of a context begins when its first queue is attached. Where the framework must keep to an order, this device
 * insists on it: never two contexts at once, nothing executed after a stop, no context without the memory of its owner.
 * Beside that it does as it is told: contexts deny to stop, steps cost time, fail, or are not answered.
 */
import { assert, InvariantError } from '../base/assert.js';
import { type Prng, prngStream } from '../base/prng.js';
import type { CancelAlarm, Clock } from '../hw/clock.js';
import type {
  ContextHardware,
  ContextIrq,
  RegisterImage,
  RegisterReplay,
  StepAnswer,
} from '../hw/context-hardware.js';
import type { Done, QueueBinding } from '../hw/coproc-port.js';
import type { DeviceDescription } from '../hw/device-model.js';
import { RegisterFile } from '../hw/register-map.js';
import { errno } from '../uapi/errno.js';
import { SimContext } from './sim-context.js';
import { arrivalAfterArrival, arrivalAfterEnd, firstArrival, type SimArrival } from './sim-load.js';
import type { SimHardwareOptions } from './sim-options.js';
import { type SimCosts, SimSteps } from './sim-steps.js';

const DONE: StepAnswer = { kind: 'done' };
const NO_ANSWER: StepAnswer = { kind: 'failed', reason: 'the device does not answer' };

/** See the top of this file. */
export class SimHardware implements ContextHardware {
  readonly instance: string;
  readonly deviceId: number;
  readonly description: DeviceDescription;
  readonly #options: SimHardwareOptions;
  readonly #clock: Clock;
  readonly #costs: Required<SimCosts>;
  readonly #prng: Prng;
  readonly #contexts = new Map<number, SimContext>();
  readonly #executedNs = new Map<number, number>();
  readonly #steps: SimSteps;
  #receive: (irq: ContextIrq) => void = () => {};
  #isShared = false;
  /** Whose registers can be reached: from its start until they are saved. */
  #loaded: SimContext | null = null;
  #isExecuting = false;
  /** Counts stops, starts and resets: one that comes into force late is void after the next one. */
  #commands = 0;
  #sinceNs = 0;
  #cancelEnd: CancelAlarm = () => {};

  constructor(options: SimHardwareOptions) {
    const { instance = 'sim0', deviceId = 0, registers = [], clock } = options;
    this.#options = options;
    this.#clock = clock;
    this.#costs = { stop: 0, save: 0, restore: 0, start: 0, ...options.costs };
    this.#prng = options.prng ?? prngStream(0, instance);
    this.#steps = new SimSteps({ clock, prng: this.#prng, faultOf: options.faultOf ?? (() => null) });
    this.instance = instance;
    this.deviceId = deviceId;
    this.description = {
      name: 'sim',
      sqeBytes: 64,
      preemption: 'resume',
      registers,
      create: noModel,
    };
  }

  // For studies and tests.

  /** Time that a context of this number has executed so far, ns; all of them, if one came after the other. */
  executedNs(context: number): number {
    this.#settle();
    return this.#executedNs.get(context) ?? 0;
  }

  /** The context that executes, if any. */
  get executing(): number | null {
    return this.#isExecuting ? this.#loaded!.number : null;
  }

  /** Contexts that exist. */
  get contexts(): readonly number[] {
    return [...this.#contexts.keys()];
  }

  /** What a context that exists has to do, ns. */
  workNs(context: number): number {
    this.#settle();
    return this.#context(context).workNs;
  }

  /** A request of `ns` for a context that exists. */
  give(context: number, ns: number): void {
    this.#arrive(this.#context(context), ns);
  }

  /** Values of the registers of a context that exists, read without side effects. */
  registersOf(context: number): RegisterImage {
    return this.#context(context).registers.image();
  }

  /** The device stores a value in a register of the context, as devices do. */
  setRegister(context: number, name: string, value: number): void {
    this.#context(context).registers.set(name, value);
  }

  /** Raises interrupt `line` for a context: also one that stopped a moment ago. */
  raise(context: number, line: number): void {
    this.#receive({ kind: 'device', context, line });
  }

  /** Resets itself without being asked: what is in flight fails. */
  crash(reason: string): void {
    const fail = this.#steps.abort();
    this.#powerOn();
    this.#receive({ kind: 'reset', reason });
    fail();
  }

  /** Is gone for good. */
  lose(reason: string): void {
    const fail = this.#steps.abort();
    this.#powerOn();
    this.#steps.lose();
    this.#receive({ kind: 'lost', reason });
    fail();
  }

  // What the framework calls.

  createContext(context: number, done: Done): void {
    this.#steps.perform({ step: 'create', context, failure: -errno.EIO }, done, () => {
      assert(!this.#contexts.has(context), `context ${context} is not in use`);
      const options = this.#options.contextOf(context);
      this.#contexts.set(context, new SimContext(context, options, this.#powerOnRegisters(context)));
      return () => 0;
    });
  }

  destroyContext(context: number, done: Done): void {
    this.#steps.perform({ step: 'destroy', context, failure: -errno.EIO }, done, () => {
      assert(this.#loaded?.number !== context, `context ${context} is not loaded when it is destroyed`);
      this.#contexts.get(context)?.cancelArrival();
      const result = this.#contexts.delete(context) ? 0 : -errno.EIO;
      return () => result;
    });
  }

  share(shared: boolean): void {
    this.#isShared = shared;
    if (!shared) return;
    this.#settle();
    for (const context of this.#contexts.values()) if (context.workNs > 0) this.#report('work', context);
  }

  stop(done: (answer: StepAnswer) => void): void {
    const loaded = this.#loaded;
    const number = loaded?.number ?? null;
    this.#commands += 1;
    this.#settle();
    const kind = loaded === null || loaded.isReset ? 'atOnce' : loaded.stop.kind;
    if (kind === 'silent') return;
    if (kind === 'late') this.#stopLate(loaded!, done);
    else {
      const request = {
        step: 'stop',
        context: number,
        costs: [this.#costs.stop],
        failure: NO_ANSWER,
      } as const;
      this.#steps.perform<StepAnswer>(request, done, () => {
        const answer = this.#stop(loaded);
        return () => answer;
      });
    }
  }

  saveRegisters(context: number, done: (image: RegisterImage) => void): void {
    const initial = this.description.registers.map(({ reset }) => reset);
    const request = { step: 'save', context, costs: [this.#costs.save], failure: initial } as const;
    assert(!this.#isExecuting, 'registers are saved of a context that is stopped');
    const image = this.#contexts.get(context)?.registers.image() ?? initial;
    this.#loaded = null;
    this.#steps.perform<RegisterImage>(request, done, () => () => image);
  }

  start(context: number, accesses: readonly RegisterReplay[], done: (answer: StepAnswer) => void): void {
    const isResumed = this.#loaded?.number === context && accesses.length === 0;
    const costs = isResumed ? [] : [this.#costs.restore, this.#costs.start];
    const started = (answer: StepAnswer): void => {
      done(answer);
      const loaded = this.#loaded;
      if (answer.kind === 'done' && loaded?.number === context && loaded.workNs === 0) {
        this.#report('idle', loaded);
      }
    };
    this.#commands += 1;
    const command = this.#commands;
    const start = (): StepAnswer => (this.#commands === command ? this.#start(context, accesses) : NO_ANSWER);
    this.#steps.perform<StepAnswer>(
      { step: 'start', context, costs, failure: NO_ANSWER },
      started,
      () => start,
    );
  }

  resetContext(context: number, done: (answer: StepAnswer) => void): void {
    this.#commands += 1;
    this.#steps.perform<StepAnswer>({ step: 'resetContext', context, failure: NO_ANSWER }, done, () => {
      this.#halt();
      this.#contexts.get(context)?.drop();
      return () => DONE;
    });
  }

  resetDevice(done: (answer: StepAnswer) => void): void {
    // One that will not be reset is cut off from memory by others: nothing that it does counts.
    this.#halt();
    this.#steps.perform<StepAnswer>({ step: 'resetDevice', context: null, failure: NO_ANSWER }, done, () => {
      this.#powerOn();
      return () => DONE;
    });
  }

  attachQueue(context: number, { queueNumber }: QueueBinding, done: Done): void {
    const owner = this.#contexts.get(context);
    if (this.#steps.isLost || owner === undefined) {
      done(-errno.EIO);
      return;
    }
    owner.queues.add(queueNumber);
    if (owner.queues.size === 1) this.#await(owner, firstArrival(owner.load, this.#prng));
    done(0);
  }

  detachQueue(queueNumber: number, done: Done): void {
    const owner = this.#ownerOf(queueNumber);
    owner?.queues.delete(queueNumber);
    if (owner?.queues.size === 0) owner.cancelArrival();
    done(0);
  }

  ringDoorbell(queueNumber: number): void {
    const owner = this.#ownerOf(queueNumber);
    if (owner !== undefined) this.#arrive(owner, this.#options.doorbellNs ?? 0);
  }

  readRegister(offset: number, _width: 32 | 64, done: (value: number) => void): void {
    assert(this.#loaded !== null, 'registers are read of a context that is loaded');
    done(this.#loaded.registers.read(offset));
  }

  writeRegister(offset: number, _width: 32 | 64, value: number, done: Done): void {
    assert(this.#loaded !== null, 'registers are written of a context that is loaded');
    this.#loaded.registers.write(offset, value);
    done(0);
  }

  onIrq(receive: (irq: ContextIrq) => void): void {
    this.#receive = receive;
  }

  // Execution.

  #powerOnRegisters(context: number): RegisterFile {
    const hooks = this.#options.hooksOf?.(context) ?? {};
    const doorbell = (name: string, value: number): void => {
      hooks.doorbell?.(name, value);
      this.#arrive(this.#context(context), this.#options.doorbellNs ?? 0);
    };
    return new RegisterFile(this.description.registers, { ...hooks, doorbell });
  }

  #start(number: number, accesses: readonly RegisterReplay[]): StepAnswer {
    const context = this.#contexts.get(number);
    if (context === undefined) return NO_ANSWER;
    const isOther = this.#isExecuting && this.#loaded !== context;
    assert(!isOther, `context ${number} is started while no other executes`);
    assert(this.#options.memory.context === number, `context ${number} is started with its owner's memory`);
    this.#settle();
    this.#loaded = context;
    context.resume();
    for (const { op, offset, value } of accesses) {
      if (op === 'read') context.registers.read(offset);
      else context.registers.write(offset, value);
    }
    this.#isExecuting = true;
    this.#goOn();
    return DONE;
  }

  #stop(loaded: SimContext | null): StepAnswer {
    const leftNs = loaded?.leftNs(this.#clock.nowNs()) ?? 0;
    if (leftNs > 0) {
      this.#goOn();
      return { kind: 'retryIn', ns: leftNs };
    }
    this.#halt();
    return DONE;
  }

  #stopLate(loaded: SimContext, done: (answer: StepAnswer) => void): void {
    const afterNs = loaded.stop.kind === 'late' ? loaded.stop.afterNs : 0;
    const command = this.#commands;
    this.#steps.answerAfter(afterNs, done, NO_ANSWER, () => {
      if (this.#commands === command) this.#halt();
      return DONE;
    });
  }

  /** Counts what was executed up to now. */
  #settle(): void {
    const nowNs = this.#clock.nowNs();
    const loaded = this.#loaded;
    if (this.#isExecuting && loaded !== null) {
      const ns = Math.min(nowNs - this.#sinceNs, loaded.stretchNs);
      const isMemoryRight = ns === 0 || this.#options.memory.context === loaded.number;
      assert(isMemoryRight, "a context executes while its owner's memory is reached, and no other");
      loaded.execute(ns, this.#sinceNs, (arrivedNs, finishedNs) => {
        this.#options.finished?.(loaded.number, arrivedNs, finishedNs);
      });
      this.#executedNs.set(loaded.number, (this.#executedNs.get(loaded.number) ?? 0) + ns);
    }
    this.#sinceNs = nowNs;
  }

  /** One alarm for the end of all that the loaded context has to do. */
  #goOn(): void {
    this.#cancelEnd();
    const loaded = this.#loaded;
    if (!this.#isExecuting || loaded === null) return;
    const { stretchNs, workNs } = loaded;
    if (workNs === 0 || stretchNs !== workNs || workNs === Number.POSITIVE_INFINITY) return;
    this.#cancelEnd = this.#clock.alarm(workNs, () => {
      this.#settle();
      this.#await(loaded, arrivalAfterEnd(loaded.load));
      if (loaded.workNs === 0) this.#report('idle', loaded);
    });
  }

  #halt(): void {
    this.#settle();
    this.#isExecuting = false;
    this.#cancelEnd();
  }

  #arrive(context: SimContext, workNs: number): void {
    if (workNs === 0) return;
    this.#settle();
    const hadNone = context.workNs === 0;
    context.give(workNs, this.#clock.nowNs());
    if (context === this.#loaded) this.#goOn();
    if (hadNone) this.#report('work', context);
  }

  #await(context: SimContext, arrival: SimArrival | null): void {
    if (arrival === null || context.queues.size === 0) return;
    const arrive = (): void => {
      this.#await(context, arrivalAfterArrival(context.load, this.#prng));
      this.#arrive(context, arrival.workNs);
    };
    if (arrival.delayNs === 0) arrive();
    else context.cancelArrival = this.#clock.alarm(arrival.delayNs, arrive);
  }

  #report(kind: 'work' | 'idle', { number }: SimContext): void {
    if (this.#isShared && this.#contexts.has(number)) this.#receive({ kind, context: number });
  }

  #powerOn(): void {
    this.#commands += 1;
    this.#halt();
    this.#loaded = null;
    for (const context of this.#contexts.values()) context.cancelArrival();
    this.#contexts.clear();
  }

  #context(number: number): SimContext {
    const context = this.#contexts.get(number);
    assert(context !== undefined, `context ${number} exists`);
    return context;
  }

  #ownerOf(queueNumber: number): SimContext | undefined {
    return [...this.#contexts.values()].find(({ queues }) => queues.has(queueNumber));
  }
}

function noModel(): never {
  throw new InvariantError('broken invariant: a simulated coprocessor has no device model');
}
