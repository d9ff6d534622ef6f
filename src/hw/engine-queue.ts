/**
 * One queue as the engine serves it: its rings through the DMA port, its words on MMIO page 0, its shared queue
 * context, and the request that is being executed.
 *
 * Rules (docs/memory-model.md): a CQ slot is reserved before an SQE is taken; the SQE is copied once and only the
 * copy is used; the SQ slot is written back first, then the CQE body, then its phase. Everything that the user
 * side writes is checked against private limits before use; a value out of range stops this queue and no other.
 */
import { limits } from '../base/limits.js';
import { CANCEL_SLOTS, CQE_BYTES, type DusShape, dusShape, queueWord } from '../uapi/queue-layout.js';
import type { QueueBinding, QueueErrorReason } from './coproc-port.js';
import type { Preemption, SqeRequest } from './device-model.js';
import type { DmaPort } from './dma-port.js';
import { applyDoorbell } from './hardware-doorbell.js';
import { NO_PASID } from './iommu/translation.js';
import { queueContextLayout, queueContextState } from './queue-context.js';
import { QueueDma } from './queue-dma.js';
import type { QueueImage } from './queue-image.js';
import { permission } from './translation-cache.js';

const context = queueContextLayout.fields;
const wordIndex = (binding: QueueBinding, offset: number): number => (binding.mmioAddress + offset) >>> 2;

export class EngineQueue {
  readonly binding: QueueBinding;
  readonly request: SqeRequest;
  readonly dma: QueueDma;
  /** The request being executed; null between requests. */
  running: Generator<number, void, void> | null = null;
  /** Why the queue was stopped, null while it is fine. */
  error: QueueErrorReason | null = null;

  /** An SQE was taken and not completed; `running` is null when its context was left in the middle of it. */
  #inFlight = false;
  /** It was executed from the start a second time: now it goes to the end. */
  #restarted = false;
  readonly #keepsTaken: boolean;
  #errorClaimed = false;
  #deficitBytes = 0;
  /** Bytes of the request being executed that are not charged yet. */
  #owedBytes = 0;

  readonly #port: DmaPort;
  readonly #words: Int32Array;
  readonly #shape: DusShape;
  readonly #sqeWords: Int32Array;
  /** The SQE as it was taken: a request that is executed again must not see results of the first time. */
  readonly #takenWords: Int32Array;
  readonly #sqTailWord: number;
  readonly #cqHeadWord: number;
  readonly #eventWord: number;
  readonly #asleepWord: number;
  readonly #stalledWord: number;
  readonly #pendingWord: number;
  readonly #cancelledWord: number;
  /** Free-running counts, all modulo 2^32. */
  #sqHead = 0;
  #sqTail = 0;
  #cqTail = 0;
  #cqHead = 0;
  #phase = 1;
  /** CQEs that an interrupt has told the consumer of. */
  #reported = 0;

  /** `keepsTaken`: requests may have to be executed again from the start. */
  constructor(port: DmaPort, binding: QueueBinding, sqeBytes: number, keepsTaken = false) {
    this.binding = binding;
    this.#keepsTaken = keepsTaken;
    this.#port = port;
    this.#words = port.memory.i32;
    this.#shape = dusShape(sqeBytes, binding.sqDepth, binding.cqDepth);
    this.#sqeWords = new Int32Array(sqeBytes / 4);
    this.#takenWords = new Int32Array(sqeBytes / 4);
    this.dma = new QueueDma(port, binding.pasid);
    this.request = {
      sqe: new DataView(this.#sqeWords.buffer),
      qcType: binding.qcType,
      owner: binding.epoch,
      progress: new DataView(new ArrayBuffer(limits.REQUEST_PROGRESS_BYTES)),
    };
    this.#sqTailWord = wordIndex(binding, queueWord.SQ_TAIL);
    this.#cqHeadWord = wordIndex(binding, queueWord.CQ_HEAD);
    this.#eventWord = wordIndex(binding, queueWord.EVENT_INDEX);
    this.#asleepWord = wordIndex(binding, queueWord.ENGINE_ASLEEP);
    this.#stalledWord = wordIndex(binding, queueWord.STALLED);
    this.#pendingWord = wordIndex(binding, queueWord.INTERRUPT_PENDING);
    this.#cancelledWord = wordIndex(binding, queueWord.CANCELLED);
    this.#storeContext(queueContextState.SERVED);
  }

  /** Whether a request could be started or resumed now; looks at the user side's words afresh. */
  get ready(): boolean {
    if (this.error !== null) return false;
    if (this.running !== null) return !this.dma.waiting;
    if (this.#inFlight) return true;
    return this.#sampleTail() && this.#completionSlotFree();
  }

  /** Bytes that this queue may still be served before the next one has its turn; negative after more than its share. */
  get deficitBytes(): number {
    return this.#deficitBytes;
  }

  /** The turns of `rounds` rounds passed it by. Credit is not saved up beyond one turn. */
  credit(rounds: number): void {
    const quantum = limits.QUEUE_QUANTUM_BYTES;
    this.#deficitBytes = Math.min(this.#deficitBytes + rounds * quantum, quantum);
  }

  /** A request of `bytes` bytes begins. It is charged as it proceeds, so that its length delays no other queue. */
  owe(bytes: number): void {
    this.#owedBytes = Math.max(limits.REQUEST_BYTES_CHARGED_MIN, bytes);
  }

  /** Charges a segment of at most `bytesMax` bytes of the running request: how many there were. */
  charge(bytesMax: number): number {
    const bytes = Math.min(this.#owedBytes, bytesMax);
    this.#owedBytes -= bytes;
    this.#deficitBytes -= bytes;
    return bytes;
  }

  /** Bytes that one turn adds. */
  get quantumBytes(): number {
    return limits.QUEUE_QUANTUM_BYTES;
  }

  /** Whether the context can be left with this queue as it is (`Preemption` says what a model can do). */
  canBeLeft(preemption: Preemption): boolean {
    if (this.running === null || preemption === 'park' || preemption === 'resume') return true;
    return preemption === 'restart' && !this.#restarted;
  }

  /**
   * The context is left. A request under way stays as it is, or is executed anew when the context is back. One that
   * waits for a page in the middle of a segment, or has not looked at the answer yet, stays also where it could be
   * resumed: half a segment is not noted, and executing it twice could read what the first time has written.
   */
  leave(preemption: Preemption): void {
    if (this.running === null || preemption === 'park') return;
    if (preemption === 'resume' && this.dma.amidAccess) return;
    this.abandonRequest();
    if (preemption !== 'restart') return;
    this.#restarted = true;
    this.#sqeWords.set(this.#takenWords);
    this.#clearProgress();
  }

  /** Whether an SQE was taken and not completed; without `running`, it was begun before and goes on from there. */
  get inFlight(): boolean {
    return this.#inFlight;
  }

  /** Whether the user side does not want the request in flight any more. */
  get cancelled(): boolean {
    const slot = (this.#sqHead >>> 0) % this.#shape.sqDepth;
    if (slot >= CANCEL_SLOTS) return false;
    return (Atomics.load(this.#words, this.#cancelledWord + (slot >>> 5)) & (1 << (slot & 31))) !== 0;
  }

  /** It broke a rule, and nobody has been told. */
  get erred(): boolean {
    return this.error !== null && !this.#errorClaimed;
  }

  /** True once after the queue broke a rule. Only while its context is loaded: the consumer finds it disabled. */
  claimError(): boolean {
    if (!this.erred) return false;
    this.#errorClaimed = true;
    this.#disable();
    return true;
  }

  /** Whether an SQE is submitted that cannot be taken for want of a CQ slot. */
  get blocked(): boolean {
    if (this.error !== null || this.#inFlight) return false;
    return this.#sampleTail() && !this.#completionSlotFree();
  }

  /** A store of the hardware's own doorbell; false when it has no effect. */
  hardwareDoorbell(value: Uint8Array): boolean {
    return applyDoorbell(
      this.#words,
      this.binding,
      new DataView(value.buffer, value.byteOffset, value.length),
    );
  }

  /** Publishes why the engine needs a wake for this queue (`engineAsleep`). */
  setAsleep(reason: number): void {
    Atomics.store(this.#words, this.#asleepWord, reason);
  }

  /** Reserves a CQ slot and copies the next SQE; false when there is none, no slot, or the queue broke a rule. */
  take(): boolean {
    if (this.error !== null || !this.#sampleTail() || !this.#completionSlotFree()) return false;
    const slot = (this.#sqHead >>> 0) % this.#shape.sqDepth;
    const at = this.#ring(slot * this.#shape.sqeBytes, permission.READ);
    if (at < 0) return this.#fail('ring not reachable');
    const sqe = this.#sqeWords;
    for (let i = 0, from = at >>> 2; i < sqe.length; i++) sqe[i] = this.#words[from + i]!;
    if (this.#keepsTaken) this.#takenWords.set(sqe);
    this.#clearProgress();
    this.#inFlight = true;
    this.#restarted = false;
    this.#noteInFlight(1, slot + 1);
    return true;
  }

  /**
   * Writes the SQE back, publishes its CQE, and tells whether an interrupt is due: the consumer asked for it here, or
   * the CQ is full and what it waits for cannot come before it looks.
   */
  complete(): boolean {
    this.#inFlight = false;
    const slot = (this.#sqHead >>> 0) % this.#shape.sqDepth;
    if (!this.#writeBack(slot) || !this.#publish(slot)) {
      this.#fail('ring not reachable');
      return true;
    }
    this.#sqHead = (this.#sqHead + 1) | 0;
    this.#cqTail = (this.#cqTail + 1) | 0;
    this.#noteInFlight(0, 0);
    this.#storeCounts();
    return Atomics.load(this.#words, this.#eventWord) === this.#cqTail || !this.#completionSlotFree();
  }

  /** CQEs published that no interrupt has told of. */
  get unreported(): boolean {
    return this.#reported !== this.#cqTail;
  }

  /** True when the consumer must be sent an interrupt: it has not been sent one that it did not look at yet. */
  claimInterrupt(): boolean {
    this.#reported = this.#cqTail;
    return Atomics.exchange(this.#words, this.#pendingWord, 1) === 0;
  }

  /** The queue cannot progress: finished completions must not wait for the event index. */
  setStalled(stalled: boolean): void {
    Atomics.store(this.#words, this.#stalledWord, stalled ? 1 : 0);
  }

  /** Ends the request being executed, if any. */
  abandonRequest(): void {
    this.running?.return();
    this.running = null;
    this.dma.abandon();
  }

  /** Where it is. No request is being executed (`running`). */
  save(): QueueImage {
    const { sqe, progress } = this.request;
    const bytes = (view: DataView): Uint8Array => new Uint8Array(view.buffer as ArrayBuffer).slice();
    const inFlight = { sqe: bytes(sqe), progress: bytes(progress), owedBytes: this.#owedBytes };
    return {
      sqHead: this.#sqHead >>> 0,
      cqTail: this.#cqTail >>> 0,
      cqHead: this.#cqHead >>> 0,
      reported: this.#reported >>> 0,
      phase: this.#phase,
      error: this.error,
      inFlight: this.#inFlight && this.error === null ? inFlight : null,
    };
  }

  /** A fresh queue goes on where another one was; the image was checked. */
  load(image: QueueImage): void {
    const { inFlight, error } = image;
    this.#sqHead = image.sqHead | 0;
    this.#cqTail = image.cqTail | 0;
    this.#cqHead = image.cqHead | 0;
    this.#reported = image.reported | 0;
    this.#phase = image.phase;
    this.#storeCounts();
    if (error !== null) this.#fail(error);
    if (inFlight === null) return;
    new Uint8Array(this.request.sqe.buffer as ArrayBuffer).set(inFlight.sqe);
    new Uint8Array(this.request.progress.buffer as ArrayBuffer).set(inFlight.progress);
    this.#owedBytes = inFlight.owedBytes;
    this.#inFlight = true;
    this.#noteInFlight(1, ((this.#sqHead >>> 0) % this.#shape.sqDepth) + 1);
  }

  /** The queue is served no longer. */
  close(): void {
    this.abandonRequest();
    this.setAsleep(0);
    this.#storeContext(this.error === null ? queueContextState.DETACHED : queueContextState.ERROR);
  }

  #clearProgress(): void {
    for (let at = 0; at < limits.REQUEST_PROGRESS_BYTES; at += 4) this.request.progress.setUint32(at, 0);
  }

  /** Samples the SQ tail; true when an SQE is there. An advance beyond the depth stops the queue. */
  #sampleTail(): boolean {
    this.#sqTail = Atomics.load(this.#words, this.#sqTailWord);
    const submitted = (this.#sqTail - this.#sqHead) >>> 0;
    if (submitted <= this.#shape.sqDepth) return submitted > 0;
    this.#fail('tail beyond depth');
    return false;
  }

  #completionSlotFree(): boolean {
    if ((this.#cqTail - this.#cqHead) >>> 0 < this.#shape.cqDepth) return true;
    this.#cqHead = Atomics.load(this.#words, this.#cqHeadWord);
    const unconsumed = (this.#cqTail - this.#cqHead) >>> 0;
    if (unconsumed <= this.#shape.cqDepth) return unconsumed < this.#shape.cqDepth;
    this.#fail('head beyond tail');
    return false;
  }

  /** Physical address of a ring offset, through the ring address space. An entry never crosses a page. */
  #ring(offset: number, needed: number): number {
    return this.#port.translate(NO_PASID, this.binding.ringAddress + offset, needed);
  }

  #writeBack(slot: number): boolean {
    const at = this.#ring(slot * this.#shape.sqeBytes, permission.WRITE);
    if (at < 0) return false;
    const sqe = this.#sqeWords;
    for (let i = 0, to = at >>> 2; i < sqe.length; i++) this.#words[to + i] = sqe[i]!;
    return true;
  }

  #publish(slot: number): boolean {
    const index = this.#cqTail >>> 0;
    const entry = index % this.#shape.cqDepth;
    const at = this.#ring(this.#shape.cqOffset + entry * CQE_BYTES, permission.WRITE);
    if (at < 0) return false;
    const word = at >>> 2;
    this.#words[word] = 0;
    this.#words[word + 1] = 0;
    this.#words[word + 2] = slot | (this.binding.queueNumber << 16);
    // The half-word with the phase publishes everything before it: last, and with order.
    Atomics.store(this.#port.memory.u16, (at + 14) >>> 1, this.#phase);
    if (entry === this.#shape.cqDepth - 1) this.#phase ^= 1;
    return true;
  }

  /**
   * Out of service. Its rings are not touched: what its owner wrote is looked at while another domain's memory is the
   * one that can be reached, too.
   */
  #fail(reason: QueueErrorReason): false {
    if (this.error !== null) return false;
    this.error = reason;
    this.#storeContext(queueContextState.ERROR);
    return false;
  }

  #disable(): void {
    for (const offset of [this.#shape.rxStatusOffset, this.#shape.txStatusOffset]) {
      const at = this.#ring(offset, permission.WRITE);
      if (at >= 0) Atomics.store(this.#words, at >>> 2, 1);
    }
  }

  #noteInFlight(reserved: number, slotPlusOne: number): void {
    const base = this.binding.contextAddress >>> 2;
    this.#words[base + (context.reserved.spec.at >>> 2)] = reserved;
    this.#words[base + (context.slotInFlight.spec.at >>> 2)] = slotPlusOne;
  }

  #storeCounts(): void {
    const base = this.binding.contextAddress >>> 2;
    this.#words[base + (context.sqHead.spec.at >>> 2)] = this.#sqHead;
    this.#words[base + (context.phase.spec.at >>> 2)] = this.#phase;
    Atomics.store(this.#words, base + (context.cqTail.spec.at >>> 2), this.#cqTail);
  }

  #storeContext(state: number): void {
    this.#storeCounts();
    Atomics.store(this.#words, (this.binding.contextAddress + context.state.spec.at) >>> 2, state);
  }
}
