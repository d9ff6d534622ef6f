/** Where every call begins: its input is looked at, its way is chosen, and whoever counts or traces is told. */
import { err, type Result } from 'neverthrow';
import { type InvalidArgument, invalidArgument, type WdError } from '../src/base/errors.js';
import type { Platform } from '../src/uapi/syscall.js';
import { Call, type Settle } from './call.js';
import { isTraced, type RequestContext, traced, tracedEnd } from './diagnostics.js';
import type { DmaMemory } from './dma-memory.js';
import { aborted, noDevice, poolClosed } from './failures.js';
import { inputBytes, wrongInput } from './input.js';
import { type CallOptions, checkCallOptions } from './options.js';
import { asBuffer, type WdOutput } from './output.js';
import { PoolBuffer } from './pool-buffer.js';
import type { Prepared } from './prepared.js';
import type { Requests } from './requests.js';
import { decideRoute, type RouteDecision } from './route.js';
import { softwareVia } from './via.js';

/** What a starter works with. */
export interface StarterParts {
  /** What traces call the pool. */
  readonly name: string;
  readonly platform: Platform;
  readonly memory: DmaMemory;
  readonly requests: Requests;
  readonly isClosed: () => boolean;
}

export class Starter {
  readonly #parts: StarterParts;

  constructor(parts: StarterParts) {
    this.#parts = parts;
  }

  /** Starts a call; `settle` is called exactly once. */
  start(prepared: Prepared, input: unknown, options: unknown, settle: Settle): void {
    const held = input instanceof PoolBuffer ? input : null;
    const bytes = inputBytes(input);
    if (bytes === null) return settle(err(wrongInput(input)));
    const checked = checkCallOptions(options);
    if (checked.isErr()) return settle(err(checked.error));
    if (isTraced()) return this.#traced(prepared, { bytes, held }, checked.value, settle);
    this.#go(prepared, { bytes, held }, checked.value, settle);
  }

  /** The same on the spot, in software, whatever its size. */
  sync(prepared: Prepared, input: unknown): Result<WdOutput, WdError> {
    const bytes = inputBytes(input);
    if (bytes === null) return err(wrongInput(input));
    if (this.#parts.isClosed()) return err(poolClosed());
    const refusal = input instanceof PoolBuffer ? this.#notHeld(input) : null;
    if (refusal !== null) return err(refusal);
    if (prepared.options.route === 'device') return err(noDevice('a synchronous call uses no device'));
    const { operation, options, statistics } = prepared;
    const startNs = this.#parts.platform.nowNs();
    const result = operation.softwareSync(bytes, options).map(({ data, checksum }) => ({
      data: asBuffer(data),
      checksum,
      via: SYNCHRONOUS,
    }));
    statistics.note(result, bytes.length, this.#parts.platform.nowNs() - startNs);
    return result;
  }

  /** Why memory of a pool cannot be read now. */
  #notHeld(input: PoolBuffer): WdError | null {
    const holding = input.hold(this.#parts.memory);
    if (holding.isErr()) return holding.error;
    input.drop();
    return null;
  }

  #go(prepared: Prepared, input: StartInput, options: CallOptions, settle: Settle): void {
    const inputBytes = input.bytes.length;
    const call = new Call({ prepared, options, inputBytes }, this.#parts.platform, settle);
    const refusal = this.#refusal(input, options);
    if (refusal !== null) return call.settle(err(refusal));
    const decision = decideRoute(prepared, inputBytes);
    call.reason = decision.reason;
    this.#send(call, input, decision);
  }

  #send(call: Call, { bytes, held }: StartInput, { way, reason }: RouteDecision): void {
    const { requests } = this.#parts;
    if (way === 'none') requests.refuse(call, held, noDevice(reason));
    else requests[way](call, bytes, held);
  }

  /** Why it may not start. Otherwise the pool's memory that it uses is held for it from now on. */
  #refusal({ held }: StartInput, { signal, into }: CallOptions): WdError | null {
    const { memory } = this.#parts;
    if (this.#parts.isClosed()) return poolClosed();
    if (signal?.aborted) return aborted(signal.reason);
    if (held !== null && into?.overlaps(held)) return overlapping(into);
    const holding = held?.hold(memory);
    if (holding?.isErr()) return holding.error;
    const holdingInto = into?.hold(memory);
    if (!holdingInto?.isErr()) return null;
    held?.drop();
    return holdingInto.error;
  }

  #traced(prepared: Prepared, input: StartInput, options: CallOptions, settle: Settle): void {
    const context: RequestContext = {
      operation: prepared.statistics.operation,
      domain: this.#parts.name,
      inputBytes: input.bytes.length,
    };
    const told: Settle = (result) => tracedEnd(context, result, () => settle(result));
    traced(context, () => this.#go(prepared, input, options, told));
  }
}

/** The bytes of an input, and the pool's memory that they are, if so. */
interface StartInput {
  readonly bytes: Uint8Array;
  readonly held: PoolBuffer | null;
}

const SYNCHRONOUS = Object.freeze(softwareVia('a synchronous call runs on the calling thread'));

/** A device reads the one while it writes the other, and what is done again begins with the input. */
function overlapping(value: unknown): InvalidArgument {
  return invalidArgument({ argument: 'into', value, expected: 'memory apart from the input' });
}
