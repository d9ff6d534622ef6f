/**
 * One large input, cut into blocks of a fixed size that go to all engines, each primed with the bytes before it;
 * the outputs in order are one stream. What comes out depends on the input and the block size, never on which
 * engine was faster.
 */
import { deviceLost, type WdError } from '../src/base/errors.js';
import type { Extent } from './arena.js';
import type { CtxGroup, Waiting } from './ctx-group.js';
import type { DmaMemory } from './dma-memory.js';
import { deviceError, WdFailure } from './failures.js';
import { type Carrier, Flight } from './flight.js';
import type { BlockPart, BlockPlan, Operation, Outcome, SqeFormat, Transfer } from './user-driver.js';

/** What a finished block leaves. */
export interface FinishedBlock extends BlockPart {
  readonly data: Buffer;
  readonly carrier: Carrier;
}

/** A dictionary and the block right after it. `borrowed`: the caller may change the bytes after the call. */
export interface BlockInput {
  readonly bytes: Uint8Array;
  readonly dictionaryBytes: number;
  readonly borrowed: boolean;
}

/** One block on its way. */
class Block extends Flight implements Waiting {
  readonly format: SqeFormat;
  readonly finished: Promise<FinishedBlock>;
  readonly #memory: DmaMemory;
  readonly #plan: BlockPlan;
  #bytes: Uint8Array | null;
  readonly #dictionaryBytes: number;
  #source: Extent | null = null;
  #output: Extent | null = null;
  #resolve!: (block: FinishedBlock) => void;
  #reject!: (failure: WdFailure) => void;

  constructor(plan: BlockPlan, memory: DmaMemory, input: BlockInput) {
    super();
    this.format = plan.format;
    this.#plan = plan;
    this.#memory = memory;
    this.#bytes = input.bytes;
    this.#source = this.#copyIn();
    if (this.#source === null && input.borrowed) this.#bytes = Uint8Array.prototype.slice.call(input.bytes);
    this.#dictionaryBytes = input.dictionaryBytes;
    this.sourceBytes = input.bytes.length - input.dictionaryBytes;
    this.expectedNs = plan.format.expectedNs(this.sourceBytes);
    this.finished = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  launch(): Flight | null {
    this.#source ??= this.#copyIn();
    if (this.#source === null) return null;
    const room = this.#plan.format.outputRoom(this.sourceBytes);
    this.#output = this.#memory.allocate(room);
    if (this.#output === null) return null;
    this.destinationBytes = room;
    return this;
  }

  unstage(): void {
    if (this.#source === null) return;
    const { mapping, offset } = this.#source;
    const held = this.#dictionaryBytes + this.sourceBytes;
    this.#bytes = mapping.view.slice(offset, offset + held);
    this.#memory.freeQuietly(this.#source);
    this.#source = null;
  }

  describe(transfer: Transfer): void {
    transfer.source = this.#source!.address + this.#dictionaryBytes;
    transfer.destination = this.#output!.address;
    transfer.dictionaryBytes = this.#dictionaryBytes;
  }

  complete(outcome: Outcome, carrier: Carrier): void {
    if (outcome.verdict !== 'ok') return this.#fail(deviceError(carrier.device, outcome.status));
    const { mapping, offset } = this.#output!;
    const data = Buffer.from(mapping.view.subarray(offset, offset + outcome.produced));
    this.#release();
    this.#resolve({ data, carrier, inputBytes: this.sourceBytes, checksum: outcome.checksum });
  }

  lost(reason: string, carrier: Carrier): void {
    this.#fail(deviceLost(carrier.device, reason));
  }

  abandoned(reason: string): void {
    this.#fail(deviceLost('every device', reason));
  }

  #copyIn(): Extent | null {
    const bytes = this.#bytes!;
    const extent = this.#memory.allocate(bytes.length);
    if (extent === null) return null;
    extent.mapping.view.set(bytes, extent.offset);
    this.#bytes = null;
    return extent;
  }

  #fail(error: WdError): void {
    this.#release();
    this.#reject(new WdFailure(error));
  }

  #release(): void {
    for (const extent of [this.#source, this.#output]) if (extent !== null) this.#memory.free(extent);
    this.#source = null;
    this.#output = null;
  }
}

export interface BlockRun {
  readonly operation: Operation;
  readonly plan: BlockPlan;
  readonly blockBytes: number;
  readonly memory: DmaMemory;
  readonly group: CtxGroup;
  /** Sees each finished block, in order. */
  readonly onBlock: (block: FinishedBlock) => void;
}

/** Blocks that may be on their way at once, per ctx: enough to hide the reading of the next. */
const BLOCKS_PER_CTX = 3;

/** DMA memory that a run over `ctxs` ctxs has out at most, bytes. */
export function blockRunBytes({
  plan,
  blockBytes,
  ctxs,
}: {
  plan: BlockPlan;
  blockBytes: number;
  ctxs: number;
}): number {
  return BLOCKS_PER_CTX * ctxs * (plan.dictionaryBytes + blockBytes + plan.format.outputRoom(blockBytes));
}

/** Encodes `source`; yields output pieces in order. Throws WdFailure. */
export async function* encodeBlocks(
  source: AsyncIterable<Uint8Array>,
  run: BlockRun,
): AsyncGenerator<Buffer, void, void> {
  const joiner = new Joiner(run);
  yield* joiner.header();
  try {
    for await (const input of cutPieces(source, run)) {
      joiner.start(input);
      if (joiner.onTheWay >= BLOCKS_PER_CTX * Math.max(1, run.group.ctxs.length)) yield await joiner.next();
    }
    while (joiner.onTheWay > 0) yield await joiner.next();
  } finally {
    await joiner.abandon();
  }
  yield* joiner.trailer();
}

/** Encodes one buffer: takes all of it over at once, answers the output in one piece. Throws WdFailure. */
export async function encodeBuffer(input: Uint8Array, run: BlockRun): Promise<Buffer> {
  const joiner = new Joiner(run);
  for (let from = 0; from < input.length; from += run.blockBytes) {
    const dictionaryBytes = Math.min(from, run.plan.dictionaryBytes);
    const bytes = input.subarray(from - dictionaryBytes, Math.min(from + run.blockBytes, input.length));
    joiner.start({ bytes, dictionaryBytes, borrowed: true });
  }
  const pieces = [...joiner.header()];
  try {
    while (joiner.onTheWay > 0) pieces.push(await joiner.next());
  } finally {
    await joiner.abandon();
  }
  pieces.push(...joiner.trailer());
  return Buffer.concat(pieces);
}

/** Keeps the blocks of one run in order and what the trailer needs of them. */
class Joiner {
  readonly #run: BlockRun;
  readonly #blocks: Block[] = [];
  readonly #parts: BlockPart[] = [];

  constructor(run: BlockRun) {
    this.#run = run;
  }

  get onTheWay(): number {
    return this.#blocks.length;
  }

  start(input: BlockInput): void {
    const { plan, memory, group } = this.#run;
    const block = new Block(plan, memory, input);
    this.#blocks.push(block);
    group.add(block);
    group.dispatch();
  }

  /** The output of the oldest block. */
  async next(): Promise<Buffer> {
    const block = await this.#blocks.shift()!.finished;
    this.#parts.push({ inputBytes: block.inputBytes, checksum: block.checksum });
    this.#run.onBlock(block);
    return block.data;
  }

  *header(): Generator<Buffer, void, void> {
    const { header } = this.#run.operation;
    if (header.length > 0) yield Buffer.from(header);
  }

  *trailer(): Generator<Buffer, void, void> {
    const trailer = this.#run.plan.trailer(this.#parts);
    if (trailer.length > 0) yield Buffer.from(trailer);
  }

  /** After a failure or an early end: what is still in a queue has to end before anybody may close it. */
  async abandon(): Promise<void> {
    await Promise.allSettled(this.#blocks.map(({ finished }) => finished));
  }
}

/** Cuts a stream of pieces into blocks with their dictionaries; each is memory of its own. */
async function* cutPieces(
  source: AsyncIterable<Uint8Array>,
  { blockBytes, plan }: BlockRun,
): AsyncGenerator<BlockInput, void, void> {
  const room = plan.dictionaryBytes + blockBytes;
  let buffer = new Uint8Array(room);
  let dictionaryBytes = 0;
  let filled = 0;
  for await (const piece of source) {
    for (let from = 0; from < piece.length; ) {
      const part = Math.min(piece.length - from, dictionaryBytes + blockBytes - filled);
      buffer.set(piece.subarray(from, from + part), filled);
      filled += part;
      from += part;
      if (filled < dictionaryBytes + blockBytes) continue;
      yield { bytes: buffer.subarray(0, filled), dictionaryBytes, borrowed: false };
      const keep = Math.min(plan.dictionaryBytes, filled);
      const dictionary = buffer.subarray(filled - keep, filled);
      buffer = new Uint8Array(room);
      buffer.set(dictionary);
      dictionaryBytes = keep;
      filled = keep;
    }
  }
  if (filled > dictionaryBytes) yield { bytes: buffer.subarray(0, filled), dictionaryBytes, borrowed: false };
}
