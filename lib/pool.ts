/**
 * A pool: one process of the machine with its queues, memory and bounded request queue. The face of the library
 * towards a Node developer; everything it answers is a Result.
 */
import { err, ok, type Result, ResultAsync } from 'neverthrow';
import { type InvalidArgument, invalidArgument, invalidState, type WdError } from '../src/base/errors.js';
import { limits } from '../src/base/limits.js';
import type { Counters, Platform } from '../src/uapi/syscall.js';
import { Admission } from './admission.js';
import { blockRunBytes } from './block-run.js';
import { CtxDirectory } from './ctx-directory.js';
import { type DeviceInfo, listDevices } from './devices.js';
import { DmaMemory } from './dma-memory.js';
import { aborted, noDevice } from './failures.js';
import { INPUT_TYPES, type Input, inputBytes } from './input.js';
import type { Call, WdOutput } from './one-shot.js';
import type { CompressOptions, DecompressOptions } from './options.js';
import { compressPieces, decompressPieces, type PieceParts, type PieceResult } from './piece-streams.js';
import type { PoolDescription } from './pool-description.js';
import { PoolStream } from './pool-stream.js';
import { type Prepared, PreparedOperations } from './prepared.js';
import { Requests } from './requests.js';
import { decideRoute, NO_DEVICE_LEFT } from './route.js';
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
}

/** A question to `explain`: an operation, a size, and the options that the call would have. */
export interface ExplainQuery extends CompressOptions {
  readonly op: string;
  readonly bytes: number;
}

/** One operation with its options, checked once. */
export interface Session {
  /** Runs the operation on `input`. */
  run(input: Input, options?: { readonly signal?: AbortSignal }): ResultAsync<WdOutput, WdError>;
}

/** One process of a machine, with its queues and its memory. Made by `open`; every answer is a Result. */
export class Pool {
  readonly #source: PoolSource;
  readonly #prepared: PreparedOperations;
  readonly #devices: readonly DeviceInfo[];
  readonly #directory: CtxDirectory;
  readonly #admission: Admission;
  readonly #requests: Requests;
  readonly #tenants = new Map<string, Tenant>();
  #closing: Promise<void> | null = null;

  private constructor(
    source: PoolSource,
    devices: readonly DeviceInfo[],
    memory: { grown: () => void; of: DmaMemory },
  ) {
    this.#source = source;
    this.#devices = devices;
    this.#prepared = new PreparedOperations(source.userDrivers, devices);
    this.#directory = new CtxDirectory(source.platform);
    this.#admission = new Admission(source.platform);
    this.#requests = new Requests({
      memory: memory.of,
      directory: this.#directory,
      admission: this.#admission,
    });
    memory.grown = () => this.#directory.dispatchAll();
  }

  /** A pool on a machine. Used by the entry points; programs call `open`. @internal */
  static async create(source: PoolSource): Promise<Result<Pool, WdError>> {
    const devices = await listDevices(source.platform);
    if (devices.isErr()) return err(devices.error);
    const memory = {
      grown: () => {},
      of: new DmaMemory(source.platform, source.memoryLimitBytes, () => memory.grown()),
    };
    await memory.of.grow();
    return ok(new Pool(source, devices.value, memory));
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

  /** An operation of any driver by name, e.g. `copy` or `crc32c`, with its options checked now. */
  session(spec: { readonly op: string } & Record<string, unknown>): Result<Session, WdError> {
    if (!isObject(spec)) return err(wrongObject('spec', spec, '"op"'));
    const { op, ...options } = spec;
    return this.#prepared.find(op, options).map((prepared) => ({
      run: (input, options) => this.#start(prepared, input, options?.signal ?? null),
    }));
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
    if (this.#closing !== null) return failed(invalidState('the pool is closed; open another one'));
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
    return this.#prepared.find(op, options).map((prepared) => {
      const usual = decideRoute(prepared, bytes);
      const without = usual.path === 'device' && this.#requests.mustDoWithout(prepared);
      const { path, reason, requests } = without ? NO_DEVICE_LEFT : usual;
      const devices = path === 'device' ? prepared.devices.map(({ name }) => name) : [];
      return { path, reason, devices, requests };
    });
  }

  /**
   * The tenant called `name`: a process with a share of the devices of its own, the same one for each call with that
   * name until it is closed; `options` count at the first. A mistake in them is answered by every call of the tenant.
   */
  domain(name: string, options: TenantOptions = {}): Tenant {
    const known = this.#tenants.get(name);
    if (known !== undefined && !known.closed) return known;
    const tenant = new Tenant(name, () => this.#openTenant(name, options));
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
    if (this.#closing !== null) return err(invalidState('the pool is closed; open another one'));
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

  #run(
    op: string,
    input: unknown,
    options: CompressOptions | DecompressOptions | undefined,
  ): ResultAsync<WdOutput, WdError> {
    const prepared = this.#prepared.find(op, options);
    if (prepared.isErr()) return failed(prepared.error);
    return this.#start(prepared.value, input, options?.signal ?? null);
  }

  #start(prepared: Prepared, input: unknown, signal: AbortSignal | null): ResultAsync<WdOutput, WdError> {
    const bytes = inputBytes(input);
    if (bytes === null) return failed(wrongInput(input));
    if (this.#closing !== null) return failed(invalidState('the pool is closed; open another one'));
    if (signal?.aborted) return failed(aborted(signal.reason));
    const { way, reason } = decideRoute(prepared, bytes.length);
    if (way === 'none') return failed(noDevice(reason));
    return new ResultAsync(
      new Promise((settle) => {
        const call: Call = { prepared, reason, signal, settle };
        this.#requests[way](call, bytes);
      }),
    );
  }

  #pieces(op: string, options: unknown): Result<PieceParts, WdError> {
    if (this.#closing !== null) return err(invalidState('the pool is closed; open another one'));
    return this.#prepared.find(op, options).andThen((prepared) => {
      if (prepared.oneShot.way === 'none') return err(noDevice(prepared.oneShot.reason));
      return ok({ prepared, requests: this.#requests, admission: this.#admission });
    });
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

function wrongInput(value: unknown): InvalidArgument {
  return invalidArgument({ argument: 'input', value, expected: INPUT_TYPES, code: 'ERR_INVALID_ARG_TYPE' });
}

/** Share of the machine's memory that one pool may map for DMA. */
export function poolMemoryLimit(memoryBytes: number): number {
  return Math.floor((memoryBytes * 3) / 4 / limits.REQUEST_BYTES_MAX) * limits.REQUEST_BYTES_MAX;
}
