/**
 * One coprocessor instance as the kernel thread drives it: `CoprocHardware` by messages to an engine thread, which
 * is started when the first queue needs it.
 *
 * States: OFF -> STARTING -> ON -> GONE, and from any state to GONE. A call that comes before ON waits; a call that
 * comes after, or is under way when the engine goes, is answered with -EIO.
 */
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads';
import type { CoprocHardware, CoprocIrq, Done, QueueBinding } from '../../hw/coproc-port.js';
import type { DeviceDescription } from '../../hw/device-model.js';
import { INSTANCE_WORDS, instanceWord } from '../../hw/instance-words.js';
import { errno } from '../../uapi/errno.js';
import type { MachineWords } from '../machine-words.js';
import type { EngineNews, EngineRequest, EngineThreadInit } from './messages.js';
import { workerArguments } from './worker-arguments.js';

const engineState = { OFF: 'OFF', STARTING: 'STARTING', ON: 'ON', GONE: 'GONE' } as const;
type EngineState = (typeof engineState)[keyof typeof engineState];

export interface EngineHandleParts {
  readonly instance: string;
  readonly deviceId: number;
  readonly description: DeviceDescription;
  readonly driverUrl: string;
  readonly workerUrl: string;
  readonly memory: SharedArrayBuffer;
  readonly words: MachineWords;
  /** A queue will be served for `waiter`; a port, if any, is for its interrupts. */
  readonly served: (binding: QueueBinding, port: MessagePort | null) => void;
  /** The engine thread runs: it acknowledges for itself. */
  readonly started: () => void;
  /** The engine thread has ended unasked. */
  readonly lost: (reason: string) => void;
}

type Unsequenced<Request> = Request extends { sequence: number } ? Omit<Request, 'sequence'> : never;

export class EngineHandle implements CoprocHardware {
  readonly instance: string;
  readonly deviceId: number;
  readonly description: DeviceDescription;
  readonly #parts: EngineHandleParts;
  readonly #answers = new Map<number, (value: number) => void>();
  readonly #waiting: (() => void)[] = [];
  readonly #waiters = new Set<number>();
  #state: EngineState = engineState.OFF;
  #worker: Worker | null = null;
  #port: MessagePort | null = null;
  #sequence = 0;
  #exitExpected = false;
  #receive: (irq: CoprocIrq) => void = () => {};

  constructor(parts: EngineHandleParts) {
    this.#parts = parts;
    this.instance = parts.instance;
    this.deviceId = parts.deviceId;
    this.description = parts.description;
  }

  /** Whether the thread's start or exit is awaited: these events need the kernel thread's event loop. */
  get expectsEvent(): boolean {
    return this.#state === engineState.STARTING || this.#exitExpected;
  }

  attachQueue(binding: QueueBinding, done: Done): void {
    this.#power();
    this.#whenOn(done, () => {
      const first = !this.#waiters.has(binding.waiter);
      this.#waiters.add(binding.waiter);
      const channel = first ? new MessageChannel() : null;
      this.#parts.served(binding, channel?.port1 ?? null);
      this.#ask({ kind: 'attach', binding, port: channel?.port2 ?? null }, done);
    });
  }

  detachQueue(queueNumber: number, done: Done): void {
    if (this.#state === engineState.GONE) return done(0);
    this.#whenOn(done, () => this.#ask({ kind: 'detach', queueNumber }, done));
  }

  ringDoorbell(queueNumber: number, value: Uint8Array): void {
    if (this.#state === engineState.ON) this.#ask({ kind: 'doorbell', queueNumber, value }, () => {});
  }

  wake(): void {}

  sleep(): void {}

  start(done: Done): void {
    this.#power();
    this.#whenOn(done, () => this.#ask({ kind: 'start' }, done));
  }

  stop(done: Done): void {
    this.#whenOn(done, () => this.#ask({ kind: 'stop' }, done));
  }

  resetDevice(done: Done): void {
    this.#whenOn(done, () => this.#ask({ kind: 'reset' }, done));
  }

  readRegister(offset: number, _width: 32 | 64, done: (value: number) => void): void {
    this.#power();
    this.#whenOn(done, () => this.#ask({ kind: 'read', offset }, done));
  }

  writeRegister(offset: number, _width: 32 | 64, value: number, done: Done): void {
    this.#power();
    this.#whenOn(done, () => this.#ask({ kind: 'write', offset, value }, done));
  }

  onIrq(receive: (irq: CoprocIrq) => void): void {
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

  /** Somebody saw the thread's port close: its exit is awaited now. */
  expectExit(): void {
    if (this.#state !== engineState.GONE) this.#exitExpected = true;
  }

  /** Ends the thread. */
  shutdown(): void {
    if (this.#port === null || this.#state === engineState.GONE) return;
    this.#state = engineState.GONE;
    this.#post({ kind: 'shutdown' });
  }

  #power(): void {
    if (this.#state !== engineState.OFF) return;
    this.#state = engineState.STARTING;
    const { memory, words, deviceId, driverUrl, workerUrl } = this.#parts;
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    const workerData: EngineThreadInit = { memory, words: words.buffer, deviceId, driverUrl, port: port2 };
    this.#worker = new Worker(new URL(workerUrl), {
      ...workerArguments(),
      workerData,
      transferList: [port2],
    });
    this.#worker.on('error', (error) => this.#gone(`engine thread failed: ${error.message}`));
    this.#worker.on('exit', (code) => this.#gone(`engine thread ended with code ${code}`));
  }

  #whenOn(done: Done, act: () => void): void {
    if (this.#state === engineState.GONE) done(-errno.EIO);
    else if (this.#state === engineState.ON) act();
    else if (this.#state === engineState.OFF) done(0);
    else this.#waiting.push(() => this.#whenOn(done, act));
  }

  #ask(request: Unsequenced<EngineRequest>, done: (value: number) => void): void {
    const sequence = ++this.#sequence;
    this.#answers.set(sequence, done);
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
    else if (news.kind === 'crashed') this.#gone(news.reason);
    else {
      const done = this.#answers.get(news.sequence);
      this.#answers.delete(news.sequence);
      done?.(news.value);
    }
  }

  #on(): void {
    if (this.#state !== engineState.STARTING) return;
    this.#state = engineState.ON;
    this.#parts.started();
    for (const act of this.#waiting.splice(0)) act();
  }

  #gone(reason: string): void {
    this.#exitExpected = false;
    if (this.#state === engineState.GONE) return;
    this.#failAnswers();
    this.#state = engineState.GONE;
    this.#parts.lost(reason);
    this.#receive({ kind: 'lost', reason });
  }

  /** Answers everything that the engine will not answer any more. */
  #failAnswers(): void {
    const answers = [...this.#answers.values()];
    this.#answers.clear();
    for (const done of answers) done(-errno.EIO);
    this.#state = engineState.GONE;
    for (const act of this.#waiting.splice(0)) act();
  }
}
