/**
 * The kernel thread: kernel and framework behind one futex. It sleeps in `Atomics.wait` until somebody has something
 * for it, so it uses no CPU time while data moves. While a worker's start or exit is awaited it waits in its event
 * loop instead, because those events do not arrive during `Atomics.wait`.
 */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { assert } from '../../base/assert.js';
import type { QueueBinding } from '../../hw/coproc-port.js';
import { PhysicalMemory } from '../../hw/physical-memory.js';
import { engineLockHolder, KernelSide } from '../kernel-side.js';
import type { MachineDriver } from '../machine-driver.js';
import { MachineWords } from '../machine-words.js';
import { EngineHandle } from './engine-handle.js';
import type {
  KernelThreadInit,
  MachineNews,
  MachineRequest,
  ProcessNews,
  ProcessRequest,
} from './messages.js';
import { RealClock } from './real-clock.js';
import { currentThreadId } from './thread-identity.js';

/** How often the thread looks at its ports while it waits in its event loop, ms. */
const EVENT_LOOP_LOOK_MS = 1;

/** A process and the port over which it is reached; its place in the list is its waiter number. */
interface AttachedProcess {
  readonly pid: number;
  readonly port: MessagePort;
}

class KernelThread {
  readonly #init: KernelThreadInit;
  readonly #words: MachineWords;
  readonly #clock = new RealClock();
  readonly #kernelSide: KernelSide;
  readonly #engines: EngineHandle[] = [];
  readonly #processes: (AttachedProcess | null)[] = [];
  #serviceWanted = false;
  #ended = false;

  constructor(init: KernelThreadInit) {
    this.#init = init;
    this.#words = new MachineWords(init.words);
    this.#kernelSide = new KernelSide({
      memory: new PhysicalMemory(init.memory),
      words: this.#words,
      clock: this.#clock,
      wakeEngine: (deviceId) => this.#words.wake(this.#words.engineWake(deviceId)),
      serviceSoon: () => {
        this.#serviceWanted = true;
      },
    });
  }

  /** Announces every instance; their engine threads start when they are needed. */
  async addInstances(): Promise<void> {
    const { config, driverUrls } = this.#init;
    let announced = 0;
    for (const { id, driver: name } of config.instances) {
      const driverUrl = driverUrls[name]!;
      const { default: driver } = (await import(driverUrl)) as { default: MachineDriver };
      this.#addInstance(id, { driver, driverUrl }, () => {
        announced += 1;
      });
    }
    // No engine runs yet, so nothing of this waits for another thread.
    this.#service();
    assert(
      announced === config.instances.length,
      `all of ${config.instances.length} instances were announced`,
    );
  }

  async serve(): Promise<void> {
    this.#tell({ kind: 'ready', threadId: currentThreadId() });
    while (!this.#ended) {
      const { all, kernelWake, kernelGate } = this.#words;
      const seen = Atomics.load(all, kernelWake);
      this.#look();
      if (this.#ended) break;
      if (this.#engines.some(({ expectsEvent }) => expectsEvent)) await oneTurn();
      else Atomics.wait(all, kernelWake, seen, this.#clock.nextDelayMs());
      if (Atomics.load(all, kernelGate) === 1) Atomics.wait(all, kernelGate, 1);
    }
    for (const engine of this.#engines) engine.shutdown();
  }

  /** One look at everything that may have something for the kernel. */
  #look(): void {
    this.#drainMachine();
    for (const engine of this.#engines) engine.drain();
    for (const [waiter, process] of this.#processes.entries())
      if (process !== null) this.#drainProcess(waiter, process);
    this.#clock.fireDue();
    this.#service();
  }

  #service(): void {
    do {
      this.#serviceWanted = false;
      this.#kernelSide.service();
    } while (this.#serviceWanted);
  }

  #addInstance(
    instance: string,
    of: { driver: MachineDriver; driverUrl: string },
    announced: () => void,
  ): void {
    const { driver, driverUrl } = of;
    const { memory, engineWorkerUrl } = this.#init;
    const deviceId = this.#engines.length;
    const engine = new EngineHandle({
      instance,
      deviceId,
      description: driver.device,
      driverUrl,
      workerUrl: engineWorkerUrl,
      memory,
      words: this.#words,
      served: (binding, port) => this.#served(deviceId, binding, port),
      started: () => this.#kernelSide.wires.connect(deviceId),
      lost: (reason) => this.#lost(deviceId, reason),
    });
    this.#engines.push(engine);
    this.#kernelSide.addInstance(engine, driver.kernelDriver, announced);
  }

  #drainMachine(): void {
    for (;;) {
      const received = receiveMessageOnPort(this.#init.port);
      if (received === undefined) return;
      const request = received.message as MachineRequest;
      if (request.kind === 'shutdown') this.#ended = true;
      else this.#createProcess(request.port);
    }
  }

  #createProcess(port: MessagePort): void {
    const pid = this.#kernelSide.createProcess(this.#processes.length);
    if (pid === null) {
      port.postMessage({ kind: 'refused' } satisfies ProcessNews);
      return;
    }
    this.#processes.push({ pid, port });
    port.postMessage({ kind: 'created', pid } satisfies ProcessNews);
  }

  #drainProcess(waiter: number, process: AttachedProcess): void {
    for (;;) {
      const received = receiveMessageOnPort(process.port);
      if (received === undefined) return;
      this.#obey(waiter, process, received.message as ProcessRequest);
    }
  }

  #obey(waiter: number, { pid, port }: AttachedProcess, request: ProcessRequest): void {
    const { kernel } = this.#kernelSide;
    if (request.kind === 'engineGone') {
      this.#engines[request.deviceId]?.expectExit();
      return;
    }
    const answer = (reply: (ProcessNews & { kind: 'reply' })['reply']): void =>
      port.postMessage({ kind: 'reply', sequence: request.sequence, reply } satisfies ProcessNews);
    if (request.kind === 'syscall') {
      kernel.syscall(pid, request.request, answer);
      return;
    }
    kernel.exitProcess(pid, (ret) => {
      answer({ ret });
      this.#processes[waiter] = null;
    });
  }

  #served(deviceId: number, { waiter, mmioAddress }: QueueBinding, port: MessagePort | null): void {
    const news: ProcessNews = { kind: 'served', mmioAddress, deviceId, port };
    this.#processes[waiter]?.port.postMessage(news, port === null ? [] : [port]);
  }

  #lost(deviceId: number, reason: string): void {
    // It may have died with the lock in its hand.
    this.#words.iommuRegisters.recoverLock(engineLockHolder(deviceId));
    this.#kernelSide.wires.disconnect(deviceId);
    const news: ProcessNews = { kind: 'lost', deviceId, reason };
    for (const process of this.#processes) process?.port.postMessage(news);
  }

  #tell(news: MachineNews): void {
    this.#init.port.postMessage(news);
  }
}

function oneTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, EVENT_LOOP_LOOK_MS));
}

/** Runs the kernel thread until the machine is shut down. */
export async function runKernelThread(init: KernelThreadInit): Promise<void> {
  try {
    const thread = new KernelThread(init);
    await thread.addInstances();
    await thread.serve();
  } catch (error) {
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    init.port.postMessage({ kind: 'failed', reason } satisfies MachineNews);
  }
  init.port.close();
}
