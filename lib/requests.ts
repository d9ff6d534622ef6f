/**
 * The ways of a call through a pool: one request, blocks over all engines, a serial stream, or software. Every
 * call is admitted, takes one of them, and is settled exactly once.
 */
import { err, ok, type Result } from 'neverthrow';
import { deviceLost, type WdError } from '../src/base/errors.js';
import { watchAbort } from './abort.js';
import type { Admission } from './admission.js';
import { type BlockRun, encodeBuffer } from './block-run.js';
import type { Ctx } from './ctx.js';
import type { CtxDirectory } from './ctx-directory.js';
import type { CtxGroup } from './ctx-group.js';
import type { DeviceInfo } from './devices.js';
import type { DmaMemory } from './dma-memory.js';
import { aborted, badData, noDevice, outputTooLarge } from './failures.js';
import { OneShot, type OneShotOwner } from './one-shot.js';
import type { Prepared } from './prepared.js';
import { StagedInput } from './staged-input.js';
import { decodeStream, StreamFailure, wholeInput } from './stream-run.js';
import type { SqeFormat } from './user-driver.js';
import type { Via } from './via.js';

/** What a call answers. */
export interface WdOutput {
  readonly data: Buffer;
  /** What the device, or the software in its place, reported: of the input when encoding. */
  readonly checksum: number;
  readonly via: Via;
}

export type Settle = (result: Result<WdOutput, WdError>) => void;

/** One call that has been admitted. */
export interface Call {
  readonly prepared: Prepared;
  readonly devices: readonly DeviceInfo[];
  readonly reason: string;
  readonly signal: AbortSignal | null;
  readonly settle: Settle;
}

class OneShotCall extends OneShot {
  readonly call: Call;
  readonly group: CtxGroup;
  stopWatching: (() => void) | null = null;
  settled = false;

  constructor(call: Call, group: CtxGroup, parts: ConstructorParameters<typeof OneShot>[0]) {
    super(parts);
    this.call = call;
    this.group = group;
  }
}

export class Requests implements OneShotOwner {
  readonly memory: DmaMemory;
  readonly #directory: CtxDirectory;
  readonly #admission: Admission;

  constructor(parts: { memory: DmaMemory; directory: CtxDirectory; admission: Admission }) {
    this.memory = parts.memory;
    this.#directory = parts.directory;
    this.#admission = parts.admission;
  }

  /** One request: the way of every call that fits one. */
  oneShot(call: Call, input: Uint8Array): void {
    const { operation, options } = call.prepared;
    const start = this.#startOf(call, input);
    if (start.isErr()) return call.settle(err(start.error));
    const { format, skipBytes } = start.value;
    const admitted = this.#admission.enter(input.length);
    if (admitted.isErr()) return call.settle(err(admitted.error));
    const staged = new StagedInput(input, this.memory);
    const { maxOutputBytes } = options;
    const group = this.#directory.group(call.devices, format.qcType);
    const parts = { owner: this, operation, format, input: staged, skipBytes, maxOutputBytes };
    const request = new OneShotCall(call, group, parts);
    if (call.signal !== null) request.stopWatching = watchAbort(call.signal, () => this.#abort(request));
    group.add(request);
    group.dispatch();
  }

  /** A large input over all engines. */
  blocks(call: Call, input: Uint8Array): void {
    const admitted = this.#admission.enter(input.length);
    if (admitted.isErr()) return call.settle(err(admitted.error));
    let first: Ctx | null = null;
    let requests = 0;
    const run = this.blockRun(call.prepared, call.devices, (ctx) => {
      first ??= ctx;
      requests += 1;
    });
    const output = encodeBuffer(input, run).then((data) => this.#checked(call, data));
    this.#finish(call, { output, bytes: input.length, via: () => this.#via(call, { ctx: first, attempts: requests }) });
  }

  /** What a run of blocks needs, for a buffer here or a stream elsewhere. */
  blockRun(prepared: Prepared, devices: readonly DeviceInfo[], onBlock: (ctx: Ctx) => void): BlockRun {
    const { operation, options } = prepared;
    const plan = operation.blocks!;
    return {
      operation,
      plan,
      blockBytes: options.blockBytes,
      memory: this.memory,
      group: this.#directory.group(devices, plan.format.qcType),
      onBlock: ({ ctx }) => onBlock(ctx),
    };
  }

  /** Software, off the main thread where Node can. */
  software(call: Call, input: Uint8Array): void {
    const { operation, options } = call.prepared;
    const admitted = this.#admission.enter(input.length);
    if (admitted.isErr()) return call.settle(err(admitted.error));
    const output = operation.software(Uint8Array.prototype.slice.call(input), options).then((made) => {
      if (made.isErr()) throw new StreamFailure(made.error);
      return { data: asBuffer(made.value.data), checksum: made.value.checksum };
    });
    this.#finish(call, { output, bytes: input.length, via: () => softwareVia(call.reason) });
  }

  /** Software on the spot: for inputs that are cheaper to handle than to hand over. */
  softwareNow(call: Call, input: Uint8Array): void {
    const { operation, options } = call.prepared;
    const made = operation.softwareSync(input, options);
    if (made.isErr()) return call.settle(err(made.error));
    const { data, checksum } = made.value;
    call.settle(ok({ data: asBuffer(data), checksum, via: softwareVia(call.reason) }));
  }

  /** A ctx of a group for a serial stream; waits until one is open. */
  async pinned(devices: readonly DeviceInfo[], qcType: 0 | 1): Promise<Ctx> {
    const group = this.#directory.group(devices, qcType);
    const ctx = await group.anyCtx();
    if (ctx === null) throw new StreamFailure(noDevice('no queue could be opened'));
    return ctx;
  }

  finished(request: OneShotCall, output: { data: Buffer; checksum: number }, ctx: Ctx): void {
    const { call, attempts } = request;
    this.#settle(request, ok({ ...output, via: this.#via(call, { ctx, attempts }) }));
  }

  failed(request: OneShotCall, error: WdError): void {
    this.#settle(request, err(error));
  }

  again(request: OneShotCall): void {
    request.group.add(request);
    // The ctx that just completed it dispatches after its reap.
  }

  /** The output is larger than one request may have, or another member follows: decode it as a stream. */
  tooLarge(request: OneShotCall): void {
    const { call, settled } = request;
    if (settled) return this.#settle(request, err(aborted(null)));
    const input = Buffer.from(request.input.view());
    request.settled = true;
    this.#settle(request, err(aborted(null)));
    this.stream(call, input, request.attempts);
  }

  /** Serial, stateful requests: for a decoder whose input or output does not fit one request. */
  stream(call: Call, input: Uint8Array, attempts = 0): void {
    const admitted = this.#admission.enter(input.length);
    if (admitted.isErr()) return call.settle(err(admitted.error));
    const copy = Buffer.from(input);
    const outcome: { ctx: Ctx | null; attempts: number } = { ctx: null, attempts };
    const output = this.#decodeWhole(call, copy, outcome).then((data) => this.#checked(call, data));
    this.#finish(call, { output, bytes: input.length, via: () => this.#via(call, outcome) });
  }

  async #decodeWhole(call: Call, input: Buffer, outcome: { ctx: Ctx | null; attempts: number }): Promise<Buffer> {
    const { operation, options } = call.prepared;
    const ctx = await this.pinned(call.devices, operation.oneShot.qcType);
    outcome.ctx = ctx;
    const onRequest = (): void => {
      outcome.attempts += 1;
      if (call.signal?.aborted) throw new StreamFailure(aborted(call.signal.reason));
    };
    const pieces: Buffer[] = [];
    let total = 0;
    for await (const piece of decodeStream(wholeInput(input), operation.decode!, { memory: this.memory, ctx, onRequest })) {
      total += piece.length;
      if (total > options.maxOutputBytes) throw new StreamFailure(outputTooLarge(options.maxOutputBytes));
      pieces.push(piece);
    }
    return Buffer.concat(pieces);
  }

  /** The format for an input: a decoder's depends on the head of it. */
  #startOf(call: Call, input: Uint8Array): Result<{ format: SqeFormat; skipBytes: number }, WdError> {
    const { operation } = call.prepared;
    if (operation.decode === undefined) return ok({ format: operation.oneShot, skipBytes: 0 });
    const verdict = operation.decode.parseHeader(input, true);
    if (verdict.kind === 'skip') return ok({ format: verdict.oneShot, skipBytes: verdict.bytes });
    return err(badData(verdict.kind === 'bad' ? verdict.error : operation.decode.truncated));
  }

  #checked(call: Call, data: Buffer): { data: Buffer; checksum: number } {
    const { maxOutputBytes } = call.prepared.options;
    if (data.length > maxOutputBytes) throw new StreamFailure(outputTooLarge(maxOutputBytes));
    return { data, checksum: 0 };
  }

  /** Settles a call that runs as a promise. */
  #finish(
    call: Call,
    run: { output: Promise<{ data: Buffer; checksum: number }>; bytes: number; via: () => Via },
  ): void {
    const stopWatching = call.signal && watchAbort(call.signal, () => settle(err(aborted(call.signal!.reason))));
    let settled = false;
    const settle: Settle = (result) => {
      if (settled) return;
      settled = true;
      stopWatching?.();
      call.settle(result);
    };
    void run.output
      .then(
        (output) => settle(ok({ ...output, via: run.via() })),
        (failure: unknown) => settle(err(errorOf(failure))),
      )
      .finally(() => this.#admission.leave(run.bytes));
  }

  /** Settles a one-shot and gives its memory back; an aborted one was settled before. */
  #settle(request: OneShotCall, result: Result<WdOutput, WdError>): void {
    request.stopWatching?.();
    request.input.release(this.memory);
    this.#admission.leave(request.input.bytes);
    if (request.settled) return;
    request.settled = true;
    request.call.settle(result);
  }

  /** Waiting: gone at once. In a queue: the caller is told now, the memory comes back with the completion. */
  #abort(request: OneShotCall): void {
    const error = aborted(request.call.signal!.reason);
    if (request.group.remove(request)) {
      request.withdraw();
      return this.#settle(request, err(error));
    }
    if (request.settled) return;
    request.settled = true;
    request.call.settle(err(error));
  }

  #via(call: Call, outcome: { ctx: Ctx | null; attempts: number }): Via {
    const { ctx, attempts } = outcome;
    if (ctx === null) return { path: 'device', attempts, reason: call.reason };
    return { path: 'device', device: ctx.device, queue: ctx.queueNumber, attempts, reason: call.reason };
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function softwareVia(reason: string): Via {
  return { path: 'software', attempts: 1, reason };
}

/** The typed error inside a failure; anything else is a bug of ours and is thrown on. */
export function errorOf(failure: unknown): WdError {
  if (failure instanceof StreamFailure) return failure.error;
  return deviceLost('the library', failure instanceof Error ? failure.message : String(failure));
}
