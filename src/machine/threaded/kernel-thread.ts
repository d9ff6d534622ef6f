/**
 * The kernel thread: kernel and framework behind one futex. It sleeps in `Atomics.wait` until somebody has something
 * for it, so it uses no CPU time while data moves. While a worker's start or exit is awaited it waits in its event
 * loop instead, because those events do not arrive during `Atomics.wait`. For the same reason it visits its event loop
 * now and then while it waits for a user thread to leave an access: should that thread have ended, its port closes.
 */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { assert } from '../../base/assert.js';
import { limits } from '../../base/limits.js';
import type { QueueBinding } from '../../hw/coproc-port.js';
import { PhysicalMemory } from '../../hw/physical-memory.js';
import { errno } from '../../uapi/errno.js';
import type { DomainRequest } from '../domains.js';
import { engineLockHolder, KernelSide } from '../kernel-side.js';
import { faultModelOf, hostUse, type InstanceConfig } from '../machine-config.js';
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
  /** Waiter numbers of processes whose threads the owner of the machine watches, by number of creation. */
  readonly #watched = new Map<number, number>();
  #serviceWanted = false;
  /** It is time to look whether the user thread that is waited for has ended; and the alarm for the next time. */
  #threadLookDue = false;
  #cancelThreadLook: (() => void) | null = null;
  #ended = false;

  constructor(init: KernelThreadInit) {
    this.#init = init;
    this.#words = new MachineWords(init.words);
    this.#kernelSide = new KernelSide({
      instances: init.config.instances,
      memory: new PhysicalMemory(init.memory),
      words: this.#words,
      clock: this.#clock,
      wakeEngine: (deviceId) => this.#words.wake(this.#words.engineWake(deviceId)),
      serviceSoon: () => {
        this.#serviceWanted = true;
      },
      interrupt: (waiter, mmioAddress) =>
        this.#processes[waiter]?.port.postMessage({ kind: 'interrupt', mmioAddress } satisfies ProcessNews),
      unresponsive: (deviceId) =>
        this.#engines[deviceId]?.forceReset('did not acknowledge an invalidation in time'),
      invalidationTimeoutNs: init.config.invalidationTimeoutNs,
    });
  }

  /** Announces every instance; their engine threads start when they are needed. */
  async addInstances(): Promise<void> {
    const { config, driverUrls } = this.#init;
    let announced = 0;
    for (const instance of config.instances) {
      const driverUrl = driverUrls[instance.driver]!;
      const { default: driver } = (await import(driverUrl)) as { default: MachineDriver };
      this.#addInstance(instance, { driver, driverUrl }, () => {
        announced += 1;
      });
    }
    for (const request of config.domains ?? []) this.#startDomain(request);
    // No engine runs yet, so nothing of this waits for another thread.
    this.#service();
    assert(
      announced === config.instances.length,
      `all of ${config.instances.length} instances were announced`,
    );
  }

  #startDomain(request: DomainRequest): void {
    this.#kernelSide.domains.create(request, (created) => {
      // The owner of the machine is told that it could not start, and why.
      if (created.isErr()) throw new Error(created.error.message);
    });
  }

  async serve(): Promise<void> {
    this.#tell({ kind: 'ready', threadId: currentThreadId() });
    while (!this.#ended) {
      const { all, kernelWake, kernelGate } = this.#words;
      const seen = Atomics.load(all, kernelWake);
      this.#look();
      if (this.#ended) break;
      if (this.#expectsEvent()) await oneTurn();
      else Atomics.wait(all, kernelWake, seen, this.#clock.nextDelayMs());
      if (Atomics.load(all, kernelGate) === 1) Atomics.wait(all, kernelGate, 1);
    }
    for (const engine of this.#engines) engine.shutdown();
  }

  /** Whether something may come as an event: from a worker now, from the port of a user thread when it is time to look. */
  #expectsEvent(): boolean {
    const isTime = this.#threadLookDue;
    this.#threadLookDue = false;
    if (this.#kernelSide.awaitsThread) this.#cancelThreadLook ??= this.#setThreadLook();
    else this.#cancelThreadLook?.();
    return isTime || this.#engines.some(({ expectsEvent }) => expectsEvent);
  }

  #setThreadLook(): () => void {
    const cancel = this.#clock.alarm(limits.THREAD_END_LOOK_NS, () => {
      this.#threadLookDue = true;
      this.#cancelThreadLook = null;
    });
    return () => {
      cancel();
      this.#cancelThreadLook = null;
    };
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
    config: InstanceConfig,
    of: { driver: MachineDriver; driverUrl: string },
    announced: () => void,
  ): void {
    const { driver, driverUrl } = of;
    const { memory, engineWorkerUrl } = this.#init;
    const deviceId = this.#engines.length;
    const engine = new EngineHandle({
      instance: config.id,
      deviceId,
      faultModel: faultModelOf(config),
      description: driver.device,
      driverUrl,
      workerUrl: engineWorkerUrl,
      memory,
      words: this.#words,
      clock: this.#clock,
      answerTimeoutNs: this.#init.config.invalidationTimeoutNs ?? limits.INVALIDATION_TIMEOUT_NS,
      served: (binding, incarnation, port) => this.#served(binding, { deviceId, incarnation, port }),
      started: () => this.#kernelSide.wires.connect(deviceId),
      ended: (reason) => this.#engineEnded(deviceId, reason),
    });
    this.#engines.push(engine);
    const host = hostUse(this.#init.config, config);
    this.#kernelSide.addInstance(engine, { driver: driver.kernelDriver, config, host }, announced);
  }

  #drainMachine(): void {
    for (;;) {
      const received = receiveMessageOnPort(this.#init.port);
      if (received === undefined) return;
      const request = received.message as MachineRequest;
      if (request.kind === 'shutdown') this.#ended = true;
      else if (request.kind === 'call') this.#call(request);
      else if (request.kind === 'threadEnded') this.#watchedEnded(request.creation);
      else this.#createProcess(request);
    }
  }

  #call({ sequence, request }: MachineRequest & { kind: 'call' }): void {
    this.#kernelSide.call(request, (answer) => {
      const plain = answer.isOk() ? { value: answer.value } : { error: answer.error };
      this.#tell({ kind: 'answer', sequence, answer: plain });
    });
  }

  #createProcess({ settings, port, creation }: MachineRequest & { kind: 'createProcess' }): void {
    const waiter = this.#processes.length;
    const process = this.#kernelSide.createProcess(waiter, settings);
    if (process === null) {
      port.postMessage({ kind: 'refused', ret: -errno.EAGAIN } satisfies ProcessNews);
      return;
    }
    this.#processes.push({ pid: process.pid, port });
    if (creation !== undefined) this.#watched.set(creation, waiter);
    port.on('close', () => this.#threadEnded(waiter));
    port.postMessage({ kind: 'created', process } satisfies ProcessNews);
  }

  /** Said of a process that was refused, or has exited, too. */
  #watchedEnded(creation: number): void {
    const waiter = this.#watched.get(creation);
    this.#watched.delete(creation);
    if (waiter !== undefined) this.#threadEnded(waiter);
  }

  /** A process's port has closed. Unless it had exited, its user thread has ended, whatever ended it. */
  #threadEnded(waiter: number): void {
    const process = this.#processes[waiter];
    if (this.#ended || process === null || process === undefined) return;
    this.#processes[waiter] = null;
    this.#kernelSide.abandonProcess(process.pid);
  }

  #fork(pid: number, port: MessagePort): void {
    const waiter = this.#processes.length;
    // The number is the child's from now on, whoever else is created before it is there.
    this.#processes.push(null);
    this.#kernelSide.forkProcess(pid, waiter, (answer) => {
      if (typeof answer === 'number') {
        port.postMessage({ kind: 'refused', ret: answer } satisfies ProcessNews);
        return;
      }
      this.#processes[waiter] = { pid: answer.pid, port };
      port.on('close', () => this.#threadEnded(waiter));
      port.postMessage({ kind: 'created', process: answer } satisfies ProcessNews);
    });
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
      this.#engines[request.deviceId]?.portClosed(request.incarnation);
      return;
    }
    if (request.kind === 'fork') {
      this.#fork(pid, request.port);
      return;
    }
    const answer = (reply: (ProcessNews & { kind: 'reply' })['reply']): void =>
      port.postMessage({ kind: 'reply', sequence: request.sequence, reply } satisfies ProcessNews);
    if (request.kind === 'syscall') {
      kernel.syscall(pid, request.request, answer);
      return;
    }
    this.#kernelSide.exitProcess(pid, (ret) => {
      answer({ ret });
      this.#processes[waiter] = null;
    });
  }

  #served(
    { waiter, mmioAddress }: QueueBinding,
    by: { deviceId: number; incarnation: number; port: MessagePort | null },
  ): void {
    const news: ProcessNews = { kind: 'served', mmioAddress, ...by };
    this.#processes[waiter]?.port.postMessage(news, by.port === null ? [] : [by.port]);
  }

  #engineEnded(deviceId: number, reason: string): void {
    // It may have died with the lock in its hand, or while it was the one that spins.
    this.#words.iommuRegisters.recoverLock(engineLockHolder(deviceId));
    this.#words.releaseLongSpin(deviceId);
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
