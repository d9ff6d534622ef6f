/** Many calls at once, answered together: one promise, and the results in the order of the calls. */
import { err, ok, type Result, ResultAsync } from 'neverthrow';
import { invalidArgument, type WdError } from '../src/base/errors.js';
import type { Settle } from './call.js';
import type { Input } from './input.js';
import type { CompressOptions } from './options.js';
import type { WdOutput } from './output.js';

/** One call of a batch: an operation, its input, and its options beside them. */
export interface BatchItem extends Omit<CompressOptions, 'format'> {
  readonly op: string;
  readonly input: Input;
  /** As the operation has it. */
  readonly format?: string;
}

/** What a batch answers: a result for each item, in their order. */
export type BatchOutput = Result<WdOutput, WdError>[];

/** Starts one call of a batch; called once for each item, in order. */
type StartOne = (call: (settle: Settle) => void) => void;

/** Answers once all calls that `start` starts are answered. */
export function gathered(
  items: readonly unknown[],
  start: (startOne: StartOne) => void,
): ResultAsync<BatchOutput, WdError> {
  if (!Array.isArray(items)) {
    const mistake = { argument: 'items', value: items, expected: 'an array', code: 'ERR_INVALID_ARG_TYPE' };
    return new ResultAsync(Promise.resolve(err(invalidArgument(mistake))));
  }
  return new ResultAsync(
    new Promise((resolve) => {
      const results: BatchOutput = new Array(items.length);
      let started = 0;
      let left = items.length;
      const settled = (index: number, result: Result<WdOutput, WdError>): void => {
        results[index] = result;
        left -= 1;
        if (left === 0) resolve(ok(results));
      };
      if (left === 0) return resolve(ok(results));
      start((call) => {
        const index = started++;
        call((result) => settled(index, result));
      });
    }),
  );
}
