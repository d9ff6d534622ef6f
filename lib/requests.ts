/**
 * The ways of a call through a pool: one request, blocks over all engines, a serial stream, or software. Every
 * call is admitted, takes one of them, and is settled exactly once.
 */
import { err, ok, type Result } from 'neverthrow';
import { type BadData, deviceLost, type WdError } from '../src/base/errors.js';
import { watchAbort } from './abort.js';
import type { Admission } from './admission.js';
import { type BlockRun, encodeBuffer } from './block-run.js';
import type { Ctx } from './ctx.js';
import type { CtxDirectory } from './ctx-directory.js';
import type { DmaMemory } from './dma-memory.js';
import { aborted, badData, errorOf, noDevice, outputTooLarge, WdFailure } from './failures.js';
import type { Carrier } from './flight.js';
import { type Call, OneShot, type OneShotOwner, type Settle, type WdOutput } from './one-shot.js';
import type { OneShotStart, Prepared } from './prepared.js';
import { NO_DEVICE_LEFT } from './route.js';
import { StagedInput } from './staged-input.js';
import { decodeStream, wholeInput } from './stream-run.js';
import type { Via } from './via.js';

/** A call on its way as a promise. */
interface Run {
  readonly output: Promise<Omit<WdOutput, 'via'>>;
  readonly bytes: number;
  readonly via: () => Via;
}

/** Which ctx served a call first, and in how many requests. */
interface Served {
  carrier: Carrier | null;
  attempts: number;
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
    const start = call.prepared.start ?? this.#startOf(call, input);
    if ('kind' in start) return call.settle(err(start));
    const busy = this.#admission.enter(input.length);
    if (busy !== null) return call.settle(err(busy));
    const request = new OneShot(this, call, start, new StagedInput(input, this.memory));
    if (call.signal !== null) request.stopWatching = watchAbort(call.signal, () => this.#abort(request));
    request.group.launch(request);
  }

  /** A large input over all engines. */
  blocks(call: Call, input: Uint8Array): void {
    if (this.mustDoWithout(call.prepared)) return this.#softwareInstead(call, input);
    const busy = this.#admission.enter(input.length);
    if (busy !== null) return call.settle(err(busy));
    const served: Served = { carrier: null, attempts: 0 };
    const run = this.blockRun(call.prepared, (carrier) => {
      served.carrier ??= carrier;
      served.attempts += 1;
    });
    const output = encodeBuffer(input, run).then((data) => this.#withinLimit(call, data));
    this.#finish(call, { output, bytes: input.length, via: () => viaOf(call, served) });
  }

  /** What a run of blocks needs, for a buffer here or a stream elsewhere. */
  blockRun({ operation, options, devices }: Prepared, onBlock: (carrier: Carrier) => void): BlockRun {
    const plan = operation.blocks!;
    const group = this.#directory.group(devices, plan.format.qcType);
    const { blockBytes } = options;
    return {
      operation,
      plan,
      blockBytes,
      memory: this.memory,
      group,
      onBlock: ({ carrier }) => onBlock(carrier),
    };
  }

  /** Software, off the main thread where Node can. */
  software(call: Call, input: Uint8Array): void {
    const { operation, options } = call.prepared;
    const busy = this.#admission.enter(input.length);
    if (busy !== null) return call.settle(err(busy));
    const output = operation.software(Uint8Array.prototype.slice.call(input), options).then((made) => {
      if (made.isErr()) throw new WdFailure(made.error);
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

  /** Serial, stateful requests: for a decoder whose input or output does not fit one request. */
  stream(call: Call, input: Uint8Array, attempts = 0): void {
    if (this.mustDoWithout(call.prepared)) return this.#softwareInstead(call, input);
    const busy = this.#admission.enter(input.length);
    if (busy !== null) return call.settle(err(busy));
    const served: Served = { carrier: null, attempts };
    const output = this.#decodeWhole(call, Buffer.from(input), served).then((data) =>
      this.#withinLimit(call, data),
    );
    this.#finish(call, { output, bytes: input.length, via: () => viaOf(call, served) });
  }

  /** A ctx for a serial stream; waits until one is open. */
  async pinned({ devices, operation }: Prepared): Promise<Ctx> {
    const ctx = await this.#directory.group(devices, operation.oneShot.qcType).anyCtx();
    if (ctx === null) throw new WdFailure(noDevice('no queue could be opened'));
    return ctx;
  }

  ended(request: OneShot, result: Result<WdOutput, WdError>): void {
    request.stopWatching?.();
    request.input.release(this.memory);
    this.#admission.leave(request.input.bytes);
    // An aborted one was settled when the signal fired; its memory comes back only now.
    if (request.settled) return;
    request.settled = true;
    request.call.settle(result);
  }

  /** Whether every device is gone and the caller left the way open. */
  mustDoWithout({ devices, operation, options }: Prepared): boolean {
    return options.route === 'auto' && this.#directory.isLost(devices, operation.oneShot.qcType);
  }

  abandoned(request: OneShot, reason: string): void {
    const { call, settled } = request;
    const lost = err(deviceLost('every device', reason));
    if (call.prepared.options.route === 'device' || settled) return this.ended(request, lost);
    const input = Buffer.from(request.input.view());
    request.settled = true;
    this.ended(request, lost);
    this.#softwareInstead(call, input);
  }

  #softwareInstead(call: Call, input: Uint8Array): void {
    this.software({ ...call, reason: NO_DEVICE_LEFT.reason }, input);
  }

  tooLarge(request: OneShot): void {
    const { call, settled } = request;
    const input = Buffer.from(request.input.view());
    request.settled = true;
    this.ended(request, err(aborted(null)));
    if (!settled) this.stream(call, input, request.attempts);
  }

  async #decodeWhole(call: Call, input: Buffer, served: Served): Promise<Buffer> {
    const { operation, options } = call.prepared;
    const ctx = await this.pinned(call.prepared);
    served.carrier = ctx;
    const onRequest = (): void => {
      served.attempts += 1;
      if (call.signal?.aborted) throw new WdFailure(aborted(call.signal.reason));
    };
    const pieces: Buffer[] = [];
    let total = 0;
    for await (const piece of decodeStream(wholeInput(input), operation.decode!, {
      memory: this.memory,
      ctx,
      onRequest,
    })) {
      total += piece.length;
      if (total > options.maxOutputBytes) throw new WdFailure(outputTooLarge(options.maxOutputBytes));
      pieces.push(piece);
    }
    return Buffer.concat(pieces);
  }

  /** Where an input starts: a decoder's format depends on the head of it. */
  #startOf({ prepared }: Call, input: Uint8Array): OneShotStart | BadData {
    const { operation, devices } = prepared;
    const { decode, oneShot } = operation;
    const group = this.#directory.group(devices, oneShot.qcType);
    if (decode === undefined) {
      prepared.start = { group, format: oneShot, skipBytes: 0, next: null };
      return prepared.start;
    }
    const verdict = decode.parseHeader(input, true);
    if (verdict.kind !== 'skip') return badData(verdict.kind === 'bad' ? verdict.error : decode.truncated);
    return { group, format: verdict.oneShot, skipBytes: verdict.bytes, next: verdict.next };
  }

  #withinLimit(call: Call, data: Buffer): Omit<WdOutput, 'via'> {
    const { maxOutputBytes } = call.prepared.options;
    if (data.length > maxOutputBytes) throw new WdFailure(outputTooLarge(maxOutputBytes));
    return { data, checksum: 0 };
  }

  /** Settles a call that runs as a promise. */
  #finish(call: Call, run: Run): void {
    let settled = false;
    const settle: Settle = (result) => {
      if (settled) return;
      settled = true;
      stopWatching?.();
      call.settle(result);
    };
    const { signal } = call;
    const stopWatching =
      signal === null ? null : watchAbort(signal, () => settle(err(aborted(signal.reason))));
    void run.output
      .then(
        (output) => settle(ok({ ...output, via: run.via() })),
        (failure: unknown) => settle(err(errorOf(failure))),
      )
      .finally(() => this.#admission.leave(run.bytes));
  }

  /** Waiting: gone at once. In a queue: the caller is told now, the memory comes back with the completion. */
  #abort(request: OneShot): void {
    const { signal, settle } = request.call;
    const result = err(aborted(signal!.reason));
    if (request.group.remove(request)) return this.ended(request, result);
    if (request.settled) return;
    request.settled = true;
    settle(result);
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function softwareVia(reason: string): Via {
  return { path: 'software', attempts: 1, reason };
}

function viaOf({ reason }: Call, { carrier, attempts }: Served): Via {
  return carrier === null ? { path: 'device', attempts, reason } : carrier.via(reason, attempts);
}
