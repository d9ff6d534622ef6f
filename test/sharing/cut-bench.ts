/**
 * One context with one queue, on either of two instances of a device, and a choice after each step of the engine: go on,
 * be left for another context, or move to the other instance. Requests are those of the copy accelerator unless a test
 * brings others, on a memory of which some pages are not there at first.
 */
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { KiB, PAGE_BYTES } from '../../src/base/units.js';
import type { ContextIrq, StepAnswer } from '../../src/hw/context-hardware.js';
import type { QueueBinding } from '../../src/hw/coproc-port.js';
import type { DeviceDescription } from '../../src/hw/device-model.js';
import { Engine, IDLE } from '../../src/hw/engine.js';
import type { ContextImage, SaveAnswer } from '../../src/hw/engine-image.js';
import type { PageRequestRecord } from '../../src/hw/iommu-driver/control.js';
import { queueContextLayout } from '../../src/hw/queue-context.js';
import { CQE_BYTES, type DusShape, dusShape, queueWord } from '../../src/uapi/queue-layout.js';
import { copySqeOf, patternOf } from '../hw/copy-requests.js';
import { PortBench } from '../hw/port-bench.js';

const DEPTH = 64;
const RING_ADDRESS = 0x10_0000;
const PASID = 5;
const [CONTEXT, OTHER_CONTEXT] = [1, 2];
/** Where the data is, and which of its pages come late. */
export const DATA = 0x80_0000;
const DATA_PAGES = 64;
const isCold = (page: number): boolean => page % 5 === 3;

/** Three requests of several segments: one reads what it has written, one adds up, one compares. */
const REQUESTS: readonly Uint8Array[] = [
  copySqeOf({ source: DATA, destination: DATA + 100, bytes: 70 * KiB, tag: 1 }),
  copySqeOf({ operation: 'crc32c', source: DATA + 50, bytes: 80 * KiB, tag: 2 }),
  copySqeOf({
    operation: 'fill',
    destination: DATA + 33 * PAGE_BYTES + 7,
    bytes: 60 * KiB,
    pattern: 3,
    tag: 3,
  }),
];

/** Everything that somebody could look at when all is over. */
export interface Remains {
  readonly rings: string;
  readonly memory: string;
  readonly registers: readonly number[];
  readonly completions: number;
}

export interface CutOptions {
  /** Page requests are answered after the cut instead of before it. */
  readonly answersLate?: boolean;
  readonly requests?: readonly Uint8Array[];
  /** `qc_type` of the queue; 0 unless said otherwise. */
  readonly qcType?: number;
}

export class CutBench extends PortBench {
  /** Where the context is. */
  engine: Engine;
  /** What the instances reported. */
  readonly irqs: ContextIrq[] = [];
  /** The other instance. */
  spare: Engine;
  readonly #mmioAddress = this.frame();
  readonly #contextAddress = this.frame();
  readonly #options: CutOptions;
  readonly #shape: DusShape;
  readonly #sqeBytes: number;
  readonly #count: number;
  readonly #late: PageRequestRecord[] = [];
  readonly #ringFrames: number[];
  readonly #dataFrames: number[];

  constructor(description: DeviceDescription, options: CutOptions = {}) {
    super();
    this.#options = options;
    this.#sqeBytes = description.sqeBytes;
    this.#shape = dusShape(description.sqeBytes, DEPTH, DEPTH);
    const { port } = this;
    const newEngine = () =>
      new Engine({
        description,
        port,
        interrupt: () => {},
        raise: (irq) => this.irqs.push(irq),
        trace: null,
      });
    [this.engine, this.spare] = [newEngine(), newEngine()];
    this.#ringFrames = Array.from({ length: this.#shape.bytes / PAGE_BYTES }, (_, page) =>
      this.map(-1, RING_ADDRESS + page * PAGE_BYTES),
    );
    this.#dataFrames = Array.from({ length: DATA_PAGES }, (_, page) => {
      const frame = this.frame();
      if (!isCold(page)) this.#install(page, frame);
      this.memory.view(frame, PAGE_BYTES).set(patternOf(PAGE_BYTES, page));
      return frame;
    });
    this.answer = (request) => this.#answerTo(request);
    this.engine.createContext(CONTEXT);
    this.engine.attach(CONTEXT, this.binding);
    this.engine.start(CONTEXT, []);
    const requests = options.requests ?? REQUESTS;
    this.#count = requests.length;
    for (const [slot, sqe] of requests.entries()) {
      this.slot(slot).set(sqe);
    }
    this.memory.store32(this.#mmioAddress + queueWord.SQ_TAIL, requests.length);
  }

  get binding(): QueueBinding {
    return {
      queueNumber: 3,
      pasid: PASID,
      qcType: this.#options.qcType ?? 0,
      epoch: 9,
      mmioAddress: this.#mmioAddress,
      contextAddress: this.#contextAddress,
      ringAddress: RING_ADDRESS,
      sqDepth: DEPTH,
      cqDepth: DEPTH,
      waiter: 0,
      process: 1,
      weight: 1,
    };
  }

  /** One step of the engine, and of the kernel; false when everything is done. */
  step(): boolean {
    const cost = this.engine.step();
    this.service();
    if (
      cost === IDLE &&
      this.#late.length === 0 &&
      this.completions < this.#count &&
      this.engine.step() === IDLE
    ) {
      throw new Error('the engine rests before it is done');
    }
    return this.completions < this.#count;
  }

  /** Page requests that were held back are answered. */
  answerLate(): void {
    for (const request of this.#late.splice(0)) {
      this.#install((request.va - DATA) / PAGE_BYTES);
      if (request.last) this.respond(request, 0);
    }
  }

  /** Leaves the context for another one, which is loaded for a moment, and comes back. */
  leaveAndReturn(): StepAnswer {
    const answer = this.engine.stop();
    if (answer.kind !== 'done') {
      this.engine.start(CONTEXT, []);
      return answer;
    }
    this.engine.createContext(OTHER_CONTEXT);
    this.engine.start(OTHER_CONTEXT, []);
    this.engine.step();
    this.engine.stop();
    return this.engine.start(CONTEXT, []);
  }

  /** The image of the context, which stays where it is and goes on there. */
  save(): SaveAnswer {
    this.engine.stop();
    const answer = this.engine.saveContext(CONTEXT);
    this.engine.start(CONTEXT, []);
    return answer;
  }

  /** Moves the context to the other instance; false when it cannot be moved now, and then it is where it was. */
  move(): boolean {
    const saved = this.save();
    if (saved.kind === 'failed') return false;
    this.engine.stop();
    this.engine.destroyContext(CONTEXT);
    // As it would come over a wire.
    const loaded = this.load(structuredClone(saved.image));
    if (loaded.kind !== 'done') throw new Error(`refused: ${JSON.stringify(loaded)}`);
    [this.engine, this.spare] = [this.spare, this.engine];
    this.engine.start(CONTEXT, []);
    return true;
  }

  /** Loads an image, or what is taken for one, into the other instance. */
  load(image: ContextImage | unknown): StepAnswer {
    return this.spare.loadContext(CONTEXT, image, [this.binding]);
  }

  /** To the end, without a cut. */
  toTheEnd(): Remains {
    for (let steps = 0; this.step(); steps++) {
      this.answerLate();
      if (steps > 1000) throw new Error('the requests never end');
    }
    return this.remains();
  }

  /** An SQ slot. */
  slot(index: number): Uint8Array {
    return this.memory.view(this.#ringFrames[0]! + index * this.#sqeBytes, this.#sqeBytes);
  }

  /** Puts bytes where the data is, pages that are not there yet included. */
  putData(offset: number, source: Uint8Array): void {
    for (let done = 0; done < source.length; ) {
      const [page, at] = [Math.floor((offset + done) / PAGE_BYTES), (offset + done) % PAGE_BYTES];
      const part = source.subarray(done, done + PAGE_BYTES - at);
      this.memory.view(this.#dataFrames[page]! + at, part.length).set(part);
      done += part.length;
    }
  }

  /** A copy of a part of the data. */
  data(offset: number, bytes: number): Buffer {
    const pages = this.#dataFrames.map((frame) => this.memory.view(frame, PAGE_BYTES));
    return Buffer.concat(pages).subarray(offset, offset + bytes);
  }

  /** Whether a request was taken and is not completed: word of the shared queue context. */
  get inFlight(): boolean {
    return queueContextLayout.fields.reserved.read(this.memory.data, this.#contextAddress) === 1;
  }

  get completions(): number {
    const at = this.#ringFrames[this.#shape.cqOffset / PAGE_BYTES]!;
    let count = 0;
    while ((this.memory.data.getUint16(at + count * CQE_BYTES + 14, true) & 1) === 1) count += 1;
    return count;
  }

  remains(): Remains {
    const { engine, completions } = this;
    return {
      rings: this.#digest(this.#ringFrames),
      memory: this.#digest(this.#dataFrames),
      registers: engine.image(CONTEXT),
      completions,
    };
  }

  #digest(frames: readonly number[]): string {
    const hash = createHash('sha1');
    for (const frame of frames) hash.update(this.memory.view(frame, PAGE_BYTES));
    return hash.digest('base64');
  }

  #answerTo(request: PageRequestRecord): number | null {
    if (this.#options.answersLate === true) {
      this.#late.push(request);
      return null;
    }
    this.#install((request.va - DATA) / PAGE_BYTES);
    return 0;
  }

  #install(page: number, frame = this.#dataFrames[page]!): void {
    this.map(PASID, DATA + page * PAGE_BYTES, 'rw', frame);
  }
}
