/**
 * A queue whose device is the test: two regions of ordinary memory, a platform that only listens, and completions
 * written by hand, right or wrong.
 */

import { copySqe } from '../../drivers/copy/layout.js';
import { copyUserDriver } from '../../drivers/copy/user-driver.js';
import type { BatchInHand } from '../../lib/batch-in-hand.js';
import { Ctx } from '../../lib/ctx.js';
import { Flight } from '../../lib/flight.js';
import { InFlightWindow } from '../../lib/in-flight-window.js';
import type { Outcome } from '../../lib/user-driver.js';
import type { Platform } from '../../src/entry/sim.js';
import {
  CQE_BYTES,
  CQE_PHASE_OFFSET,
  cqeLayout,
  dusShape,
  QUEUE_MMIO_BYTES,
  queueWord,
} from '../../src/uapi/queue-layout.js';

const operation = copyUserDriver.prepare({ op: 'copy', parameters: {} })._unsafeUnwrap();
const format = operation.oneShot;

/** A request that writes down its end. */
export class RecordedFlight extends Flight {
  readonly format = format;
  /** `ok 5`, `lost: ...`; more than one entry would be a bug. */
  readonly ends: string[] = [];

  constructor(sourceBytes = 8) {
    super();
    this.sourceBytes = sourceBytes;
    this.destinationBytes = sourceBytes;
  }

  describe(): void {}

  complete({ verdict, produced }: Outcome): void {
    this.ends.push(`${verdict} ${produced}`);
  }

  lost(reason: string): void {
    this.ends.push(`lost: ${reason}`);
  }
}

/** What a completion says; everything that is left out is right. */
export interface Completion {
  readonly slot?: number;
  readonly tag?: number;
  readonly processed?: number;
  readonly phase?: 0 | 1;
}

export class HandRing {
  readonly ctx: Ctx;
  readonly lost: Ctx[] = [];
  wakes = 0;
  /** What is being submitted. */
  batch: BatchInHand | null = null;
  readonly #depth: number;
  readonly #dus: DataView;
  readonly #mmio = new Int32Array(QUEUE_MMIO_BYTES / 4);
  readonly #cqOffset: number;
  readonly #handlers: { interrupt: (() => void) | null; lost: (reason: string) => void } = {
    interrupt: null,
    lost: () => {},
  };
  #published = 0;

  constructor(depth = 8) {
    const shape = dusShape(copySqe.bytes, depth, depth);
    const dus = new Uint8Array(shape.bytes);
    this.#depth = depth;
    this.#dus = new DataView(dus.buffer);
    this.#cqOffset = shape.cqOffset;
    this.ctx = new Ctx({
      platform: this.#platform(),
      fd: 3,
      device: 'hand-0',
      queueNumber: 0,
      qcType: 0,
      ...shape,
      dus,
      mmio: new Uint8Array(this.#mmio.buffer),
      window: new InFlightWindow(Number.POSITIVE_INFINITY),
      batch: () => this.batch,
      siblings: () => 1,
      hasWaiting: () => false,
      interrupted: () => this.ctx.look(),
      roomMade: () => {},
      wasLost: (ctx) => this.lost.push(ctx),
    });
  }

  /** Requests on the queue. */
  submit(count: number): RecordedFlight[] {
    const flights = Array.from({ length: count }, () => new RecordedFlight());
    for (const flight of flights) this.ctx.submit(flight);
    return flights;
  }

  /** Writes the next CQE, and the result into its slot. */
  publish(completion: Completion = {}): this {
    const entry = this.#published % this.#depth;
    const { slot = entry, tag = this.#published, processed = 8 } = completion;
    const phase = completion.phase ?? (Math.floor(this.#published / this.#depth) & 1) ^ 1;
    const base = slot < this.#depth ? slot * copySqe.bytes : 0;
    copySqe.fields.tag.write(this.#dus, base, tag);
    copySqe.fields.processed.write(this.#dus, base, processed);
    const cqe = this.#cqOffset + entry * CQE_BYTES;
    cqeLayout.fields.sqHead.write(this.#dus, cqe, slot);
    this.#dus.setUint16(cqe + CQE_PHASE_OFFSET, phase, true);
    this.#published += 1;
    return this;
  }

  interrupt(): this {
    this.#handlers.interrupt?.();
    return this;
  }

  /** The platform says that the engine is gone. */
  lose(reason: string): void {
    this.#handlers.lost(reason);
  }

  word(name: keyof typeof queueWord): number {
    return this.#mmio[queueWord[name] / 4]!;
  }

  setWord(name: keyof typeof queueWord, value: number): void {
    this.#mmio[queueWord[name] / 4] = value;
  }

  #platform(): Platform {
    const refuse = (): never => {
      throw new Error('a ctx makes no system call');
    };
    return {
      concurrent: false,
      pid: 1,
      syscall: refuse,
      load: refuse,
      store: refuse,
      fork: refuse,
      mapRegion: refuse,
      wake: () => {
        this.wakes += 1;
      },
      onInterrupt: (_fd, handler) => {
        this.#handlers.interrupt = handler;
      },
      onLost: (_fd, handler) => {
        this.#handlers.lost = handler;
      },
      ref: () => {},
      unref: () => {},
      counters: refuse,
      nowNs: () => 0,
      exit: refuse,
    };
  }
}
