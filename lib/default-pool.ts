/**
 * The zero-configuration face: functions that share one pool, opened at the first call. The machine takes some tens
 * of milliseconds to start; until then inputs are held as copies, because callers may change theirs.
 */
import { err, type Result, ResultAsync } from 'neverthrow';
import { invalidArgument, type WdError } from '../src/base/errors.js';
import { INPUT_TYPES, type Input, inputBytes } from './input.js';
import type { WdOutput } from './one-shot.js';
import type { OpenOptions } from './open-options.js';
import type { CompressOptions, DecompressOptions } from './options.js';
import type { Pool } from './pool.js';

/** Opens a pool on a machine of its own. */
export type Open = (options?: OpenOptions) => ResultAsync<Pool, WdError>;

export class DefaultPool {
  readonly #open: Open;
  #opening: Promise<Result<Pool, WdError>> | null = null;
  #pool: Pool | null = null;

  constructor(open: Open) {
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
    const opened = await this.#opening;
    this.#opening = null;
    this.#pool = null;
    return opened?.isOk() ? opened.value.close() : null;
  }

  #opened(): Promise<Result<Pool, WdError>> {
    this.#opening ??= this.#openNow();
    return this.#opening;
  }

  async #openNow(): Promise<Result<Pool, WdError>> {
    const opened = await this.#open();
    if (opened.isOk()) this.#pool = opened.value;
    // A failure is not remembered: the next call tries again.
    else this.#opening = null;
    return opened;
  }

  #later(
    input: unknown,
    run: (pool: Pool, copy: Uint8Array) => ResultAsync<WdOutput, WdError>,
  ): ResultAsync<WdOutput, WdError> {
    const bytes = inputBytes(input);
    if (bytes === null) {
      const mistake = {
        argument: 'input',
        value: input,
        expected: INPUT_TYPES,
        code: 'ERR_INVALID_ARG_TYPE',
      };
      return new ResultAsync(Promise.resolve(err(invalidArgument(mistake))));
    }
    const copy = Uint8Array.prototype.slice.call(bytes);
    return this.pool().andThen((pool) => run(pool, copy));
  }
}
