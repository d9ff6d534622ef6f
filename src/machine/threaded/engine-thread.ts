/**
 * An engine thread: hosts one coprocessor instance, serves its queues, and sleeps when there is nothing to do.
 *
 * Going to sleep (docs/memory-model.md, "doorbell"): read the futex, publish "asleep" in every queue, look at every
 * queue once more, wait on the value read first. A doorbell after the last look sees "asleep" and changes the
 * futex, so the wait does not begin.
 */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { limits } from '../../base/limits.js';
import { NS_PER_MS } from '../../base/units.js';
import type { ContextIrq } from '../../hw/context-hardware.js';
import type { QueueBinding } from '../../hw/coproc-port.js';
import { DmaPort } from '../../hw/dma-port.js';
import { Engine, IDLE } from '../../hw/engine.js';
import { INSTANCE_WORDS, instanceWord } from '../../hw/instance-words.js';
import { Iommu } from '../../hw/iommu/iommu.js';
import { PhysicalMemory } from '../../hw/physical-memory.js';
import { errno } from '../../uapi/errno.js';
import { engineLockHolder } from '../kernel-side.js';
import type { MachineDriver } from '../machine-driver.js';
import { MachineWords } from '../machine-words.js';
import type { EngineAnswer, EngineNews, EngineRequest, EngineThreadInit } from './messages.js';
import { lowerPriority } from './thread-identity.js';

class EngineThread {
  readonly #words: MachineWords;
  readonly #engine: Engine;
  readonly #port: MessagePort;
  readonly #futex: number;
  readonly #controlWord: number;
  readonly #deviceId: number;
  /** Interrupt ports by waiter. */
  readonly #waiters = new Map<number, MessagePort>();
  #controlSeen = 0;
  #ended = false;

  constructor(init: EngineThreadInit, driver: MachineDriver) {
    const { deviceId } = init;
    this.#words = new MachineWords(init.words);
    this.#deviceId = deviceId;
    this.#port = init.port;
    this.#futex = this.#words.engineWake(deviceId);
    this.#controlWord = deviceId * INSTANCE_WORDS + instanceWord.CONTROL_SENT;
    const memory = new PhysicalMemory(init.memory);
    const wakeKernel = (): void => this.#words.wake(this.#words.kernelWake);
    const iommu = new Iommu({
      memory,
      registers: this.#words.iommuRegisters,
      lockHolder: engineLockHolder(deviceId),
      cacheEntries: limits.IOTLB_ENTRIES,
      sendMessage: () => {},
      interrupt: wakeKernel,
    });
    const port = new DmaPort({
      memory,
      iommu,
      deviceId,
      words: this.#words.instances,
      faultModel: init.faultModel,
      acknowledged: wakeKernel,
    });
    this.#engine = new Engine({
      description: driver.device,
      port,
      interrupt: (binding) => this.#interrupt(binding),
      raise: (irq) => this.#raise(irq),
      trace: null,
    });
  }

  /** Serves until told to end. */
  serve(): void {
    this.#tell({ kind: 'ready' });
    for (;;) {
      this.#takeControl();
      if (this.#ended) return;
      if (this.#engine.step() === IDLE) this.#idle();
    }
  }

  #idle(): void {
    if (this.#spin()) return;
    const { all } = this.#words;
    const seen = Atomics.load(all, this.#futex);
    this.#engine.setAsleep(true);
    if (!this.#controlWaits() && this.#engine.step() === IDLE) Atomics.wait(all, this.#futex, seen);
    this.#engine.setAsleep(false);
  }

  /** Looks for a while before sleeping; true when something came. One engine spins long, the others briefly. */
  #spin(): boolean {
    const { all, longSpinner } = this.#words;
    const long = Atomics.compareExchange(all, longSpinner, 0, this.#deviceId + 1) === 0;
    const budgetNs = long ? limits.IDLE_SPIN_NS : limits.IDLE_SPIN_FURTHER_NS;
    const endMs = performance.now() + budgetNs / NS_PER_MS;
    let found = false;
    do {
      found = this.#controlWaits() || this.#engine.step() !== IDLE;
    } while (!found && performance.now() < endMs);
    if (long) this.#words.releaseLongSpin(this.#deviceId);
    return found;
  }

  #controlWaits(): boolean {
    return Atomics.load(this.#words.instances, this.#controlWord) !== this.#controlSeen;
  }

  #takeControl(): void {
    const sent = Atomics.load(this.#words.instances, this.#controlWord);
    if (sent === this.#controlSeen) return;
    this.#controlSeen = sent;
    for (;;) {
      const received = receiveMessageOnPort(this.#port);
      if (received === undefined) return;
      this.#obey(received.message as EngineRequest);
    }
  }

  #obey(request: EngineRequest): void {
    if (request.kind === 'shutdown') {
      this.#ended = true;
      for (const port of this.#waiters.values()) port.close();
      return;
    }
    this.#tell({ kind: 'answer', sequence: request.sequence, value: this.#execute(request) });
  }

  #execute(request: Exclude<EngineRequest, { kind: 'shutdown' }>): EngineAnswer {
    const engine = this.#engine;
    switch (request.kind) {
      case 'createContext':
        return engine.createContext(request.context) ? 0 : -errno.ENOSPC;
      case 'destroyContext':
        return engine.destroyContext(request.context) ? 0 : -errno.EINVAL;
      case 'share':
        engine.share(request.shared);
        return 0;
      case 'stop':
        return engine.stop();
      case 'save':
        return engine.image(request.context);
      case 'start':
        return engine.start(request.context, request.accesses);
      case 'resetContext':
        return engine.resetContext(request.context);
      case 'attach':
        if (request.port !== null) this.#waiters.set(request.binding.waiter, request.port);
        return engine.attach(request.context, request.binding) ? 0 : -errno.EIO;
      case 'detach':
        engine.detach(request.queueNumber);
        return 0;
      case 'doorbell':
        engine.hardwareDoorbell(request.queueNumber, request.value);
        return 0;
      case 'read':
        return engine.readRegister(request.offset);
      case 'write':
        engine.writeRegister(request.offset, request.value);
        return 0;
    }
  }

  #interrupt({ waiter, mmioAddress }: QueueBinding): void {
    this.#waiters.get(waiter)?.postMessage(mmioAddress);
  }

  #raise(irq: ContextIrq): void {
    this.#tell({ kind: 'irq', irq });
  }

  #tell(news: EngineNews): void {
    this.#port.postMessage(news);
    this.#words.wake(this.#words.kernelWake);
  }
}

/** Runs an engine until it is shut down. Whatever ends it otherwise is reported to the kernel thread first. */
export async function runEngineThread(init: EngineThreadInit): Promise<void> {
  const words = new MachineWords(init.words);
  try {
    const { default: driver } = (await import(init.driverUrl)) as { default: MachineDriver };
    lowerPriority(limits.ENGINE_NICENESS);
    new EngineThread(init, driver).serve();
  } catch (error) {
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    init.port.postMessage({ kind: 'crashed', reason } satisfies EngineNews);
    words.wake(words.kernelWake);
  }
  init.port.close();
}
