/**
 * The contract of a device model: what an author of hardware writes.
 *
 * A model declares its registers and SQE as tables and executes each SQE in a generator. It reaches memory only
 * through the `Dma` it is handed, which speaks the virtual addresses of the process that submitted the SQE. It
 * sees no physical address, no clock, no randomness and no other request.
 *
 * Each `yield` is a point where hardware could stop: the engine may preempt, serve another queue, wait for a page
 * or acknowledge an invalidation there. One native call sees at most `dma.segmentBytes` of input and
 * `limits.SEGMENT_OUTPUT_BYTES` of output; between two such calls a model yields the virtual cost of the segment
 * in nanoseconds.
 */
import type { Field } from '../base/layout.js';

/**
 * An address that came out of a descriptor. A number when it is below 2^53, which every address that this machine
 * hands out is; otherwise a bigint, which takes a slow path to the answer that the specification prescribes.
 */
export type DmaAddress = number | bigint;

/** Reads a 64-bit address field without losing bits. */
export function readAddress(field: Field, view: DataView, base: number): DmaAddress {
  const high = view.getUint32(base + field.spec.at + 4, true);
  if (high < 0x20_0000) return high * 0x1_0000_0000 + view.getUint32(base + field.spec.at, true);
  return view.getBigUint64(base + field.spec.at, true);
}

/** An access that ended without data: not mapped, not permitted, or the page request was refused. */
export class DmaFault extends Error {
  override readonly name = 'DmaFault';
  readonly address: DmaAddress;
  readonly access: 'read' | 'write';
  /** Cause code of the RISC-V IOMMU specification (section "Fault/Event-Queue"), 0 when a page response refused. */
  readonly causeCode: number;

  constructor(address: DmaAddress, access: 'read' | 'write', causeCode: number) {
    super(`DMA ${access} at 0x${address.toString(16)} failed (cause ${causeCode})`);
    this.address = address;
    this.access = access;
    this.causeCode = causeCode;
  }
}

/**
 * A request's way to memory. Every generator here may yield while a page request is answered and throws
 * `DmaFault` when the access cannot be made; nothing of a failing write is stored beyond the pages before the
 * fault, and the model reports how far it came.
 */
export interface Dma {
  /**
   * Input of the next segment at most, bytes: SEGMENT_INPUT_BYTES, or SEGMENT_SHARED_BYTES while other queues are served
   * in turn. May change at every yield.
   */
  readonly segmentBytes: number;
  /**
   * The `bytes` bytes at `address`: a view of memory or a copy, valid until the next yield. Write nothing into
   * it. `bytes` is at most one input segment.
   */
  read(address: DmaAddress, bytes: number): Generator<number, Uint8Array, void>;
  /**
   * The same bytes as a view, when all of them are translated for reading and contiguous; otherwise null, and the
   * model calls `read`. Never waits: the short way of the usual request. Valid until the next yield.
   */
  readableView(address: DmaAddress, bytes: number): Uint8Array | null;
  /** Stores `source` at `address`. Translates exactly the pages it is about to write. */
  write(address: DmaAddress, source: Uint8Array): Generator<number, void, void>;
  /**
   * A view to write output into without a copy, when all of it is already translated for writing and contiguous;
   * otherwise null, and the model writes into memory of its own and calls `write`. Valid until the next yield.
   */
  writableView(address: DmaAddress, bytes: number): Uint8Array | null;
}

/** What a model is told about the SQE it executes. */
export interface SqeRequest {
  /** The engine's private copy of the SQE: result fields are stored here and written back to the slot. */
  readonly sqe: DataView;
  /** Direction of the queue as the user side set it (SET_QP_CTX): 0 or 1. */
  readonly qcType: number;
  /** Key of the process and queue epoch, for state that a model keeps between requests of one session. */
  readonly owner: number;
  /**
   * Preemption `resume`: how far the request has come, REQUEST_PROGRESS_BYTES bytes of plain data, all zero when it
   * begins. The model keeps it up to date at every yield; `execute` is called anew with what it holds when the request
   * was left in the middle, maybe on another instance.
   */
  readonly progress: DataView;
}

/** How far a model can be switched away from in the middle of a request. */
export type Preemption = 'none' | 'park' | 'restart' | 'resume';

/** What a model can do besides answering requests. */
export interface DeviceSignals {
  /** Raises interrupt line `line`: its owner is told, once for each raise, unless there are too many. */
  interrupt(line: number): void;
}

/** The device's side of its registers: what it stores where software only reads or clears. Names of its own table. */
export interface RegisterStore {
  /** What a register holds, without side effects. */
  load(name: string): number;
  /** Stores a value, whatever the access kind: how RO, W1C and read-clear registers come to say anything. */
  store(name: string, value: number): void;
}

/** One powered-on device. The engine calls it from one thread, one `execute` step at a time. */
export interface DeviceModel {
  /** Optional: called once, before everything else. A model that stores into registers keeps `registers`. */
  powerOn?(registers: RegisterStore): void;
  /**
   * Executes one SQE. Yields the virtual cost in ns of each segment. Bad descriptors are answered in the SQE's
   * own status field; a `DmaFault` may be let through, `fail` then writes it into the SQE.
   */
  execute(request: SqeRequest, dma: Dma): Generator<number, void, void>;
  /** Virtual cost in ns of the request's fixed part, from its SQE. Must not touch memory. */
  costNs(request: SqeRequest): number;
  /** Bytes that the request moves, from its SQE, for fair sharing between queues. Must not touch memory. */
  requestBytes(request: SqeRequest): number;
  /**
   * Whether the results of the request would show how long its segments are: then they are SEGMENT_INPUT_BYTES, whoever
   * waits. Absent: none does. From its SQE.
   */
  showsSegments?(request: SqeRequest): boolean;
  /** Writes the status of an access that failed into the SQE. */
  fail(request: SqeRequest, fault: DmaFault): void;
  /** A queue was stopped: drop every state kept for `owner`. */
  queueStopped(owner: number): void;
  /** Optional: the value of a `live` register now. */
  liveRegister?(name: string): number;
  /** Optional: a `doorbell` register was written. */
  registerWritten?(name: string, value: number): void;
  /**
   * Optional, for contexts that move to another instance: what the model keeps between requests, as plain data with a
   * version; null when it cannot be moved as it is. A model without it keeps its contexts where they are. Called between
   * two yields, while its context is not loaded.
   */
  saveState?(): Uint8Array | null;
  /** Optional: takes such data, from wherever it comes; false, and nothing taken, when it is none of this model's. */
  loadState?(state: Uint8Array): boolean;
  /** Optional, with preemption `resume`: whether `execute` can go on from SQE and `progress`, which come from elsewhere. */
  canResume?(request: SqeRequest): boolean;
  /** Back to the state after power-on; nothing of any earlier request stays readable. */
  reset(): void;
}

/** What the rest of the machine knows of a kind of device without powering one on. */
export interface DeviceDescription {
  /** Name of the kind, e.g. `zip`; instances are `zip0`, `zip1`. */
  readonly name: string;
  readonly sqeBytes: number;
  readonly preemption: Preemption;
  /** Registers of the device, outside its queues. */
  readonly registers: readonly RegisterSpec[];
  /** Its accesses to memory go past the IOMMU: domains must not share it. Absent: the IOMMU checks each. */
  readonly unprotected?: true;
  /** Powers one context of an instance on. */
  create(signals: DeviceSignals): DeviceModel;
}

/**
 * What a read or write of a register does.
 *
 * | kind | read | write |
 * |---|---|---|
 * | `RW` | what was written last | stores |
 * | `RO` | what the device stored | ignored |
 * | `W1C` | what the device stored | clears the bits that are 1 in the value |
 * | `read-clear` | what the device stored, which is 0 afterwards | ignored |
 * | `doorbell` | 0 | an event: each write counts, and tells the device |
 * | `live` | asks the device | ignored |
 * | `timer` | microseconds since the context was created, loaded or not | ignored |
 */
export type RegisterAccess = 'RW' | 'RO' | 'W1C' | 'read-clear' | 'doorbell' | 'live' | 'timer';

/** One row of a register table. Source column of the device's SPEC.md. */
export interface RegisterSpec {
  readonly name: string;
  /** Byte offset inside the device's register range. */
  readonly at: number;
  readonly width: 32 | 64;
  readonly access: RegisterAccess;
  /** Value after power-on and reset. */
  readonly reset: number;
  readonly doc: string;
}
