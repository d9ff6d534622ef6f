/**
 * A ctx: one opened uacce queue, as user space drives it. Submits SQEs, reaps CQEs, arms interrupts. No system
 * call in here: requests and completions move through shared memory.
 *
 * Trust: nothing read back is used before it is range-checked. A CQE that names a slot without a request, or an
 * SQE that comes back with another tag, ends this ctx and fails its requests; it touches nothing else.
 *
 * Order of stores and loads: docs/memory-model.md, "doorbell" and "event index".
 */
import { assert } from '../src/base/assert.js';
import { limits } from '../src/base/limits.js';
import { NS_PER_MS, NS_PER_US } from '../src/base/units.js';
import { CQE_BYTES, CQE_PHASE_OFFSET, dusShape, engineAsleep, queueWord } from '../src/uapi/queue-layout.js';
import type { Platform } from '../src/uapi/syscall.js';
import { type BatchInHand, BatchPlace } from './batch-in-hand.js';
import { CancelBits } from './cancel-bits.js';
import type { OpenedQueue } from './devices.js';
import type { Carrier, Flight } from './flight.js';
import type { InFlightWindow } from './in-flight-window.js';
import { newOutcome, newTransfer } from './scratch.js';
import type { Outcome, Transfer } from './user-driver.js';
import type { Via } from './via.js';

/** Expected work up to which the caller looks for completions itself before it relies on an interrupt, ns. */
const SPIN_WORTH_NS = 12 * NS_PER_US;
/** How long a look lasts between two turns of the event loop, ns. */
const SPIN_WHILE_POLLING_NS = 2 * NS_PER_US;
/** How long completions are taken without returning to the event loop. */
const TURN_NS = NS_PER_MS / 2;
/** Looks at a CQE between two looks at the time, which cost more. */
const LOOKS_PER_TIME_CHECK = 16;
const PHASE_HALF_WORD = CQE_PHASE_OFFSET / 2;
const SQ_HEAD_HALF_WORD = 4;

export interface CtxOptions extends OpenedQueue {
  readonly platform: Platform;
  /** What the pool has in its queues. */
  readonly window: InFlightWindow;
  /** The batch that is being submitted, if any. */
  readonly batch: () => BatchInHand | null;
  /** Queues among which its requests are shared out, this one included. */
  readonly siblings: () => number;
  /** Whether requests wait for room in a queue. */
  readonly hasWaiting: () => boolean;
  /** The thread was interrupted for this ctx: `look` at it, and at whatever else is worth a look now. */
  readonly interrupted: () => void;
  /** Called after completions made room. */
  readonly roomMade: (ctx: Ctx) => void;
  /** Called once when the queue is lost, before its flights are told. */
  readonly wasLost: (ctx: Ctx) => void;
}

export class Ctx implements Carrier {
  readonly device: string;
  readonly queueNumber: number;
  readonly qcType: 0 | 1;
  readonly fd: number;
  /** Requests submitted and not completed. */
  inFlight = 0;
  /** Expected device time of these, ns. */
  backlogNs = 0;
  /** Requests completed since the ctx was opened. */
  completed = 0;
  /** Stateful streams that live here. */
  streams = 0;

  readonly #platform: Platform;
  readonly #options: CtxOptions;
  readonly #words: Int32Array;
  readonly #ringWords: Int32Array;
  readonly #ring: DataView;
  readonly #cq: Uint16Array;
  readonly #txStatusWord: number;
  readonly #flights: (Flight | undefined)[];
  readonly #outcome: Outcome = newOutcome();
  readonly #transfer: Transfer = newTransfer();
  /** Free-running, modulo 2^32. */
  #sqTail = 0;
  #cqHead = 0;
  readonly #spins: boolean;
  /** SQEs in the ring that no doorbell has told of. */
  #unrung = 0;
  readonly #batchPlace = new BatchPlace();
  readonly #cancelBits: CancelBits;
  #ringScheduled = false;
  #armScheduled = false;
  /** When this turn of the event loop has lasted long enough, on the platform's clock. */
  #turnEndsNs = 0;
  /** Until when completions are polled for, 0 = not polling. */
  #pollEndsNs = 0;
  #lostReason: string | null = null;
  #usualVia: Via | null = null;

  constructor(options: CtxOptions) {
    const { dus, mmio, sqeBytes, sqDepth, cqDepth } = options;
    const shape = dusShape(sqeBytes, sqDepth, cqDepth);
    assert(dus.length === shape.bytes, `the DUS region has ${shape.bytes} bytes, not ${dus.length}`);
    this.#options = options;
    this.#platform = options.platform;
    this.#spins = options.platform.concurrent;
    this.device = options.device;
    this.queueNumber = options.queueNumber;
    this.qcType = options.qcType;
    this.fd = options.fd;
    this.#words = new Int32Array(mmio.buffer, mmio.byteOffset, mmio.length >>> 2);
    this.#cancelBits = new CancelBits(this.#words);
    this.#ringWords = new Int32Array(dus.buffer, dus.byteOffset, dus.length >>> 2);
    this.#ring = new DataView(dus.buffer, dus.byteOffset, dus.length);
    this.#cq = new Uint16Array(dus.buffer, dus.byteOffset + shape.cqOffset, (cqDepth * CQE_BYTES) >>> 1);
    this.#txStatusWord = shape.txStatusOffset >>> 2;
    this.#flights = new Array<Flight | undefined>(sqDepth).fill(undefined);
    this.#platform.onInterrupt(this.fd, () => this.#interrupted());
    this.#platform.onLost(this.fd, (reason) => this.fail(reason));
  }

  /** Why the ctx is out of service, null while it is not. */
  get lostReason(): string | null {
    return this.#lostReason;
  }

  /** Requests that can be submitted now: at most depth - 1 are outstanding. */
  get room(): number {
    return this.#lostReason === null ? this.#options.sqDepth - 1 - this.inFlight : 0;
  }

  /** Whether its engine needs to be woken for the next request. */
  get engineAsleep(): boolean {
    return Atomics.load(this.#words, queueWord.ENGINE_ASLEEP >>> 2) !== engineAsleep.AWAKE;
  }

  /** How a result that came through here came about. The usual one is made once. */
  via(reason: string, attempts: number): Via {
    if (attempts === 1 && this.#usualVia?.reason === reason) return this.#usualVia;
    const via: Via = { path: 'device', device: this.device, queue: this.queueNumber, attempts, reason };
    if (attempts === 1) this.#usualVia = via;
    return Object.freeze(via);
  }

  /** Puts a request on the queue. The caller has seen that there is room. */
  submit(flight: Flight): void {
    assert(this.room > 0, 'a submission has a free slot');
    const slot = (this.#sqTail >>> 0) % this.#options.sqDepth;
    const base = slot * this.#options.sqeBytes;
    flight.tag = this.#sqTail >>> 0;
    const { template } = flight.format;
    for (let i = 0, to = base >>> 2; i < template.length; i++) this.#ringWords[to + i] = template[i]!;
    flight.format.fill(this.#ring, base, this.#transferOf(flight));
    this.#flights[slot] = flight;
    flight.carrier = this;
    this.inFlight += 1;
    this.backlogNs += flight.expectedNs;
    this.#options.window.add(flight.sourceBytes);
    this.#sqTail = (this.#sqTail + 1) | 0;
    this.#unrung += 1;
    const batch = this.#options.batch();
    if (batch !== null) this.#batchPlace.note(batch, this.#sqTail, this.#cqHead);
    if (this.#isDoorbellDue(batch)) this.#ringDoorbell();
    else this.#ringSoon();
    this.#armSoon();
  }

  /** Whether it has some of a batch's requests, and is to have more before its doorbell. */
  get filling(): boolean {
    const batch = this.#unrung === 0 ? null : this.#options.batch();
    return batch !== null && !this.#isDoorbellDue(batch);
  }

  /** An engine with little to do is told at once; the doorbell is a word fought over with it, so else many share one. */
  #isDoorbellDue(batch: BatchInHand | null): boolean {
    if (batch !== null) return this.#unrung >= batch.shareOf(this.#options.siblings());
    return this.inFlight - this.#unrung < limits.SQES_KNOWN_MIN || this.#unrung >= limits.SQES_PER_DOORBELL;
  }

  cancel(flight: Flight): void {
    const slot = flight.tag % this.#options.sqDepth;
    if (this.#flights[slot] === flight) this.#cancelBits.set(slot);
  }

  /** Takes every completion that is there. */
  reap(): void {
    const before = this.#cqHead;
    let broken: string | null = null;
    while (broken === null && this.#lostReason === null && this.#published(this.#cqHead)) {
      broken = this.#takeCompletion();
    }
    if (broken !== null) return this.#end(broken);
    if (this.#cqHead === before) return;
    this.#pollEndsNs = 0;
    this.#publishHead();
    this.#options.roomMade(this);
  }

  /** Ends the ctx: its flights are told, nothing can be submitted. */
  fail(reason: string): void {
    this.reap();
    this.#end(reason);
  }

  #end(reason: string): void {
    if (this.#lostReason !== null) return;
    this.#lostReason = reason;
    this.#platform.onInterrupt(this.fd, null);
    this.#options.wasLost(this);
    for (const [slot, flight] of this.#flights.entries()) {
      this.#flights[slot] = undefined;
      if (flight !== undefined) this.#settled(flight).lost(reason, this);
    }
  }

  #transferOf(flight: Flight): Transfer {
    const transfer = this.#transfer;
    transfer.tag = flight.tag;
    transfer.sourceBytes = flight.sourceBytes;
    transfer.destinationBytes = flight.destinationBytes;
    transfer.dictionaryBytes = 0;
    transfer.state = 0;
    transfer.streamNew = false;
    transfer.final = true;
    transfer.flush = 0;
    transfer.checksum = 0;
    transfer.totalBytes = 0;
    flight.describe(transfer);
    return transfer;
  }

  #ringSoon(): void {
    if (this.#ringScheduled) return;
    this.#ringScheduled = true;
    queueMicrotask(() => {
      this.#ringScheduled = false;
      if (this.#unrung > 0) this.#ringDoorbell();
    });
  }

  #ringDoorbell(): void {
    this.#unrung = 0;
    // Store the tail, then load the flag; the engine stores the flag, then loads the tail. One of the two sees
    // the other's store.
    Atomics.store(this.#words, queueWord.SQ_TAIL >>> 2, this.#sqTail);
    if (Atomics.load(this.#words, queueWord.ENGINE_ASLEEP >>> 2) !== engineAsleep.AWAKE)
      this.#platform.wake(this.fd);
    if (Atomics.load(this.#ringWords, this.#txStatusWord) !== 0)
      queueMicrotask(() => this.fail('the queue was disabled'));
  }

  #publishHead(): void {
    Atomics.store(this.#words, queueWord.CQ_HEAD >>> 2, this.#cqHead);
    const asleep = Atomics.load(this.#words, queueWord.ENGINE_ASLEEP >>> 2);
    if (asleep === engineAsleep.NO_COMPLETION_SLOT) this.#platform.wake(this.fd);
  }

  /** Whether the CQE with the free-running number `count` has been published. */
  #published(count: number): boolean {
    const { cqDepth } = this.#options;
    const entry = (count >>> 0) % cqDepth;
    const pass = Math.floor((count >>> 0) / cqDepth);
    const phase = Atomics.load(this.#cq, entry * (CQE_BYTES / 2) + PHASE_HALF_WORD) & 1;
    return phase === (pass & 1 ? 0 : 1);
  }

  /** Null, or how the device broke the rules of the ring. */
  #takeCompletion(): string | null {
    const entry = (this.#cqHead >>> 0) % this.#options.cqDepth;
    const slot = this.#cq[entry * (CQE_BYTES / 2) + SQ_HEAD_HALF_WORD]!;
    const flight = slot < this.#options.sqDepth ? this.#flights[slot] : undefined;
    if (flight === undefined) return `a completion names slot ${slot}, which has no request`;
    // A queue completes in order. Taken out of order, a slot would be used again under a request that still has it.
    const oldest = (this.#cqHead >>> 0) % this.#options.sqDepth;
    if (slot !== oldest) return `a completion names slot ${slot} before slot ${oldest}`;
    const outcome = this.#outcome;
    outcome.dataError = null;
    flight.format.read(this.#ring, slot * this.#options.sqeBytes, outcome);
    if (outcome.tag !== flight.tag) return `a completion has tag ${outcome.tag} for ${flight.tag}`;
    if (outcome.produced > flight.destinationBytes || outcome.consumed > flight.sourceBytes) {
      return `a completion claims ${outcome.consumed} bytes in and ${outcome.produced} out`;
    }
    this.#flights[slot] = undefined;
    this.#cancelBits.clear(slot);
    this.#cqHead = (this.#cqHead + 1) | 0;
    this.completed += 1;
    this.#settled(flight).complete(outcome, this);
    return null;
  }

  #settled(flight: Flight): Flight {
    flight.carrier = null;
    this.inFlight -= 1;
    this.backlogNs -= flight.expectedNs;
    this.#options.window.remove(flight.sourceBytes);
    return flight;
  }

  #interrupted(): void {
    // Cleared before the look: an interrupt for whatever is published after it will be sent again.
    Atomics.store(this.#words, queueWord.INTERRUPT_PENDING >>> 2, 0);
    this.#options.interrupted();
  }

  /** Takes what is there at the beginning of a turn, and arms for the rest. */
  look(): void {
    if (this.inFlight === 0) return;
    this.#newTurn();
    this.reap();
    if (this.inFlight > 0) this.#armSoon();
  }

  /** One arming for all submissions of a turn. */
  #armSoon(): void {
    if (this.#armScheduled) return;
    this.#armScheduled = true;
    queueMicrotask(() => this.#arm());
  }

  #arm(): void {
    this.#armScheduled = false;
    if (this.inFlight === 0 || this.#lostReason !== null) return;
    const ahead = this.#interruptAfter();
    if (this.#spins && this.backlogNs <= SPIN_WORTH_NS) {
      if (this.#spin(this.#cqHead + ahead - 1)) return this.#reapAgain();
      if (this.#pollOn()) return;
    }
    Atomics.store(this.#words, queueWord.EVENT_INDEX >>> 2, (this.#cqHead + ahead) | 0);
    // Published before the engine could see the new event index: nobody will tell us.
    const stalled = Atomics.load(this.#words, queueWord.STALLED >>> 2) !== 0;
    if (this.#published(this.#cqHead + ahead - 1) || (stalled && this.#published(this.#cqHead)))
      this.#reapAgain();
  }

  /**
   * Completions until the next interrupt: half of what is in flight, or more when the rest keeps the engine busy until
   * the caller is awake and has submitted again. Of a batch, all, unless more of it waits to be submitted.
   */
  #interruptAfter(): number {
    const { inFlight } = this;
    const ofBatch = Math.min(this.#batchPlace.left(this.#cqHead), inFlight);
    if (ofBatch > 0 && !this.#options.hasWaiting()) return ofBatch;
    const kept = Math.ceil((limits.AHEAD_OF_INTERRUPT_NS * inFlight) / this.backlogNs);
    return Math.min(Math.max(Math.ceil(inFlight / 2), inFlight - kept), limits.COALESCE_MAX);
  }

  /** Looks for a completion for a moment: far cheaper than a message when the work is as short as that. */
  #spin(count: number): boolean {
    const startNs = this.#platform.nowNs();
    // The first spin after a pause begins a turn; only an unbroken run of them is cut short.
    if (startNs > this.#turnEndsNs + TURN_NS) this.#newTurn(startNs);
    const endNs = startNs + (this.#pollEndsNs === 0 ? limits.CALLER_SPIN_NS : SPIN_WHILE_POLLING_NS);
    do {
      for (let looks = 0; looks < LOOKS_PER_TIME_CHECK; looks++) if (this.#published(count)) return true;
    } while (this.#platform.nowNs() < endNs);
    return false;
  }

  /**
   * Looks again after a turn of the event loop, for a while, before an interrupt is armed. An engine that must post to
   * a sleeping thread loses more time than the requests take, and the next ones wait for it to come back.
   */
  #pollOn(): boolean {
    const nowNs = this.#platform.nowNs();
    if (this.#pollEndsNs === 0) this.#pollEndsNs = nowNs + limits.CALLER_POLL_NS;
    if (nowNs >= this.#pollEndsNs) {
      this.#pollEndsNs = 0;
      return false;
    }
    this.#lookAfterTurn();
    return true;
  }

  #lookAfterTurn(): void {
    this.#armScheduled = true;
    setImmediate(() => {
      this.#newTurn();
      this.reap();
      this.#arm();
    });
  }

  #reapAgain(): void {
    if (this.#platform.nowNs() < this.#turnEndsNs) {
      this.reap();
      this.#armSoon();
      return;
    }
    // Timers and I/O of the application must not starve: the rest comes after a turn of the event loop.
    this.#lookAfterTurn();
  }

  #newTurn(nowNs = this.#platform.nowNs()): void {
    this.#turnEndsNs = nowNs + TURN_NS;
  }
}
