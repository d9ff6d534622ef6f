/**
 * The ways of a call through a pool: one request, blocks over all engines, a serial stream, or software. Every
 * call is admitted, takes one of them, or another after it when a device is lost, and is settled exactly once.
 */
import { err, ok, type Result } from 'neverthrow';
import { type BadData, deviceLost, type WdError } from '../src/base/errors.js';
import { NS_PER_MS } from '../src/base/units.js';
import type { Admission } from './admission.js';
import { BlockRun, encodeBuffer } from './block-run.js';
import type { Call } from './call.js';
import type { CtxDirectory } from './ctx-directory.js';
import type { DmaMemory } from './dma-memory.js';
import { badData, busy, errorOf, noDevice, outputTooLarge, WdFailure } from './failures.js';
import type { Carrier } from './flight.js';
import { intoMistake, OneShot, type OneShotOwner } from './one-shot.js';
import { asBuffer, type WdOutput } from './output.js';
import type { PoolBuffer } from './pool-buffer.js';
import type { OneShotStart, Prepared } from './prepared.js';
import { afterLoss, isLoss, LOST_REASON, MISMATCH_REASON, withoutDevice } from './recovery.js';
import { ALL_BUSY, NO_DEVICE_LEFT } from './route.js';
import { StagedInput } from './staged-input.js';
import type { Statistics } from './statistics.js';
import type { StreamPlace } from './stream-session.js';
import { softwareVia, type Via } from './via.js';
import { throughStream } from './whole-stream.js';

/** Which ctx served a call first, in how many requests; or that software did, and why. */
interface Served {
  carrier: Carrier | null;
  attempts: number;
  software: string | null;
}

/** What a way makes. Of parts that were put together there is no checksum: 0. */
type Made = Omit<WdOutput, 'via'>;

/** What the requests of a pool share. */
export interface RequestParts {
  readonly memory: DmaMemory;
  readonly directory: CtxDirectory;
  readonly admission: Admission;
  readonly statistics: Statistics;
}

export class Requests implements OneShotOwner {
  readonly memory: DmaMemory;
  readonly #directory: CtxDirectory;
  readonly #admission: Admission;
  readonly #statistics: Statistics;

  constructor(parts: RequestParts) {
    this.memory = parts.memory;
    this.#directory = parts.directory;
    this.#admission = parts.admission;
    this.#statistics = parts.statistics;
  }

  /** One request: the way of every call that fits one. `held` is the pool's memory that `input` is, held for it. */
  oneShot(call: Call, input: Uint8Array, held: PoolBuffer | null = null): void {
    const start = call.prepared.start ?? this.#startOf(call, input);
    if ('kind' in start) return this.refuse(call, held, start);
    const mistake = intoMistake(call, start, input.length);
    if (mistake !== null) return this.refuse(call, held, mistake);
    if (call.prepared.options.whenBusy !== 'wait' && this.#instead(call, input, held, start)) return;
    const full = this.#admission.enter(input.length);
    if (full !== null) return this.refuse(call, held, full);
    const request = new OneShot(this, call, start, new StagedInput(input, this.memory, held));
    if (call.isCancellable) call.onCancel = () => this.#cancel(request);
    request.group.launch(request);
  }

  /** A large input over all engines. */
  blocks(call: Call, input: Uint8Array, held: PoolBuffer | null = null): void {
    if (this.mustDoWithout(call.prepared))
      return this.software(withReason(call, NO_DEVICE_LEFT.reason), input, held);
    this.#run(call, input, held, (served) => {
      const run = this.blockRun(call.prepared, (carrier) => {
        served.carrier ??= carrier;
        served.attempts += 1;
      });
      call.onCancel = () => run.cancel(call.cancelled!);
      return encodeBuffer(input, run, held).then(withoutChecksum);
    });
  }

  /** What a run of blocks needs, for a buffer here or a stream elsewhere. */
  blockRun(prepared: Prepared, onBlock: (carrier: Carrier | null) => void): BlockRun {
    const { operation, devices } = prepared;
    const group = this.#directory.group(devices, operation.blocks!.format.qcType);
    return new BlockRun({ prepared, memory: this.memory, group, onBlock, statistics: this.#statistics });
  }

  /** Software, off the main thread where Node can. */
  software(call: Call, input: Uint8Array, held: PoolBuffer | null = null): void {
    this.#run(call, input, held, (served) => {
      served.software = call.reason;
      return this.#inSoftware(call, Uint8Array.prototype.slice.call(input));
    });
  }

  /** Software on the spot: for inputs that are cheaper to handle than to hand over. */
  softwareNow(call: Call, input: Uint8Array, held: PoolBuffer | null = null): void {
    const { operation, options } = call.prepared;
    const made = operation.softwareSync(input, options);
    held?.drop();
    const result = made.andThen(({ data, checksum }) =>
      this.#placed(call, asBuffer(data)).map((placed) => ({
        data: placed,
        checksum,
        via: softwareVia(call.reason),
      })),
    );
    call.options.into?.drop();
    call.settle(result);
  }

  /** Serial, stateful requests: for what does not fit one request. */
  stream(call: Call, input: Uint8Array, held: PoolBuffer | null = null, attempts = 0): void {
    if (this.mustDoWithout(call.prepared))
      return this.software(withReason(call, NO_DEVICE_LEFT.reason), input, held);
    const copy = Buffer.from(input);
    this.#run(call, copy, held, (served) => {
      served.attempts = attempts;
      return this.#surviving(call, copy, served);
    });
  }

  /** A place for a serial stream; waits until a queue is open. */
  async place({ devices, operation }: Prepared): Promise<StreamPlace> {
    const group = this.#directory.group(devices, operation.oneShot.qcType);
    group.revive();
    const ctx = await group.anyCtx();
    if (ctx === null) throw new WdFailure(noDevice('no queue is open'));
    return { memory: this.memory, group, ctx };
  }

  /** Whether every device is gone and the caller left the way open. */
  mustDoWithout({ devices, operation, options }: Prepared): boolean {
    return options.route === 'auto' && this.#directory.isLost(devices, operation.oneShot.qcType);
  }

  /** Expected ns until a request could start. Opens no queue. */
  delayNs({ devices, operation }: Prepared, bytes: number): number {
    return this.#directory.known(devices, operation.oneShot.qcType)?.delayNs(bytes) ?? 0;
  }

  // One-shots.

  ended(request: OneShot, result: Result<WdOutput, WdError>): void {
    const { call, input } = request;
    const { operation, options } = call.prepared;
    if (options.verify && operation.verify !== undefined && result.isOk() && !call.settled) {
      return this.#verify(request, result.value, operation.verify(input.view(), result.value.data));
    }
    this.#release(request);
    // A cancelled one was settled when it was; its memory comes back only now.
    call.settle(result);
  }

  lost(request: OneShot, device: string, reason: string): void {
    const { call, losses } = request;
    const next = call.settled ? 'fail' : afterLoss(call.prepared, losses);
    if (next === 'fail') return this.ended(request, err(deviceLost(device, reason)));
    if (next === 'software') return this.#softwareInstead(request, LOST_REASON);
    this.#statistics.replays += 1;
    request.group.launch(request);
  }

  abandoned(request: OneShot, reason: string): void {
    const { call, losses } = request;
    const next = call.settled ? 'fail' : withoutDevice(call.prepared, losses);
    if (next === 'fail') return this.ended(request, err(deviceLost('every device', reason)));
    this.#softwareInstead(request, losses > 0 ? LOST_REASON : NO_DEVICE_LEFT.reason);
  }

  tooLarge(request: OneShot): void {
    const { call, attempts } = request;
    if (call.settled) return this.#release(request);
    this.#handOver(request, (input) => this.stream(call, input, null, attempts));
  }

  #softwareInstead(request: OneShot, reason: string): void {
    this.#handOver(request, (input) => this.software(withReason(request.call, reason), input));
  }

  /** Ends the request, and does its call another way with a copy of its input. */
  #handOver(request: OneShot, go: (input: Uint8Array) => void): void {
    const input = Buffer.from(request.input.view());
    // The next way drops it as this one does now.
    request.call.options.into?.retain();
    this.#release(request);
    go(input);
  }

  #release({ call, input }: OneShot): void {
    call.options.into?.drop();
    input.release(this.memory);
    this.#admission.leave(input.bytes);
  }

  /** Waiting: gone at once. In a queue: its memory comes back when the device has ended it, at its next segment. */
  #cancel(request: OneShot): void {
    if (request.group.remove(request)) this.#release(request);
    else request.carrier?.cancel(request);
  }

  #verify(request: OneShot, output: WdOutput, verdict: Promise<boolean>): void {
    this.#statistics.verified += 1;
    void verdict.then((stands) => {
      if (request.call.settled || stands) {
        this.#release(request);
        return request.call.settle(ok(output));
      }
      this.#statistics.mismatches += 1;
      this.#softwareInstead(request, MISMATCH_REASON);
    });
  }

  /** With `whenBusy` other than wait: true when no device could start it now, and something else was done. */
  #instead(call: Call, input: Uint8Array, held: PoolBuffer | null, { group }: OneShotStart): boolean {
    const delayNs = group.delayNs(input.length);
    if (delayNs === 0) return false;
    const { whenBusy, route } = call.prepared.options;
    if (whenBusy === 'software' && route === 'auto')
      this.software(withReason(call, ALL_BUSY.reason), input, held);
    else this.refuse(call, held, busy('every device is busy', Math.ceil(delayNs / NS_PER_MS)));
    return true;
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

  // Calls that run as promises.

  /** Admits a call, runs `work` and settles it; `work` takes the input over before it first waits. */
  #run(
    call: Call,
    input: Uint8Array,
    held: PoolBuffer | null,
    work: (served: Served) => Promise<Made>,
  ): void {
    const { options } = call.prepared;
    const full = this.#admission.enter(input.length);
    if (full !== null) return this.refuse(call, held, full);
    const served: Served = { carrier: null, attempts: 0, software: null };
    const copy = options.verify ? Uint8Array.prototype.slice.call(input) : null;
    const output = work(served);
    held?.drop();
    void output
      .then((made) => (copy === null ? made : this.#verified(call, copy, served, made)))
      .then(
        (made) => this.#finished(call, made, served),
        (failure: unknown) => err(errorOf(failure)),
      )
      .then((result) => call.settle(result))
      .finally(() => {
        call.options.into?.drop();
        this.#admission.leave(input.length);
      });
  }

  #finished(call: Call, { data, checksum }: Made, served: Served): Result<WdOutput, WdError> {
    const { maxOutputBytes } = call.prepared.options;
    if (data.length > maxOutputBytes) return err(outputTooLarge(maxOutputBytes));
    return this.#placed(call, data).map((placed) => ({
      data: placed,
      checksum,
      via: viaOf(call, served),
    }));
  }

  async #inSoftware({ prepared }: Call, input: Uint8Array): Promise<Made> {
    const made = await prepared.operation.software(input, prepared.options);
    if (made.isErr()) throw new WdFailure(made.error);
    return { data: asBuffer(made.value.data), checksum: made.value.checksum };
  }

  /** A serial stream; from its beginning on another device, or in software, when a device is lost with it. */
  async #surviving(call: Call, input: Buffer, served: Served): Promise<Made> {
    for (let losses = 1; ; losses++) {
      try {
        return withoutChecksum(await this.#throughStream(call, input, served));
      } catch (failure) {
        const error = errorOf(failure);
        if (!isLoss(error) || call.settled) throw failure;
        const next =
          error.kind === 'NoDevice' ? withoutDevice(call.prepared, losses) : afterLoss(call.prepared, losses);
        if (next === 'fail') throw failure;
        if (next === 'software') {
          served.software = LOST_REASON;
          return this.#inSoftware(call, input);
        }
        this.#statistics.replays += 1;
      }
    }
  }

  async #throughStream(call: Call, input: Buffer, served: Served): Promise<Buffer> {
    const place = await this.place(call.prepared);
    served.carrier = place.ctx;
    const onRequest = (): void => {
      served.attempts += 1;
      if (call.cancelled !== null) throw new WdFailure(call.cancelled);
    };
    return throughStream(call, input, { ...place, onRequest });
  }

  async #verified(call: Call, input: Uint8Array, served: Served, made: Made): Promise<Made> {
    const { operation } = call.prepared;
    if (served.software !== null || operation.verify === undefined) return made;
    this.#statistics.verified += 1;
    if (await operation.verify(input, made.data)) return made;
    this.#statistics.mismatches += 1;
    served.software = MISMATCH_REASON;
    return this.#inSoftware(call, input);
  }

  // Answers.

  /** Answers a call that goes no way, and gives back the pool's memory that was held for it. */
  refuse(call: Call, held: PoolBuffer | null, error: WdError): void {
    held?.drop();
    call.options.into?.drop();
    call.settle(err(error));
  }

  /** The output where the caller wants it. */
  #placed({ options: { into }, settled }: Call, data: Buffer): Result<Buffer, WdError> {
    // Cancelled: the caller uses its memory for something else by now.
    if (into === null || settled) return ok(data);
    if (data.length > into.byteLength) return err(outputTooLarge(into.byteLength));
    into.bytes.set(data);
    return ok(into.bytes.subarray(0, data.length));
  }
}

function withReason(call: Call, reason: string): Call {
  call.reason = reason;
  return call;
}

const withoutChecksum = (data: Buffer): Made => ({ data, checksum: 0 });

function viaOf({ reason }: Call, { carrier, attempts, software }: Served): Via {
  if (software !== null) return softwareVia(software);
  return carrier === null ? { path: 'device', attempts, reason } : carrier.via(reason, attempts);
}
