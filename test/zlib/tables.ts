/** Every table by its topic. */
import type { Rows } from './observe.js';
import { rows as argumentsOfCalls } from './table-arguments.js';
import { rows as classes } from './table-classes.js';
import { rows as dictionaries } from './table-dictionary.js';
import { rows as ends } from './table-ends.js';
import { rows as errors } from './table-errors.js';
import { rows as exported } from './table-exports.js';
import { rows as flushes } from './table-flush.js';
import { rows as inputs } from './table-inputs.js';
import { rows as limits } from './table-limits.js';
import { rows as members } from './table-members.js';
import { rows as options } from './table-options.js';
import { rows as streams } from './table-streams.js';
import { rows as uses } from './table-use.js';

export const tables: Readonly<Record<string, Rows>> = {
  exports: exported,
  arguments: argumentsOfCalls,
  options,
  input: inputs,
  'damaged input': errors,
  'members and truncation': members,
  dictionaries,
  limits,
  'flush, params and reset': flushes,
  streams,
  'ends of streams': ends,
  classes,
  'use in programs': uses,
};
