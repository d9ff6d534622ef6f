/**
 * One uacce device: an instance behind its port, its free hardware queues, its ring address space, its open queues,
 * and whether it may be opened. device-setup.ts builds and dismantles it.
 */
import { assert } from '../base/assert.js';
import type { Clock } from '../hw/clock.js';
import type { CoprocIrq, CoprocPort } from '../hw/coproc-port.js';
import type { ProcessDirectory } from '../hw/iommu-driver/process-directory.js';
import type { MmioBus } from '../hw/mmio-bus.js';
import type { PhysicalMemory } from '../hw/physical-memory.js';
import { QUEUE_CONTEXT_BYTES } from '../hw/queue-context.js';
import { errno } from '../uapi/errno.js';
import { uacceQueueState } from '../uapi/ioctl.js';
import { type DusShape, dusShape } from '../uapi/queue-layout.js';
import type { AddressSpace, Answer } from './address-space.js';
import type { IdPool } from './id-pool.js';
import { Isolation } from './isolation.js';
import type { KernelDriver } from './kernel-driver.js';
import type { MemoryDomain } from './memory-domain.js';
import type { ProcessMemory } from './process-memory.js';
import { QueueMemory } from './queue-memory.js';
import type { RingSpace } from './ring-space.js';
import type { Sva } from './sva.js';
import { UacceQueue } from './uacce-queue.js';

/** A process, as far as its queues are concerned. */
export interface QueueOwner {
  readonly pid: number;
  /** Share of the process among those of its domain. */
  readonly weight: number;
  readonly space: AddressSpace;
  readonly frames: ProcessMemory;
  readonly waiter: number;
  readonly queues: Set<UacceQueue>;
}

export interface UacceDeviceOptions {
  readonly name: string;
  readonly port: CoprocPort;
  readonly driver: KernelDriver;
  /** Whose processes see the device. */
  readonly domain: MemoryDomain;
  readonly directory: ProcessDirectory;
  readonly ring: RingSpace;
  /** Hardware queue numbers; shared when several devices stand for one instance. */
  readonly queueNumbers: IdPool;
  /** Physical address of the queue contexts, side by side by queue number. */
  readonly contextsAddress: number;
  readonly memory: PhysicalMemory;
  readonly mmio: MmioBus;
  readonly sva: Sva;
  readonly clock: Pick<Clock, 'nowNs'>;
  /** Counts the queues ever opened on the machine. */
  readonly nextEpoch: () => number;
  /** Interrupts user thread `waiter` for the queue whose MMIO region is at a physical address. */
  readonly interrupt: (waiter: number, mmioAddress: number) => void;
}

export class UacceDevice {
  readonly options: UacceDeviceOptions;
  readonly shape: DusShape;
  /** Null when the driver cannot tell. */
  readonly isolation: Isolation | null;
  readonly #queues = new Map<number, UacceQueue>();
  #started = 0;
  #removed = false;
  #lost = false;
  #resetting = false;

  constructor(options: UacceDeviceOptions) {
    const { port, driver, clock } = options;
    this.options = options;
    this.shape = dusShape(port.description.sqeBytes, driver.sqDepth, driver.cqDepth);
    this.isolation = driver.isolation === undefined ? null : new Isolation(clock, driver.isolation.threshold);
    port.onIrq((irq) => this.#interrupted(irq));
  }

  get name(): string {
    return this.options.name;
  }

  get removed(): boolean {
    return this.#removed;
  }

  /** Queues that hold a hardware queue now. */
  get openQueues(): number {
    return this.#queues.size;
  }

  /** SVA bind and get_queue: a queue in INIT, or -ENODEV, -EBUSY, -ENOSPC, -ENOMEM. */
  open(process: QueueOwner): UacceQueue | number {
    const { queueNumbers } = this.options;
    if (this.#removed || this.#lost || this.isolation?.isolated === true) return -errno.ENODEV;
    const queueNumber = queueNumbers.take();
    if (queueNumber === null) return -errno.EBUSY;
    return this.#create(process, queueNumber);
  }

  /** After a hardware error: queues are disabled, the hardware is brought back, the error counts. `done` gets the result. */
  reset(done: Answer): void {
    // An error that is reported again during the reset starts no second one (hazard Q3).
    if (this.#resetting || this.#removed) {
      done(this.#removed ? -errno.ENODEV : -errno.EBUSY);
      return;
    }
    this.#resetting = true;
    this.#disableAll();
    const { driver, port } = this.options;
    const finish = (result: number): void => {
      this.#resetting = false;
      this.#lost = result < 0;
      this.isolation?.recordReset(result >= 0);
      done(result);
    };
    if (driver.reset === undefined) finish(0);
    else driver.reset(port, finish);
  }

  /** No open succeeds any more; every queue is stopped and put. `done` when the hardware is at rest. */
  remove(done: () => void): void {
    assert(!this.#removed, `${this.name} is removed once`);
    this.#removed = true;
    let left = this.#queues.size + 1;
    const one = (): void => {
      left -= 1;
      if (left === 0) done();
    };
    this.#disableAll();
    for (const queue of [...this.#queues.values()]) queue.shutDown(one);
    one();
  }

  #create(process: QueueOwner, queueNumber: number): UacceQueue | number {
    const { driver, sva, directory, ring, memory: physical, contextsAddress, queueNumbers } = this.options;
    const memory = QueueMemory.allocate({
      memory: physical,
      frames: process.frames,
      shape: this.shape,
      contextAddress: contextsAddress + queueNumber * QUEUE_CONTEXT_BYTES,
    });
    const pasid = memory === null ? -errno.ENOMEM : driver.sva ? sva.bind(process.space, directory) : -1;
    if (memory === null || (driver.sva && pasid < 0)) {
      memory?.free();
      queueNumbers.give(queueNumber);
      return pasid;
    }
    const queue = this.#newQueue(process, { queueNumber, memory, pasid });
    if (ring.map(memory.dus)) return queue;
    // A part may be mapped and cached: the queue goes the way of every other, its number with it, later.
    queue.drop(() => {});
    return -errno.ENOMEM;
  }

  #newQueue(
    process: QueueOwner,
    parts: { queueNumber: number; memory: QueueMemory; pasid: number },
  ): UacceQueue {
    const queue = new UacceQueue({
      ...parts,
      port: this.options.port,
      mmio: this.options.mmio,
      space: process.space,
      shape: this.shape,
      epoch: this.options.nextEpoch(),
      waiter: process.waiter,
      process: process.pid,
      weight: process.weight,
      onStarted: (change) => this.#count(change),
      put: (ended, done) => this.#put(process, ended, done),
      interrupt: () => this.options.interrupt(process.waiter, parts.memory.mmioAddress),
    });
    this.#queues.set(parts.queueNumber, queue);
    process.queues.add(queue);
    return queue;
  }

  /** Rings, then the binding, then the memory, and the number last (hazard U13). */
  #put(process: QueueOwner, queue: UacceQueue, done: () => void): void {
    const { ring, driver, sva, directory, queueNumbers } = this.options;
    const release = (): void => {
      queue.memory.free();
      this.#queues.delete(queue.queueNumber);
      process.queues.delete(queue);
      queueNumbers.give(queue.queueNumber);
      done();
    };
    ring.unmap(queue.memory.dus, () => {
      if (driver.sva) sva.unbind(process.space, directory.deviceId, release);
      else release();
    });
  }

  /** The context may be scheduled while a queue of it is started. */
  #count(change: 1 | -1): void {
    const before = this.#started;
    this.#started += change;
    if (before === 0) this.options.port.wake();
    else if (this.#started === 0) this.options.port.sleep();
  }

  #interrupted(irq: CoprocIrq): void {
    switch (irq.kind) {
      case 'queueError':
        this.#queues.get(irq.queueNumber)?.disable();
        return;
      case 'pleaseYield':
      case 'yieldOver':
        for (const queue of this.#queues.values()) queue.askToYield(irq.kind === 'pleaseYield');
        return;
      case 'device':
        // What a line means is known to the device's own driver, and a kernel driver has no hook for it.
        return;
      case 'reset':
        this.#wasReset();
        return;
      case 'lost':
        this.#lost = true;
        this.#disableAll();
    }
  }

  /** The hardware dropped every queue that it served, and serves what is started from now on. */
  #wasReset(): void {
    for (const queue of this.#queues.values()) {
      // One that is not started has nothing to lose, and PUT_Q, which brings a disabled one back, would not reach it.
      if (queue.state === uacceQueueState.STARTED) queue.disable();
    }
    this.isolation?.recordReset(true);
  }

  #disableAll(): void {
    for (const queue of this.#queues.values()) queue.disable();
  }
}
