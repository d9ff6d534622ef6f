/**
 * The zero-configuration face: functions that share one pool, opened at the first call. The machine takes some tens
 * of milliseconds to start; until then inputs are held as copies, because callers may change theirs.
 *
 * The machine may belong to another thread of the program, which can end it at any time: calls under way then answer as
 * those whose device was lost, and the next one opens another pool.
 */
import { err, type Result, ResultAsync } from 'neverthrow';
import type { WdError } from '../src/base/errors.js';
import { type Input, inputBytes, wrongInput } from './input.js';
import type { CompressOptions, DecompressOptions } from './options.js';
import type { WdOutput } from './output.js';
import type { Pool } from './pool.js';

/** A pool, and what tells the end of its machine. */
export interface OpenedPool {
  readonly pool: Pool;
  /** Resolves when the machine has ended, whoever ended it. */
  readonly ended: Promise<void>;
}

/** Opens a pool on the machine that the threads of the program share. */
export type OpenShared = () => ResultAsync<OpenedPool, WdError>;

export class DefaultPool {
  readonly #open: OpenShared;
  #opening: Promise<Result<Pool, WdError>> | null = null;
  #pool: Pool | null = null;

  constructor(open: OpenShared) {
    this.#open = open;
  }

  compress(input: Input, options?: CompressOptions): ResultAsync<WdOutput, WdError> {
    if (this.#pool !== null) return this.#pool.compress(input, options);
    return this.#later(input, (pool, copy) => pool.compress(copy, options));
  }

  decompress(input: Input, options?: DecompressOptions): ResultAsync<WdOutput, WdError> {
    if (this.#pool !== null) return this.#pool.decompress(input, options);
    return this.#later(input, (pool, copy) => pool.decompress(copy, options));
  }

  /** The pool behind the functions; opened if it is not. */
  pool(): ResultAsync<Pool, WdError> {
    return new ResultAsync(this.#opened());
  }

  /** Closes the shared pool, if any; the next call opens another. */
  async close(): Promise<Result<void, WdError> | null> {
    const opening = this.#opening;
    const opened = await opening;
    if (this.#opening === opening) {
      this.#opening = null;
      this.#pool = null;
    }
    return opened?.isOk() ? opened.value.close() : null;
  }

  #opened(): Promise<Result<Pool, WdError>> {
    this.#opening ??= this.#openNow();
    return this.#opening;
  }

  async #openNow(): Promise<Result<Pool, WdError>> {
    const opened = await this.#open();
    if (opened.isOk()) this.#keep(opened.value);
    // A failure is not remembered: the next call tries again.
    else this.#opening = null;
    return opened.map(({ pool }) => pool);
  }

  #keep({ pool, ended }: OpenedPool): void {
    this.#pool = pool;
    void ended.then(() => this.#forget(pool));
  }

  /** The machine has ended. The pool is closed only to give back what it holds on this thread. */
  #forget(pool: Pool): void {
    if (this.#pool === pool) {
      this.#pool = null;
      this.#opening = null;
    }
    void pool.close().then(() => {});
  }

  #later(
    input: unknown,
    run: (pool: Pool, copy: Uint8Array) => ResultAsync<WdOutput, WdError>,
  ): ResultAsync<WdOutput, WdError> {
    const bytes = inputBytes(input);
    if (bytes === null) return new ResultAsync(Promise.resolve(err(wrongInput(input))));
    const copy = Uint8Array.prototype.slice.call(bytes);
    return this.pool().andThen((pool) => run(pool, copy));
  }
}
