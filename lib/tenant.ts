/**
 * A tenant of a pool: a part of a program, or a customer of it, with a fair share of the devices of its own. It is a
 * process of the pool's machine; with `isolation: 'context'` in a domain of its own, with memory that nothing of any
 * other tenant's can reach and time slices of each device, otherwise beside the pool's own, sharing its time in bytes.
 *
 * Its process is created by its first call.
 */
import { err, ok, type Result, ResultAsync } from 'neverthrow';
import { type InvalidArgument, invalidArgument, invalidState, type WdError } from '../src/base/errors.js';
import { limits } from '../src/base/limits.js';
import type { BatchItem, BatchOutput } from './batch.js';
import { type Input, inputBytes } from './input.js';
import { type CompressOptions, type DecompressOptions, wrongWhole } from './options.js';
import type { WdOutput } from './output.js';
import { PoolBuffer } from './pool-buffer.js';
import type { PoolDescription } from './pool-description.js';
import type { PoolStatistics } from './statistics.js';

/** How a tenant is kept apart. */
export type Isolation = 'queue' | 'context';

/** What `domain` takes. */
export interface TenantOptions {
  /** `queue` (default): queues of its own on shared contexts. `context`: a domain of its own. */
  readonly isolation?: Isolation;
  /** Its share among the tenants and the pool itself, whose is 1: a whole number from 1 to 255, default 1. */
  readonly weight?: number;
  /** Input bytes that its queues may hold at once; what comes beyond waits. At least 1; default: no limit. */
  readonly maxInFlightBytes?: number;
}

/** Options of a tenant, complete and checked. */
export type CheckedTenantOptions = Required<TenantOptions>;

/** The pool of its own that a tenant has: a `Pool`. */
export interface TenantPool {
  compress(input: Input, options?: CompressOptions): ResultAsync<WdOutput, WdError>;
  decompress(input: Input, options?: DecompressOptions): ResultAsync<WdOutput, WdError>;
  batch(items: readonly BatchItem[]): ResultAsync<BatchOutput, WdError>;
  describe(): Promise<PoolDescription>;
  stats(): PoolStatistics;
  close(): ResultAsync<void, WdError>;
}

/** Opens the process of a tenant. */
export type OpenTenant = (
  name: string,
  options: CheckedTenantOptions,
) => Promise<Result<TenantPool, WdError>>;

/** What the domain of a tenant can be called. */
const DOMAIN_NAME = new RegExp(`^[A-Za-z][A-Za-z0-9_-]{0,${limits.NAME_LENGTH_MAX - 1}}$`);

const CLOSED = 'the tenant is closed; ask the pool for another one';

/** A tenant by its name. Calls answer as those of the pool do. */
export class Tenant {
  readonly name: string;
  readonly #open: () => Promise<Result<TenantPool, WdError>>;
  /** The one that had the name before, until it has given everything back. */
  #before: Tenant | null;
  #pool: Promise<Result<TenantPool, WdError>> | null = null;
  #ready: TenantPool | null = null;
  /** What was counted until it was closed. */
  #counted: PoolStatistics | null = null;
  #closing: Promise<void> | null = null;

  /** Made by `Pool.domain`; `before` is the closed one that had the name. @internal */
  constructor(name: string, open: () => Promise<Result<TenantPool, WdError>>, before: Tenant | null) {
    this.name = name;
    this.#open = open;
    this.#before = before;
  }

  /** Whether `close` was called. */
  get closed(): boolean {
    return this.#closing !== null;
  }

  /** As `Pool.compress`; the first call also fails when the tenant cannot be created. */
  compress(input: Input, options?: CompressOptions): ResultAsync<WdOutput, WdError> {
    if (this.#ready !== null && !this.closed) return this.#ready.compress(input, options);
    const taken = takenOver(input);
    return this.#opened().andThen((pool) => pool.compress(taken, options));
  }

  /** As `Pool.decompress`, likewise. */
  decompress(input: Input, options?: DecompressOptions): ResultAsync<WdOutput, WdError> {
    if (this.#ready !== null && !this.closed) return this.#ready.decompress(input, options);
    const taken = takenOver(input);
    return this.#opened().andThen((pool) => pool.decompress(taken, options));
  }

  /** As `Pool.batch`, likewise. */
  batch(items: readonly BatchItem[]): ResultAsync<BatchOutput, WdError> {
    if (this.#ready !== null && !this.closed) return this.#ready.batch(items);
    const taken = Array.isArray(items) ? items.map(itemTakenOver) : items;
    return this.#opened().andThen((pool) => pool.batch(taken));
  }

  /** What was counted of it; null before its first call. */
  stats(): PoolStatistics | null {
    return this.#ready?.stats() ?? this.#counted;
  }

  /** What it is made of now; creates it if there was no call yet. */
  describe(): ResultAsync<PoolDescription, WdError> {
    return this.#opened().andThen((pool) => ResultAsync.fromSafePromise(pool.describe()));
  }

  /** Ends its process, and its domain, after the calls under way. Later calls are InvalidState. */
  close(): ResultAsync<void, WdError> {
    return ResultAsync.fromSafePromise(this.end());
  }

  /** Closes it; resolves when it has given everything back. @internal */
  end(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    const opened = await this.#pool;
    await this.#ended();
    if (opened === null || opened.isErr()) return;
    await opened.value.close().unwrapOr(undefined);
    // A program may have had many tenants: of this one the counts stay.
    this.#counted = opened.value.stats();
    this.#ready = null;
    this.#pool = null;
  }

  /** The name is free. */
  async #ended(): Promise<void> {
    await this.#before?.end();
    this.#before = null;
  }

  #opened(): ResultAsync<TenantPool, WdError> {
    if (this.closed) return new ResultAsync(Promise.resolve(err(invalidState(CLOSED))));
    this.#pool ??= this.#openNow();
    return new ResultAsync(this.#pool);
  }

  async #openNow(): Promise<Result<TenantPool, WdError>> {
    await this.#ended();
    const pool = await this.#open();
    if (pool.isOk()) this.#ready = pool.value;
    return pool;
  }
}

/** An input as it is at the call: the caller may change its own right after it. */
function takenOver(input: Input): Input {
  if (input instanceof PoolBuffer) return input;
  const bytes = inputBytes(input);
  return bytes === null ? input : Uint8Array.prototype.slice.call(bytes);
}

function itemTakenOver(item: BatchItem): BatchItem {
  return typeof item === 'object' && item !== null ? { ...item, input: takenOver(item.input) } : item;
}

/** The options of a tenant, checked. */
export function checkTenant(
  name: unknown,
  { isolation = 'queue', weight = 1, maxInFlightBytes }: TenantOptions,
): Result<CheckedTenantOptions, InvalidArgument> {
  if (typeof name !== 'string' || name === '' || name.length > limits.TENANT_NAME_LENGTH_MAX) {
    const expected = `a name of 1 to ${limits.TENANT_NAME_LENGTH_MAX} characters`;
    return err(invalidArgument({ argument: 'name', value: name, expected }));
  }
  if (isolation === 'context' && !DOMAIN_NAME.test(name)) {
    const expected = 'a name of letters, digits, _ and -, a letter first: that of a domain';
    return err(invalidArgument({ argument: 'name', value: name, expected }));
  }
  if (isolation !== 'queue' && isolation !== 'context') {
    return err(
      invalidArgument({ argument: 'isolation', value: isolation, expected: '"queue" or "context"' }),
    );
  }
  const most = limits.TENANT_WEIGHT_MAX;
  if (!Number.isInteger(weight) || weight < 1 || weight > most) {
    return err(
      invalidArgument({ argument: 'weight', value: weight, expected: `a whole number from 1 to ${most}` }),
    );
  }
  const mistake = wrongWhole('maxInFlightBytes', maxInFlightBytes, [1, Number.MAX_SAFE_INTEGER]);
  if (mistake !== null) return err(mistake);
  return ok({ isolation, weight, maxInFlightBytes: maxInFlightBytes ?? Number.POSITIVE_INFINITY });
}
