/**
 * The threaded host: a machine in real time. The kernel thread is a worker of its own, engine threads are its
 * children; user threads are whoever holds this object.
 */
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { err, ok, type Result } from 'neverthrow';
import { type InvalidArgument, type InvalidState, invalidState } from '../../base/errors.js';
import type { CallRequest } from '../../coproc/calls.js';
import { PhysicalMemory } from '../../hw/physical-memory.js';
import { errno } from '../../uapi/errno.js';
import type { Counters } from '../../uapi/syscall.js';
import type { AnswerTo, CallAnswer } from '../domain-calls.js';
import { checkConfig, type MachineConfig } from '../machine-config.js';
import { MachineWords } from '../machine-words.js';
import { mistakeInSettings, NO_PROCESS, type ProcessSettings } from '../process-settings.js';
import { simulatedProcessor } from '../vcpu-patterns.js';
import type { AttachedRequest, AttachNews } from './attach-messages.js';
import type { KernelThreadInit, MachineNews, MachineRequest } from './messages.js';
import { ThreadedPlatform } from './threaded-platform.js';
import { workerArguments } from './worker-arguments.js';

/** What a machine of threads is built from. */
export interface ThreadedMachineOptions {
  readonly config: MachineConfig;
  /** Driver modules by name: URLs whose default export is a DriverModule. */
  readonly driverUrls: Readonly<Record<string, string>>;
  /** The worker entries, so that bundlers and tests may put them elsewhere. */
  readonly kernelWorkerUrl: URL;
  readonly engineWorkerUrl: URL;
}

const ENDED = 'the machine has ended; start another';

function whyNot(news: MachineNews): string {
  return news.kind === 'failed' ? news.reason : `it began with ${news.kind}`;
}

/** A machine of real threads. By itself it keeps no program running; `close` ends it. */
export class ThreadedMachine {
  /** Thread id of the kernel thread under /proc/self/task; null where the system does not tell. */
  kernelThreadId: number | null = null;
  readonly #worker: Worker;
  /** Resolves when the kernel thread is gone, whatever ended it. */
  readonly #exited: Promise<void>;
  readonly #port: MessagePort;
  readonly #memory: PhysicalMemory;
  readonly #words: MachineWords;
  /** Calls of the framework that are under way. */
  readonly #calls = new Map<number, (answer: CallAnswer) => void>();
  /** Ports to threads of the program that were let in. */
  readonly #attached = new Set<MessagePort>();
  #creations = 0;
  #sequence = 0;
  #ended = false;

  private constructor({ config, driverUrls, kernelWorkerUrl, engineWorkerUrl }: ThreadedMachineOptions) {
    this.#memory = PhysicalMemory.create(config.memoryBytes);
    this.#words = new MachineWords();
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    const workerData: KernelThreadInit = {
      memory: this.#memory.buffer,
      words: this.#words.buffer,
      config,
      driverUrls,
      engineWorkerUrl: engineWorkerUrl.href,
      port: port2,
    };
    this.#worker = new Worker(kernelWorkerUrl, { ...workerArguments(), workerData, transferList: [port2] });
    this.#exited = new Promise((resolve) => this.#worker.once('exit', () => resolve()));
  }

  /** Starts a machine; answers when its kernel is ready. */
  static async start(
    options: ThreadedMachineOptions,
  ): Promise<Result<ThreadedMachine, InvalidArgument | InvalidState>> {
    const checked = checkConfig(options.config, Object.keys(options.driverUrls));
    if (checked.isErr()) return err(checked.error);
    const simulated = simulatedProcessor(options.config.domains ?? []);
    if (simulated !== null) return err(simulated);
    const machine = new ThreadedMachine(options);
    const news = await machine.#firstNews();
    if (news.kind !== 'ready') return err(invalidState(`the machine could not start: ${whyNot(news)}`));
    machine.kernelThreadId = news.threadId;
    // The listener comes before unref: attached afterwards it would hold the program open.
    machine.#port.on('message', (later: MachineNews) => machine.#hear(later));
    // From here on the machine by itself keeps nobody alive.
    machine.#worker.unref();
    machine.#port.unref();
    void machine.#exited.then(() => machine.#end());
    return ok(machine);
  }

  /** A new process, whose interrupts come to the calling thread. */
  async createProcess(
    settings: ProcessSettings = {},
  ): Promise<Result<ThreadedPlatform, InvalidArgument | InvalidState>> {
    const mistake = mistakeInSettings(settings);
    if (mistake !== null) return err(mistake);
    const platform = await ThreadedPlatform.connect(this.#memory, this.#words, (port) =>
      this.#send({ kind: 'createProcess', settings, port }, [port]),
    );
    if (typeof platform !== 'number') return ok(platform);
    return err(invalidState(platform === -errno.EIO ? ENDED : NO_PROCESS));
  }

  /**
   * Lets the thread behind `port` have processes of its own, as long as it and the machine live; it keeps the calling
   * thread from ending as little as the machine does.
   */
  letIn(port: MessagePort): void {
    if (this.#ended) return port.close();
    const creations: number[] = [];
    port.on('message', ({ settings, port: of }: AttachedRequest) => {
      const creation = ++this.#creations;
      creations.push(creation);
      this.#send({ kind: 'createProcess', settings, port: of, creation }, [of]);
    });
    port.on('close', () => {
      this.#attached.delete(port);
      for (const creation of creations) this.#send({ kind: 'threadEnded', creation }, []);
    });
    port.unref();
    this.#attached.add(port);
    const news: AttachNews = { kind: 'machine', memory: this.#memory.buffer, words: this.#words.buffer };
    port.postMessage(news);
  }

  /** Resolves when the machine has ended, whoever ended it. */
  get ended(): Promise<void> {
    return this.#exited;
  }

  /** A call of the framework, as docs/calls.md lists them: domains, policies, parameters, everything about coprocessors. */
  call<Request extends CallRequest>(request: Request): Promise<AnswerTo<Request>> {
    if (this.#ended) return Promise.resolve(err(invalidState(ENDED)));
    const sequence = ++this.#sequence;
    this.#port.ref();
    return new Promise((resolve) => {
      // The answer to this request is of its kind: the table of the calls ties them.
      this.#calls.set(sequence, resolve as (answer: CallAnswer) => void);
      this.#send({ kind: 'call', sequence, request }, []);
    });
  }

  /** What the machine counted so far: not a system call. */
  counters(): Counters {
    return this.#words.counters();
  }

  /** Holds the kernel thread until `releaseKernel`: for tests that prove that data moves without it. */
  holdKernel(): void {
    Atomics.store(this.#words.all, this.#words.kernelGate, 1);
    this.#words.wake(this.#words.kernelWake);
  }

  /** Lets the kernel thread go on after `holdKernel`. */
  releaseKernel(): void {
    Atomics.store(this.#words.all, this.#words.kernelGate, 0);
    Atomics.notify(this.#words.all, this.#words.kernelGate);
  }

  /** Ends all threads. Processes should have exited. */
  async close(): Promise<void> {
    this.#worker.ref();
    this.#send({ kind: 'shutdown' }, []);
    await this.#exited;
    this.#port.close();
  }

  #hear(news: MachineNews): void {
    if (news.kind !== 'answer') return;
    const { answer } = news;
    this.#answer(news.sequence, 'error' in answer ? err(answer.error) : ok(answer.value));
  }

  #answer(sequence: number, answer: CallAnswer): void {
    this.#calls.get(sequence)?.(answer);
    this.#calls.delete(sequence);
    if (this.#calls.size === 0) this.#port.unref();
  }

  /** The kernel thread is gone: nobody answers any more. */
  #end(): void {
    this.#ended = true;
    for (const port of this.#attached) port.close();
    for (const sequence of [...this.#calls.keys()]) this.#answer(sequence, err(invalidState(ENDED)));
  }

  #send(request: MachineRequest, transfer: MessagePort[]): void {
    this.#port.postMessage(request, transfer);
    this.#words.wake(this.#words.kernelWake);
  }

  #firstNews(): Promise<MachineNews> {
    return new Promise((resolve) => {
      this.#port.once('message', resolve);
      this.#worker.once('error', (error) => resolve({ kind: 'failed', reason: error.message }));
      this.#worker.once('exit', (code) =>
        resolve({ kind: 'failed', reason: `the kernel thread ended with code ${code}` }),
      );
    });
  }
}
