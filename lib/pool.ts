/**
 * A pool: one process of the machine with its queues, memory and bounded request queue. The face of the library
 * towards a Node developer; everything it answers is a Result.
 */
import { err, ok, type Result, ResultAsync } from 'neverthrow';
import { type InvalidArgument, invalidArgument, invalidState, type WdError } from '../src/base/errors.js';
import { limits } from '../src/base/limits.js';
import type { Counters, Platform } from '../src/uapi/syscall.js';
import { Admission } from './admission.js';
import { type BatchItem, type BatchOutput, gathered } from './batch.js';
import { blockRunBytes } from './block-run.js';
import type { Settle } from './call.js';
import { type Capabilities, capabilitiesOf } from './capabilities.js';
import { CtxDirectory } from './ctx-directory.js';
import { type DeviceInfo, listDevices } from './devices.js';
import { DmaMemory } from './dma-memory.js';
import { explained } from './explain.js';
import { busy, noDevice, poolClosed } from './failures.js';
import { InFlightWindow } from './in-flight-window.js';
import type { Input } from './input.js';
import {
  type CompressOptions,
  DEFAULT_POLICY,
  type DecompressOptions,
  type RequestPolicy,
  wrongWhole,
} from './options.js';
import type { WdOutput } from './output.js';
import { compressPieces, decompressPieces, type PieceParts, type PieceResult } from './piece-streams.js';
import { PoolBuffer } from './pool-buffer.js';
import type { PoolDescription } from './pool-description.js';
import { PoolStream } from './pool-stream.js';
import { type Prepared, PreparedOperations } from './prepared.js';
import { Requests } from './requests.js';
import { Session } from './session.js';
import { Starter } from './starter.js';
import { joined, type PoolStatistics, Statistics } from './statistics.js';
import { checkTenant, type OpenTenant, Tenant, type TenantOptions, type TenantPool } from './tenant.js';
import type { UserDriver } from './user-driver.js';
import type { Explanation } from './via.js';

/** What a machine gives a pool. */
export interface PoolSource {
  readonly platform: Platform;
  readonly userDrivers: readonly UserDriver[];
  /** Bytes of DMA memory that the pool may map. */
  readonly memoryLimitBytes: number;
  /** Ends what was started for this pool; called once, after its process has exited. */
  readonly end: () => Promise<void>;
  /** Opens tenants; absent where there can be none. */
  readonly openTenant?: OpenTenant;
  /** What requests do that do not say otherwise. */
  readonly defaults?: RequestPolicy;
  /** Input bytes that its queues may hold at once; absent: no limit of its own. */
  readonly maxInFlightBytes?: number;
  /** What statistics and traces call it; `pool` when absent. */
  readonly name?: string;
}

/** A question to `explain`: an operation, a size, and the options that the call would have. */
export interface ExplainQuery extends CompressOptions {
  readonly op: string;
  readonly bytes: number;
}

/** One process of a machine, with its queues and its memory. Made by `open`; every answer is a Result. */
export class Pool {
  readonly #source: PoolSource;
  readonly #prepared: PreparedOperations;
  readonly #devices: readonly DeviceInfo[];
  readonly #memory: DmaMemory;
  readonly #directory: CtxDirectory;
  readonly #admission: Admission;
  readonly #requests: Requests;
  readonly #statistics = new Statistics();
  readonly #starter: Starter;
  readonly #tenants = new Map<string, Tenant>();
  #closing: Promise<void> | null = null;

  private constructor(
    source: PoolSource,
    devices: readonly DeviceInfo[],
    memory: { grown: () => void; of: DmaMemory },
  ) {
    const { platform, userDrivers: drivers, defaults: policy = DEFAULT_POLICY } = source;
    const statistics = this.#statistics;
    this.#source = source;
    this.#devices = devices;
    this.#memory = memory.of;
    this.#prepared = new PreparedOperations({ drivers, devices, policy, statistics });
    const window = new InFlightWindow(source.maxInFlightBytes ?? Number.POSITIVE_INFINITY);
    const directory = new CtxDirectory(platform, window);
    const admission = new Admission(platform);
    this.#directory = directory;
    this.#admission = admission;
    this.#requests = new Requests({ memory: memory.of, directory, admission, statistics });
    this.#starter = new Starter({
      name: source.name ?? 'pool',
      platform,
      memory: memory.of,
      requests: this.#requests,
      isClosed: () => this.#closing !== null,
    });
    memory.grown = () => this.#directory.dispatchAll();
  }

  /** A pool on a machine. Used by the entry points; programs call `open`. @internal */
  static async create(source: PoolSource): Promise<Result<Pool, WdError>> {
    const devices = await listDevices(source.platform);
    if (devices.isErr()) return err(await Pool.#ended(source, devices.error));
    const memory = {
      grown: () => {},
      of: new DmaMemory(source.platform, source.memoryLimitBytes, () => memory.grown()),
    };
    // A pool that has no memory at all could only wait for ever.
    if (!(await memory.of.grow())) return err(await Pool.#ended(source, NO_MEMORY));
    return ok(new Pool(source, devices.value, memory));
  }

  /** Gives back what was made for a pool that cannot be. */
  static async #ended({ platform, end }: PoolSource, error: WdError): Promise<WdError> {
    await platform.exit();
    await end();
    return error;
  }

  /**
   * Compresses `input`; the caller may change it right after the call. Errors: InvalidArgument, InvalidState after
   * close, Busy, Aborted, OutputTooLarge, NoDevice and DeviceLost when the device was asked for.
   */
  compress(input: Input, options?: CompressOptions): ResultAsync<WdOutput, WdError> {
    return this.#run('compress', input, options);
  }

  /** Decompresses `input`. Errors: as `compress`, and BadData with the code of node:zlib. */
  decompress(input: Input, options?: DecompressOptions): ResultAsync<WdOutput, WdError> {
    return this.#run('decompress', input, options);
  }

  /**
   * Many operations at once, each with options of its own: the results in the order of the items, each for itself. All
   * that a queue is given goes with one doorbell. Errors: InvalidArgument when it is no array.
   */
  batch(items: readonly BatchItem[]): ResultAsync<BatchOutput, WdError> {
    return gathered(items, (start) => {
      this.#directory.withOneDoorbell(items.length, () => {
        for (const item of items) start((settle) => this.#startItem(item, settle));
      });
    });
  }

  /** An operation of any driver by name, e.g. `copy` or `crc32c`, with its options checked now. */
  session(spec: { readonly op: string } & Record<string, unknown>): Result<Session, WdError> {
    if (!isObject(spec)) return err(wrongObject('spec', spec, '"op"'));
    const { op, ...options } = spec;
    return this.#prepared.find(op, options).map(
      (prepared) =>
        new Session(prepared, {
          starter: this.#starter,
          directory: this.#directory,
          pieces: () => this.#openPieces(prepared),
        }),
    );
  }

  /**
   * Memory of the pool's own, in the shared address space: input in it is not copied, and with `into` neither is output.
   * Errors: InvalidArgument, InvalidState after close, Busy when there is none left.
   */
  alloc(bytes: number): ResultAsync<PoolBuffer, WdError> {
    const mistake = wrongWhole('bytes', bytes ?? null, [1, limits.REQUEST_BYTES_MAX]);
    if (mistake !== null) return failed(mistake);
    if (this.#closing !== null) return failed(poolClosed());
    return new ResultAsync(this.#alloc(bytes));
  }

  /**
   * Compresses a stream of any length into one gzip member, zlib stream or raw deflate stream: blocks go to all
   * engines, the output depends on input and options only. The first error ends the stream.
   */
  compressStream(
    source: AsyncIterable<Uint8Array>,
    options?: CompressOptions,
  ): AsyncGenerator<PieceResult, void, void> {
    return compressPieces(this.#pieces('compress', options), source);
  }

  /** Decompresses a stream of any length, serially. The first error ends the stream. */
  decompressStream(
    source: AsyncIterable<Uint8Array>,
    options?: DecompressOptions,
  ): AsyncGenerator<PieceResult, void, void> {
    return decompressPieces(this.#pieces('decompress', options), source);
  }

  /** A stream step by step, for the stream classes on top of a pool. @internal */
  openStream(op: string, options?: CompressOptions | DecompressOptions): Result<PoolStream, WdError> {
    return this.#pieces(op, options).map((parts) => new PoolStream(parts));
  }

  /**
   * Opens the queues that an operation will use, which its first request would otherwise do: no system call stands
   * between requests after this. Errors: InvalidArgument, InvalidState after close, and NoDevice when not one queue
   * could be opened.
   */
  ready(spec: { readonly op: string } & Record<string, unknown>): ResultAsync<void, WdError> {
    if (!isObject(spec)) return failed(wrongObject('spec', spec, '"op"'));
    if (this.#closing !== null) return failed(poolClosed());
    const { op, ...options } = spec;
    return new ResultAsync(this.#ready(this.#prepared.find(op, options)));
  }

  /** What a call would do, without doing it. */
  explain(query: ExplainQuery): Result<Explanation, InvalidArgument> {
    if (!isObject(query)) return err(wrongObject('query', query, '"op" and "bytes"'));
    const { op, bytes, ...options } = query;
    if (!Number.isSafeInteger(bytes) || bytes < 0) {
      return err(
        invalidArgument({ argument: 'bytes', value: bytes, expected: 'a whole number of at least 0' }),
      );
    }
    return this.#prepared.find(op, options).map((prepared) => explained(prepared, this.#requests, bytes));
  }

  /** What can be asked of this pool: operations, devices, and the sizes at which ways change. */
  caps(): Capabilities {
    return capabilitiesOf(this.#prepared, this.#devices);
  }

  /** What was counted since the pool was opened, its tenants' included. */
  stats(): PoolStatistics {
    const own = this.#statistics.snapshot(this.#source.name ?? 'pool');
    return joined([own, ...[...this.#tenants.values()].flatMap((tenant) => tenant.stats() ?? [])]);
  }

  /**
   * The tenant called `name`: a process with a share of the devices of its own, the same one for each call with that
   * name until it is closed; `options` count at the first. A mistake in them is answered by every call of the tenant.
   */
  domain(name: string, options: TenantOptions = {}): Tenant {
    const known = this.#tenants.get(name);
    if (known !== undefined && !known.closed) return known;
    const tenant = new Tenant(name, () => this.#openTenant(name, options), known ?? null);
    this.#tenants.set(name, tenant);
    return tenant;
  }

  /** Devices, queues and counters of this pool, for people and monitors. */
  async describe(): Promise<PoolDescription> {
    const { platform } = this.#source;
    const status = await platform.syscall({ call: 'readFile', path: '/proc/self/status' });
    const pasid = /^Pasid:\s*(\d+)/m.exec(status.text ?? '')?.[1];
    return {
      pid: platform.pid,
      ...(pasid === undefined ? {} : { pasid: Number(pasid) }),
      devices: this.#devices.map(({ name }) => name),
      queues: this.#directory.queuesInUse(),
      counters: platform.counters(),
    };
  }

  /** What the machine counted so far; no system call. */
  counters(): Counters {
    return this.#source.platform.counters();
  }

  /** Waits for every request, then gives everything back. Later calls answer InvalidState; closing twice is fine. */
  close(): ResultAsync<void, WdError> {
    this.#closing ??= this.#close();
    return ResultAsync.fromSafePromise(this.#closing);
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#tenants.values()].map((tenant) => tenant.close()));
    await this.#admission.idle();
    await this.#directory.close();
    await this.#source.platform.exit();
    await this.#source.end();
  }

  async #openTenant(name: string, options: TenantOptions): Promise<Result<TenantPool, WdError>> {
    const { openTenant } = this.#source;
    if (this.#closing !== null) return err(poolClosed());
    if (openTenant === undefined) return err(invalidState('this pool has no tenants; open one with wd.open'));
    const checked = isObject(options)
      ? checkTenant(name, options)
      : err(wrongObject('options', options, 'none'));
    return checked.isErr() ? err(checked.error) : openTenant(name, checked.value);
  }

  async #ready(prepared: Result<Prepared, WdError>): Promise<Result<void, WdError>> {
    if (prepared.isErr()) return err(prepared.error);
    const { operation, devices, oneShot } = prepared.value;
    if (oneShot.way === 'none') return err(noDevice(oneShot.reason));
    const open = await this.#directory.ready(devices, operation.oneShot.qcType);
    const { blocks: plan } = operation;
    const { blockBytes } = prepared.value.options;
    if (plan !== undefined)
      await this.#requests.memory.reserve(blockRunBytes({ plan, blockBytes, ctxs: open }));
    if (open > 0) return ok(undefined);
    return err(noDevice(`no queue could be opened on ${devices.map(({ name }) => name).join(', ')}`));
  }

  #run(op: string, input: unknown, options: unknown): ResultAsync<WdOutput, WdError> {
    return new ResultAsync(new Promise((settle) => this.#start(op, input, options, settle)));
  }

  #startItem(item: BatchItem, settle: Settle): void {
    if (!isObject(item)) return settle(err(wrongObject('item', item, '"op" and "input"')));
    const { op, input, ...options } = item;
    this.#start(op, input, options, settle);
  }

  #start(op: string, input: unknown, options: unknown, settle: Settle): void {
    const prepared = this.#prepared.find(op, options);
    if (prepared.isErr()) settle(err(prepared.error));
    else this.#starter.start(prepared.value, input, options, settle);
  }

  async #alloc(bytes: number): Promise<Result<PoolBuffer, WdError>> {
    const withSpareByte = Math.min(bytes + 1, limits.REQUEST_BYTES_MAX);
    const extent = await this.#memory.allocateOrGrow(withSpareByte);
    if (extent !== null) return ok(PoolBuffer.of(this.#memory, extent, bytes));
    return err(busy(`the pool has no ${bytes} bytes of memory left`, limits.UNREF_DELAY_MS));
  }

  #pieces(op: string, options: unknown): Result<PieceParts, WdError> {
    return this.#prepared.find(op, options).andThen((prepared) => this.#openPieces(prepared));
  }

  #openPieces(prepared: Prepared): Result<PieceParts, WdError> {
    if (this.#closing !== null) return err(poolClosed());
    if (prepared.oneShot.way === 'none') return err(noDevice(prepared.oneShot.reason));
    return ok({ prepared, requests: this.#requests, admission: this.#admission });
  }
}

function failed(error: WdError): ResultAsync<never, WdError> {
  return new ResultAsync(Promise.resolve(err(error)));
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null;
}

function wrongObject(argument: string, value: unknown, members: string): InvalidArgument {
  return invalidArgument({
    argument,
    value,
    expected: `an object with ${members}`,
    code: 'ERR_INVALID_ARG_TYPE',
  });
}

const NO_MEMORY = invalidState(
  'the machine has no memory left for another pool; close one, or give it more memory',
);

/** Share of the machine's memory that one pool may map for DMA. */
export function poolMemoryLimit(memoryBytes: number): number {
  return Math.floor((memoryBytes * 3) / 4 / limits.REQUEST_BYTES_MAX) * limits.REQUEST_BYTES_MAX;
}
