/**
 * The only door for authors of user drivers. Re-exports, nothing else.
 */
export { err, ok, type Result } from 'neverthrow';
export { type DriverModule, defineDriver } from '../src/base/define-driver.js';
export { type InvalidArgument, invalidArgument, type WdError } from '../src/base/errors.js';
export { defineLayout, type Layout } from '../src/base/layout.js';
export { limits } from '../src/base/limits.js';
export { badData, outputTooLarge } from './failures.js';
export { unknownOption, wrongWhole } from './options.js';
export type {
  BlockPart,
  BlockPlan,
  DataError,
  DecodePlan,
  HeaderVerdict,
  Operation,
  OperationSpec,
  Outcome,
  OutputLimit,
  SoftwareOutput,
  SqeFormat,
  StreamPlan,
  TailVerdict,
  Transfer,
  UserDriver,
} from './user-driver.js';
