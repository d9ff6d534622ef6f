/**
 * The object behind a stream of node:zlib, in place of the native one and with its interface. The first write decides:
 * a device does the work, or, when there is none to be had, the native object for the whole stream.
 *
 * Node's JavaScript calls `write` and gets its answer through `processCallback` or `onerror`, in a turn of its own and in
 * the asynchronous context in which the stream was made, as from the native object. One write at a time.
 *
 * Life: nothing refers to a handle between two writes, so a stream that is dropped without an end is collected, and its
 * place on the device is given back then.
 */
import { AsyncResource } from 'node:async_hooks';
import { invalidState, type WdError } from '../../src/base/errors.js';
import { errorOf, WdFailure } from '../failures.js';
import type { CompressOptions, DecompressOptions } from '../options.js';
import type { Pool } from '../pool.js';
import { softwareVia, type Via } from '../via.js';
import { levelOf } from './coding.js';
import { Decoder } from './decoder.js';
import { Encoder } from './encoder.js';
import { DeviceSteps, type StreamEngine } from './engine.js';
import { deviceFailure } from './errors.js';
import type { Internals, WriteArguments, ZlibHandle, ZlibStream } from './internals.js';
import type { Kind } from './kinds.js';
import type { SharedPool } from './shared-pool.js';
import { WriteWindow } from './window.js';

/** What a handle is made from. */
export interface HandleParts {
  readonly kind: Kind;
  readonly coding: CompressOptions | DecompressOptions;
  readonly shared: SharedPool;
  readonly internals: Internals;
  readonly stream: ZlibStream;
}

const NO_BYTES = new Uint8Array(0);
/** Room for the output of a head that is not complete, which has none. */
const SCRATCH_BYTES = 64;
const SYNC_AFTER_ASYNC =
  'a synchronous write cannot follow asynchronous ones, which went to a device; use write() or end()';

const abandoned = new FinalizationRegistry<DeviceSteps>((steps) => steps.close());

export class DeviceHandle implements ZlibHandle {
  onerror: ZlibHandle['onerror'];
  buffer: unknown = null;
  cb: unknown = null;
  availOutBefore: unknown = 0;
  availInBefore: unknown = 0;
  inOff: unknown = 0;
  flushFlag: unknown = 0;
  readonly #parts: HandleParts;
  readonly #native: ZlibHandle;
  readonly #context = new AsyncResource('ZLIB');
  #coding: CompressOptions | DecompressOptions;
  #params: readonly [level: number, strategy: number] | null = null;
  #pool: Pool | null = null;
  #steps: DeviceSteps | null = null;
  #engine: StreamEngine | null = null;
  /** Why the native object does the work; null while a device does or may. */
  #software: string | null = null;
  #writing = false;
  #closed = false;

  constructor(parts: HandleParts) {
    this.#parts = parts;
    this.#coding = parts.coding;
    this.#native = parts.stream._handle!;
    this.onerror = this.#native.onerror;
    Object.defineProperty(this, parts.internals.owner, { value: parts.stream, writable: true });
  }

  /** How the stream's output came about so far; undefined before the first write. */
  via(): Via | undefined {
    if (this.#software !== null) return softwareVia(this.#software);
    return this.#steps?.stream.via ?? undefined;
  }

  write(...args: WriteArguments): void {
    if (this.#software !== null) return this.#forward(args);
    this.#writing = true;
    void this.#serve(args);
  }

  /** Synchronous writes are Node's: a stream that begins with one stays in software. */
  writeSync(...args: WriteArguments): void {
    if (this.#software === null) {
      if (this.#engine !== null || this.#writing) throw deviceFailure(invalidState(SYNC_AFTER_ASYNC));
      this.#software = 'a synchronous write blocks the thread in any case';
    }
    this.#native.writeSync(...args);
  }

  /** Called by Node between two writes, after a flush. */
  params(level: number, strategy: number): void {
    if (this.#software !== null) return this.#native.params(level, strategy);
    const { kind } = this.#parts;
    // As Node's native object: parameters of any other stream stay as they are.
    if (kind.stream !== 'Deflate' && kind.stream !== 'DeflateRaw') return;
    this.#params = [level, strategy];
    // Node hands over what it was given; its native side makes whole numbers of it, and 0 of what is none.
    this.#coding = { ...this.#coding, level: levelOf(level | 0), strategy: strategy | 0 };
    if (this.#engine instanceof Encoder) this.#recode(this.#engine);
  }

  reset(): void {
    if (this.#writing) throw new Error('Cannot reset zlib stream while a write is in progress');
    if (this.#software !== null) this.#native.reset();
    else this.#engine?.reset();
  }

  /** In mid-write the answer still comes; Node sees that the stream was destroyed. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#steps?.close();
    this.#native.close();
  }

  async #serve(args: WriteArguments): Promise<void> {
    // Node starts a queued write, and only then calls the parameters set that it queued before it: they come first here.
    await null;
    const [flush, input, inputAt, inputBytes, output, outputAt, outputBytes] = args;
    const window = new WriteWindow(
      flush,
      input.subarray(inputAt, inputAt + inputBytes),
      output.subarray(outputAt, outputAt + outputBytes),
    );
    const atBeginning = this.#engine === null ? NO_BYTES : this.#engine.unseen;
    try {
      this.#engine ??= await this.#open();
      if (!this.#closed) await this.#engine.write(window);
      this.#answer(() => this.#deliver(window));
    } catch (failure) {
      this.#failed(errorOf(failure), args, atBeginning);
    }
  }

  async #open(): Promise<StreamEngine> {
    const { shared, kind } = this.#parts;
    const stream = (await shared.pool()).andThen((pool) => {
      this.#pool = pool;
      return pool.openStream(kind.op, this.#coding);
    });
    if (stream.isErr()) throw new WdFailure(stream.error);
    const steps = new DeviceSteps(stream.value, this.#parts.stream._chunkSize);
    this.#steps = steps;
    abandoned.register(this, steps);
    if (this.#closed) steps.close();
    return kind.op === 'compress' ? new Encoder(steps) : new Decoder(steps, kind);
  }

  #failed(error: WdError, args: WriteArguments, atBeginning: Uint8Array | null): void {
    if (this.#closed) return this.#answer(() => this.#parts.internals.processCallback.call(this));
    if (error.kind === 'BadData') {
      const { message, errno, code } = error;
      return this.#answer(() => this.onerror(message, errno, code));
    }
    if (atBeginning === null) return this.#answer(() => this.#parts.stream.destroy(deviceFailure(error)));
    this.#leaveDevice(error.message, atBeginning);
    this.#forward(args);
  }

  /** The native object does this write and all that follow. `unseen` is what earlier ones brought. */
  #leaveDevice(reason: string, unseen: Uint8Array): void {
    this.#software = reason;
    this.#writing = false;
    this.#steps?.close();
    if (this.#params !== null) this.#native.params(...this.#params);
    if (unseen.length === 0) return;
    this.#native.writeSync(0, unseen, 0, unseen.length, new Uint8Array(SCRATCH_BYTES), 0, SCRATCH_BYTES);
  }

  /** Node finds on the native object what it left here. */
  #forward(args: WriteArguments): void {
    const { buffer, cb, availOutBefore, availInBefore, inOff, flushFlag } = this;
    Object.assign(this.#native, { buffer, cb, availOutBefore, availInBefore, inOff, flushFlag });
    this.buffer = null;
    this.cb = null;
    this.#native.write(...args);
  }

  #deliver({ room, input }: WriteWindow): void {
    const { stream, internals } = this.#parts;
    stream._writeState.set([room.length, input.length]);
    internals.processCallback.call(this);
  }

  #answer(tell: () => void): void {
    // As from Node's native side in a turn of the event loop of its own, however soon the device was done.
    setImmediate(() => {
      this.#writing = false;
      this.#context.runInAsyncScope(tell);
    });
  }

  /** The device goes on with the parameters that now hold. Should it refuse them, its next step says so. */
  #recode(encoder: Encoder): void {
    const other = this.#pool!.openStream('compress', this.#coding);
    if (other.isOk()) encoder.recode(other.value.operation);
  }
}
