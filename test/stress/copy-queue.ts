/**
 * A queue of a copy accelerator for programs that try memory: several requests in flight, each with addresses of the
 * caller's choice, and a promise for each. It needs a process's platform and nothing of the library, so that what it
 * meets is the kernel's and the device's doing, on either host.
 */
import { PAGE_BYTES } from '../../src/base/units.js';
import {
  qpContextArgument,
  qpInfoArgument,
  queueRegion,
  UACCE_CMD_QM_SET_QP_CTX,
  UACCE_CMD_QM_SET_QP_INFO,
  UACCE_CMD_START_Q,
} from '../../src/uapi/ioctl.js';
import {
  CQE_BYTES,
  CQE_PHASE_OFFSET,
  cqeLayout,
  type DusShape,
  dusShape,
  engineAsleep,
  QUEUE_MMIO_BYTES,
  queueWord,
} from '../../src/uapi/queue-layout.js';
import type { Platform, SyscallReply, SyscallRequest } from '../../src/uapi/syscall.js';
import { type CopyRequest, copyOutcome, copySqeOf } from '../hw/copy-requests.js';

/** What became of a request. `lost`: its process or its device ended first. */
export type Outcome = ReturnType<typeof copyOutcome> & { readonly lost: boolean };

const LOST: Outcome = { status: -1, processed: 0, result: 0, tag: 0, lost: true };

/** Where a region of the queue is mapped, and its bytes. */
interface Region {
  readonly va: number;
  readonly view: Uint8Array;
}

/** A system call that must succeed. */
export async function call(platform: Platform, request: SyscallRequest): Promise<SyscallReply> {
  const reply = await platform.syscall(request);
  if (reply.ret < 0) throw new Error(`${request.call} answered ${reply.ret}`);
  return reply;
}

export class CopyQueue {
  readonly #platform: Platform;
  readonly #fd: number;
  readonly #shape: DusShape;
  readonly #regions: readonly Region[];
  readonly #words: Int32Array;
  readonly #dus: Uint8Array;
  readonly #phases: Uint16Array;
  /** By SQ slot. */
  readonly #waiting = new Map<number, (outcome: Outcome) => void>();
  /** Free-running, modulo 2^32. */
  #sqTail = 0;
  #cqHead = 0;
  #lost = false;

  /** Opens and starts a queue of the device at `path`. */
  static async open(platform: Platform, path: string): Promise<CopyQueue> {
    const { ret: fd } = await call(platform, { call: 'open', path });
    const ioctl = (command: number, bytes: number): Promise<SyscallReply> =>
      call(platform, { call: 'ioctl', fd, command, argument: new Uint8Array(bytes) });
    await ioctl(UACCE_CMD_QM_SET_QP_CTX, qpContextArgument.bytes);
    const { bytes: info } = await ioctl(UACCE_CMD_QM_SET_QP_INFO, qpInfoArgument.bytes);
    const { sqeBytes, sqDepth, cqDepth } = qpInfoArgument.fields;
    const view = new DataView(info!.buffer, info!.byteOffset, info!.length);
    const shape = dusShape(sqeBytes.read(view, 0), sqDepth.read(view, 0), cqDepth.read(view, 0));
    const region = async (type: number, bytes: number): Promise<Region> => {
      const { ret: va } = await call(platform, { call: 'mmap', fd, offset: type * PAGE_BYTES, bytes });
      return { va, view: platform.mapRegion(va, bytes) };
    };
    const mmio = await region(queueRegion.MMIO, QUEUE_MMIO_BYTES);
    const dus = await region(queueRegion.DUS, shape.bytes);
    const queue = new CopyQueue({ platform, fd, shape, mmio, dus });
    await call(platform, { call: 'ioctl', fd, command: UACCE_CMD_START_Q });
    return queue;
  }

  private constructor(of: { platform: Platform; fd: number; shape: DusShape; mmio: Region; dus: Region }) {
    const { platform, fd, shape, mmio, dus } = of;
    this.#platform = platform;
    this.#fd = fd;
    this.#shape = shape;
    this.#regions = [mmio, dus];
    this.#words = new Int32Array(mmio.view.buffer, mmio.view.byteOffset, mmio.view.length >>> 2);
    this.#dus = dus.view;
    this.#phases = new Uint16Array(dus.view.buffer, dus.view.byteOffset, dus.view.length >>> 1);
    platform.onInterrupt(fd, () => {
      if (this.#lost) return;
      this.#write('INTERRUPT_PENDING', 0);
      this.#reap();
    });
    platform.onLost(fd, () => this.abandon());
  }

  /** Whether [va, va + bytes) touches the queue's own regions. */
  touches(va: number, bytes: number): boolean {
    return this.#regions.some(({ va: start, view }) => va < start + view.length && start < va + bytes);
  }

  /** Whether another request has a slot. */
  get hasRoom(): boolean {
    return this.#waiting.size < this.#shape.sqDepth - 1;
  }

  /** Submits a request: what became of it. */
  request(request: CopyRequest): Promise<Outcome> {
    if (this.#lost) return Promise.resolve(LOST);
    const slot = (this.#sqTail >>> 0) % this.#shape.sqDepth;
    this.#slot(slot).set(copySqeOf(request));
    this.#sqTail = (this.#sqTail + 1) | 0;
    return new Promise((resolve) => {
      this.#waiting.set(slot, resolve);
      this.#platform.ref();
      this.#write('SQ_TAIL', this.#sqTail);
      if (this.#read('ENGINE_ASLEEP') !== engineAsleep.AWAKE) this.#platform.wake(this.#fd);
      this.#reap();
    });
  }

  /**
   * From now on nothing comes back, and the rings are not touched: what is in flight is lost. To be called before the
   * process ends, for the views of its rings do not end with it.
   */
  abandon(): void {
    this.#lost = true;
    for (const slot of [...this.#waiting.keys()]) this.#settle(slot, LOST);
  }

  /** Takes all completions, and is interrupted at the next one. */
  #reap(): void {
    do {
      while (this.#isPublished()) this.#takeOne();
      this.#write('EVENT_INDEX', this.#cqHead + 1);
      // One that was published before the index was stored interrupts nobody.
    } while (this.#isPublished());
  }

  #takeOne(): void {
    const entry = (this.#cqHead >>> 0) % this.#shape.cqDepth;
    const slot = cqeLayout.fields.sqHead.read(
      new DataView(this.#dus.buffer, this.#dus.byteOffset, this.#dus.length),
      this.#shape.cqOffset + entry * CQE_BYTES,
    );
    const outcome = { ...copyOutcome(this.#slot(slot).slice()), lost: false };
    this.#cqHead = (this.#cqHead + 1) | 0;
    this.#write('CQ_HEAD', this.#cqHead);
    if (this.#read('ENGINE_ASLEEP') === engineAsleep.NO_COMPLETION_SLOT) this.#platform.wake(this.#fd);
    this.#settle(slot, outcome);
  }

  #settle(slot: number, outcome: Outcome): void {
    const resolve = this.#waiting.get(slot);
    if (resolve === undefined) throw new Error(`slot ${slot} was completed and nothing was in it`);
    this.#waiting.delete(slot);
    this.#platform.unref();
    resolve(outcome);
  }

  #isPublished(): boolean {
    const count = this.#cqHead >>> 0;
    const entry = count % this.#shape.cqDepth;
    const pass = Math.floor(count / this.#shape.cqDepth);
    const at = this.#shape.cqOffset + entry * CQE_BYTES + CQE_PHASE_OFFSET;
    return (Atomics.load(this.#phases, at >>> 1) & 1) === (pass & 1 ? 0 : 1);
  }

  #slot(index: number): Uint8Array {
    return this.#dus.subarray(index * this.#shape.sqeBytes, (index + 1) * this.#shape.sqeBytes);
  }

  #write(name: keyof typeof queueWord, value: number): void {
    Atomics.store(this.#words, queueWord[name] >>> 2, value | 0);
  }

  #read(name: keyof typeof queueWord): number {
    return Atomics.load(this.#words, queueWord[name] >>> 2);
  }
}
