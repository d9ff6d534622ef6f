/**
 * An open uacce queue: one ring pair of a device, tagged with the PASID of the address space that opened it.
 *
 * States are INIT, STARTED and ZOMBIE, as user space knows them; `#become` is their only writer. The queue is
 * referred to by its open file and by each mapping of its regions. The last one to go puts it: put happens once,
 * and never while one of them exists (hazard U1), unless the device or the process itself ends; then mappings are
 * killed first. Whatever waits for hardware or a fence holds the queue's turn (`Serial`).
 */
import { assert } from '../base/assert.js';
import { PAGE_BYTES } from '../base/units.js';
import type { CoprocPort } from '../hw/coproc-port.js';
import type { MmioBus } from '../hw/mmio-bus.js';
import { errno } from '../uapi/errno.js';
import { queueRegion, type UacceQueueState, uacceQueueState } from '../uapi/ioctl.js';
import {
  type DusShape,
  HARDWARE_DOORBELL_OFFSET,
  hardwareDoorbell,
  QUEUE_MMIO_BYTES,
} from '../uapi/queue-layout.js';
import { pollEvent } from '../uapi/syscall.js';
import type { AddressSpace, Answer } from './address-space.js';
import type { QueueMemory, Region } from './queue-memory.js';
import { Serial } from './serial.js';

const { ZOMBIE, INIT, STARTED } = uacceQueueState;

/** Which states follow which. */
const SUCCESSORS: Readonly<Record<UacceQueueState, readonly UacceQueueState[]>> = {
  [INIT]: [STARTED, ZOMBIE],
  [STARTED]: [INIT, ZOMBIE],
  [ZOMBIE]: [],
};

export interface UacceQueueOptions {
  readonly port: CoprocPort;
  readonly mmio: MmioBus;
  readonly space: AddressSpace;
  readonly memory: QueueMemory;
  readonly shape: DusShape;
  readonly queueNumber: number;
  /** -1 = without one. */
  readonly pasid: number;
  /** Counts the queues ever opened on the machine. */
  readonly epoch: number;
  /** Which user thread waits for completions. */
  readonly waiter: number;
  readonly process: number;
  readonly weight: number;
  /** A queue was attached (1) or detached (-1). */
  readonly onStarted: (change: 1 | -1) => void;
  /** Returns everything that get_queue took; the hardware is stopped and no mapping is left. */
  readonly put: (queue: UacceQueue, done: () => void) => void;
  /** Interrupts the user thread that waits for completions. */
  readonly interrupt: () => void;
}

export class UacceQueue {
  readonly #options: UacceQueueOptions;
  readonly #serial = new Serial();
  /** Region type to the address where it is mapped. */
  readonly #mapped = new Map<number, number>();
  #state: UacceQueueState = INIT;
  #qcType = 0;
  #references = 1;
  #wasPut = false;
  #disabled = false;
  #yieldAsked = false;
  #seenTail = 0;
  #unclaimDoorbell: () => void = () => {};

  constructor(options: UacceQueueOptions) {
    this.#options = options;
  }

  get state(): UacceQueueState {
    return this.#state;
  }

  get pasid(): number {
    return this.#options.pasid;
  }

  get queueNumber(): number {
    return this.#options.queueNumber;
  }

  get space(): AddressSpace {
    return this.#options.space;
  }

  get memory(): QueueMemory {
    return this.#options.memory;
  }

  /** INIT -> STARTED; EINVAL from STARTED, ENXIO from ZOMBIE, or why the hardware refused. */
  start(done: Answer): void {
    this.#enter(done, (finish) => {
      const refusal = this.#state === ZOMBIE ? -errno.ENXIO : this.#state === STARTED ? -errno.EINVAL : 0;
      if (refusal !== 0) finish(refusal);
      else this.#attach(finish);
    });
  }

  /** STARTED -> INIT: stopped, rings empty, hardware queue kept. A queue in INIT stays there; ENXIO from ZOMBIE. */
  stop(done: Answer): void {
    this.#enter(done, (finish) => {
      if (this.#state !== STARTED) {
        finish(this.#state === ZOMBIE ? -errno.ENXIO : 0);
        return;
      }
      this.#detach(() => {
        this.#become(INIT);
        this.#options.memory.reset();
        this.#disabled = false;
        this.#yieldAsked = false;
        this.#seenTail = 0;
        finish(0);
      });
    });
  }

  /** Direction of the queue from its next start on: the hardware queue number, EINVAL unless 0 or 1, or ENXIO. */
  setContext(qcType: number): number {
    if (this.#state === ZOMBIE) return -errno.ENXIO;
    if (qcType > 1) return -errno.EINVAL;
    this.#qcType = qcType;
    return this.#options.queueNumber;
  }

  /** Maps a region into the address space that opened the queue: its address, or a negated errno. */
  map(regionType: number, bytes: number): number {
    const region = this.#region(regionType);
    if (region === null) return -errno.EINVAL;
    if (this.#state === ZOMBIE) return -errno.ENXIO;
    if (this.#mapped.has(regionType)) return -errno.EEXIST;
    // DUS at exactly its size; of MMIO, page 0 alone will do.
    const fits = regionType === queueRegion.DUS ? bytes === region.bytes : bytes <= QUEUE_MMIO_BYTES;
    if (!fits) return -errno.EINVAL;
    const onGone = (): void => {
      this.#mapped.delete(regionType);
      this.drop(() => {});
    };
    const va = this.#options.space.mapQueue({ gpa: region.gpa, bytes, onGone });
    if (va < 0) return va;
    this.#mapped.set(regionType, va);
    this.#references += 1;
    return va;
  }

  /**
   * Poll events: IN once for each batch of completions, PRI while its domain is asked to yield, ERR while disabled, nothing
   * on a zombie. Never negative.
   */
  poll(): number {
    if (this.#state === ZOMBIE) return 0;
    const tail = this.#options.memory.cqTail;
    const events = tail === this.#seenTail ? 0 : pollEvent.IN;
    this.#seenTail = tail;
    return events | (this.#yieldAsked ? pollEvent.PRI : 0) | (this.#disabled ? pollEvent.ERR : 0);
  }

  /**
   * Its domain is asked to yield, or need not any more: the process that waits is told either way. One that is not started
   * has the device do nothing, and is not asked.
   */
  askToYield(asked: boolean): void {
    if (asked === this.#yieldAsked || (asked && this.#state !== STARTED)) return;
    this.#yieldAsked = asked;
    this.#options.memory.storeYield(asked);
    this.#options.interrupt();
  }

  /** The hardware serves this queue no more, until it is put. */
  disable(): void {
    if (this.#state === ZOMBIE) return;
    this.#disabled = true;
    this.#options.memory.disable();
  }

  /** One more open file refers to the queue: a forked child has it, too. */
  hold(): void {
    assert(this.#references > 0, 'a queue that is referred to is held');
    this.#references += 1;
  }

  /** The open file or a mapping is gone; the last one ends the queue. */
  drop(done: () => void): void {
    assert(this.#references > 0, 'a reference is dropped once');
    this.#references -= 1;
    if (this.#references === 0) this.shutDown(done);
    else done();
  }

  /** Stops and puts the queue, whoever still refers to it. `done` when nothing of it is left in hardware or tables. */
  shutDown(done: () => void): void {
    this.#serial.enter((leave) => {
      const finish = (): void => {
        leave();
        done();
      };
      if (this.#wasPut) finish();
      else this.#putNow(finish);
    });
  }

  #putNow(done: () => void): void {
    const wasStarted = this.#state === STARTED;
    this.disable();
    this.#become(ZOMBIE);
    this.#wasPut = true;
    const killThenPut = (): void => this.#killMappings(() => this.#options.put(this, done));
    if (wasStarted) this.#detach(killThenPut);
    else killThenPut();
  }

  #enter(done: Answer, section: (finish: Answer) => void): void {
    const entered = this.#serial.tryEnter((leave) =>
      section((ret) => {
        leave();
        done(ret);
      }),
    );
    if (!entered) done(-errno.EAGAIN);
  }

  #attach(finish: Answer): void {
    const { port, memory, shape, queueNumber, pasid, epoch, waiter, process, weight, onStarted } =
      this.#options;
    const binding = {
      queueNumber,
      pasid,
      qcType: this.#qcType,
      epoch,
      mmioAddress: memory.mmioAddress,
      contextAddress: memory.contextAddress,
      ringAddress: memory.dus.gpa,
      sqDepth: shape.sqDepth,
      cqDepth: shape.cqDepth,
      waiter,
      process,
      weight,
    };
    port.attachQueue(binding, (result) => {
      if (result === 0) {
        this.#claimDoorbell();
        this.#become(STARTED);
        onStarted(1);
      }
      finish(result);
    });
  }

  /** Whatever the answer, the hardware has made its last access: a lost instance makes none. */
  #detach(done: () => void): void {
    const { port, queueNumber, onStarted } = this.#options;
    port.detachQueue(queueNumber, () => {
      this.#unclaimDoorbell();
      onStarted(-1);
      done();
    });
  }

  /** Stores to the second MMIO page reach the hardware as events while the queue is started. */
  #claimDoorbell(): void {
    const { mmio, memory, port, queueNumber } = this.#options;
    const ring = (offset: number, bytes: Uint8Array): void => {
      if (offset === 0 && bytes.length === hardwareDoorbell.bytes) port.ringDoorbell(queueNumber, bytes);
    };
    const address = memory.mmioAddress + HARDWARE_DOORBELL_OFFSET;
    this.#unclaimDoorbell = mmio.claim({ address, bytes: PAGE_BYTES, store: ring });
  }

  #killMappings(done: () => void): void {
    let left = this.#mapped.size + 1;
    const one = (): void => {
      left -= 1;
      if (left === 0) done();
    };
    for (const va of this.#mapped.values()) this.#options.space.kill(va, one);
    one();
  }

  #region(regionType: number): Region | null {
    if (regionType === queueRegion.MMIO) return this.#options.memory.mmio;
    return regionType === queueRegion.DUS ? this.#options.memory.dus : null;
  }

  #become(next: UacceQueueState): void {
    assert(SUCCESSORS[this.#state].includes(next), `state ${next} follows ${this.#state}`);
    this.#state = next;
  }
}
