/**
 * One large input, cut into blocks of a fixed size that go to all engines, each primed with the bytes before it;
 * the outputs in order are one stream. What comes out depends on the input and the block size, never on which
 * engine was faster.
 */
import { deviceLost, type WdError } from '../src/base/errors.js';
import type { Extent } from './arena.js';
import type { CtxGroup, WaitingRequest } from './ctx-group.js';
import type { DmaMemory } from './dma-memory.js';
import { aborted, deviceError, WdFailure } from './failures.js';
import { type Carrier, Flight } from './flight.js';
import type { PoolBuffer } from './pool-buffer.js';
import type { Prepared } from './prepared.js';
import { afterLoss, withoutDevice } from './recovery.js';
import { StagedInput } from './staged-input.js';
import type { Statistics } from './statistics.js';
import type { BlockPart, BlockPlan, Operation, Outcome, SqeFormat, Transfer } from './user-driver.js';

/** What a finished block leaves. `carrier` is null when software did it. */
interface FinishedBlock extends BlockPart {
  readonly data: Buffer;
  readonly carrier: Carrier | null;
}

/** A dictionary and the block right after it. */
interface BlockInput {
  readonly bytes: Uint8Array;
  readonly dictionaryBytes: number;
  /** The pool's own memory, held for this block, that the bytes are in; null for any other memory. */
  readonly held: PoolBuffer | null;
}

/** What a run is made from. */
export interface BlockRunParts {
  readonly prepared: Prepared;
  readonly memory: DmaMemory;
  readonly group: CtxGroup;
  readonly statistics: Statistics;
  /** Sees the carrier of each finished block, in order; null for one that software did. */
  readonly onBlock: (carrier: Carrier | null) => void;
}

/** One block on its way. */
class Block extends Flight implements WaitingRequest {
  readonly format: SqeFormat;
  readonly finished: Promise<FinishedBlock>;
  readonly #parts: BlockRunParts;
  readonly #plan: BlockPlan;
  readonly #input: StagedInput;
  readonly #dictionaryBytes: number;
  #output: Extent | null = null;
  #losses = 0;
  #cancelled: WdError | null = null;
  #resolve!: (block: FinishedBlock) => void;
  #reject!: (failure: WdFailure) => void;

  constructor(parts: BlockRunParts, input: BlockInput) {
    super();
    this.#parts = parts;
    this.#plan = parts.prepared.operation.blocks!;
    this.format = this.#plan.format;
    this.#input = new StagedInput(input.bytes, parts.memory, input.held);
    this.#dictionaryBytes = input.dictionaryBytes;
    this.sourceBytes = input.bytes.length - input.dictionaryBytes;
    this.expectedNs = this.format.expectedNs(this.sourceBytes);
    this.finished = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Whoever joins the blocks looks at them in order; one that failed meanwhile is not forgotten, and no accident.
    this.finished.catch(() => {});
  }

  launch(): Flight | null {
    if (!this.#input.stage(this.#parts.memory)) return null;
    const room = this.format.outputRoom(this.sourceBytes);
    this.#output = this.#parts.memory.allocate(room);
    if (this.#output === null) return null;
    this.destinationBytes = room;
    return this;
  }

  unstage(): void {
    this.#input.unstage(this.#parts.memory);
  }

  describe(transfer: Transfer): void {
    transfer.source = this.#input.address + this.#dictionaryBytes;
    transfer.destination = this.#output!.address;
    transfer.dictionaryBytes = this.#dictionaryBytes;
  }

  complete(outcome: Outcome, carrier: Carrier): void {
    if (this.#cancelled !== null) return this.#fail(this.#cancelled);
    if (outcome.verdict !== 'ok') return this.#fail(deviceError(carrier.device, outcome.status));
    const { mapping, offset } = this.#output!;
    const data = Buffer.from(mapping.view.subarray(offset, offset + outcome.produced));
    this.#release();
    this.#resolve({ data, carrier, inputBytes: this.sourceBytes, checksum: outcome.checksum });
  }

  lost(reason: string, carrier: Carrier): void {
    this.#losses += 1;
    this.#releaseOutput();
    const next = afterLoss(this.#parts.prepared, this.#losses);
    if (this.#cancelled !== null) this.#fail(this.#cancelled);
    else if (next === 'fail') this.#fail(deviceLost(carrier.device, reason));
    else if (next === 'software') void this.#inSoftware();
    else {
      this.#parts.statistics.replays += 1;
      this.#parts.group.launch(this);
    }
  }

  abandoned(reason: string): void {
    const next = withoutDevice(this.#parts.prepared, this.#losses);
    if (next === 'fail') this.#fail(deviceLost('every device', reason));
    else void this.#inSoftware();
  }

  /** Not wanted any more: gone at once while it waits, at its next segment while it runs. */
  cancel(error: WdError): void {
    this.#cancelled = error;
    if (this.#parts.group.remove(this)) this.#fail(error);
    else this.carrier?.cancel(this);
  }

  async #inSoftware(): Promise<void> {
    const bytes = this.#input.view().slice();
    this.#release();
    const dictionary = bytes.subarray(0, this.#dictionaryBytes);
    const { data, checksum } = await this.#plan.software(bytes.subarray(this.#dictionaryBytes), dictionary);
    this.#resolve({ data: Buffer.from(data), carrier: null, inputBytes: this.sourceBytes, checksum });
  }

  #fail(error: WdError): void {
    this.#release();
    this.#reject(new WdFailure(error));
  }

  #release(): void {
    this.#releaseOutput();
    this.#input.release(this.#parts.memory);
  }

  #releaseOutput(): void {
    if (this.#output !== null) this.#parts.memory.free(this.#output);
    this.#output = null;
  }
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

/** Keeps the blocks of one input in order and what the trailer needs of them. */
export class BlockRun {
  readonly operation: Operation;
  readonly plan: BlockPlan;
  readonly blockBytes: number;
  readonly #run: BlockRunParts;
  readonly #blocks: Block[] = [];
  readonly #parts: BlockPart[] = [];

  constructor(parts: BlockRunParts) {
    const { operation, options } = parts.prepared;
    this.#run = parts;
    this.operation = operation;
    this.plan = operation.blocks!;
    this.blockBytes = options.blockBytes;
  }

  /** Whether as many blocks are on their way as the ctxs can be kept busy with. */
  get isFull(): boolean {
    return this.#blocks.length >= BLOCKS_PER_CTX * Math.max(1, this.#run.group.ctxs.length);
  }

  get isEmpty(): boolean {
    return this.#blocks.length === 0;
  }

  start(input: BlockInput): void {
    const block = new Block(this.#run, input);
    this.#blocks.push(block);
    this.#run.group.launch(block);
  }

  /** The output of the oldest block. */
  async next(): Promise<Buffer> {
    const block = await this.#blocks[0]!.finished;
    this.#blocks.shift();
    this.#parts.push({ inputBytes: block.inputBytes, checksum: block.checksum });
    this.#run.onBlock(block.carrier);
    return block.data;
  }

  *header(): Generator<Buffer, void, void> {
    const { header } = this.operation;
    if (header.length > 0) yield Buffer.from(header);
  }

  *trailer(): Generator<Buffer, void, void> {
    const trailer = this.plan.trailer(this.#parts);
    if (trailer.length > 0) yield Buffer.from(trailer);
  }

  /** What is on its way is not wanted any more. */
  cancel(error: WdError): void {
    for (const block of this.#blocks) block.cancel(error);
  }

  /** After a failure or an early end: what is still in a queue has to end before anybody may close it. */
  async abandon(): Promise<void> {
    this.cancel(aborted(null));
    await Promise.allSettled(this.#blocks.map(({ finished }) => finished));
  }
}

/** Encodes `source`; yields output pieces in order. Throws WdFailure. */
export async function* encodeBlocks(
  source: AsyncIterable<Uint8Array>,
  run: BlockRun,
): AsyncGenerator<Buffer, void, void> {
  yield* run.header();
  try {
    for await (const input of cutPieces(source, run)) {
      run.start(input);
      if (run.isFull) yield await run.next();
    }
    while (!run.isEmpty) yield await run.next();
  } finally {
    await run.abandon();
  }
  yield* run.trailer();
}

/**
 * Encodes one buffer: takes all of it over at once, answers the output in one piece. `held` is the pool's memory that
 * `input` is, if so: every block holds it until it is done. Throws WdFailure.
 */
export async function encodeBuffer(
  input: Uint8Array,
  run: BlockRun,
  held: PoolBuffer | null,
): Promise<Buffer> {
  for (let from = 0; from < input.length; from += run.blockBytes) {
    const dictionaryBytes = Math.min(from, run.plan.dictionaryBytes);
    const [begin, end] = [from - dictionaryBytes, Math.min(from + run.blockBytes, input.length)];
    held?.retain();
    run.start({
      bytes: input.subarray(begin, end),
      dictionaryBytes,
      held: held?.subarray(begin, end) ?? null,
    });
  }
  const pieces = [...run.header()];
  try {
    while (!run.isEmpty) pieces.push(await run.next());
  } finally {
    await run.abandon();
  }
  pieces.push(...run.trailer());
  return Buffer.concat(pieces);
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
      yield { bytes: buffer.subarray(0, filled), dictionaryBytes, held: null };
      const keep = Math.min(plan.dictionaryBytes, filled);
      const dictionary = buffer.subarray(filled - keep, filled);
      buffer = new Uint8Array(room);
      buffer.set(dictionary);
      dictionaryBytes = keep;
      filled = keep;
    }
  }
  if (filled > dictionaryBytes) yield { bytes: buffer.subarray(0, filled), dictionaryBytes, held: null };
}
