/** The pool behind the functions and streams: the one that zero-configuration calls share. */
import type { ResultAsync } from 'neverthrow';
import type { WdError } from '../../src/base/errors.js';
import type { Input } from '../input.js';
import type { CompressOptions, DecompressOptions } from '../options.js';
import type { WdOutput } from '../output.js';
import type { Pool } from '../pool.js';

/** What is needed of it. Each member opens the pool if it is not open. */
export interface SharedPool {
  compress(input: Input, options: CompressOptions): ResultAsync<WdOutput, WdError>;
  decompress(input: Input, options: DecompressOptions): ResultAsync<WdOutput, WdError>;
  pool(): ResultAsync<Pool, WdError>;
}
