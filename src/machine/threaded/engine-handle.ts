/**
 * One coprocessor instance as the kernel thread drives it: `ContextHardware` by messages to an engine thread, which
 * is started when the first queue needs it.
 *
 * States: OFF -> STARTING -> ON -> ENDING -> OFF. A thread that fails, ends by itself, or does not answer in time, is
 * ENDING until it has exited, because only then it makes no access to memory any more; the next queue starts another.
 * One that cannot be started, or that keeps ending, is GONE for good. A call that comes before ON waits; a call that is
 * under way when the thread goes is answered with -EIO.
 */
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads';
import { limits } from '../../base/limits.js';
import { NS_PER_MS } from '../../base/units.js';
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
import type { FaultModel } from '../../hw/fault-model.js';
import { INSTANCE_WORDS, instanceWord } from '../../hw/instance-words.js';
import { errno } from '../../uapi/errno.js';
import type { MachineWords } from '../machine-words.js';
import { EngineCalls, STEP_DONE, STEP_GONE, stepOf } from './engine-calls.js';
import type { EngineAnswer, EngineNews, EngineRequest, EngineThreadInit } from './messages.js';
import { workerArguments } from './worker-arguments.js';

const engineState = {
  OFF: 'OFF',
  STARTING: 'STARTING',
  ON: 'ON',
  ENDING: 'ENDING',
  GONE: 'GONE',
} as const;
type EngineState = (typeof engineState)[keyof typeof engineState];

export interface EngineHandleParts {
  readonly instance: string;
  readonly deviceId: number;
  readonly faultModel: FaultModel;
  readonly description: DeviceDescription;
  readonly driverUrl: string;
  readonly workerUrl: string;
  readonly memory: SharedArrayBuffer;
  readonly words: MachineWords;
  readonly clock: Clock;
  /** How long the thread may take to answer a call, ns. */
  readonly answerTimeoutNs: number;
  /** A queue will be served for `waiter`, by the thread of that incarnation; a port, if any, is for its interrupts. */
  readonly served: (binding: QueueBinding, incarnation: number, port: MessagePort | null) => void;
  /** The engine thread runs: it acknowledges for itself. */
  readonly started: () => void;
  /** The engine thread has ended unasked: it makes no access any more, and its queues are not served. */
  readonly ended: (reason: string) => void;
}

type Unsequenced<Request> = Request extends { sequence: number } ? Omit<Request, 'sequence'> : never;

export class EngineHandle implements ContextHardware {
  readonly instance: string;
  readonly deviceId: number;
  readonly description: DeviceDescription;
  readonly #parts: EngineHandleParts;
  readonly #calls: EngineCalls;
  readonly #waiting: (() => void)[] = [];
  /** Waiters that have a port to this thread. */
  readonly #waiters = new Set<number>();
  /** Numbers of the queues that were given to this thread. */
  readonly #attached = new Set<number>();
  #state: EngineState = engineState.OFF;
  #worker: Worker | null = null;
  #port: MessagePort | null = null;
  /** Counts the threads that were started. */
  #incarnation = 0;
  /** Whether this thread ever was ON. */
  #wasOn = false;
  #endReason: string | null = null;
  /** Threads that ended unasked since a queue was last given back in good order. */
  #endsInARow = 0;
  /** What a new thread is told before anything else: its contexts, which of them is loaded, and who hears of work. */
  readonly #contexts = new Set<number>();
  #loaded: number | null = null;
  #shared = false;
  #resetDone: ((answer: StepAnswer) => void) | null = null;
  #receive: (irq: ContextIrq) => void = () => {};

  constructor(parts: EngineHandleParts) {
    this.#parts = parts;
    this.instance = parts.instance;
    this.deviceId = parts.deviceId;
    this.description = parts.description;
    const { clock, answerTimeoutNs: boundNs } = parts;
    const overdue = (): void => this.forceReset(`did not answer a call within ${boundNs / NS_PER_MS} ms`);
    this.#calls = new EngineCalls({ clock, boundNs, overdue });
  }

  /** Whether the thread's start or exit is awaited: these events need the kernel thread's event loop. */
  get expectsEvent(): boolean {
    return this.#state === engineState.STARTING || this.#state === engineState.ENDING;
  }

  createContext(context: number, done: Done): void {
    const off = (): void => {
      this.#contexts.add(context);
      done(0);
    };
    this.#whenOn({ off, gone: () => done(-errno.EIO) }, () => {
      this.#contexts.add(context);
      this.#ask({ kind: 'createContext', context }, done);
    });
  }

  destroyContext(context: number, done: Done): void {
    const gone = (): void => done(0);
    const off = (): void => {
      this.#contexts.delete(context);
      done(0);
    };
    this.#whenOn({ off, gone }, () => {
      // A thread does not know the contexts of its predecessor.
      if (this.#contexts.delete(context)) this.#ask({ kind: 'destroyContext', context }, gone);
      else done(0);
    });
  }

  share(shared: boolean): void {
    this.#shared = shared;
    if (this.#state === engineState.ON) this.#ask({ kind: 'share', shared }, () => {});
  }

  stop(done: (answer: StepAnswer) => void): void {
    const off = (): void => {
      this.#loaded = null;
      done(STEP_DONE);
    };
    this.#whenOn({ off, gone: () => done(STEP_GONE) }, () => {
      this.#ask<StepAnswer>({ kind: 'stop' }, (answer) => {
        const step = stepOf(answer);
        if (step.kind === 'done') this.#loaded = null;
        done(step);
      });
    });
  }

  saveRegisters(context: number, done: (image: RegisterImage) => void): void {
    const initial = (): void => done(this.description.registers.map(({ reset }) => reset));
    this.#whenOn({ off: initial, gone: initial }, () => {
      this.#ask<RegisterImage>({ kind: 'save', context }, (image) => {
        if (typeof image === 'number') initial();
        else done(image);
      });
    });
  }

  start(context: number, accesses: readonly RegisterReplay[], done: (answer: StepAnswer) => void): void {
    if (accesses.length > 0 && this.#state === engineState.OFF) this.#power();
    const off = (): void => {
      this.#loaded = context;
      done(STEP_DONE);
    };
    this.#whenOn({ off, gone: () => done(STEP_GONE) }, () => {
      this.#loaded = context;
      this.#ask<StepAnswer>({ kind: 'start', context, accesses }, (answer) => done(stepOf(answer)));
    });
  }

  resetContext(context: number, done: (answer: StepAnswer) => void): void {
    this.#whenOn({ off: () => done(STEP_DONE), gone: () => done(STEP_GONE) }, () => {
      this.#ask<StepAnswer>({ kind: 'resetContext', context }, (answer) => done(stepOf(answer)));
    });
  }

  /** By ending the thread, whatever it is busy with: the next queue starts another. */
  resetDevice(done: (answer: StepAnswer) => void): void {
    if (this.#state === engineState.GONE) done(STEP_GONE);
    else if (this.#state === engineState.OFF) {
      this.#forget();
      done(STEP_DONE);
    } else {
      this.#resetDone = done;
      this.#end('the framework reset it');
    }
  }

  attachQueue(context: number, binding: QueueBinding, done: Done): void {
    if (this.#state === engineState.OFF) this.#power();
    this.#whenOn({ off: () => done(-errno.EIO), gone: () => done(-errno.EIO) }, () => {
      const { queueNumber, waiter } = binding;
      const first = !this.#waiters.has(waiter);
      this.#waiters.add(waiter);
      this.#attached.add(queueNumber);
      const channel = first ? new MessageChannel() : null;
      this.#parts.served(binding, this.#incarnation, channel?.port1 ?? null);
      this.#ask({ kind: 'attach', context, binding, port: channel?.port2 ?? null }, done);
    });
  }

  detachQueue(queueNumber: number, done: Done): void {
    // Whatever becomes of the thread: one that has ended makes no access.
    const detached = (): void => done(0);
    this.#whenOn({ off: detached, gone: detached }, () => {
      // A thread does not know the queues of its predecessor.
      if (this.#attached.delete(queueNumber)) this.#ask({ kind: 'detach', queueNumber }, detached);
      else detached();
    });
  }

  ringDoorbell(queueNumber: number, value: Uint8Array): void {
    if (this.#state === engineState.ON) this.#ask({ kind: 'doorbell', queueNumber, value }, () => {});
  }

  readRegister(offset: number, _width: 32 | 64, done: (value: number) => void): void {
    if (this.#state === engineState.OFF) this.#power();
    const none = (): void => done(0);
    this.#whenOn({ off: none, gone: none }, () =>
      this.#ask({ kind: 'read', offset }, (value) => done(Math.max(0, value))),
    );
  }

  writeRegister(offset: number, _width: 32 | 64, value: number, done: Done): void {
    if (this.#state === engineState.OFF) this.#power();
    const gone = (): void => done(-errno.EIO);
    this.#whenOn({ off: gone, gone }, () => this.#ask({ kind: 'write', offset, value }, done));
  }

  onIrq(receive: (irq: ContextIrq) => void): void {
    this.#receive = receive;
  }

  /** Takes what the engine thread has sent. */
  drain(): void {
    for (;;) {
      const received = this.#port === null ? undefined : receiveMessageOnPort(this.#port);
      if (received === undefined) return;
      this.#hear(received.message as EngineNews);
    }
  }

  /** Ends a thread that does not do what is asked of it, whatever it is busy with. */
  forceReset(reason: string): void {
    this.#end(reason);
  }

  /** Somebody saw a port to the thread of that incarnation close: it has ended, or is about to. */
  portClosed(incarnation: number): void {
    if (incarnation === this.#incarnation) this.#end(null);
  }

  /** Ends the thread. */
  shutdown(): void {
    const runs = this.#state === engineState.STARTING || this.#state === engineState.ON;
    this.#state = engineState.GONE;
    if (runs) this.#post({ kind: 'shutdown' });
  }

  #power(): void {
    this.#state = engineState.STARTING;
    this.#incarnation += 1;
    this.#wasOn = false;
    this.#endReason = null;
    const { memory, words, deviceId, driverUrl, workerUrl } = this.#parts;
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    const workerData: EngineThreadInit = {
      memory,
      words: words.buffer,
      deviceId,
      faultModel: this.#parts.faultModel,
      driverUrl,
      port: port2,
    };
    this.#worker = new Worker(new URL(workerUrl), {
      ...workerArguments(),
      workerData,
      transferList: [port2],
    });
    this.#worker.on('error', (error) => this.#end(`engine thread failed: ${error.message}`));
    this.#worker.on('exit', (code) => this.#exited(code));
  }

  /** Acts once the thread is ON, or answers for one that is OFF or GONE. */
  #whenOn(answers: { readonly off: () => void; readonly gone: () => void }, act: () => void): void {
    if (this.#state === engineState.GONE) answers.gone();
    else if (this.#state === engineState.ON) act();
    else if (this.#state === engineState.OFF) answers.off();
    else this.#waiting.push(() => this.#whenOn(answers, act));
  }

  /** `done` gets the answer, or -EIO when the thread has ended without one. */
  #ask<Answer extends EngineAnswer = number>(
    request: Unsequenced<EngineRequest>,
    done: (value: Answer | number) => void,
  ): void {
    const sequence = this.#calls.open(request.kind, done as (value: EngineAnswer) => void);
    this.#post({ ...request, sequence } as EngineRequest);
  }

  #post(request: EngineRequest): void {
    const { words, deviceId } = this.#parts;
    const transfer = request.kind === 'attach' && request.port !== null ? [request.port] : [];
    this.#port!.postMessage(request, transfer);
    Atomics.add(words.instances, deviceId * INSTANCE_WORDS + instanceWord.CONTROL_SENT, 1);
    words.wake(words.engineWake(deviceId));
  }

  #hear(news: EngineNews): void {
    if (news.kind === 'ready') this.#on();
    else if (news.kind === 'irq') this.#receive(news.irq);
    else if (news.kind === 'crashed') this.#end(news.reason);
    else if (this.#calls.answered(news.sequence, news.value) === 'detach') this.#endsInARow = 0;
  }

  #on(): void {
    if (this.#state !== engineState.STARTING) return;
    this.#state = engineState.ON;
    this.#wasOn = true;
    this.#parts.started();
    for (const context of this.#contexts) this.#ask({ kind: 'createContext', context }, () => {});
    if (this.#shared) this.#ask({ kind: 'share', shared: true }, () => {});
    if (this.#loaded !== null) this.#ask({ kind: 'start', context: this.#loaded, accesses: [] }, () => {});
    for (const act of this.#waiting.splice(0)) act();
  }

  /** The thread is done with; what that means is due when it has exited. The first reason that is given counts. */
  #end(reason: string | null): void {
    if (this.#state !== engineState.ON && !this.expectsEvent) return;
    this.#endReason ??= reason;
    this.#state = engineState.ENDING;
    void this.#worker!.terminate();
  }

  #exited(code: number): void {
    if (this.#state === engineState.GONE) return;
    this.#state = engineState.ENDING;
    // What it said last: answers, and why it ended.
    this.drain();
    const reason = this.#endReason ?? `engine thread ended with code ${code}`;
    this.#port!.close();
    this.#port = null;
    this.#worker = null;
    this.#waiters.clear();
    this.#forget();
    // A reset that was asked for is no fault of the thread.
    if (this.#resetDone === null) this.#endsInARow += 1;
    const restarts = this.#wasOn && this.#endsInARow <= limits.ENGINE_RESTARTS_MAX;
    this.#state = restarts ? engineState.OFF : engineState.GONE;
    this.#tellOfEnd(reason);
  }

  /** What the thread had is gone with it. */
  #forget(): void {
    this.#attached.clear();
    this.#contexts.clear();
    this.#loaded = null;
  }

  /** The machine first, then the kernel, then whoever called: a call that is made again meets a fresh state. */
  #tellOfEnd(reason: string): void {
    const calls = this.#calls.takeAll();
    const waiting = this.#waiting.splice(0);
    this.#parts.ended(reason);
    this.#report(reason);
    for (const { done } of calls) done(-errno.EIO);
    for (const act of waiting) act();
  }

  #report(reason: string): void {
    const done = this.#resetDone;
    this.#resetDone = null;
    const isGone = this.#state === engineState.GONE;
    if (done === null) this.#receive({ kind: isGone ? 'lost' : 'reset', reason });
    else done(isGone ? STEP_GONE : STEP_DONE);
  }
}
