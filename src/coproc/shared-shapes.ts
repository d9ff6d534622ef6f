/**
 * What the start-up configuration and the calls of the framework have in common: names, and parameters of policies.
 */

import { limits } from '../base/limits.js';
import type { RecordShape, TextShape } from '../base/plain-shape.js';

/** Name of an instance, a domain, a driver or a policy. */
export const nameShape: TextShape = {
  kind: 'text',
  pattern: new RegExp(`^[A-Za-z][A-Za-z0-9_-]{0,${limits.NAME_LENGTH_MAX - 1}}$`),
  expected: `a name of letters, digits, _ and -, a letter first, at most ${limits.NAME_LENGTH_MAX} characters`,
};

/** Values by parameter name; which there are, and in which range, is up to the policy. */
export const parametersShape: RecordShape = {
  kind: 'record',
  names: nameShape,
  of: { kind: 'whole', unit: '', least: 0, most: Number.MAX_SAFE_INTEGER },
};

/** Parameters by instance. */
export const coprocessorsShape: RecordShape = { kind: 'record', names: nameShape, of: parametersShape };
